//! The audit trail: who did what to what, written in the transaction that did it.

use std::net::IpAddr;

use super::ids::AuditEventId;
use super::random::Random;
use super::tenants::TenantId;
use super::time::{Clock, Timestamp};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A caller of the API: the id of its key, and the name the key was given.
    Caller {
        /// `key_...`
        principal: String,
        /// The key's name.
        name: String,
    },
    /// A browser that holds a handshake's link or state.
    Browser,
    /// Somebody at the machine itself (`apikey bootstrap`, `migrate`).
    Machine,
    /// The service, on its own account.
    Service,
}

impl Who {
    /// The kind, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Caller { .. } => "caller",
            Self::Browser => "browser",
            Self::Machine => "machine",
            Self::Service => "service",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Verdict {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// The circumstances of a call that every record of it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who did it.
    pub who: Who,
    /// The request's id, when there was a request.
    pub request_id: Option<String>,
    /// Where it came from, when known.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// The service itself, outside any request.
    pub fn service() -> Self {
        Self {
            who: Who::Service,
            request_id: None,
            address: None,
        }
    }
}

/// A record before it is written. Made by the use case, demanded by every commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// Whose trail it belongs to.
    pub tenant: TenantId,
    /// When it happened.
    pub at: Timestamp,
    /// Who, from where.
    pub origin: Origin,
    /// What was done: a dotted verb such as `server.create`.
    pub action: &'static str,
    /// What it was done to: an id, or a name where there is no id.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// The user it was done for, if it was about one.
    pub user: Option<String>,
    /// What changed, as JSON without secrets: `{"before": ..., "after": ...}` or details.
    pub detail: serde_json::Value,
}

impl NewAuditEvent {
    /// The record of something done now, about no user and without details; both may be added.
    pub fn done(
        (clock, random): (&dyn Clock, &dyn Random),
        tenant: &TenantId,
        origin: Origin,
        action: &'static str,
        subject: String,
    ) -> Self {
        Self {
            id: AuditEventId::mint(clock, random),
            tenant: tenant.clone(),
            at: clock.now(),
            origin,
            action,
            subject,
            verdict: Verdict::Done,
            user: None,
            detail: serde_json::Value::Null,
        }
    }
}
