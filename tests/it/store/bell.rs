//! The bell rings after commits, here and at other replicas.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::PgListener;
use stationmaster::store::Store;

use crate::harness::database::{Db, Raw, on_both_engines};
use crate::harness::fixtures::Home;

on_both_engines! {
    a_commit_rings_at_once_and_once,
    a_record_alone_rings_for_who_follows_the_trail,
    what_changed_nothing_rings_nothing,
}

async fn commit(store: &Store, home: &Home, slug: &str) {
    let mut tx = store.write().await.unwrap();
    tx.servers_mut().insert(&home.server(slug)).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
}

fn has_rung(store: &Store) -> bool {
    store.bell().rung().now_or_never().is_some()
}

/// Does something while bells are carried, which never ends by itself.
async fn while_carried<T>(stores: &[&Store], doing: impl Future<Output = T>) -> T {
    let carried = stores.iter().map(|store| Box::pin(store.relay()));
    let carried = futures_util::future::select_all(carried);
    tokio::select! {
        (ended, ..) = carried => panic!("the bell is carried no more: {ended:?}"),
        done = tokio::time::timeout(Duration::from_secs(20), doing) => {
            done.expect("the bell should ring, and does not")
        }
    }
}

async fn a_commit_rings_at_once_and_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    has_rung(db);

    commit(db, &home, "one").await;
    commit(db, &home, "two").await;

    assert!(has_rung(db));
    assert!(!has_rung(db));
}

async fn a_record_alone_rings_for_who_follows_the_trail(db: &Db) {
    let home = Home::settle(db, "acme").await;
    has_rung(db);

    let tx = db.write().await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(has_rung(db));
}

async fn what_changed_nothing_rings_nothing(db: &Db) {
    Home::settle(db, "acme").await;
    has_rung(db);

    db.upkeep().await.unwrap().commit().await.unwrap();
    drop(db.write().await.unwrap());

    assert!(!has_rung(db));
}

#[tokio::test]
async fn where_one_process_has_the_database_nothing_is_carried() {
    let db = Db::sqlite().await;

    assert!(db.relay().now_or_never().is_none());
}

#[tokio::test]
async fn a_commit_rings_at_other_replicas() {
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let other = db.another().await;

    while_carried(&[&*db, &other], async {
        // Whoever begins to listen is rung, for it may have missed something.
        other.bell().rung().await;
        commit(&db, &home, "one").await;
        other.bell().rung().await;
    })
    .await;
}

#[tokio::test]
async fn a_line_that_was_cut_is_made_anew() {
    const LISTENING: &str = "SELECT COUNT(*) FROM pg_stat_activity \
        WHERE query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database()";
    const CUT: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let other = db.another().await;

    while_carried(&[&*db, &other], async {
        while db.number(LISTENING).await < 2 {}
        other.bell().rung().now_or_never();
        assert_eq!(db.number(CUT).await, 2);
        // It listens again before it rings: what is committed now is heard.
        other.bell().rung().await;
        commit(&db, &home, "one").await;
        other.bell().rung().await;
    })
    .await;
}

#[tokio::test]
async fn many_commits_ring_elsewhere_few_times_and_after_the_last() {
    const COMMITS: usize = 100;
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let Raw::Postgres(mut raw) = db.raw().await else {
        panic!("a database on PostgreSQL");
    };
    let mut listener = PgListener::connect(db.url()).await.unwrap();
    listener.listen("stationmaster_feed").await.unwrap();

    let heard = while_carried(&[&*db], async {
        for number in 0..COMMITS {
            commit(&db, &home, &format!("s{number}")).await;
        }
        let mut heard = 1;
        listener.recv().await.unwrap();
        sqlx::query("NOTIFY stationmaster_feed, 'over'")
            .execute(&mut raw)
            .await
            .unwrap();
        while listener.recv().await.unwrap().payload() != "over" {
            heard += 1;
        }
        heard
    })
    .await;

    assert!(heard < COMMITS / 2, "{heard}");
}
