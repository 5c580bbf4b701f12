//! What [`decide`] decides when asked, one rule a test; what an attempt's end does is in `settle_tests`.

use std::time::Duration;

use super::super::{Redemption, Settled};
use super::*;
use crate::domain::ids::{IntentId, ReplicaId};
use crate::domain::random::SeededRandom;
use crate::domain::time::{Clock, FixedClock};

pub(in super::super) fn attempt(seed: u64, until: Timestamp) -> Attempt {
    let (clock, random) = (FixedClock::default(), SeededRandom::new(seed));
    Attempt {
        intent: IntentId::mint(&clock, &random),
        owner: ReplicaId::mint(&clock, &random),
        until,
        serial: i64::try_from(seed).unwrap(),
    }
}

pub(in super::super) fn now() -> Timestamp {
    FixedClock::default().now()
}

/// An hour's token, obtained so many seconds ago.
pub(in super::super) fn life(age: u64) -> Lifecycle {
    let obtained_at = now().before(Duration::from_secs(age));
    let expires_at = Some(obtained_at.after(Duration::from_hours(1)));
    Lifecycle {
        generation: 7,
        ..Lifecycle::granted(obtained_at, expires_at, true)
    }
}

pub(in super::super) fn ask(life: &Lifecycle, attempt: Attempt) -> Decision {
    let event = Event::Asked {
        now: now(),
        lease_now: now(),
        min_valid_for: Duration::ZERO,
        attempt,
    };
    decide(life, &event, &Policy::default())
}

pub(in super::super) fn settle(
    life: &Lifecycle,
    attempt: Attempt,
    generation: i64,
    outcome: Settled,
) -> Decision {
    let event = Event::Settled {
        now: now(),
        attempt,
        generation,
        outcome,
    };
    decide(life, &event, &Policy::default())
}

pub(in super::super) fn reject(life: &Lifecycle, generation: i64) -> Decision {
    let event = Event::Rejected {
        now: now(),
        generation,
    };
    decide(life, &event, &Policy::default())
}

pub(in super::super) fn later() -> Timestamp {
    now().after(Duration::from_mins(1))
}

pub(in super::super) const SUCCESS: fn() -> Settled = || {
    Settled::Success(Redemption {
        obtained_at: now(),
        expires_at: None,
        kept: false,
    })
};

#[test]
fn a_fresh_token_is_handed_out_and_nothing_is_written() {
    let life = life(10);

    let decision = ask(&life, attempt(1, later()));

    assert_eq!(
        decision,
        Decision {
            next: life,
            effect: Effect::HandOut(Living::Fresh)
        }
    );
}

#[test]
fn an_expired_token_is_redeemed_under_a_declared_attempt() {
    let ours = attempt(1, later());

    let decision = ask(&life(4_000), ours);

    assert_eq!(decision.effect, Effect::Redeem);
    assert_eq!(decision.next.attempt, Some(ours));
}

#[test]
fn a_second_caller_awaits_the_first() {
    let held = ask(&life(4_000), attempt(1, later())).next;

    let decision = ask(&held, attempt(2, later()));

    assert_eq!(
        decision.effect,
        Effect::Await {
            until: later(),
            meanwhile: None
        }
    );
    assert_eq!(decision.next, held);
}

#[test]
fn while_another_redeems_a_living_token_may_be_handed_out() {
    let held = ask(&life(3_590), attempt(1, later())).next;

    let decision = ask(&held, attempt(2, later()));

    assert_eq!(
        decision.effect,
        Effect::Await {
            until: later(),
            meanwhile: Some(Living::Short)
        }
    );
}

#[test]
fn a_crash_is_an_unknown_outcome_replayed_once_and_only_when_nothing_lives() {
    let mut crashed = life(3_590);
    crashed.attempt = Some(attempt(1, now()));
    let mut expired = crashed;
    expired.expires_at = Some(now());

    let waiting = ask(&crashed, attempt(2, later()));
    let replay = ask(&expired, attempt(2, later()));

    assert_eq!(waiting.effect, Effect::HandOut(Living::Short));
    assert_eq!(waiting.next.unknown_outcomes, 1);
    assert_eq!(replay.effect, Effect::Redeem);
    assert_eq!(replay.next.unknown_outcomes, 1);
}

#[test]
fn when_a_request_was_lost_is_told_by_the_wall_clock_whatever_that_of_leases_says() {
    let ago = Duration::from_secs(90);
    let lease_now = now().after(Duration::from_hours(5));
    let mut crashed = life(4_000);
    let sent = lease_now.before(ago);
    crashed.attempt = Some(attempt(1, sent.after(Policy::default().lease)));
    let event = Event::Asked {
        now: now(),
        lease_now,
        min_valid_for: Duration::ZERO,
        attempt: attempt(2, later()),
    };

    let found = decide(&crashed, &event, &Policy::default()).next;
    let held = ask(&life(4_000), attempt(1, lease_now)).next;
    let sent = now().before(Duration::from_secs(3));
    let told = settle(&held, attempt(1, lease_now), 7, Settled::Unknown { sent }).next;

    assert_eq!(found.unknown_since, Some(now().before(ago)));
    assert_eq!(told.unknown_since, Some(sent));
}

#[test]
fn a_second_unknown_outcome_ends_the_grant() {
    let mut once = life(4_000);
    once.unknown_outcomes = 1;
    let held = ask(&once, attempt(1, later())).next;

    let lost = settle(
        &held,
        attempt(1, later()),
        7,
        Settled::Unknown { sent: now() },
    )
    .next;

    assert_eq!(
        lost.status,
        Status::ReconnectRequired(Reconnect::OutcomeUnknown)
    );
    assert_eq!(
        ask(&lost, attempt(2, later())).effect,
        Effect::Tell(Unusable::Reconnect(Reconnect::OutcomeUnknown))
    );
}

#[test]
fn a_passing_failure_pauses_and_leaves_the_token_alone() {
    let held = ask(&life(4_000), attempt(1, later())).next;
    let retry_after = Some(Duration::from_secs(30));

    let paused = settle(
        &held,
        attempt(1, later()),
        7,
        Settled::Transient { retry_after },
    )
    .next;

    assert_eq!(
        ask(&paused, attempt(2, later())).effect,
        Effect::Tell(Unusable::RetryAfter(Duration::from_secs(30)))
    );
    assert_eq!(paused.generation, 7);
}

#[test]
fn a_rejection_of_the_current_generation_ends_its_freshness_and_an_older_one_does_nothing() {
    let life = life(10);
    let reject = |generation| reject(&life, generation);

    assert_eq!(
        ask(&reject(7).next, attempt(1, later())).effect,
        Effect::Redeem
    );
    assert_eq!(
        reject(6),
        Decision {
            next: life,
            effect: Effect::Discard
        }
    );
}

#[test]
fn a_forced_renewal_that_is_rejected_too_is_not_repeated_until_it_worked_once() {
    let mut rejected = life(10);
    rejected.rejected = true;
    let held = ask(&rejected, attempt(1, later())).next;
    let renewed = settle(&held, attempt(1, later()), 7, SUCCESS()).next;
    let reject = |life| reject(life, 8).next;
    let worked = decide(
        &renewed,
        &Event::Worked { generation: 8 },
        &Policy::default(),
    )
    .next;

    assert_eq!(
        reject(&renewed).status,
        Status::ReconnectRequired(Reconnect::TokenRejected)
    );
    assert_eq!(reject(&worked).status, Status::Active);
    assert_eq!(
        ask(&reject(&worked), attempt(2, later())).effect,
        Effect::Redeem
    );
}

#[test]
fn the_rejection_of_a_token_that_ended_is_no_verdict_about_its_grant() {
    for age in [3_590, 3_600, 4_000] {
        let rejected = reject(&life(age), 7).next;
        let held = ask(&rejected, attempt(1, later())).next;
        let renewed = settle(&held, attempt(1, later()), 7, SUCCESS()).next;
        assert!(!renewed.forced, "{age}");

        let mut forced = life(age);
        forced.forced = true;
        let rejected = reject(&forced, 7).next;
        assert_eq!(rejected.status, Status::Active, "{age}");
        let again = ask(&rejected, attempt(1, later())).effect;
        assert_eq!(again, Effect::Redeem, "{age}");
    }
}

#[test]
fn what_cannot_be_renewed_ends_with_its_token() {
    let mut plain = life(4_000);
    plain.renewable = false;
    let mut rejected = life(10);
    rejected.renewable = false;
    rejected.rejected = true;

    assert_eq!(
        ask(&plain, attempt(1, later())).effect,
        Effect::Tell(Unusable::Expired)
    );
    assert_eq!(
        ask(&rejected, attempt(1, later())).effect,
        Effect::Tell(Unusable::Reconnect(Reconnect::TokenRejected))
    );
}
