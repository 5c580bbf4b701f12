-- What a sub-agent of a chat has, as it was when its sub-chat was first resolved. Since a chat may be stored for that
-- alone, it may have chosen nothing; the release before takes such a chat for one that chose no servers.

ALTER TABLE chats ADD COLUMN has_selection INTEGER NOT NULL DEFAULT TRUE;

CREATE TABLE subchats (
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, chat, id),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE subchat_servers (
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    subchat TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant, chat, subchat, server),
    FOREIGN KEY (tenant, chat, subchat) REFERENCES subchats (tenant, chat, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX subchat_servers_of_server ON subchat_servers (server);

-- Servers attached to one chat by its caller. Their ids stay while their slugs do.
CREATE TABLE inline_servers (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    slug TEXT NOT NULL,
    url TEXT NOT NULL,
    headers BLOB,
    headers_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    header_count INTEGER NOT NULL,
    tools TEXT NOT NULL,
    allow_in_plan_mode INTEGER NOT NULL,
    allow_in_subagents INTEGER NOT NULL,
    forward_identity_headers INTEGER NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (tenant, chat, slug),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE subchat_inline_servers (
    tenant TEXT NOT NULL,
    chat TEXT NOT NULL,
    subchat TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES inline_servers (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant, chat, subchat, server),
    FOREIGN KEY (tenant, chat, subchat) REFERENCES subchats (tenant, chat, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX subchat_inline_servers_of_server ON subchat_inline_servers (server);

-- Whose personal server it is; nobody's, the organisation's.
ALTER TABLE servers ADD COLUMN owner TEXT;
CREATE INDEX servers_of_owner ON servers (tenant, owner);
