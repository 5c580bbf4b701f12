//! What becomes of work, and which grants are revoked.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn tried(attempts: i64) -> Work {
    Work {
        attempts,
        ..Work::from(NOW, Timestamp::default())
    }
}

fn client(issuer: &str, client_id: &str) -> Registration {
    use crate::domain::ids::RegistrationId;
    use crate::domain::registrations::RegistrationKind;
    Registration {
        id: RegistrationId::from_bytes([1; 16]),
        tenant: TenantId::parse("acme").unwrap(),
        server: ServerId::from_bytes([2; 16]),
        issuer: Issuer::new(issuer),
        generation: 1,
        kind: RegistrationKind::Dynamic,
        client_id: client_id.to_owned(),
        client_secret: None,
        secret_expires_at: None,
        renew_at: None,
        method_assumed: false,
        auth_method: ClientAuthMethod::None,
        redirect_uri: String::new(),
        scopes: None,
        management_token: None,
        management_uri: None,
        created_at: NOW,
    }
}

fn later(retry_after: Option<u64>) -> Heard {
    Heard::Later {
        retry_after: retry_after.map(Duration::from_secs),
    }
}

fn pause(work: &Work, heard: Heard, spread: f64) -> u64 {
    match decide(work, heard, NOW, spread) {
        Next::Again { at } => at.since(NOW).as_secs(),
        other @ (Next::Done | Next::Dead(_)) => panic!("{other:?}"),
    }
}

#[test]
fn pauses_grow_to_an_hour_and_are_spread() {
    assert_eq!(pause(&tried(1), later(None), 0.5), 30);
    assert_eq!(pause(&tried(3), later(None), 0.5), 120);
    assert_eq!(pause(&tried(1000), later(None), 0.5), 3600);
    assert_eq!(pause(&tried(1000), later(None), 0.0), 2700);
    assert_eq!(pause(&tried(1000), later(None), 1.0), 4500);
}

#[test]
fn a_wish_is_honoured_up_to_a_day() {
    assert_eq!(pause(&tried(1), later(Some(7200)), 0.0), 7200);
    assert_eq!(pause(&tried(1), later(Some(1)), 0.5), 30);
    assert_eq!(pause(&tried(1), later(Some(u64::MAX)), 0.5), 86_400);
}

#[test]
fn what_may_come_later_is_given_up_after_a_week() {
    let old = Work {
        created_at: NOW.before(DEADLINE),
        ..tried(9)
    };

    let next = decide(&old, later(None), NOW, 0.5);

    assert_eq!(next, Next::Dead("too_old".to_owned()));
    assert_eq!(decide(&old, Heard::Ended, NOW, 0.5), Next::Done);
    let never = Heard::Never("invalid_client".to_owned());
    let dead = Next::Dead("invalid_client".to_owned());
    assert_eq!(decide(&tried(1), never, NOW, 0.5), dead);
}

#[test]
fn a_superseded_grant_of_the_same_client_is_left_alone() {
    let old = client("https://one", "a");

    let asks = |new| revokes_superseded(&old, &new, &Profile::default());

    assert!(!asks(client("https://one", "a")));
    assert!(asks(client("https://one", "b")));
    assert!(asks(client("https://two", "a")));
    let again = client("https://one", "a");
    let apart = Profile {
        independent_grants: true,
        ..Profile::default()
    };
    assert!(revokes_superseded(&old, &again, &apart));
}

#[test]
fn every_name_reads_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
    }
    for state in WorkState::ALL {
        assert_eq!(WorkState::parse(state.as_str()), Some(*state));
    }
}
