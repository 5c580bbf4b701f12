//! Registrations whose secret ends.

use stationmaster::domain::authorization::ClientAuthMethod;
use stationmaster::domain::ids::RegistrationId;
use stationmaster::domain::registrations::{Registration, RegistrationKind};
use stationmaster::domain::time::Timestamp;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};

on_both_engines! {
    what_ends_is_listed_when_it_is_due_and_somebody_needs_it,
    a_plan_is_made_once,
    one_of_two_claims_the_other_finds_nothing,
    a_renewal_is_written_by_who_holds_the_claim,
    what_a_renewal_does_not_bring_stays,
    a_claim_given_back_is_due_again_later,
    an_assumed_method_is_settled_once,
}

/// A client whose secret ends and is to be renewed at [`NOW`].
fn ending(home: &Home, registration: Registration) -> Registration {
    Registration {
        client_secret: home.sealed(b"secret"),
        secret_expires_at: Some(later(100)),
        renew_at: Some(NOW),
        auth_method: ClientAuthMethod::ClientSecretBasic,
        management_token: home.sealed(b"token"),
        management_uri: Some("https://as.test/reg/1".into()),
        ..registration
    }
}

async fn stored(db: &Db, home: &Home, registration: &Registration) {
    let mut tx = db.write().await.unwrap();
    tx.registrations_mut().insert(registration).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
}

/// One client, stored.
async fn one(db: &Db, home: &Home) -> Registration {
    let server = home.store_server(db, "one").await;
    let registration = ending(home, home.registration(&server));
    stored(db, home, &registration).await;
    registration
}

async fn listed(db: &Db, now: Timestamp, lease_now: Timestamp) -> Vec<RegistrationId> {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.registrations();
    let listed = at.list_ending(now, lease_now, 9).await.unwrap();
    listed.into_iter().map(|one| one.unwrap().id).collect()
}

async fn claim(db: &Db, registration: &Registration, at: Timestamp, until: Timestamp) -> bool {
    let mut tx = db.upkeep().await.unwrap();
    let mut claims = tx.registration_claims();
    let claimed = claims.claim(registration, at, until).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn renew(db: &Db, home: &Home, renewed: &Registration, until: Timestamp) -> bool {
    let mut tx = db.write().await.unwrap();
    let mut at = tx.registrations_mut();
    let written = at.renew(renewed, until).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    written
}

async fn read(db: &Db, registration: &Registration) -> Registration {
    let (tenant, id) = (&registration.tenant, registration.id);
    let mut tx = db.read().await.unwrap();
    let found = tx.registrations().get(tenant, id).await.unwrap();
    found.unwrap()
}

async fn what_ends_is_listed_when_it_is_due_and_somebody_needs_it(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let made = |generation| Registration {
        id: RegistrationId::from_bytes([u8::try_from(generation).unwrap(); 16]),
        generation,
        ..ending(&home, home.registration(&server))
    };
    // Of an issuer that was left: nothing newer stands there.
    let replaced = made(1);
    let unplanned = Registration {
        renew_at: None,
        ..made(2)
    };
    for other in [
        &replaced,
        &unplanned,
        &Registration {
            kind: RegistrationKind::Imported,
            ..made(3)
        },
        &Registration {
            auth_method: ClientAuthMethod::None,
            issuer: stationmaster::domain::authorization::Issuer::new("https://b.test"),
            ..made(4)
        },
        &Registration {
            renew_at: Some(later(50)),
            issuer: stationmaster::domain::authorization::Issuer::new("https://c.test"),
            ..made(5)
        },
        &Registration {
            secret_expires_at: None,
            issuer: stationmaster::domain::authorization::Issuer::new("https://d.test"),
            ..made(6)
        },
    ] {
        stored(db, &home, other).await;
    }

    assert_eq!(listed(db, NOW, NOW).await, [unplanned.id]);

    let connection = home.full_connection(&replaced, "ann");
    home.store_connection(db, &connection).await;
    let both = listed(db, NOW, NOW).await;
    assert_eq!(both, [replaced.id, unplanned.id], "its grant needs it");
}

async fn a_plan_is_made_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let registration = Registration {
        renew_at: None,
        ..ending(&home, home.registration(&server))
    };
    stored(db, &home, &registration).await;

    let mut tx = db.upkeep().await.unwrap();
    let mut claims = tx.registration_claims();
    let first = claims.plan(&registration, later(3)).await.unwrap();
    let second = claims.plan(&registration, later(4)).await.unwrap();
    tx.commit().await.unwrap();

    assert!(first && !second);
    assert_eq!(read(db, &registration).await.renew_at, Some(later(3)));
}

async fn one_of_two_claims_the_other_finds_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = one(db, &home).await;

    assert!(claim(db, &registration, NOW, later(10)).await);
    assert!(!claim(db, &registration, later(9), later(20)).await);
    assert!(listed(db, later(9), later(9)).await.is_empty());
    assert_eq!(listed(db, later(9), later(10)).await, [registration.id]);
    assert!(
        claim(db, &registration, later(10), later(20)).await,
        "a lease ends"
    );
    let moved = Registration {
        renew_at: Some(later(1)),
        ..registration
    };
    assert!(
        !claim(db, &moved, later(30), later(40)).await,
        "another plan"
    );
}

async fn a_renewal_is_written_by_who_holds_the_claim(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let old = one(db, &home).await;
    let renewed = Registration {
        client_secret: home.sealed(b"another"),
        secret_expires_at: Some(later(900)),
        renew_at: Some(later(700)),
        auth_method: ClientAuthMethod::ClientSecretPost,
        management_token: home.sealed(b"other"),
        management_uri: Some("https://as.test/reg/2".into()),
        ..old.clone()
    };

    assert!(!renew(db, &home, &renewed, later(10)).await, "no claim");
    assert!(claim(db, &old, NOW, later(10)).await);
    assert!(!renew(db, &home, &renewed, later(9)).await, "another's");
    assert_eq!(read(db, &old).await, old);
    assert!(renew(db, &home, &renewed, later(10)).await);
    assert!(!renew(db, &home, &renewed, later(10)).await, "it is over");

    assert_eq!(read(db, &old).await, renewed);
}

async fn what_a_renewal_does_not_bring_stays(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let old = one(db, &home).await;
    let longer = Registration {
        client_secret: None,
        management_token: None,
        secret_expires_at: None,
        renew_at: None,
        ..old.clone()
    };
    assert!(claim(db, &old, NOW, later(10)).await);

    assert!(renew(db, &home, &longer, later(10)).await);

    let expected = Registration {
        secret_expires_at: None,
        renew_at: None,
        ..old.clone()
    };
    assert_eq!(read(db, &old).await, expected);
}

async fn a_claim_given_back_is_due_again_later(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = one(db, &home).await;
    assert!(claim(db, &registration, NOW, later(10)).await);

    let mut tx = db.upkeep().await.unwrap();
    let mut claims = tx.registration_claims();
    let at = later(5);
    assert!(!claims.put_off(&registration, later(9), at).await.unwrap());
    assert!(claims.put_off(&registration, later(10), at).await.unwrap());
    tx.commit().await.unwrap();

    assert!(listed(db, later(4), later(4)).await.is_empty());
    assert_eq!(listed(db, later(5), later(5)).await, [registration.id]);
}

async fn an_assumed_method_is_settled_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let assumed = Registration {
        method_assumed: true,
        ..ending(&home, home.registration(&server))
    };
    stored(db, &home, &assumed).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.registrations_mut();
    let works = ClientAuthMethod::ClientSecretPost;
    let first = at.settle_method(&assumed, works).await.unwrap();
    let second = at.settle_method(&assumed, works).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(first && !second);
    let expected = Registration {
        auth_method: works,
        method_assumed: false,
        ..assumed.clone()
    };
    assert_eq!(read(db, &assumed).await, expected);
}
