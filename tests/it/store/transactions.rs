//! Transactions: a change comes with its record and its place in the feed, or not at all.

use std::time::Duration;

use stationmaster::domain::changes::Revision;
use stationmaster::domain::time::{Clock as _, FixedClock};
use stationmaster::store::Which;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, user};

on_both_engines! {
    a_write_that_is_dropped_changes_nothing,
    upkeep_that_is_dropped_changes_nothing,
    a_write_sees_its_own_changes_and_nobody_else_does,
    a_reader_sees_one_state_of_things,
    the_store_is_ready_until_it_is_closed,
    a_beginning_that_is_given_up_disturbs_nobody_else,
}

const ROWS: [&str; 5] = [
    "SELECT COUNT(*) FROM servers",
    "SELECT COUNT(*) FROM changes",
    "SELECT COUNT(*) FROM audit_events",
    "SELECT COUNT(*) FROM connections",
    "SELECT CAST(SUM(seq) AS BIGINT) FROM feed_heads",
];

async fn rows(db: &Db) -> Vec<i64> {
    let mut raw = db.raw().await;
    let mut rows = Vec::new();
    for count in ROWS {
        rows.push(raw.number(count).await);
    }
    rows
}

async fn a_write_that_is_dropped_changes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    home.store_connection(db, &home.connection(&registration, "ann"))
        .await;
    let before = rows(db).await;

    let mut tx = db.write().await.unwrap();
    tx.record(home.event());
    tx.servers_mut().insert(&home.server("two")).await.unwrap();
    let mut at = tx.connections_mut();
    at.delete(&home.tenant, &user("ann"), registration.server)
        .await
        .unwrap();
    drop(tx);

    // The next one waits for the roll-back.
    db.write()
        .await
        .unwrap()
        .commit(&home.event())
        .await
        .unwrap();
    let mut expected = before;
    expected[2] += 1;
    // The record's own place.
    expected[4] += 1;
    assert_eq!(rows(db).await, expected);
}

async fn upkeep_that_is_dropped_changes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;

    let mut tx = db.upkeep().await.unwrap();
    assert!(tx.key_uses().reserve(home.key, 1, 9).await.unwrap());
    drop(tx);

    let mut tx = db.write().await.unwrap();
    let key = tx.keys().find_active(&home.tenant).await.unwrap();
    assert_eq!(key.map(|key| key.reserved_uses), Some(0));
}

async fn a_write_sees_its_own_changes_and_nobody_else_does(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.server("one");

    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&server).await.unwrap();
    let mut reader = db.read().await.unwrap();
    let outside = reader.servers().get(&home.tenant, server.id).await.unwrap();
    let inside = tx.servers().get(&home.tenant, server.id).await.unwrap();

    assert_eq!((inside, outside), (Some(server), None));
}

async fn a_reader_sees_one_state_of_things(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let page = stationmaster::domain::page::PageRequest {
        size: 9,
        after: None,
    };

    let mut reader = db.read().await.unwrap();
    let head = reader.feed().head(&home.tenant).await.unwrap();
    home.store_server(db, "later").await;
    let servers = reader
        .servers()
        .list(&home.tenant, Which::All, &page)
        .await
        .unwrap();
    let still = reader.feed().head(&home.tenant).await.unwrap();

    assert!(
        servers.entries.is_empty(),
        "what came later is another state"
    );
    assert_eq!(still, head);
    let now = db
        .read()
        .await
        .unwrap()
        .feed()
        .head(&home.tenant)
        .await
        .unwrap();
    // The record has a place, and the change.
    assert_eq!(now, Revision(head.0 + 2));
}

async fn the_store_is_ready_until_it_is_closed(db: &Db) {
    db.ready().await.unwrap();

    db.close().await;

    assert!(db.ready().await.is_err());
    assert!(db.write().await.is_err());
}

#[tokio::test]
async fn leases_on_sqlite_are_measured_by_the_injected_clock() {
    let db = Db::sqlite().await;
    let clock = FixedClock::default();
    clock.advance(Duration::from_micros(7));

    let written = db.write().await.unwrap().lease_now(&clock).await.unwrap();
    let kept_up = db.upkeep().await.unwrap().lease_now(&clock).await.unwrap();

    assert_eq!((written, kept_up), (clock.now(), clock.now()));
    assert!(db.is_exclusive());
}

#[tokio::test]
async fn leases_on_postgres_are_measured_by_the_databases_clock() {
    let db = Db::postgres().await;
    let clock = FixedClock::default();

    let first = db.write().await.unwrap().lease_now(&clock).await.unwrap();
    let mut tx = db.upkeep().await.unwrap();
    let second = tx.lease_now(&clock).await.unwrap();
    let third = tx.lease_now(&clock).await.unwrap();
    let theirs = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let last = db.number(theirs).await;

    assert!(
        first < second && second < third,
        "it moves within a transaction"
    );
    assert!((third.as_micros()..third.as_micros() + 60_000_000).contains(&last));
    assert!(!db.is_exclusive());
}

/// The only connection that there is goes from one that gave up, at whatever point, to the next.
async fn a_beginning_that_is_given_up_disturbs_nobody_else(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let store = db.with_one_connection().await;

    for patience in 0..400 {
        let mut beginning = Box::pin(store.read());
        for _ in 0..patience {
            if futures_util::poll!(&mut beginning).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(beginning);

        let mut tx = store.write().await.unwrap();
        let held = tx.tenants_mut().hold(&home.tenant).await;
        assert!(matches!(held, Ok(true)), "after {patience} polls: {held:?}");
    }
}
