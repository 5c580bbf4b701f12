-- The first schema. Times are microseconds since the Unix epoch. Every sealed column has a
-- companion `<column>_key`, the data key that opens it; retiring a key is deleting its row.

CREATE TABLE tenants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE root_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    canary BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE data_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    root_key TEXT NOT NULL REFERENCES root_keys (id) ON DELETE RESTRICT,
    wrapped BYTEA NOT NULL,
    active BOOLEAN NOT NULL,
    reserved_uses BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX data_keys_one_active ON data_keys (tenant) WHERE active;

CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id),
    role TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT,
    methods TEXT NOT NULL,
    servers TEXT NOT NULL,
    source_cidrs TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);

CREATE INDEX api_keys_of_tenant ON api_keys (tenant, name, id);

CREATE TABLE servers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    slug TEXT NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    icon_url TEXT NOT NULL,
    url TEXT NOT NULL,
    transport TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    availability TEXT NOT NULL,
    allow_in_plan_mode BOOLEAN NOT NULL,
    allow_in_subagents BOOLEAN NOT NULL,
    model_intent BOOLEAN NOT NULL,
    forward_identity_headers BOOLEAN NOT NULL,
    tools TEXT NOT NULL,
    access TEXT NOT NULL,
    managed_by TEXT NOT NULL,
    auth TEXT NOT NULL,
    discovered TEXT,
    client_secret BYTEA,
    client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    private_key BYTEA,
    private_key_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    api_key BYTEA,
    api_key_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    custom_headers BYTEA,
    custom_headers_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    signing_secret BYTEA,
    signing_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    idp_client_secret BYTEA,
    idp_client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    assertion BYTEA,
    assertion_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    auth_version BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant, slug)
);

CREATE INDEX servers_in_order ON servers (tenant, display_name, id);

CREATE TABLE registrations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    generation BIGINT NOT NULL,
    kind TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret BYTEA,
    client_secret_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    secret_expires_at BIGINT,
    auth_method TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    management_token BYTEA,
    management_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    management_uri TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, server, issuer, generation)
);

CREATE INDEX registrations_of_server ON registrations (server);

CREATE TABLE connections (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT COLLATE "C" NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    registration TEXT NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    resource TEXT,
    scopes TEXT NOT NULL,
    token_type TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    auth_version BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    access_token BYTEA,
    access_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    refresh_token BYTEA,
    refresh_token_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    obtained_at BIGINT NOT NULL,
    expires_at BIGINT,
    rejected BOOLEAN NOT NULL,
    forced BOOLEAN NOT NULL,
    intent TEXT,
    lease_owner TEXT,
    lease_until BIGINT,
    unknown_outcomes BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    next_attempt_at BIGINT,
    last_error TEXT,
    connected_at BIGINT NOT NULL,
    refreshed_at BIGINT,
    version BIGINT NOT NULL,
    UNIQUE (tenant, user_id, server)
);

CREATE INDEX connections_of_server ON connections (server, user_id);
CREATE INDEX connections_of_registration ON connections (registration);

-- Keeps the generation of a connection that is gone, so that it is never used again; outlives the
-- server, since a server may be made again under the id of a deleted one.
CREATE TABLE connection_tombstones (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT COLLATE "C" NOT NULL,
    server TEXT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, server)
);

CREATE TABLE handshakes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT COLLATE "C" NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    created_by TEXT NOT NULL,
    binding TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    generation BIGINT,
    exchange_until BIGINT,
    registration TEXT NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    auth_version BIGINT NOT NULL,
    snapshot TEXT NOT NULL,
    flow BYTEA,
    flow_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    link_hash BYTEA NOT NULL UNIQUE,
    state_hash BYTEA NOT NULL UNIQUE,
    browser_hash BYTEA,
    return_url TEXT,
    opener_origin TEXT,
    completion_url TEXT,
    code_hash BYTEA,
    parked BYTEA,
    parked_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX handshakes_of_server ON handshakes (server);
CREATE INDEX handshakes_of_user ON handshakes (tenant, user_id, server);
CREATE INDEX handshakes_by_age ON handshakes (created_at);

CREATE TABLE chats (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    id TEXT COLLATE "C" NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE chat_servers (
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, chat, server),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
);

CREATE INDEX chat_servers_of_server ON chat_servers (server);

-- What a creation with a request id made, so that repeating it answers the same (AIP-155).
CREATE TABLE requests (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    principal TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, principal, request_id)
);

CREATE INDEX requests_by_age ON requests (created_at);

-- The last statement of every changing transaction locks and moves its tenant's head: the order
-- of the feed is the order of commits.
CREATE TABLE feed_heads (
    shard BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

CREATE TABLE changes (
    shard BIGINT NOT NULL REFERENCES feed_heads (shard),
    seq BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    op TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (shard, seq)
);

CREATE TABLE audit_events (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    at BIGINT NOT NULL,
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
);

CREATE INDEX audit_events_of_tenant ON audit_events (tenant, at, id);

INSERT INTO feed_heads (shard, seq) VALUES
    (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0),
    (8, 0), (9, 0), (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (15, 0);
