//! The heart: `decide(state, event) -> (state, effect)`, pure and total.
//!
//! The executor loads a state, asks, and writes the new one under the condition that the old one
//! still stands (the row's id and version); where it does not, it loads and asks again. So each arm
//! may assume that nothing changed in between. What an attempt's end does is in `settle`.

use super::super::resolution::Reconnect;
use super::super::time::Timestamp;
use super::settle::{is_last_breath, rejected, replay_is_harmless, settled, unknown, worked};
use super::{
    Attempt, Decision, Effect, Event, Freshness, Lifecycle, Living, Policy, Status, Unusable,
};

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
            asked(life, freshness, Clocks { now, lease_now }, attempt, policy)
        }
        Event::Settled {
            now,
            attempt,
            generation,
            outcome,
        } => settled(life, now, (attempt, generation), outcome, policy),
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

fn asked(
    life: &Lifecycle,
    freshness: Freshness,
    clocks: Clocks,
    attempt: Attempt,
    policy: &Policy,
) -> Decision {
    if let Some(effect) = without_redeeming(life, freshness, clocks.now) {
        return Decision {
            next: *life,
            effect,
        };
    }
    let Clocks { now, lease_now } = clocks;
    let meanwhile = (freshness == Freshness::Short).then_some(Living::Short);
    let make_do = |next: Lifecycle, otherwise| Decision {
        next,
        effect: meanwhile.map_or(Effect::Tell(otherwise), Effect::HandOut),
    };
    let mut next = *life;
    if let Some(held) = life.attempt {
        if held.until > lease_now {
            return Decision {
                next,
                effect: Effect::Await {
                    until: held.until,
                    meanwhile,
                },
            };
        }
        // The lease ended without a verdict: its holder died with the outcome.
        let ago = lease_now.since(held.until.before(policy.lease));
        next = unknown(&next, now.before(ago), now, policy);
    }
    if let Status::ReconnectRequired(why) = next.status {
        return make_do(next, Unusable::Reconnect(why));
    }
    // A replay may kill what still works, so it waits until nothing works any more.
    if next.unknown_outcomes > 0 && meanwhile.is_some() && !replay_is_harmless(&next, now, policy) {
        return make_do(next, Unusable::Expired);
    }
    if let Some(at) = next.next_attempt_at
        && at > now
    {
        let pause = at.since(now);
        let why = if next.client_refused {
            Unusable::ClientRefused(pause)
        } else {
            Unusable::RetryAfter(pause)
        };
        return make_do(next, why);
    }
    next.attempts = attempt.serial;
    next.attempt = Some(attempt);
    Decision {
        next,
        effect: Effect::Redeem,
    }
}

/// The answer where redeeming is not called for, or no use.
fn without_redeeming(life: &Lifecycle, freshness: Freshness, now: Timestamp) -> Option<Effect> {
    let paused = life.next_attempt_at.is_some_and(|at| at > now);
    match (life.status, freshness) {
        // What cannot be opened now may be opened later, or by another replica.
        (Status::Unreadable, _) if life.renewable && !paused => None,
        (Status::Unreadable, _) => Some(Effect::Tell(Unusable::Unreadable)),
        // A refusal does not take a living access token out of use.
        (status, Freshness::Fresh | Freshness::Short) if is_last_breath(status) => {
            Some(Effect::HandOut(Living::LastBreath))
        }
        (Status::ReconnectRequired(why), _) => Some(Effect::Tell(Unusable::Reconnect(why))),
        (Status::Active, Freshness::Fresh) => Some(Effect::HandOut(Living::Fresh)),
        (Status::Active, Freshness::Short | Freshness::Over) if life.renewable => None,
        (Status::Active, Freshness::Short) => Some(Effect::HandOut(Living::Short)),
        (Status::Active, Freshness::Over) if life.rejected => {
            Some(Effect::Tell(Unusable::Reconnect(Reconnect::TokenRejected)))
        }
        (Status::Active, Freshness::Over) => Some(Effect::Tell(Unusable::Expired)),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
pub(super) mod tests;
