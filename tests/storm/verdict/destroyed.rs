//! Which answers were destroyed, and by what. An answer that reached a healthy replica which went on
//! living was not, whatever the replica made of it.

use std::fmt;

use super::facts::{Facts, Presentation, Span};
use crate::clock::micros;
use crate::journal::{Close, Ruling};
use crate::plan::{DEADLINE, LEASE};

/// What storing an answer may take: a replica that dies later had its time. The answer stands in line
/// with thousands of calls for two cores, and on SQLite for the one writer.
const STORES_WITHIN: u64 = 2_000_000;
/// A replica that stops answering amid a transaction holds up the others until the database ends it.
const HELD_UP: u64 = 2_000_000;
/// While the database is down, or silent, nothing can be stored, and the longest pause between two tries is added
/// to that.
const STORES_AGAIN_WITHIN: u64 = 6_000_000;

/// How long it may take to find out who sent a request.
const FOUND_WITHIN: u64 = 1_000_000;
/// How long the provider may take to notice that a client went.
const NOTICED_WITHIN: u64 = 300_000;

/// What destroyed an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The provider's script: not sent, or not whole.
    Provider,
    /// The network was cut.
    Network,
    /// It came after the client's deadline.
    TooLate,
    /// The replica was killed before it could store it.
    Killed,
    /// The replica was paused beyond its lease before it could store it.
    Paused,
    /// The replica could not reach its database beyond its lease, before it could store it.
    Unreachable,
    /// The replica was killed or paused while the database was down, or silent for it.
    Database,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "the provider destroyed the answer",
            Self::Network => "the network was cut",
            Self::TooLate => "the answer came after the deadline",
            Self::Killed => "the replica was killed before it could store the answer",
            Self::Paused => "the replica was paused beyond its lease",
            Self::Unreachable => "the replica could not reach its database beyond its lease",
            Self::Database => "the replica ended while it had no database",
        })
    }
}

impl Facts {
    /// Why the answer to a presentation was destroyed before a time; `Err` says where it is.
    pub(crate) fn destroyed(&self, one: &Presentation, by: u64) -> Result<Cause, String> {
        if let Some((_, Ruling::Rotated(next))) = one.ruled
            && let Some(used) = self.in_use.get(&(one.family, next))
            && *used < by
        {
            return Err("its tokens were in use before that".to_owned());
        }
        // That a client went is noticed a little later.
        let ended = one.closed.filter(|(t, how)| match how {
            Close::Gone | Close::Unread => *t < by.saturating_add(NOTICED_WITHIN),
            Close::Read | Close::Destroyed | Close::Cut | Close::Silent => *t < by,
        });
        match ended {
            Some((_, Close::Destroyed)) => return Ok(Cause::Provider),
            Some((_, Close::Cut)) => return Ok(Cause::Network),
            Some((t, Close::Gone | Close::Unread)) => {
                if let Some(cause) = self.process_lost(one, t, by) {
                    return Ok(cause);
                }
                return if t.saturating_sub(one.arrived) >= micros(DEADLINE) * 8 / 10 {
                    Ok(Cause::TooLate)
                } else {
                    Err("a living replica gave the request up early".to_owned())
                };
            }
            Some((_, Close::Read | Close::Silent)) | None => {}
        }
        let heard = ended.map_or(by, |(t, _)| t);
        let delivered = one.written.filter(|t| *t < by);
        if let Some(cause) = self.process_lost(one, delivered.unwrap_or(heard), by) {
            return Ok(cause);
        }
        Err(match delivered {
            Some(t) => format!(
                "its answer was delivered to a replica that {}",
                self.afterlife(one, t)
            ),
            None => "its answer was still awaited".to_owned(),
        })
    }

    /// Whether the process that sent the request was killed or paused before it could store what was
    /// there for it at a time.
    fn process_lost(&self, one: &Presentation, there: u64, by: u64) -> Option<Cause> {
        let down = |span: &&(u64, u64)| {
            span.0 <= there.saturating_add(STORES_WITHIN) && span.1 >= one.arrived
        };
        // A database that was silent for this replica was down for it.
        let silent = self.mutes.iter().filter(|(pid, _)| one.pid == Some(*pid));
        let silent = silent.map(|(_, span)| span);
        let down = self.database.iter().chain(silent).find(down);
        let stored = down.map_or_else(
            || self.stored(one, there),
            |span| span.1.max(there).saturating_add(STORES_AGAIN_WITHIN),
        );
        let instead = |cause| {
            if down.is_some() {
                Cause::Database
            } else {
                cause
            }
        };
        let ours = |pid: u32| one.pid.is_none_or(|own| own == pid);
        // Without a pid the sender was gone when its request was read: killed just then.
        let earliest = if one.pid.is_some() {
            one.arrived
        } else {
            one.arrived.saturating_sub(FOUND_WITHIN)
        };
        let killed =
            |(pid, t): &(u32, u64)| ours(*pid) && (earliest..=stored).contains(t) && *t <= by;
        if self.kills.iter().any(killed) {
            return Some(instead(Cause::Killed));
        }
        let too_long = |(pid, span): &(u32, Span)| {
            one.pid == Some(*pid)
                && span.0 <= stored
                && span.1 >= one.arrived
                && span.1 - span.0 > micros(LEASE)
                && span.0 <= by
        };
        if self.pauses.iter().any(too_long) {
            return Some(instead(Cause::Paused));
        }
        let mute = self.mutes.iter().any(too_long);
        mute.then_some(Cause::Unreachable)
    }

    /// By when what was there at a time must be stored while the database is up.
    fn stored(&self, one: &Presentation, there: u64) -> u64 {
        let in_time = there.saturating_add(STORES_WITHIN);
        let others = self.stretches().filter(|(pid, _)| one.pid != Some(*pid));
        let held_up = others
            .filter(|(_, span)| span.0 <= in_time)
            .map(|(_, span)| {
                let free = span.0.saturating_add(HELD_UP);
                free.saturating_sub(span.0.max(there))
            });
        in_time.saturating_add(held_up.max().unwrap_or(0))
    }

    /// How long a replica lived on with an answer that it did not store.
    fn afterlife(&self, one: &Presentation, there: u64) -> String {
        let killed = |(pid, t): &&(u32, u64)| one.pid == Some(*pid) && *t > there;
        let killed = self.kills.iter().find(killed);
        killed.map_or_else(
            || "went on living".to_owned(),
            |(_, t)| {
                let lived = (t - there) / 1_000;
                format!("lived on for {}.{:03} s", lived / 1_000, lived % 1_000)
            },
        )
    }

    /// The answers destroyed in all, by cause.
    pub(crate) fn all_destroyed(&self) -> std::collections::BTreeMap<Cause, usize> {
        let mut causes = std::collections::BTreeMap::new();
        for one in self.presentations.values() {
            if let Ok(cause) = self.destroyed(one, u64::MAX - STORES_AGAIN_WITHIN) {
                *causes.entry(cause).or_default() += 1;
            }
        }
        causes
    }
}
