//! What the end of an attempt does, and an upstream's word, one rule a test.

use std::time::Duration;

use super::super::decide::tests::{SUCCESS, ask, attempt, later, life, now, reject, settle};
use super::super::{Event, Living, decide};
use super::*;
use crate::domain::profiles::Profile;

#[test]
fn a_success_is_kept_although_its_lease_ended_and_another_stands() {
    let mut late = life(4_000);
    late.attempt = Some(attempt(2, later()));

    let decision = settle(&late, attempt(1, now()), 7, SUCCESS());

    assert_eq!(decision.effect, Effect::Persist);
    assert_eq!(decision.next.generation, 8);
    assert_eq!(decision.next.attempt, None);
}

#[test]
fn a_success_outranks_a_refusal_already_written() {
    let mut refused = life(4_000);
    refused.status = Status::ReconnectRequired(Reconnect::RefreshRefused);

    let decision = settle(&refused, attempt(1, now()), 7, SUCCESS());

    assert_eq!(decision.effect, Effect::Persist);
    assert_eq!(decision.next.status, Status::Active);
}

#[test]
fn a_success_does_not_revive_what_a_changed_server_ended() {
    let mut ended = life(4_000);
    ended.status = Status::ReconnectRequired(Reconnect::ServerChanged);

    let decision = settle(&ended, attempt(1, later()), 7, SUCCESS());

    assert_eq!(
        decision,
        Decision {
            next: ended,
            effect: Effect::Discard
        }
    );
}

#[test]
fn no_verdict_touches_a_newer_generation() {
    let mut newer = life(0);
    newer.redeemed_by = 2;

    for outcome in [
        Settled::Refused,
        SUCCESS(),
        Settled::Unknown { sent: now() },
        Settled::NotSent,
    ] {
        let decision = settle(&newer, attempt(1, now()), 6, outcome);

        assert_eq!(
            decision,
            Decision {
                next: newer,
                effect: Effect::Discard
            },
            "{outcome:?}"
        );
    }
}

#[test]
fn a_refusal_of_an_attempt_that_no_longer_stands_is_discarded() {
    let mut held = life(4_000);
    held.attempt = Some(attempt(2, later()));

    let decision = settle(&held, attempt(1, now()), 7, Settled::Refused);

    assert_eq!(decision.effect, Effect::Discard);
}

#[test]
fn a_refusal_keeps_a_living_token_in_use() {
    let held = ask(&life(3_590), attempt(1, later())).next;

    let refused = settle(&held, attempt(1, later()), 7, Settled::Refused).next;

    assert_eq!(
        ask(&refused, attempt(2, later())).effect,
        Effect::HandOut(Living::LastBreath)
    );
}

#[test]
fn what_is_used_to_its_end_ends_with_its_first_rejection() {
    for why in [Reconnect::RefreshRefused, Reconnect::OutcomeUnknown] {
        let mut refused = life(10);
        refused.status = Status::ReconnectRequired(why);
        assert_eq!(
            ask(&refused, attempt(1, later())).effect,
            Effect::HandOut(Living::LastBreath)
        );

        let of_another = reject(&refused, 6);
        let rejected = reject(&refused, 7);

        assert_eq!(of_another.effect, Effect::Discard);
        assert_eq!(rejected.effect, Effect::Note);
        assert_eq!(
            ask(&rejected.next, attempt(1, later())).effect,
            Effect::Tell(Unusable::Reconnect(why))
        );
        assert_eq!(reject(&rejected.next, 7).effect, Effect::Discard);
    }
}

/// The grant after an attempt of this number, redeemed.
fn renewed_by(life: &Lifecycle, serial: u64) -> Lifecycle {
    let held = ask(life, attempt(serial, later())).next;
    settle(&held, attempt(serial, later()), life.generation, SUCCESS()).next
}

#[test]
fn of_two_successes_the_later_sent_wins_whichever_comes_first() {
    let mut replayed = life(4_000);
    replayed.attempts = 2;
    replayed.attempt = Some(attempt(2, later()));
    replayed.unknown_outcomes = 1;

    let earlier = settle(&replayed, attempt(1, now()), 7, SUCCESS()).next;
    let then_later = settle(&earlier, attempt(2, later()), 7, SUCCESS());
    let later_first = settle(&replayed, attempt(2, later()), 7, SUCCESS()).next;
    let then_earlier = settle(&later_first, attempt(1, now()), 7, SUCCESS());

    assert_eq!(then_later.effect, Effect::Persist);
    assert_eq!(then_later.next.generation, 9);
    assert_eq!(then_earlier.effect, Effect::Discard);
    assert_eq!(then_earlier.next, later_first);
}

#[test]
fn a_second_unknown_outcome_does_not_end_what_a_replay_cannot_harm() {
    let mut once = life(4_000);
    once.unknown_outcomes = 1;
    once.unknown_since = Some(now().before(Duration::from_secs(90)));
    let lose = |life: &Lifecycle, provider| {
        let policy = Policy {
            provider,
            ..Policy::default()
        };
        let mut held = *life;
        held.attempt = Some(attempt(1, later()));
        let event = Event::Settled {
            now: now(),
            attempt: attempt(1, later()),
            generation: 7,
            outcome: Settled::Unknown { sent: now() },
        };
        decide(&held, &event, &policy).next.status
    };
    let grace = |secs| Profile {
        replay_grace: Some(Duration::from_secs(secs)),
        ..Profile::default()
    };
    let keeping = Profile {
        keeps_refresh_tokens: true,
        ..Profile::default()
    };
    let mut seen_to_keep = once;
    seen_to_keep.keeps = true;

    let ended = Status::ReconnectRequired(Reconnect::OutcomeUnknown);
    assert_eq!(lose(&once, Profile::default()), ended);
    assert_eq!(lose(&once, grace(60)), ended);
    assert_eq!(lose(&once, grace(120)), Status::Active);
    assert_eq!(lose(&once, keeping), Status::Active);
    assert_eq!(lose(&seen_to_keep, Profile::default()), Status::Active);
    let mut living = life(3_590);
    (living.keeps, living.unknown_outcomes) = (true, 1);
    let asked = ask(&living, attempt(2, later())).effect;
    assert_eq!(asked, Effect::HandOut(Living::Short));
}

#[test]
fn within_a_known_grace_a_lost_answer_is_asked_for_again_at_once() {
    let mut lost = life(3_590);
    lost.unknown_outcomes = 1;
    lost.unknown_since = Some(now().before(Duration::from_secs(30)));
    let ask = |grace| {
        let policy = Policy {
            provider: Profile {
                replay_grace: Some(Duration::from_secs(grace)),
                ..Profile::default()
            },
            ..Policy::default()
        };
        let event = Event::Asked {
            now: now(),
            lease_now: now(),
            min_valid_for: Duration::ZERO,
            attempt: attempt(2, later()),
        };
        decide(&lost, &event, &policy).effect
    };

    assert_eq!(ask(31), Effect::Redeem);
    assert_eq!(ask(30), Effect::HandOut(Living::Short));
}

#[test]
fn a_refusal_without_a_known_word_ends_the_grant_at_the_third_time() {
    let mut grant = life(4_000);
    let mut statuses = Vec::new();

    for serial in 1..=3 {
        grant.next_attempt_at = None;
        let held = ask(&grant, attempt(serial, later())).next;
        grant = settle(&held, attempt(serial, later()), 7, Settled::Unclear).next;
        assert!(grant.next_attempt_at.is_some());
        statuses.push(grant.status);
    }

    let ended = Status::ReconnectRequired(Reconnect::RefreshRefused);
    assert_eq!(statuses, [Status::Active, Status::Active, ended]);
}

#[test]
fn a_refused_client_is_told_apart_and_asked_again_later() {
    let held = ask(&life(4_000), attempt(1, later())).next;

    let refused = settle(&held, attempt(1, later()), 7, Settled::ClientRefused).next;

    let Effect::Tell(Unusable::ClientRefused(pause)) = ask(&refused, attempt(2, later())).effect
    else {
        panic!("{refused:?}");
    };
    let longest = Policy::default().max_backoff;
    assert!(
        (longest..=longest.mul_f64(1.25)).contains(&pause),
        "{pause:?}"
    );
    assert_eq!(refused.status, Status::Active);
    assert!(
        !renewed_by(
            &Lifecycle {
                next_attempt_at: None,
                ..refused
            },
            2
        )
        .client_refused
    );
}

#[test]
fn a_rejection_is_not_the_end_where_an_attempt_may_have_caused_it() {
    let mut forced = life(60);
    forced.forced = true;
    let mut under_way = forced;
    under_way.attempt = Some(attempt(1, later()));
    let mut lost = forced;
    lost.unknown_outcomes = 1;
    lost.unknown_since = Some(now());

    let ended = reject(&forced, 7).next;
    let going_on = [under_way, lost].map(|life| reject(&life, 7).next);

    let rejected = Status::ReconnectRequired(Reconnect::TokenRejected);
    assert_eq!(ended.status, rejected);
    for next in going_on {
        assert_eq!(next.status, Status::Active);
        assert!(next.rejected);
    }
}

#[test]
fn three_forced_renewals_an_hour_are_enough() {
    let mut grant = life(10);
    for serial in 1..=3 {
        let generation = grant.generation;
        grant = reject(&grant, generation).next;
        grant = renewed_by(&grant, serial);
        let worked = Event::Worked {
            generation: grant.generation,
        };
        grant = decide(&grant, &worked, &Policy::default()).next;
    }

    let fourth = reject(&grant, grant.generation);

    assert_eq!(
        fourth.effect,
        Effect::Tell(Unusable::RefreshLimit(Duration::from_hours(1)))
    );
    assert_eq!(fourth.next, grant);
    grant.forced_at[2] = Some(now().before(Duration::from_hours(1)));
    assert!(reject(&grant, grant.generation).next.rejected);
}
