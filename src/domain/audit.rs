//! The audit trail: who did what to what, written in the transaction that did it.

use std::net::IpAddr;

use serde::Serialize;

use super::changes::Revision;
use super::ids::AuditEventId;
use super::random::Random;
use super::tenants::TenantId;
use super::text::InvalidText;
use super::time::{Clock, Timestamp};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A caller of the API.
    Caller {
        /// `key_...`, or issuer and subject.
        principal: String,
        /// The name the key was given, or the subject.
        name: String,
    },
    /// A browser that holds a handshake's link or state.
    Browser,
    /// Somebody at the machine itself (`apikey bootstrap`, `migrate`).
    Machine,
    /// The service, on its own account.
    Service,
    /// Somebody without valid credentials.
    Unknown,
}

impl Who {
    /// The kind of it.
    pub fn kind(&self) -> ActorKind {
        match self {
            Self::Caller { .. } => ActorKind::Caller,
            Self::Browser => ActorKind::Browser,
            Self::Machine => ActorKind::Machine,
            Self::Service => ActorKind::Service,
            Self::Unknown => ActorKind::Unknown,
        }
    }
}

/// The kinds of [`Who`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ActorKind {
    /// See [`Who::Caller`].
    Caller,
    /// See [`Who::Browser`].
    Browser,
    /// See [`Who::Machine`].
    Machine,
    /// See [`Who::Service`].
    Service,
    /// See [`Who::Unknown`].
    Unknown,
}

impl ActorKind {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Browser => "browser",
            Self::Machine => "machine",
            Self::Service => "service",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Caller,
            Self::Browser,
            Self::Machine,
            Self::Service,
            Self::Unknown,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

    /// The verdict of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Done, Self::Refused]
            .into_iter()
            .find(|verdict| verdict.as_str() == name)
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
    /// What was done: a dotted verb such as `server.create`, of `a-z` and `_`.
    pub action: &'static str,
    /// What it was done to: an id, or a name where there is no id.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why a call was refused: the name of a reason of the API.
    pub reason: Option<String>,
    /// The user it was done for, if it was about one.
    pub user: Option<String>,
    /// What changed, as JSON without secrets: `{"before": ..., "after": ...}` or details.
    pub detail: serde_json::Value,
    /// How many times it happened.
    pub count: i64,
}

impl NewAuditEvent {
    /// The record of something done now, once, about no user and without details; all may be changed.
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
            reason: None,
            user: None,
            detail: serde_json::Value::Null,
            count: 1,
        }
    }
}

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When it happened.
    pub at: Timestamp,
    /// Who, from where.
    pub origin: Origin,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why a call was refused.
    pub reason: Option<String>,
    /// The user it was done for.
    pub user: Option<String>,
    /// What changed.
    pub detail: serde_json::Value,
    /// How many times it happened.
    pub count: i64,
    /// Its place in the change feed; zero where a release before places wrote it.
    pub revision: Revision,
}

/// Which events are wanted: those that match every part given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// One of these actions; any where there is none.
    pub actions: Vec<ActionPattern>,
    /// What this caller did.
    pub principal: Option<String>,
    /// What was done for this user.
    pub user: Option<String>,
    /// What was done to this.
    pub subject: Option<String>,
    /// What ended so.
    pub verdict: Option<Verdict>,
    /// What this kind of party did.
    pub actor_kind: Option<ActorKind>,
    /// What came of this request.
    pub request_id: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// An action, or all of an area: `server.create`, `server.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ActionPattern(String);

impl ActionPattern {
    /// Two words of `a-z` and `_` with a dot between, of which the second may be `*`; at most 64 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_'));
        let parts = text.split_once('.').filter(|_| text.len() <= 64);
        if parts.is_some_and(|(area, verb)| is_word(area) && (verb == "*" || is_word(verb))) {
            return Ok(Self(text.to_owned()));
        }
        let wanted = "must be actions such as `server.create`, or `server.*`";
        Err(InvalidText::Grammar(wanted))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_two_words_or_a_whole_area() {
        for good in ["server.create", "api_key.*", "x.y_z"] {
            assert!(ActionPattern::parse(good).is_ok(), "{good}");
        }
        let long = format!("a.{}", "b".repeat(63));
        for bad in [
            "",
            ".",
            "server",
            "server.",
            ".create",
            "*.create",
            "*",
            "server.cre*",
            "a.b.c",
            "Server.create",
            "server.create ",
            "server. *",
            &long,
        ] {
            assert!(ActionPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stored_names_read_back() {
        for who in [Who::Browser, Who::Machine, Who::Service, Who::Unknown] {
            let kind = who.kind();
            assert_eq!(ActorKind::parse(kind.as_str()), Some(kind));
        }
        for verdict in [Verdict::Done, Verdict::Refused] {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        }
        assert_eq!((ActorKind::parse("x"), Verdict::parse("x")), (None, None));
    }
}
