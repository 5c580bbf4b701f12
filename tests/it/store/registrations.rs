//! Registrations: one for each generation of (tenant, server, issuer).

use stationmaster::domain::authorization::{ClientAuthMethod, Issuer, Scopes};
use stationmaster::domain::registrations::{Registration, RegistrationKind};
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    a_registration_reads_back_as_it_was_written,
    a_generation_in_use_is_a_conflict,
    the_current_registration_is_the_newest_at_the_issuer,
    another_tenant_never_sees_a_registration,
    the_last_generation_counts_every_issuer_of_the_server,
}

async fn insert(db: &Db, home: &Home, registration: &Registration) {
    let mut tx = db.write().await.unwrap();
    tx.registrations_mut().insert(registration).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
}

async fn a_registration_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let plain = home.registration(&server);
    let full = Registration {
        issuer: Issuer::new("https://AS.test/ä"),
        generation: 4,
        kind: RegistrationKind::MetadataDocument,
        client_secret: home.sealed(b"secret"),
        secret_expires_at: Some(later(5)),
        renew_at: Some(later(4)),
        auth_method: ClientAuthMethod::ClientSecretBasic,
        method_assumed: true,
        scopes: Some(Scopes::parse("a b")),
        management_token: home.sealed(b"token"),
        management_uri: Some("https://as.test/reg/1".into()),
        ..home.registration(&server)
    };

    for registration in [plain, full] {
        insert(db, &home, &registration).await;

        let mut tx = db.read().await.unwrap();
        let stored = tx.registrations().get(&home.tenant, registration.id).await;
        assert_eq!(stored.unwrap(), Some(registration));
    }
}

async fn a_generation_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    insert(db, &home, &home.registration(&server)).await;

    let mut tx = db.write().await.unwrap();
    let second = tx
        .registrations_mut()
        .insert(&home.registration(&server))
        .await;

    assert!(matches!(second, Err(Error::Conflict)), "{second:?}");
}

async fn the_current_registration_is_the_newest_at_the_issuer(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let other = home.store_server(db, "two").await;
    let numbered = |server, generation, issuer: &str| Registration {
        generation,
        issuer: Issuer::new(issuer),
        ..home.registration(server)
    };
    let newest = numbered(&server, 10, "https://as.test");
    // It serves the grants it came with, and connects nobody.
    let imported = Registration {
        kind: RegistrationKind::Imported,
        ..numbered(&server, 13, "https://as.test")
    };
    for registration in [
        &numbered(&server, 2, "https://as.test"),
        &newest,
        &imported,
        &numbered(&server, 9, "https://as.test"),
        &numbered(&server, 11, "https://as.test/"),
        &numbered(&other, 12, "https://as.test"),
    ] {
        insert(db, &home, registration).await;
    }

    let mut tx = db.read().await.unwrap();
    let mut at = tx.registrations();
    let issuer = Issuer::new("https://as.test");
    let current = at
        .find_current(&home.tenant, server.id, &issuer)
        .await
        .unwrap();
    let unknown = Issuer::new("https://AS.test");
    let none = at
        .find_current(&home.tenant, server.id, &unknown)
        .await
        .unwrap();

    assert_eq!(current, Some(newest));
    assert_eq!(none, None);
}

async fn another_tenant_never_sees_a_registration(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let mine = home.store_registration(db, "one").await;

    let mut tx = db.read().await.unwrap();
    let mut at = tx.registrations();
    let by_id = at.get(&other.tenant, mine.id).await.unwrap();
    let current = at
        .find_current(&other.tenant, mine.server, &mine.issuer)
        .await;

    assert_eq!((by_id, current.unwrap()), (None, None));
}

async fn the_last_generation_counts_every_issuer_of_the_server(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let other = home.store_server(db, "two").await;
    let elsewhere = Registration {
        issuer: Issuer::new("https://other.test"),
        generation: 7,
        ..home.registration(&server)
    };
    insert(db, &home, &home.registration(&server)).await;
    insert(db, &home, &elsewhere).await;

    let mut tx = db.read().await.unwrap();
    let mut at = tx.registrations();

    assert_eq!(
        at.last_generation(&home.tenant, server.id).await.unwrap(),
        7
    );
    assert_eq!(at.last_generation(&home.tenant, other.id).await.unwrap(), 0);
}
