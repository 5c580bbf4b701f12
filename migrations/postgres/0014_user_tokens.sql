-- Whether a key works for users only together with their own token.

ALTER TABLE api_keys ADD COLUMN requires_user_token BOOLEAN NOT NULL DEFAULT FALSE;
