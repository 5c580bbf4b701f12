//! What of an identity can be sent, and when.

use super::*;
use crate::domain::ids::DataKeyId;
use crate::domain::random::SeededRandom;
use crate::domain::resolution::Reconnect;
use crate::domain::time::{Clock as _, FixedClock};

use IdentityToken::{Access, Id};

fn sealed() -> Sealed {
    Sealed {
        key: DataKeyId::from_bytes([1; 16]),
        bytes: vec![1],
    }
}

/// An hour's access token, ten minutes' ID token and a refresh token, obtained just now.
fn identity() -> Identity {
    let (clock, random) = (FixedClock::default(), SeededRandom::new(1));
    let now = clock.now();
    let ends = |minutes| Some(now.after(Duration::from_mins(minutes)));
    Identity {
        id: IdentityId::mint(&clock, &random),
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse("ann").unwrap(),
        issuer: Issuer::new("https://idp.test"),
        life: Lifecycle::granted(now, first_end(ends(60), ends(10)), true),
        access_token: Some(sealed()),
        access_token_ends: ends(60),
        id_token: Some(sealed()),
        id_token_ends: ends(10),
        refresh_token: Some(sealed()),
        deposit_hash: SecretHash::of("deposit"),
        refresh_hashes: Vec::new(),
        deposited_at: now,
        refreshed_at: None,
        used_at: None,
        last_error: None,
        failed_at: None,
        due_at: None,
        updated_at: now,
        version: 1,
    }
}

fn at(minutes: u64) -> Timestamp {
    FixedClock::default()
        .now()
        .after(Duration::from_mins(minutes))
}

#[test]
fn each_token_lives_until_its_own_end() {
    let identity = identity();

    assert_eq!(identity.life.expires_at, Some(at(10)));
    for (kind, minutes, lives) in [
        (Access, 59, true),
        (Access, 60, false),
        (Id, 9, true),
        (Id, 10, false),
    ] {
        assert_eq!(
            identity.living(kind, at(minutes)).is_some(),
            lives,
            "{kind:?}"
        );
    }
    let endless = Identity {
        access_token_ends: None,
        ..identity
    };
    assert!(endless.living(Access, at(100_000)).is_some());
}

#[test]
fn what_can_be_renewed_is_usable_although_it_ended() {
    let renewable = identity();
    let mut fixed = renewable.clone();
    (fixed.life.renewable, fixed.refresh_token) = (false, None);
    let mut ended = renewable.clone();
    ended.life.status = Status::ReconnectRequired(Reconnect::RefreshRefused);

    for (identity, living, over) in [
        (&renewable, true, true),
        (&fixed, true, false),
        (&ended, true, false),
    ] {
        assert_eq!(identity.is_usable(Access, at(59)), living);
        assert_eq!(identity.is_usable(Access, at(61)), over);
    }
}

#[test]
fn an_identity_is_over_when_both_its_provider_and_a_server_say_so() {
    let mut identity = identity();
    identity.life.rejected = true;
    assert!(identity.is_usable(Access, at(1)));

    identity.life.status = Status::ReconnectRequired(Reconnect::RefreshRefused);

    assert!(identity.is_over() && !identity.is_usable(Access, at(1)));
}

#[test]
fn a_token_that_was_never_there_is_not_usable() {
    let mut identity = identity();
    identity.id_token = None;

    assert!(!identity.holds(Id) && !identity.is_usable(Id, at(1)));
    identity.access_token = None;
    assert!(identity.holds(Access) && identity.is_usable(Access, at(1)));
}
