-- The feed forgets: entries up to `floor` are gone, and nobody can resume before it.
ALTER TABLE feed_heads ADD COLUMN floor BIGINT NOT NULL DEFAULT 0;

-- Whose thing changed, where only they may learn of it. Null where the thing belongs to the whole
-- tenant, and in entries of releases that did not say.
ALTER TABLE changes ADD COLUMN user_id TEXT COLLATE "C";
ALTER TABLE changes ADD COLUMN server TEXT;
