//! What can be read of a server whose row is damaged.

use stationmaster::domain::servers::Server;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::Home;

on_both_engines! {
    a_glimpse_is_what_the_rules_look_at,
    a_glimpse_survives_what_the_rules_do_not_need,
    who_a_server_is_forced_on_must_be_read,
    another_tenant_never_has_a_glimpse,
}

async fn store(db: &Db, home: &Home) -> Server {
    let mut server = home.full_server("full");
    server.spec.enabled = true;
    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&server).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    server
}

async fn a_glimpse_is_what_the_rules_look_at(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = store(db, &home).await;

    let mut tx = db.read().await.unwrap();
    let id = server.id.to_string();
    let glimpse = tx.servers().glimpse(&home.tenant, &id).await.unwrap();

    let glimpse = glimpse.unwrap();
    let (one, other) = (glimpse.policy(), server.policy());
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_eq!(glimpse.slug, server.spec.slug);
    assert_eq!(glimpse.display_name, server.spec.display_name);
}

async fn a_glimpse_survives_what_the_rules_do_not_need(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = store(db, &home).await;
    db.execute("UPDATE servers SET transport = 'pigeon', auth = '{', tools = '', discovered = '1'")
        .await;

    let mut tx = db.read().await.unwrap();
    let id = server.id.to_string();
    let glimpse = tx.servers().glimpse(&home.tenant, &id).await.unwrap();

    assert_eq!(glimpse.unwrap().id, server.id);
}

async fn who_a_server_is_forced_on_must_be_read(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = store(db, &home).await;
    let id = server.id.to_string();

    for (damage, fails) in [
        (
            "UPDATE servers SET access = '[]', availability = 'force_on'",
            true,
        ),
        ("UPDATE servers SET availability = 'default_on'", false),
        ("UPDATE servers SET availability = 'default_off'", false),
        ("UPDATE servers SET availability = 'odd'", true),
        ("UPDATE servers SET enabled = FALSE", false),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let glimpse = tx.servers().glimpse(&home.tenant, &id).await;

        match glimpse {
            Ok(glimpse) => assert!(!fails && glimpse.is_none(), "{damage}: {glimpse:?}"),
            Err(Error::Corrupt { .. }) => assert!(fails, "{damage}"),
            Err(error) => panic!("{damage}: {error}"),
        }
    }
}

async fn another_tenant_never_has_a_glimpse(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let server = store(db, &home).await;

    let mut tx = db.read().await.unwrap();
    let id = server.id.to_string();
    let theirs = tx.servers().glimpse(&other.tenant, &id).await.unwrap();

    assert_eq!(theirs, None);
}
