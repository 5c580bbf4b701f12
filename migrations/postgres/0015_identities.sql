-- The tokens of users' own logins, which are renewed as connections are. One for each user and identity
-- provider; whose generation is never used again, like that of a connection.

CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    generation BIGINT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    access_token BYTEA,
    access_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    access_token_ends BIGINT,
    id_token BYTEA,
    id_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    id_token_ends BIGINT,
    refresh_token BYTEA,
    refresh_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    deposit_hash BYTEA NOT NULL,
    refresh_hashes BYTEA NOT NULL,
    obtained_at BIGINT NOT NULL,
    expires_at BIGINT,
    rejected BOOLEAN NOT NULL,
    forced BOOLEAN NOT NULL,
    forced_at TEXT NOT NULL,
    intent TEXT,
    lease_owner TEXT,
    lease_until BIGINT,
    attempts BIGINT NOT NULL,
    redeemed_by BIGINT NOT NULL,
    keeps BOOLEAN NOT NULL,
    unknown_outcomes BIGINT NOT NULL,
    unknown_since BIGINT,
    unclear_refusals BIGINT NOT NULL,
    client_refused BOOLEAN NOT NULL,
    failures BIGINT NOT NULL,
    next_attempt_at BIGINT,
    last_error TEXT,
    failed_at BIGINT,
    deposited_at BIGINT NOT NULL,
    refreshed_at BIGINT,
    used_at BIGINT,
    due_at BIGINT,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (tenant, user_id, issuer)
);

CREATE INDEX identities_due ON identities (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE identity_tombstones (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, issuer)
);
