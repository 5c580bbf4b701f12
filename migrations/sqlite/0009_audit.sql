-- Refusals say why, and one event may stand for several. Each event has its place in the change feed;
-- those of earlier releases have none.

ALTER TABLE audit_events ADD COLUMN reason TEXT;
ALTER TABLE audit_events ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit_events ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- What is asked for: a tenant's by their places, what somebody did, what was done to something or for
-- somebody, what came of a request; and what is old, of all tenants.
CREATE INDEX audit_events_in_order ON audit_events (tenant, revision);
CREATE INDEX audit_events_of_principal ON audit_events (tenant, principal, at, id);
CREATE INDEX audit_events_of_subject ON audit_events (tenant, subject, at, id);
CREATE INDEX audit_events_of_user ON audit_events (tenant, user_id, at, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_of_request ON audit_events (tenant, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_events_by_age ON audit_events (at);
