-- What users supply for headers of servers, each value sealed. A value that is set again is another row.

CREATE TABLE user_headers (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    value_key TEXT NOT NULL REFERENCES data_keys (id) ON DELETE RESTRICT,
    updated_at INTEGER NOT NULL,
    UNIQUE (tenant, user_id, server, name)
) STRICT;

CREATE INDEX user_headers_of_server ON user_headers (server, name);

-- How often a user's values for a server changed. Outlives the values and the server, since a server may be made again under the id of
-- a deleted one: the row of nobody holds how far the versions of those that are gone had come.
CREATE TABLE user_header_versions (
    tenant TEXT NOT NULL REFERENCES tenants (id),
    user_id TEXT NOT NULL,
    server TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id, server)
) STRICT;
