-- What is to be revoked at its provider and is gone here already. Nothing refers to servers,
-- registrations or connections, which these rows outlive. Tokens keep the associated data they had
-- as a connection's: a row of `revocations` has the id of the connection its tokens were sealed for.

CREATE TABLE retired_clients (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    auth_method TEXT NOT NULL,
    client_secret BYTEA,
    client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    management_uri TEXT,
    management_token BYTEA,
    management_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    state TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_until BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX retired_clients_of_tenant ON retired_clients (tenant, issuer, client_id);
CREATE INDEX retired_clients_due ON retired_clients (state, next_attempt_at);

CREATE TABLE revocations (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL,
    client TEXT REFERENCES retired_clients (id),
    issuer TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    reason TEXT NOT NULL,
    refresh_token BYTEA,
    refresh_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    access_token BYTEA,
    access_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    state TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_until BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX revocations_of_tenant ON revocations (tenant, state);
CREATE INDEX revocations_of_client ON revocations (client);
CREATE INDEX revocations_due ON revocations (state, next_attempt_at);
CREATE INDEX revocations_in_flight ON revocations (endpoint, lease_until);
