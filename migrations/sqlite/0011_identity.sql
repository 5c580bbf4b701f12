-- How a server is told whom requests are for, and the deployment's keys that sign it. Private halves are
-- sealed under data keys of the default tenant, the one that is always there.

ALTER TABLE servers ADD COLUMN identity_forwarding TEXT;

CREATE TABLE identity_keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    generation INTEGER NOT NULL,
    public_key TEXT NOT NULL,
    private_key BLOB NOT NULL,
    private_key_key TEXT NOT NULL REFERENCES data_keys (id) ON DELETE RESTRICT,
    signs_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX identity_keys_one_of_a_generation ON identity_keys (tenant, generation);
