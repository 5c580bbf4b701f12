//! What the end of an attempt does to a grant, and what an upstream's word does.
//!
//! Rank: a success outranks everything said of the generation it replaces; of two successes the
//! one whose attempt was declared later wins. Anything else is written only while its own attempt
//! still stands.

use std::time::Duration;

use super::super::resolution::Reconnect;
use super::super::time::Timestamp;
use super::freshness::{Pause, backoff, spread};
use super::{
    Attempt, Decision, Effect, Freshness, Lifecycle, Policy, Redemption, Settled, Status, Unusable,
};

/// So many refusals in a row that mean nothing known are taken for one for good.
const UNCLEAR_REFUSALS: i64 = 3;

/// The span in which rejected credentials may make so many new ones as are remembered.
const FORCED_SPAN: Duration = Duration::from_hours(1);

pub(super) fn settled(
    life: &Lifecycle,
    now: Timestamp,
    (attempt, generation): (Attempt, i64),
    outcome: Settled,
    policy: &Policy,
) -> Decision {
    let discard = Decision {
        next: *life,
        effect: Effect::Discard,
    };
    // What a changed server ended stays ended: new tokens of the old grant would go to the new place.
    if life.status == Status::ReconnectRequired(Reconnect::ServerChanged) {
        return discard;
    }
    if let Settled::Success(redemption) = outcome {
        return if attempt.serial > life.redeemed_by {
            Decision {
                next: renewed(life, now, attempt, redemption, policy),
                effect: Effect::Persist,
            }
        } else {
            discard
        };
    }
    let stands = life.attempt.map(|held| held.intent) == Some(attempt.intent);
    if !stands || life.generation != generation {
        return discard;
    }
    let mut next = *life;
    next.attempt = None;
    next.client_refused = false;
    if outcome != Settled::Unclear {
        next.unclear_refusals = 0;
    }
    match outcome {
        Settled::Success(_) | Settled::NotSent => {
            pause(&mut next, now, Pause::Growing, attempt, policy);
        }
        Settled::Refused => next.status = Status::ReconnectRequired(refusal(life)),
        Settled::Unclear => {
            // What stands before the server may say such things, and what it says passes.
            next.unclear_refusals = next.unclear_refusals.saturating_add(1);
            pause(&mut next, now, Pause::Longest, attempt, policy);
            if next.unclear_refusals >= UNCLEAR_REFUSALS {
                next.status = Status::ReconnectRequired(refusal(life));
            }
        }
        Settled::ClientRefused => {
            next.client_refused = true;
            pause(&mut next, now, Pause::Longest, attempt, policy);
        }
        Settled::Transient { retry_after } => {
            let how = retry_after.map_or(Pause::Growing, Pause::Wished);
            pause(&mut next, now, how, attempt, policy);
        }
        Settled::Unknown { sent } => {
            next = unknown(&next, sent, now, policy);
            pause(&mut next, now, Pause::Growing, attempt, policy);
        }
        Settled::Unreadable => {
            // The key may be on its way to this replica.
            next.status = Status::Unreadable;
            pause(&mut next, now, Pause::Longest, attempt, policy);
        }
    }
    Decision {
        next,
        effect: Effect::Note,
    }
}

/// The grant with the tokens of a success.
fn renewed(
    life: &Lifecycle,
    now: Timestamp,
    attempt: Attempt,
    redemption: Redemption,
    policy: &Policy,
) -> Lifecycle {
    let forced = life.rejected && is_verdict(life, now, policy);
    let mut forced_at = life.forced_at;
    if forced {
        forced_at.rotate_right(1);
        forced_at[0] = Some(now);
    }
    // What belongs to an issuer of the past is kept, and stays unsent.
    let past = Status::ReconnectRequired(Reconnect::IssuerChanged);
    Lifecycle {
        generation: life.generation.saturating_add(1),
        status: if life.status == past {
            past
        } else {
            Status::Active
        },
        renewable: life.renewable,
        obtained_at: redemption.obtained_at,
        expires_at: redemption.expires_at,
        rejected: false,
        forced,
        forced_at,
        attempt: None,
        attempts: life.attempts.max(attempt.serial),
        redeemed_by: attempt.serial,
        keeps: redemption.kept,
        unknown_outcomes: 0,
        unknown_since: None,
        unclear_refusals: 0,
        client_refused: false,
        failures: 0,
        next_attempt_at: None,
    }
}

/// After an unknown outcome a refusal means that the lost answer was a success.
fn refusal(life: &Lifecycle) -> Reconnect {
    if life.unknown_outcomes > 0 {
        Reconnect::OutcomeUnknown
    } else {
        Reconnect::RefreshRefused
    }
}

/// One more failure, and a pause for it, which differs from grant to grant.
fn pause(next: &mut Lifecycle, now: Timestamp, how: Pause, attempt: Attempt, policy: &Policy) {
    next.failures = next.failures.saturating_add(1);
    let spread = spread(attempt.intent.as_bytes());
    next.next_attempt_at = Some(now.after(backoff(next.failures, how, spread, policy)));
}

/// One more redemption with an unknown outcome, of a request sent `sent` or later (by the wall clock,
/// not by that of leases, which may differ); the second ends
/// the grant, unless repeating does no harm.
pub(super) fn unknown(
    life: &Lifecycle,
    sent: Timestamp,
    now: Timestamp,
    policy: &Policy,
) -> Lifecycle {
    let mut next = *life;
    next.attempt = None;
    next.unknown_outcomes = next.unknown_outcomes.saturating_add(1);
    next.unknown_since = next.unknown_since.or(Some(sent));
    // One that was seen to keep its token may keep it still: it is asked again, once nothing lives.
    if next.unknown_outcomes >= 2 && !next.keeps && !replay_is_harmless(&next, now, policy) {
        next.status = Status::ReconnectRequired(Reconnect::OutcomeUnknown);
    }
    next
}

/// Whether presenting the refresh token once more cannot end a grant whose answer was lost, so that
/// it may be done at once: by its profile the provider leaves refresh tokens as they are, or takes
/// the previous one for a while and that while is not over.
pub(super) fn replay_is_harmless(life: &Lifecycle, now: Timestamp, policy: &Policy) -> bool {
    let provider = policy.provider;
    let within = |grace| {
        life.unknown_since
            .is_some_and(|since| now < since.after(grace))
    };
    provider.keeps_refresh_tokens || provider.replay_grace.is_some_and(within)
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

pub(super) fn rejected(
    life: &Lifecycle,
    generation: i64,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let mut next = *life;
    // A refusal leaves the access token in use, until its end or its first rejection.
    if life.generation == generation && is_last_breath(life.status) && !life.rejected {
        next.rejected = true;
        return Decision {
            next,
            effect: Effect::Note,
        };
    }
    if life.generation != generation || life.status != Status::Active {
        return Decision {
            next,
            effect: Effect::Discard,
        };
    }
    let mut effect = Effect::Note;
    let oldest = life.forced_at[life.forced_at.len() - 1].map(|at| at.after(FORCED_SPAN));
    let until = oldest.filter(|until| *until > now);
    match (is_verdict(life, now, policy), until) {
        // What came from a rejection and never worked is not renewed again: that would never end. Where
        // an attempt may have spent its refresh token, that is what rejects it, and is found out.
        (true, _) if life.forced && life.attempt.is_none() && life.unknown_outcomes == 0 => {
            next.rejected = true;
            next.status = Status::ReconnectRequired(Reconnect::TokenRejected);
        }
        (true, Some(until)) => effect = Effect::Tell(Unusable::RefreshLimit(until.since(now))),
        (true, None) | (false, _) => next.rejected = true,
    }
    Decision { next, effect }
}

/// Whether a grant in this status cannot be renewed and yet is used as long as it lives.
pub(super) fn is_last_breath(status: Status) -> bool {
    let ended = |why| matches!(why, Reconnect::RefreshRefused | Reconnect::OutcomeUnknown);
    matches!(status, Status::ReconnectRequired(why) if ended(why))
}

pub(super) fn worked(life: &Lifecycle, generation: i64) -> Decision {
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
#[path = "settle_tests.rs"]
mod tests;
