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
