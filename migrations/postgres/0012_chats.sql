-- What a sub-agent of a chat has, as it was when its sub-chat was first resolved. Since a chat may be stored for that
-- alone, it may have chosen nothing; the release before takes such a chat for one that chose no servers.

ALTER TABLE chats ADD COLUMN has_selection BOOLEAN NOT NULL DEFAULT TRUE;

CREATE TABLE subchats (
    tenant TEXT NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, chat, id),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
);

CREATE TABLE subchat_servers (
    tenant TEXT NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    subchat TEXT COLLATE "C" NOT NULL,
    server TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant, chat, subchat, server),
    FOREIGN KEY (tenant, chat, subchat) REFERENCES subchats (tenant, chat, id) ON DELETE CASCADE
);

CREATE INDEX subchat_servers_of_server ON subchat_servers (server);

-- Servers attached to one chat by its caller. Their ids stay while their slugs do.
CREATE TABLE inline_servers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    headers BYTEA,
    headers_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT,
    header_count BIGINT NOT NULL,
    tools TEXT NOT NULL,
    allow_in_plan_mode BOOLEAN NOT NULL,
    allow_in_subagents BOOLEAN NOT NULL,
    forward_identity_headers BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (tenant, chat, slug),
    FOREIGN KEY (tenant, chat) REFERENCES chats (tenant, id) ON DELETE CASCADE
);

CREATE TABLE subchat_inline_servers (
    tenant TEXT NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    subchat TEXT COLLATE "C" NOT NULL,
    server TEXT COLLATE "C" NOT NULL REFERENCES inline_servers (id) ON DELETE CASCADE,
    PRIMARY KEY (tenant, chat, subchat, server),
    FOREIGN KEY (tenant, chat, subchat) REFERENCES subchats (tenant, chat, id) ON DELETE CASCADE
);

CREATE INDEX subchat_inline_servers_of_server ON subchat_inline_servers (server);

-- Whose personal server it is; nobody's, the organisation's.
ALTER TABLE servers ADD COLUMN owner TEXT COLLATE "C";
CREATE INDEX servers_of_owner ON servers (tenant, owner);
