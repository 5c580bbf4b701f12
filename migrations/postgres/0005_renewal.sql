-- Secrets of clients that end: when each is to be renewed, and until when somebody is at it. And
-- whether a client's way to authenticate was said by nobody.

ALTER TABLE registrations ADD COLUMN renew_at BIGINT;
ALTER TABLE registrations ADD COLUMN renewing_until BIGINT;
ALTER TABLE registrations ADD COLUMN method_assumed BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX registrations_ending ON registrations (renew_at) WHERE secret_expires_at IS NOT NULL;
