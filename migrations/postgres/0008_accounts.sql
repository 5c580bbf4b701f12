-- Whether the account a user connects must be their own, and which one they connected.

ALTER TABLE servers ADD COLUMN account_binding TEXT;
ALTER TABLE handshakes ADD COLUMN account TEXT;
ALTER TABLE connections ADD COLUMN account TEXT;
ALTER TABLE connections ADD COLUMN account_differs BOOLEAN NOT NULL DEFAULT FALSE;
