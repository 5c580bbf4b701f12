//! The heart: `decide(state, event) -> (state, effect)`, pure and total.
//!
//! The executor loads a state, asks, and writes the new one under the condition that the old one
//! still stands (the row's id and version); where it does not, it loads and asks again. So each arm
//! may assume that nothing changed in between.

use std::time::Duration;

use super::super::resolution::Reconnect;
use super::super::time::Timestamp;
use super::{Attempt, Freshness, Lifecycle, Policy, Status, backoff};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants a credential, and would redeem as `attempt` if that is needed.
    Asked {
        /// Now, by the wall clock that tokens expire by.
        now: Timestamp,
        /// Now, on the clock that leases are measured by.
        lease_now: Timestamp,
        /// How long the credential must still live.
        min_valid_for: Duration,
        /// The attempt to declare.
        attempt: Attempt,
    },
    /// An attempt reached its end.
    Settled {
        /// Now.
        now: Timestamp,
        /// The attempt, as it was declared.
        attempt: Attempt,
        /// The generation it tried to redeem.
        generation: i64,
        /// How it ended.
        outcome: Settled,
    },
    /// The upstream rejected the credential of this generation.
    Rejected {
        /// The service's clock.
        now: Timestamp,
        /// The generation used.
        generation: i64,
    },
    /// The upstream accepted the credential of this generation.
    Worked {
        /// The generation used.
        generation: i64,
    },
}

/// How a redemption ended, as the token endpoint's answer or its absence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was sent: free to try again.
    NotSent,
    /// New tokens.
    Success(Redemption),
    /// Refused for good: `invalid_grant` and its aliases.
    Refused,
    /// Our client was refused: the server's trouble, not the grant's.
    ClientRefused,
    /// A complete answer that asks to come back later.
    Transient {
        /// When, if it said so.
        retry_after: Option<Duration>,
    },
    /// Sent, and no answer: it may have been redeemed.
    Unknown,
    /// Nothing was sent, because what is stored cannot be opened.
    Unreadable,
}

/// What is known of new tokens without opening them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redemption {
    /// When they were obtained.
    pub obtained_at: Timestamp,
    /// When the access token ends, if that is known.
    pub expires_at: Option<Timestamp>,
}

/// What the executor does next, once the new state is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Hand out the access token stored.
    HandOut(Living),
    /// Redeem the refresh token of this generation under the attempt written.
    Redeem,
    /// Somebody else is redeeming: look again when they are done, at the latest then.
    Await {
        /// When their lease ends.
        until: Timestamp,
        /// Whether the token stored may be handed out meanwhile.
        meanwhile: Option<Living>,
    },
    /// There is nothing to hand out.
    Tell(Unusable),
    /// Write the new tokens with the new state.
    Persist,
    /// The state written says it all.
    Note,
    /// A newer generation stands: forget the outcome.
    Discard,
}

/// How good a credential is that is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Living {
    /// As asked for.
    Fresh,
    /// Shorter than asked for.
    Short,
    /// It lives, but its renewal was refused for good.
    LastBreath,
}

/// Why there is nothing to hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The user must connect again.
    Reconnect(Reconnect),
    /// It ended and cannot be renewed.
    Expired,
    /// It cannot be opened.
    Unreadable,
    /// The provider is to be left alone for a while.
    RetryAfter(Duration),
}

/// The new state and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The state to write; equal to the old one where nothing is to be written.
    pub next: Lifecycle,
    /// What to do once it is written.
    pub effect: Effect,
}

/// Decides what one event does to a grant. Total: every state and event has an answer.
pub fn decide(life: &Lifecycle, event: &Event, policy: &Policy) -> Decision {
    match *event {
        Event::Asked {
            now,
            lease_now,
            min_valid_for,
            attempt,
        } => {
            let freshness = Freshness::of(life, now, min_valid_for, policy);
            asked(life, freshness, Clocks { now, lease_now }, attempt)
        }
        Event::Settled {
            now,
            attempt,
            generation,
            outcome,
        } => {
            let ours = life
                .attempt
                .is_some_and(|held| held.intent == attempt.intent);
            settled(
                life,
                now,
                outcome,
                Fence {
                    ours,
                    current: life.generation == generation,
                },
                policy,
            )
        }
        Event::Rejected { now, generation } => rejected(life, generation, now, policy),
        Event::Worked { generation } => worked(life, generation),
    }
}

/// The two clocks of a question.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    now: Timestamp,
    lease_now: Timestamp,
}

fn asked(life: &Lifecycle, freshness: Freshness, clocks: Clocks, attempt: Attempt) -> Decision {
    let Clocks { now, lease_now } = clocks;
    let stay = |effect| Decision {
        next: *life,
        effect,
    };
    match (life.status, freshness) {
        (Status::Unreadable, _) => return stay(Effect::Tell(Unusable::Unreadable)),
        // A refusal does not take a living access token out of use.
        (
            Status::ReconnectRequired(Reconnect::RefreshRefused),
            Freshness::Fresh | Freshness::Short,
        ) => {
            return stay(Effect::HandOut(Living::LastBreath));
        }
        (Status::ReconnectRequired(why), _) => {
            return stay(Effect::Tell(Unusable::Reconnect(why)));
        }
        (Status::Active, Freshness::Fresh) => return stay(Effect::HandOut(Living::Fresh)),
        (Status::Active, Freshness::Short | Freshness::Over) => {}
    }
    let meanwhile = (freshness == Freshness::Short).then_some(Living::Short);
    let make_do = |life: Lifecycle, otherwise| Decision {
        next: life,
        effect: meanwhile.map_or(Effect::Tell(otherwise), Effect::HandOut),
    };
    if !life.renewable {
        let end = if life.rejected {
            Unusable::Reconnect(Reconnect::TokenRejected)
        } else {
            Unusable::Expired
        };
        return make_do(*life, end);
    }
    let mut next = *life;
    if let Some(held) = life.attempt {
        if held.until > lease_now {
            return stay(Effect::Await {
                until: held.until,
                meanwhile,
            });
        }
        // The lease ended without a verdict: its holder died with the outcome.
        next = unknown(&next);
    }
    if let Status::ReconnectRequired(why) = next.status {
        return make_do(next, Unusable::Reconnect(why));
    }
    // A replay may kill what still works, so it waits until nothing works any more.
    if next.unknown_outcomes > 0 && meanwhile.is_some() {
        return make_do(next, Unusable::Expired);
    }
    if let Some(at) = next.next_attempt_at
        && at > now
    {
        return make_do(next, Unusable::RetryAfter(at.since(now)));
    }
    next.attempt = Some(attempt);
    Decision {
        next,
        effect: Effect::Redeem,
    }
}

/// Whether a verdict may still be written.
#[derive(Debug, Clone, Copy)]
struct Fence {
    /// The attempt it belongs to is the one that stands.
    ours: bool,
    /// The generation it tried is the current one.
    current: bool,
}

fn settled(
    life: &Lifecycle,
    now: Timestamp,
    outcome: Settled,
    fence: Fence,
    policy: &Policy,
) -> Decision {
    let discard = Decision {
        next: *life,
        effect: Effect::Discard,
    };
    // What a changed server ended stays ended: new tokens of the old grant would go to the new place.
    let ended = life.status == Status::ReconnectRequired(Reconnect::ServerChanged);
    if !fence.current || ended {
        return discard;
    }
    let mut next = *life;
    if let Settled::Success(redemption) = outcome {
        // A success outranks everything said of its generation, its own lease's end included.
        next.generation = life.generation.saturating_add(1);
        next.status = Status::Active;
        next.obtained_at = redemption.obtained_at;
        next.expires_at = redemption.expires_at;
        next.forced = life.rejected && is_verdict(life, now, policy);
        next.rejected = false;
        next.attempt = None;
        next.unknown_outcomes = 0;
        next.failures = 0;
        next.next_attempt_at = None;
        return Decision {
            next,
            effect: Effect::Persist,
        };
    }
    if !fence.ours {
        return discard;
    }
    next.attempt = None;
    match outcome {
        Settled::Success(_) | Settled::NotSent => {
            next.failures = next.failures.saturating_add(1);
            next.next_attempt_at = Some(now.after(backoff(next.failures, None, policy)));
        }
        Settled::Refused => {
            // After an unknown outcome a refusal means that the lost answer was a success.
            let why = if next.unknown_outcomes > 0 {
                Reconnect::OutcomeUnknown
            } else {
                Reconnect::RefreshRefused
            };
            next.status = Status::ReconnectRequired(why);
        }
        Settled::ClientRefused => {
            next.failures = next.failures.saturating_add(1);
            next.next_attempt_at = Some(now.after(policy.max_backoff));
        }
        Settled::Transient { retry_after } => {
            next.failures = next.failures.saturating_add(1);
            next.next_attempt_at = Some(now.after(backoff(next.failures, retry_after, policy)));
        }
        Settled::Unknown => next = unknown(&next),
        Settled::Unreadable => next.status = Status::Unreadable,
    }
    Decision {
        next,
        effect: Effect::Note,
    }
}

/// One more redemption with an unknown outcome; the second ends the grant.
fn unknown(life: &Lifecycle) -> Lifecycle {
    let mut next = *life;
    next.attempt = None;
    next.unknown_outcomes = next.unknown_outcomes.saturating_add(1);
    if next.unknown_outcomes >= 2 {
        next.status = Status::ReconnectRequired(Reconnect::OutcomeUnknown);
    }
    next
}

/// Whether a rejection at this time says something about the grant. That of a token which is about
/// to end, or has ended, says no more than its expiry does.
fn is_verdict(life: &Lifecycle, now: Timestamp, policy: &Policy) -> bool {
    let believed = Lifecycle {
        rejected: false,
        ..*life
    };
    Freshness::of(&believed, now, Duration::ZERO, policy) == Freshness::Fresh
}

fn rejected(life: &Lifecycle, generation: i64, now: Timestamp, policy: &Policy) -> Decision {
    let mut next = *life;
    if life.generation != generation || life.status != Status::Active {
        return Decision {
            next,
            effect: Effect::Discard,
        };
    }
    next.rejected = true;
    // What came from a rejection and never worked is not renewed again: that would never end.
    if life.forced && is_verdict(life, now, policy) {
        next.status = Status::ReconnectRequired(Reconnect::TokenRejected);
    }
    Decision {
        next,
        effect: Effect::Note,
    }
}

fn worked(life: &Lifecycle, generation: i64) -> Decision {
    let mut next = *life;
    if life.generation != generation || !life.forced {
        return Decision {
            next,
            effect: Effect::Discard,
        };
    }
    next.forced = false;
    Decision {
        next,
        effect: Effect::Note,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
