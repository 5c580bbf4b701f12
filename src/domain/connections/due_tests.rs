//! When a grant is due, one rule a test.

use super::super::{Lifecycle, Origin};
use super::*;
use crate::domain::authorization::{Issuer, Scopes};
use crate::domain::ids::{ConnectionId, RegistrationId, ServerId};
use crate::domain::profiles::Profile;
use crate::domain::random::SeededRandom;
use crate::domain::resolution::Reconnect;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::{Clock as _, FixedClock};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// One of many grants with a token of this lifetime, all obtained at once.
fn grant(number: u64, lifetime: Option<Duration>) -> Connection {
    let (clock, random) = (FixedClock::default(), SeededRandom::new(number));
    let now = clock.now();
    Connection {
        id: ConnectionId::mint(&clock, &random),
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse("ann").unwrap(),
        server: ServerId::mint(&clock, &random),
        registration: RegistrationId::mint(&clock, &random),
        issuer: Issuer::new("https://as.test"),
        resource: None,
        scopes: Scopes::default(),
        token_type: "Bearer".into(),
        token_endpoint: "https://as.test/token".into(),
        auth_version: 1,
        life: Lifecycle::granted(now, lifetime.map(|lifetime| now.after(lifetime)), true),
        access_token: None,
        refresh_token: None,
        origin: Origin::Handshake,
        profile: None,
        account: None,
        account_differs: false,
        connected_at: now,
        refreshed_at: None,
        used_at: None,
        reconnect_before: None,
        last_error: None,
        failed_at: None,
        due_at: None,
        updated_at: now,
        version: 1,
    }
}

/// How long after it was obtained a grant is due that was used at once.
fn due_after(grant: &Connection, policy: &Policy) -> Option<Duration> {
    let obtained = grant.life.obtained_at;
    let due = grant.next_due(Some(obtained), policy);
    due.map(|due| due.since(obtained))
}

fn knowing(provider: Profile) -> Policy {
    Policy {
        provider,
        ..Policy::default()
    }
}

fn forgetful(idle_limit: Duration) -> Policy {
    knowing(Profile {
        idle_limit: Some(idle_limit),
        ..Profile::default()
    })
}

#[test]
fn a_token_in_use_is_due_two_to_three_margins_before_its_end() {
    for number in 0..200 {
        let due = due_after(&grant(number, Some(HOUR)), &Policy::default()).unwrap();

        let lead = HOUR.checked_sub(due).unwrap();
        assert!((120..=180).contains(&lead.as_secs()), "{lead:?}");
    }
}

#[test]
fn what_was_granted_together_is_not_due_together() {
    let mut seconds: Vec<u64> = (0..200)
        .map(|number| due_after(&grant(number, Some(HOUR)), &Policy::default()).unwrap())
        .map(|due| due.as_secs())
        .collect();
    seconds.sort_unstable();

    let most = seconds
        .chunk_by(|one, other| one == other)
        .map(<[u64]>::len);
    let most = most.max().unwrap();
    let distinct = seconds.chunk_by(|one, other| one == other).count();

    assert!(
        most <= 15 && distinct >= 40,
        "{most} at once, {distinct} seconds"
    );
}

#[test]
fn each_generation_of_a_grant_is_spread_anew() {
    let first = grant(1, Some(HOUR));
    let dues: Vec<_> = (1..=20)
        .map(|generation| {
            let mut next = first.clone();
            next.life.generation = generation;
            due_after(&next, &Policy::default()).unwrap()
        })
        .collect();

    assert!(dues.iter().any(|due| *due != dues[0]));
    assert_eq!(
        due_after(&first, &Policy::default()),
        due_after(&first.clone(), &Policy::default())
    );
}

#[test]
fn the_first_half_of_a_short_life_and_its_youth_are_left_alone() {
    for (lifetime, expected) in [
        (Duration::from_mins(3), Some(Duration::from_secs(90))),
        (Duration::from_secs(50), Some(Duration::from_secs(30))),
        (Duration::from_secs(31), Some(Duration::from_secs(30))),
        (Duration::from_secs(30), None),
        (Duration::from_secs(1), None),
    ] {
        let due = due_after(&grant(3, Some(lifetime)), &Policy::default());

        assert_eq!(due, expected, "{lifetime:?}");
    }
}

#[test]
fn what_nobody_used_since_it_was_obtained_is_not_due() {
    let grant = grant(4, Some(HOUR));
    let before = grant.life.obtained_at.before(Duration::from_micros(1));

    assert_eq!(grant.next_due(None, &Policy::default()), None);
    assert_eq!(grant.next_due(Some(before), &Policy::default()), None);
}

#[test]
fn a_token_of_unknown_end_is_not_due() {
    assert_eq!(due_after(&grant(5, None), &Policy::default()), None);
}

#[test]
fn what_cannot_be_renewed_is_never_due() {
    let policy = forgetful(10 * DAY);
    let mut refused = grant(6, Some(HOUR));
    refused.life.status = Status::ReconnectRequired(Reconnect::RefreshRefused);
    let mut sealed = grant(6, Some(HOUR));
    sealed.life.status = Status::Unreadable;
    let mut single = grant(6, Some(HOUR));
    single.life.renewable = false;

    for dead in [refused, sealed, single] {
        assert_eq!(due_after(&dead, &policy), None, "{:?}", dead.life.status);
    }
}

#[test]
fn an_idle_grant_is_due_after_seventy_to_eighty_percent_of_its_limit() {
    let policy = forgetful(10 * DAY);
    let mut dues = Vec::new();
    for number in 0..200 {
        let grant = grant(number, Some(HOUR));
        let due = grant.next_due(None, &policy).unwrap();
        dues.push(due.since(grant.life.obtained_at));
    }

    let (least, most) = (dues.iter().min().unwrap(), dues.iter().max().unwrap());
    assert!(*least >= 7 * DAY && *most <= 8 * DAY, "{least:?} {most:?}");
    assert!(*least + DAY / 2 < *most);
}

#[test]
fn the_earlier_of_use_and_idleness_counts() {
    let short = due_after(&grant(7, Some(HOUR)), &forgetful(10 * DAY)).unwrap();
    let long = due_after(&grant(7, Some(30 * DAY)), &forgetful(10 * DAY)).unwrap();

    assert!(short < HOUR);
    assert!((7 * DAY..=8 * DAY).contains(&long), "{long:?}");
}

#[test]
fn a_pause_is_kept() {
    let mut grant = grant(8, Some(HOUR));
    let pause = grant.life.obtained_at.after(2 * HOUR);
    grant.life.next_attempt_at = Some(pause);
    let used = Some(grant.life.obtained_at);

    assert_eq!(grant.next_due(used, &Policy::default()), Some(pause));
    assert!(grant.next_due(used, &forgetful(10 * DAY)) >= Some(pause));
}

#[test]
fn after_a_lost_answer_the_end_is_waited_for_unless_a_replay_is_harmless() {
    let mut careful = grant(9, Some(HOUR));
    careful.life.unknown_outcomes = 1;
    careful.life.unknown_since = Some(careful.life.obtained_at.after(HOUR / 2));
    let keeps = knowing(Profile {
        keeps_refresh_tokens: true,
        ..Profile::default()
    });
    let grace = |grace| {
        knowing(Profile {
            replay_grace: Some(grace),
            ..Profile::default()
        })
    };

    assert_eq!(due_after(&careful, &Policy::default()), Some(HOUR));
    assert!(due_after(&careful, &keeps).unwrap() < HOUR);
    assert!(due_after(&careful, &grace(HOUR)).unwrap() < HOUR);
    assert_eq!(due_after(&careful, &grace(HOUR / 4)), Some(HOUR));
}
