-- The history of a connection, its attempts by number, and when it is next renewed unasked.

ALTER TABLE connections ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN redeemed_by BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN keeps BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE connections ADD COLUMN forced_at TEXT NOT NULL DEFAULT '[]';
ALTER TABLE connections ADD COLUMN unknown_since BIGINT;
ALTER TABLE connections ADD COLUMN unclear_refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN client_refused BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE connections ADD COLUMN origin TEXT NOT NULL DEFAULT 'handshake';
ALTER TABLE connections ADD COLUMN profile TEXT;
ALTER TABLE connections ADD COLUMN used_at BIGINT;
ALTER TABLE connections ADD COLUMN reconnect_before BIGINT;
ALTER TABLE connections ADD COLUMN failed_at BIGINT;
ALTER TABLE connections ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN due_at BIGINT;

UPDATE connections SET updated_at = COALESCE(refreshed_at, connected_at);

CREATE INDEX connections_due ON connections (due_at) WHERE due_at IS NOT NULL;
