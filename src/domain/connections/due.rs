//! When the service renews a grant without being asked: ahead of the end of an access token that
//! is in use, and before the provider forgets a grant that is not.

use std::time::Duration;

use super::super::time::Timestamp;
use super::freshness::{YOUNG, spread};
use super::settle::replay_is_harmless;
use super::{Connection, Lifecycle, Policy, Status};

/// The part of an idle limit after which a grant is kept alive, at the latest.
const KEEP_ALIVE: f64 = 0.8;
/// The part of times over which grants are spread, so that what was granted together is not
/// renewed together.
const SPREAD: f64 = 0.1;

impl Lifecycle {
    /// When the grant of this id, last handed out `used_at`, is next to be renewed without being asked for;
    /// `None` when it is not.
    ///
    /// A token that was handed out since it was obtained is renewed ahead of its end: between two
    /// and three margins before it, and not in the first half of its life. One that was not is left
    /// to end: whoever asks for it next has it renewed then. Where the provider is known to forget
    /// idle grants, they are renewed after 70 to 80 % of that time. Grants with an attempt of an
    /// unknown outcome wait for the end of what they have.
    pub fn next_due(
        &self,
        id: &[u8; 16],
        used_at: Option<Timestamp>,
        policy: &Policy,
    ) -> Option<Timestamp> {
        let life = self;
        if life.status != Status::Active || !life.renewable {
            return None;
        }
        // Always the same for one generation of one grant.
        let generation = life.generation.to_le_bytes();
        let share = spread(id.iter().chain(&generation));
        let used = used_at.is_some_and(|used| used >= life.obtained_at);
        let ahead = life.expires_at.filter(|_| used).and_then(|end| {
            let lifetime = end.since(life.obtained_at);
            let lead = policy
                .margin
                .mul_f64(2.0 + share)
                .min(lifetime.mul_f64(0.5));
            let careful = life.unknown_outcomes > 0 && !replay_is_harmless(life, end, policy);
            let due = if careful {
                end
            } else {
                end.before(lead).max(life.obtained_at.after(YOUNG))
            };
            (careful || due < end).then_some(due)
        });
        let idle = policy.provider.idle_limit.map(|limit| {
            let part = KEEP_ALIVE - SPREAD * share;
            life.obtained_at.after(limit.mul_f64(part))
        });
        let due = match (ahead, idle) {
            (Some(ahead), Some(idle)) => ahead.min(idle),
            (ahead, idle) => ahead.or(idle)?,
        };
        // Not while an attempt is under way, nor during a pause.
        let attempt = life.attempt.map(|attempt| attempt.until);
        let later = life.next_attempt_at.max(attempt);
        Some(later.map_or(due, |later| due.max(later)))
    }
}

impl Connection {
    /// When this grant is next to be renewed without being asked for: [`Lifecycle::next_due`].
    pub fn next_due(&self, used_at: Option<Timestamp>, policy: &Policy) -> Option<Timestamp> {
        self.life.next_due(self.id.as_bytes(), used_at, policy)
    }

    /// When the next attempt is planned, or allowed again after a failure, as the row says; `None`
    /// where there will be none, whatever pause the last failure left behind.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        if self.life.status != Status::Active || !self.life.renewable {
            return None;
        }
        self.due_at.or(self.life.next_attempt_at)
    }
}

/// What is asked of a credential that is renewed ahead of time: more than any can live, so that it is
/// renewed unless it is young.
pub const AHEAD: Duration = Duration::MAX;

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
