//! The feed forgets what is old, and says from where on it can be resumed; and it knows whose thing
//! changed.

use stationmaster::domain::changes::{Change, ChangeKind, Op, Revision, shard_of};
use stationmaster::domain::time::Timestamp;
use stationmaster::store::Store;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later, user};

on_both_engines! {
    what_is_old_goes_and_raises_the_floor,
    a_batch_is_bounded_and_the_next_goes_on,
    what_stands_after_a_young_entry_stays_with_it,
    nothing_old_changes_nothing,
    every_shard_has_a_head,
    what_changes_of_a_connection_says_whose_it_is,
}

/// Stores servers at these seconds, after what made the tenant; where the feed stood before. Each
/// takes two places: that of its audit record, and its own.
async fn changes_at(db: &Db, home: &Home, seconds: &[u64]) -> Revision {
    let start = db.read().await.unwrap().feed().head(&home.tenant).await;
    for second in seconds {
        let mut tx = db.write().await.unwrap();
        let server = home.server(&format!("s{second}"));
        tx.servers_mut().insert(&server).await.unwrap();
        let mut event = home.event();
        event.at = later(*second);
        tx.commit(&event).await.unwrap();
    }
    start.unwrap()
}

async fn forget(store: &Store, home: &Home, before: Timestamp, limit: i64) -> usize {
    let shard = shard_of(&home.tenant);
    let mut tx = store.upkeep().await.unwrap();
    let gone = tx.old_changes().delete_old(shard, before, limit).await;
    tx.commit().await.unwrap();
    gone.unwrap()
}

/// The floor, and the revisions above it that are left.
async fn left(store: &Store, home: &Home) -> (Revision, Vec<Revision>) {
    let mut tx = store.read().await.unwrap();
    let head = tx.feed().head_of(&home.tenant).await.unwrap();
    let shard = shard_of(&home.tenant);
    let all = tx.feed().list_of_shard(shard, Revision(0), 99).await;
    let all = all.unwrap().changes.iter().map(|c| c.revision).collect();
    (head.floor, all)
}

/// The place of the change of this number.
fn nth(start: Revision, number: i64) -> Revision {
    Revision(start.0 + 2 * number)
}

fn after(start: Revision, numbers: &[i64]) -> Vec<Revision> {
    numbers.iter().map(|number| nth(start, *number)).collect()
}

async fn what_is_old_goes_and_raises_the_floor(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = changes_at(db, &home, &[10, 20, 30]).await;

    let gone = forget(db, &home, later(30), 99).await;

    // That of the tenant, and two of the servers.
    assert_eq!(gone, 3);
    let (floor, kept) = left(db, &home).await;
    assert_eq!(floor, nth(start, 2));
    assert_eq!(kept, after(start, &[3]));
}

async fn a_batch_is_bounded_and_the_next_goes_on(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = changes_at(db, &home, &[1, 2, 3]).await;
    forget(db, &home, later(1), 99).await;

    let first = forget(db, &home, later(60), 2).await;
    let floor = left(db, &home).await.0;
    let second = forget(db, &home, later(60), 2).await;

    assert_eq!((first, second), (2, 1));
    assert_eq!(floor, nth(start, 2));
    assert_eq!(left(db, &home).await, (nth(start, 3), Vec::new()));
}

async fn what_stands_after_a_young_entry_stays_with_it(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = changes_at(db, &home, &[10, 90, 20]).await;

    forget(db, &home, later(60), 99).await;

    let expected = (nth(start, 1), after(start, &[2, 3]));
    assert_eq!(left(db, &home).await, expected);
}

async fn nothing_old_changes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = changes_at(db, &home, &[10]).await;
    forget(db, &home, later(10), 99).await;
    let before = left(db, &home).await;

    let gone = forget(db, &home, later(10), 99).await;

    assert_eq!(gone, 0);
    assert_eq!(left(db, &home).await, before);
    assert_eq!(before, (start, after(start, &[1])));
}

async fn every_shard_has_a_head(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let shard = shard_of(&home.tenant);

    let heads = db.read().await.unwrap().feed().heads().await.unwrap();

    assert_eq!(heads.len(), 16);
    let own = heads.iter().find(|head| head.shard == shard).unwrap();
    let mut tx = db.read().await.unwrap();
    assert_eq!(tx.feed().head_of(&home.tenant).await.unwrap(), *own);
    assert_eq!(tx.feed().head(&home.tenant).await.unwrap(), own.last);
    assert!(own.last > Revision(0) && own.floor == Revision(0));
}

async fn what_changes_of_a_connection_says_whose_it_is(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let (tenant, server) = (&home.tenant, registration.server);
    let start = db.read().await.unwrap().feed().head(tenant).await.unwrap();
    let ann = home.connection(&registration, "ann");
    let bob = home.connection(&registration, "bob");

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    at.insert(&ann).await.unwrap();
    at.insert(&bob).await.unwrap();
    at.invalidate_of_server(tenant, server, NOW).await.unwrap();
    at.delete(tenant, &user("ann"), server).await.unwrap();
    at.delete_of_server(tenant, server).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.read().await.unwrap();
    let kind = ChangeKind::Connection;
    let mut told = tx
        .feed()
        .list_of_kind(tenant, kind, start, 99)
        .await
        .unwrap()
        .changes;
    let whose = |change: &Change| change.what.owner.clone().unwrap();
    assert!(told.iter().all(|change| whose(change).server == server));
    // The two of one statement come in any order.
    told[2..4].sort_by_key(|change| whose(change).user.to_string());
    let told: Vec<_> = told
        .iter()
        .map(|change| {
            (
                change.what.subject.clone(),
                whose(change).user,
                change.what.op,
            )
        })
        .collect();
    let of = |connection: &stationmaster::domain::connections::Connection, op| {
        (connection.id.to_string(), connection.user.clone(), op)
    };
    let expected = [
        of(&ann, Op::Put),
        of(&bob, Op::Put),
        of(&ann, Op::Put),
        of(&bob, Op::Put),
        of(&ann, Op::Delete),
        of(&bob, Op::Delete),
    ];
    assert_eq!(told, expected);
}
