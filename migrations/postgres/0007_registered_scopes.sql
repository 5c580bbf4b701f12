-- What a client was registered with: an update of its registration has to repeat it.

ALTER TABLE registrations ADD COLUMN scopes TEXT;
