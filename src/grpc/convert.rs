//! Words that many messages share: times, pages, actors, ids, request ids.
//!
//! Everything read notes its offences in [`Violations`] and goes on, so that a caller learns of all
//! of them at once; a part that is `None` has left an offence there.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message;
use uuid::Uuid;

use crate::app::{Once, Result, ServerRef};
use crate::domain::access::{Actor, Caller, Role};
use crate::domain::changes::Revision;
use crate::domain::page::{Cursor, PageRequest};
use crate::domain::secrets::SecretHash;
use crate::domain::text::{self, GroupId, InvalidText, UserId, Violations};
use crate::domain::time::Timestamp;
use crate::pb::v1 as pb;

/// What is said of a field whose feature is of a later release.
pub(super) const LATER: &str = "is not supported by this release";
/// The most groups an actor may have.
const MAX_GROUPS: usize = 1000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, between which a `google.protobuf.Timestamp` is.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const NANOS: std::ops::Range<i32> = 0..1_000_000_000;

/// The parts when nothing was found, all offences otherwise.
pub(super) fn all<T>(found: Violations, parts: Option<T>) -> Result<T> {
    match parts {
        Some(parts) if found.is_empty() => Ok(parts),
        _ => Err(found.into()),
    }
}

/// Notes a field that is set although its feature is of a later release.
pub(super) fn refuse_later(found: &mut Violations, field: &str, is_set: bool) {
    if is_set {
        found.add(field, LATER);
    }
}

/// A time as sent.
pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.as_micros().rem_euclid(1_000_000) * 1_000;
    let nanos = i32::try_from(nanos).unwrap_or_default();
    prost_types::Timestamp {
        seconds: time.as_secs(),
        nanos,
    }
}

/// A duration as sent.
pub(super) fn duration(span: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(span.subsec_nanos()).unwrap_or_default();
    prost_types::Duration { seconds, nanos }
}

/// A time as received; absent stays absent.
pub(super) fn time(
    found: &mut Violations,
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    let time = time?;
    if !SECONDS.contains(&time.seconds) || !NANOS.contains(&time.nanos) {
        found.add(field, "is not a timestamp");
        return None;
    }
    let micros = time.seconds * 1_000_000 + i64::from(time.nanos / 1_000);
    Some(Timestamp::from_micros(micros))
}

/// A duration as received, not negative and at most `max`; absent is zero.
pub(super) fn span(
    found: &mut Violations,
    field: &str,
    span: Option<prost_types::Duration>,
    max: Duration,
) -> Duration {
    let Some(span) = span else {
        return Duration::ZERO;
    };
    let read = (u64::try_from(span.seconds), u32::try_from(span.nanos));
    match read {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => {
            let span = Duration::new(seconds, nanos);
            if span <= max {
                return span;
            }
            found.add(field, format!("must be at most {} s", max.as_secs()));
        }
        _ => found.add(field, "must be a duration that is not negative"),
    }
    Duration::ZERO
}

/// How many, and from where.
pub(super) fn page(found: &mut Violations, size: i32, token: &str) -> Option<PageRequest> {
    if size < 0 {
        found.add("page_size", "must not be negative");
    }
    found.keep("page_token", PageRequest::parse(size.max(0), token))
}

/// Where to go on, as sent; empty at the end.
pub(super) fn next_token(next: Option<&Cursor>) -> String {
    next.map(Cursor::encode).unwrap_or_default()
}

/// A value of an enum; `None` only where the number is unknown, which is noted.
pub(super) fn choice<E: TryFrom<i32>>(
    found: &mut Violations,
    field: &str,
    value: i32,
) -> Option<E> {
    let choice = E::try_from(value).ok();
    if choice.is_none() {
        found.add(field, "is not a value of its enum");
    }
    choice
}

/// An id of the kind asked for.
pub(super) fn id<T: FromStr<Err: Display>>(
    found: &mut Violations,
    field: &str,
    text: &str,
) -> Option<T> {
    if text.is_empty() {
        found.add(field, InvalidText::Empty.to_string());
        return None;
    }
    found.keep(field, text.parse())
}

/// A server by id or slug. What is neither is no server's name; only nothing is an offence.
pub(super) fn server(found: &mut Violations, field: &str, text: &str) -> Option<Result<ServerRef>> {
    let text = found.keep(field, text::required(text, usize::MAX))?;
    Some(ServerRef::parse(&text))
}

/// Servers as named: trimmed, without blanks and repeats.
pub(super) fn servers(
    found: &mut Violations,
    field: &str,
    names: &[String],
) -> Option<Vec<String>> {
    found.keep(field, text::list(names, 100, 255))
}

/// The user a call is about. Who is bound to one user may leave it out.
pub(super) fn actor(
    found: &mut Violations,
    caller: &Caller,
    actor: Option<pb::Actor>,
) -> Option<Actor> {
    let actor = actor.unwrap_or_default();
    let user = match &caller.user {
        Some(own) if actor.user.is_empty() => Some(own.clone()),
        _ => found.keep("actor.user", UserId::parse(&actor.user)),
    };
    let groups = match &caller.groups {
        // The user's own token says; what is asserted beside it does not count.
        Some(attested) => attested.to_vec(),
        // Nobody vouches for the groups that a user asserts for itself.
        None if caller.role == Role::User => Vec::new(),
        None => groups(found, &actor.groups),
    };
    user.map(|user| Actor { user, groups })
}

/// The user a call may be about: theirs who are bound to one, who is named, or nobody.
pub(super) fn optional_actor(
    found: &mut Violations,
    caller: &Caller,
    named: Option<pb::Actor>,
) -> Option<Actor> {
    if named.is_none() && caller.user.is_none() {
        return None;
    }
    actor(found, caller, named)
}

/// Whom a caller sees configurations as: users as themselves, whomever they name.
pub(super) fn viewer(
    found: &mut Violations,
    caller: &Caller,
    named: Option<pb::Actor>,
) -> Option<Actor> {
    let named = named.filter(|_| caller.role != Role::User);
    optional_actor(found, caller, named)
}

fn groups(found: &mut Violations, asserted: &[String]) -> Vec<GroupId> {
    if asserted.len() > MAX_GROUPS {
        found.add("actor.groups", "must hold at most 1000 groups");
        return Vec::new();
    }
    let parsed = asserted.iter().map(|group| GroupId::parse(group)).collect();
    found
        .keep::<Vec<_>, _>("actor.groups", parsed)
        .unwrap_or_default()
}

/// A place in the feed to have reached; absent is the beginning.
pub(super) fn revision(found: &mut Violations, field: &str, revision: i64) -> Revision {
    if revision < 0 {
        found.add(field, "must not be negative");
    }
    Revision(revision)
}

/// What makes a creation idempotent: the caller's id for it and a hash of everything else it
/// asks. `None` without an id, or with one that is noted as no UUID.
pub(super) fn once(found: &mut Violations, request_id: &str, ask: &impl Message) -> Option<Once> {
    fingerprinted(found, request_id, &ask.encode_to_vec())
}

/// As [`once`], of an encoding that the caller made.
pub(super) fn fingerprinted(
    found: &mut Violations,
    request_id: &str,
    encoded: &[u8],
) -> Option<Once> {
    if request_id.is_empty() {
        return None;
    }
    let Ok(uuid) = Uuid::try_parse(request_id) else {
        found.add("request_id", "must be a UUID");
        return None;
    };
    let fingerprint = SecretHash::of(&STANDARD_NO_PAD.encode(encoded));
    Some(Once {
        request_id: uuid.to_string(),
        fingerprint,
    })
}

/// A text that may be empty, at most `max` bytes, as an option.
pub(super) fn optional_line(
    found: &mut Violations,
    field: &str,
    text: &str,
    max: usize,
) -> Option<String> {
    let text = found.keep(field, text::line(text, max))?;
    (!text.is_empty()).then_some(text)
}

/// Lines of `WWW-Authenticate`: at most 16 of 8192 bytes, unchanged.
pub(super) fn challenges(found: &mut Violations, field: &str, lines: &[String]) {
    if lines.len() > 16 || lines.iter().any(|line| line.len() > 8192) {
        found.add(field, "must hold at most 16 lines of 8192 bytes");
    }
}

/// How many, as sent.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
