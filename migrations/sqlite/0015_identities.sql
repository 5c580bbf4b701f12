-- The tokens of users' own logins, which are renewed as connections are. One for each user and identity
-- provider; whose generation is never used again, like that of a connection.

CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    generation INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    access_token BLOB,
    access_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    access_token_ends INTEGER,
    id_token BLOB,
    id_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    id_token_ends INTEGER,
    refresh_token BLOB,
    refresh_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    deposit_hash BLOB NOT NULL,
    refresh_hashes BLOB NOT NULL,
    obtained_at INTEGER NOT NULL,
    expires_at INTEGER,
    rejected INTEGER NOT NULL,
    forced INTEGER NOT NULL,
    forced_at TEXT NOT NULL,
    intent TEXT,
    lease_owner TEXT,
    lease_until INTEGER,
    attempts INTEGER NOT NULL,
    redeemed_by INTEGER NOT NULL,
    keeps INTEGER NOT NULL,
    unknown_outcomes INTEGER NOT NULL,
    unknown_since INTEGER,
    unclear_refusals INTEGER NOT NULL,
    client_refused INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_error TEXT,
    failed_at INTEGER,
    deposited_at INTEGER NOT NULL,
    refreshed_at INTEGER,
    used_at INTEGER,
    due_at INTEGER,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (tenant, user_id, issuer)
) STRICT;

CREATE INDEX identities_due ON identities (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE identity_tombstones (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id, issuer)
) STRICT;
