-- The first schema. Times are microseconds since the Unix epoch. Every sealed column has a
-- companion `<column>_key`, the data key that opens it; retiring a key is deleting its row.

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE root_keys (
    id TEXT NOT NULL PRIMARY KEY,
    canary BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE data_keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    root_key TEXT NOT NULL REFERENCES root_keys (id) ON DELETE RESTRICT,
    wrapped BLOB NOT NULL,
    active INTEGER NOT NULL,
    reserved_uses INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX data_keys_one_active ON data_keys (tenant) WHERE active;

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id),
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    user_id TEXT,
    methods TEXT NOT NULL,
    servers TEXT NOT NULL,
    source_cidrs TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_keys_of_tenant ON api_keys (tenant, name, id);

CREATE TABLE servers (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    icon_url TEXT NOT NULL,
    url TEXT NOT NULL,
    transport TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    availability TEXT NOT NULL,
    allow_in_plan_mode INTEGER NOT NULL,
    allow_in_subagents INTEGER NOT NULL,
    model_intent INTEGER NOT NULL,
    forward_identity_headers INTEGER NOT NULL,
    tools TEXT NOT NULL,
    access TEXT NOT NULL,
    managed_by TEXT NOT NULL,
    auth TEXT NOT NULL,
    discovered TEXT,
    client_secret BLOB,
    client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    private_key BLOB,
    private_key_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    api_key BLOB,
    api_key_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    custom_headers BLOB,
    custom_headers_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    signing_secret BLOB,
    signing_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    idp_client_secret BLOB,
    idp_client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    assertion BLOB,
    assertion_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    auth_version INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (tenant, slug)
) STRICT;

CREATE INDEX servers_in_order ON servers (tenant, display_name, id);

CREATE TABLE registrations (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret BLOB,
    client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    secret_expires_at INTEGER,
    auth_method TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    management_token BLOB,
    management_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    management_uri TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, server, issuer, generation)
) STRICT;

CREATE INDEX registrations_of_server ON registrations (server);

CREATE TABLE connections (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    registration TEXT NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    resource TEXT,
    scopes TEXT NOT NULL,
    token_type TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    auth_version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    access_token BLOB,
    access_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    refresh_token BLOB,
    refresh_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    obtained_at INTEGER NOT NULL,
    expires_at INTEGER,
    rejected INTEGER NOT NULL,
    forced INTEGER NOT NULL,
    intent TEXT,
    lease_owner TEXT,
    lease_until INTEGER,
    unknown_outcomes INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_error TEXT,
    connected_at INTEGER NOT NULL,
    refreshed_at INTEGER,
    version INTEGER NOT NULL,
    UNIQUE (tenant, user_id, server)
) STRICT;

CREATE INDEX connections_of_server ON connections (server, user_id);
CREATE INDEX connections_of_registration ON connections (registration);

-- Keeps the generation of a connection that is gone, so that it is never used again; outlives the
-- server, since a server may be made again under the id of a deleted one.
CREATE TABLE connection_tombstones (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id, server)
) STRICT;

CREATE TABLE handshakes (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    created_by TEXT NOT NULL,
    binding TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    generation INTEGER,
    exchange_until INTEGER,
    registration TEXT NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    auth_version INTEGER NOT NULL,
    snapshot TEXT NOT NULL,
    flow BLOB,
    flow_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    link_hash BLOB NOT NULL UNIQUE,
    state_hash BLOB NOT NULL UNIQUE,
    browser_hash BLOB,
    return_url TEXT,
    opener_origin TEXT,
    completion_url TEXT,
    code_hash BLOB,
    parked BLOB,
    parked_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

CREATE INDEX handshakes_of_server ON handshakes (server);
CREATE INDEX handshakes_of_user ON handshakes (tenant, user_id, server);
CREATE INDEX handshakes_by_age ON handshakes (created_at);

CREATE TABLE chats (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE chat_servers (
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, chat, server),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX chat_servers_of_server ON chat_servers (server);

-- What a creation with a request id made, so that repeating it answers the same (AIP-155).
CREATE TABLE requests (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    principal TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    subject TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, principal, request_id)
) STRICT;

CREATE INDEX requests_by_age ON requests (created_at);

-- The last statement of every changing transaction locks and moves its tenant's head: the order
-- of the feed is the order of commits.
CREATE TABLE feed_heads (
    shard INTEGER NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE changes (
    shard INTEGER NOT NULL REFERENCES feed_heads (shard),
    seq INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    op TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (shard, seq)
) STRICT;

CREATE TABLE audit_events (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    principal TEXT NOT NULL,
    principal_name TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    verdict TEXT NOT NULL,
    user_id TEXT,
    request_id TEXT,
    address TEXT,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_events_of_tenant ON audit_events (tenant, at, id);

INSERT INTO feed_heads (shard, seq) VALUES
    (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0),
    (8, 0), (9, 0), (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (15, 0);
