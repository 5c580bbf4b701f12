//! What shared words are read as, and which are refused.

use super::*;
use crate::domain::access::{Credential, Narrowing};
use crate::domain::ids::{ApiKeyId, ServerId};
use crate::domain::text::Slug;

fn caller(role: Role, user: Option<&str>) -> Caller {
    Caller {
        tenant: Slug::parse("default").unwrap(),
        role,
        credential: Credential::ApiKey(ApiKeyId::from_bytes([1; 16])),
        name: "k".to_owned(),
        user: user.map(|user| UserId::parse(user).unwrap()),
        groups: None,
        narrowing: Narrowing::default(),
        expires_at: None,
        request_id: "r".to_owned(),
        address: None,
    }
}

fn named(user: &str, groups: &[&str]) -> pb::Actor {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    pb::Actor {
        user: user.to_owned(),
        groups,
    }
}

fn fields(found: Violations) -> Vec<String> {
    found
        .into_vec()
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[test]
fn times_read_back_to_the_microsecond() {
    for micros in [0, 1, -1, 1_767_225_600_123_456, -62_135_596_800_000_000] {
        let time_at = Timestamp::from_micros(micros);
        let mut found = Violations::new();

        assert_eq!(
            time(&mut found, "t", Some(timestamp(time_at))),
            Some(time_at)
        );
        assert!(found.is_empty());
    }
}

#[test]
fn impossible_times_are_refused() {
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        let mut found = Violations::new();

        assert_eq!(
            time(
                &mut found,
                "t",
                Some(prost_types::Timestamp { seconds, nanos })
            ),
            None
        );
        assert_eq!(fields(found), ["t"]);
    }
}

#[test]
fn durations_are_neither_negative_nor_too_long() {
    let day = Duration::from_hours(24);
    for (seconds, nanos, good) in [
        (0, 0, true),
        (86_400, 0, true),
        (86_401, 0, false),
        (-1, 0, false),
        (1, -1, false),
    ] {
        let mut found = Violations::new();

        span(
            &mut found,
            "d",
            Some(prost_types::Duration { seconds, nanos }),
            day,
        );

        assert_eq!(found.is_empty(), good, "{seconds} {nanos}");
    }
}

#[test]
fn pages_name_every_offence() {
    let mut found = Violations::new();

    assert!(page(&mut found, -1, "!!").is_none());

    assert_eq!(fields(found), ["page_size", "page_token"]);
}

#[test]
fn only_who_is_bound_to_a_user_may_leave_the_actor_out() {
    let mut found = Violations::new();
    let own = actor(&mut found, &caller(Role::User, Some("ann")), None);
    assert_eq!(
        own.map(|actor| actor.user.to_string()).as_deref(),
        Some("ann")
    );
    assert!(found.is_empty());

    assert!(actor(&mut found, &caller(Role::Daemon, None), None).is_none());
    assert_eq!(fields(found), ["actor.user"]);
}

#[test]
fn users_assert_no_groups_and_see_as_themselves() {
    let ann = caller(Role::User, Some("ann"));
    let mut found = Violations::new();

    let acting = actor(&mut found, &ann, Some(named("ann", &["admins"]))).unwrap();
    let viewing = viewer(&mut found, &ann, Some(named("bob", &[]))).unwrap();

    assert!(acting.groups.is_empty());
    assert_eq!(viewing.user.as_str(), "ann");
    assert!(found.is_empty());
}

#[test]
fn malformed_actors_are_named_part_by_part() {
    let mut found = Violations::new();

    let acting = actor(
        &mut found,
        &caller(Role::Daemon, None),
        Some(named(" x", &["ok", "a\0"])),
    );

    assert!(acting.is_none());
    assert_eq!(fields(found), ["actor.user", "actor.groups"]);
}

#[test]
fn ids_and_request_ids_are_checked() {
    let mut found = Violations::new();

    assert!(id::<ServerId>(&mut found, "a", "").is_none());
    assert!(id::<ServerId>(&mut found, "b", "con_x").is_none());
    assert!(once(&mut found, "not a uuid", &pb::Actor::default()).is_none());
    assert!(once(&mut found, "", &pb::Actor::default()).is_none());

    assert_eq!(fields(found), ["a", "b", "request_id"]);
}

#[test]
fn the_same_request_has_the_same_fingerprint_and_another_has_not() {
    let mut found = Violations::new();
    let mut of = |user: &str, id: &str| {
        once(&mut found, id, &named(user, &[])).map(|once| (once.request_id, once.fingerprint))
    };
    let id = "0190c0ff-ee00-7000-8000-0000000000ab";

    assert_eq!(of("a", id), of("a", &id.to_uppercase()));
    assert_ne!(of("a", id), of("b", id));
}
