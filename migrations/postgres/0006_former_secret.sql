-- The secret that a client made by hand had before the present one, and until when it is still tried:
-- a provider and this service never change a secret in the same moment.

ALTER TABLE servers ADD COLUMN former_client_secret BYTEA;
ALTER TABLE servers ADD COLUMN former_client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT;
ALTER TABLE servers ADD COLUMN former_client_secret_until BIGINT;

CREATE INDEX servers_former_client_secret ON servers (former_client_secret_until)
    WHERE former_client_secret_until IS NOT NULL;
