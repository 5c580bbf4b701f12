//! Connections that are used, and renewed before anybody asks.

use stationmaster::domain::connections::{Connection, Use};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    what_is_due_is_found_in_order_and_in_every_tenant,
    a_use_is_noted_unless_a_later_one_is_known,
}

async fn due(db: &Db, secs: u64, limit: i64) -> Vec<Connection> {
    let mut tx = db.read().await.unwrap();
    tx.connections().list_due(later(secs), limit).await.unwrap()
}

async fn what_is_due_is_found_in_order_and_in_every_tenant(db: &Db) {
    let mut stored = Vec::new();
    for (tenant, due_at) in [
        ("acme", Some(later(20))),
        ("umbrella", Some(later(10))),
        ("initech", None),
        ("hooli", Some(later(30))),
    ] {
        let home = Home::settle(db, tenant).await;
        let registration = home.store_registration(db, "one").await;
        let connection = Connection {
            due_at,
            ..home.connection(&registration, "ann")
        };
        home.store_connection(db, &connection).await;
        stored.push(connection);
    }

    assert_eq!(due(db, 9, 10).await, []);
    assert_eq!(
        due(db, 20, 10).await,
        [stored[1].clone(), stored[0].clone()]
    );
    assert_eq!(due(db, 99, 2).await, [stored[1].clone(), stored[0].clone()]);
}

async fn a_use_is_noted_unless_a_later_one_is_known(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let old = home.full_connection(&registration, "ann");
    home.store_connection(db, &old).await;
    let note = async |generation, at, due_at| {
        let mut tx = db.upkeep().await.unwrap();
        let seen = Use {
            tenant: old.tenant.clone(),
            connection: old.id,
            generation,
            at: later(at),
            due_at,
        };
        tx.connection_leases().note_use(&seen).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.read().await.unwrap();
        let mut at = tx.connections();
        let now = at.get(&old.tenant, &old.user, old.server).await;
        let now = now.unwrap().unwrap();
        assert_eq!(now.version, old.version);
        (now.used_at, now.due_at)
    };
    let generation = old.life.generation;

    let first = note(generation, 2_000, Some(later(40))).await;
    let earlier = note(generation, 1_000, Some(later(41))).await;
    let of_another = note(generation - 1, 3_000, Some(later(42))).await;
    let planless = note(generation, 4_000, None).await;

    assert_eq!(first, (Some(later(2_000)), Some(later(40))));
    assert_eq!(earlier, first);
    assert_eq!(of_another, (Some(later(3_000)), Some(later(40))));
    assert_eq!(planless, (Some(later(4_000)), None));
}
