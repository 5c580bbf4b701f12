//! Registrations that are needed no more.

use stationmaster::domain::ids::RegistrationId;
use stationmaster::domain::registrations::Registration;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};

on_both_engines! {
    a_servers_registrations_are_listed_by_age,
    a_replaced_client_is_found_when_nothing_needs_it,
    the_management_of_a_client_is_forgotten_once,
}

/// Two clients of one server, both managed, the older first.
async fn two(db: &Db, home: &Home) -> [Registration; 2] {
    let server = home.store_server(db, "one").await;
    let managed = |id: u8, generation| Registration {
        id: RegistrationId::from_bytes([id; 16]),
        generation,
        management_token: home.sealed(b"token"),
        management_uri: Some("https://as.test/reg".into()),
        ..home.registration(&server)
    };
    let both = [managed(9, 1), managed(1, 2)];
    let mut tx = db.write().await.unwrap();
    for one in &both {
        tx.registrations_mut().insert(one).await.unwrap();
    }
    tx.commit(&home.event()).await.unwrap();
    both
}

async fn replaced(db: &Db) -> Vec<Registration> {
    let mut tx = db.read().await.unwrap();
    let listed = tx.registrations().list_replaced(NOW, 9).await.unwrap();
    listed.into_iter().map(Result::unwrap).collect()
}

async fn a_servers_registrations_are_listed_by_age(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let both = two(db, &home).await;
    home.store_registration(db, "two").await;

    let mut tx = db.read().await.unwrap();
    let mut at = tx.registrations();
    let listed = at.list(&home.tenant, both[0].server).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(Result::unwrap).collect();
    let foreign = at.list(&other.tenant, both[0].server).await.unwrap();

    assert_eq!(listed, both);
    assert!(foreign.is_empty());
}

async fn a_replaced_client_is_found_when_nothing_needs_it(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let [old, _new] = two(db, &home).await;
    assert_eq!(replaced(db).await, std::slice::from_ref(&old));

    let connection = home.full_connection(&old, "ann");
    home.store_connection(db, &connection).await;
    assert!(replaced(db).await.is_empty(), "a grant needs it");
    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    at.invalidate_of_server(&home.tenant, old.server, NOW)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    assert_eq!(
        replaced(db).await.len(),
        1,
        "what has no tokens needs no client"
    );

    let mut handshake = home.handshake(&old, "bob");
    handshake.created_at = later(1);
    home.store_handshake(db, &handshake).await;
    assert!(replaced(db).await.is_empty(), "a handshake may need it");
}

async fn the_management_of_a_client_is_forgotten_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let [old, new] = two(db, &home).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.registrations_mut();
    let first = at.forget_management(&old).await.unwrap();
    let second = at.forget_management(&old).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(first && !second);
    assert!(replaced(db).await.is_empty());
    let mut tx = db.read().await.unwrap();
    let listed = tx
        .registrations()
        .list(&home.tenant, old.server)
        .await
        .unwrap();
    let bare = Registration {
        management_uri: None,
        management_token: None,
        ..old
    };
    let listed: Vec<_> = listed.into_iter().map(Result::unwrap).collect();
    assert_eq!(listed, [bare, new]);
}
