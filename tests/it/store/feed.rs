//! The feed: the order of its numbers is the order of the commits.

use std::time::Duration;

use futures_util::future::join_all;
use stationmaster::domain::changes::{Change, ChangeKind, NewChange, Op, Revision, shard_of};
use stationmaster::domain::ids::ServerId;
use stationmaster::domain::tenants::TenantId;
use stationmaster::store::Store;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, chat_id, later, tenant_id, user};

on_both_engines! {
    every_change_has_its_entry,
    what_changed_nothing_has_no_entry,
    the_revision_of_a_commit_shows_the_change,
    entries_are_read_in_order_from_a_revision_on,
    a_tenant_reads_its_own_entries_only,
    one_commit_may_change_several_tenants,
    a_follower_of_concurrent_writers_misses_nothing,
}

async fn after(store: &Store, tenant: &TenantId, revision: Revision) -> Vec<Change> {
    let mut tx = store.read().await.unwrap();
    let all = tx
        .feed()
        .list_of_shard(shard_of(tenant), revision, 1_000)
        .await
        .unwrap();
    assert!(all.unreadable.is_empty() && all.next.is_none());
    let own = |change: &Change| change.what.tenant == *tenant;
    all.changes.into_iter().filter(own).collect()
}

async fn head(store: &Store, tenant: &TenantId) -> Revision {
    let mut tx = store.read().await.unwrap();
    tx.feed().head(tenant).await.unwrap()
}

/// What each entry tells, but for its place and time.
fn told(changes: &[Change]) -> Vec<(ChangeKind, String, Op)> {
    let told = |change: &Change| {
        (
            change.what.kind,
            change.what.subject.clone(),
            change.what.op,
        )
    };
    changes.iter().map(told).collect()
}

async fn every_change_has_its_entry(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = head(db, &home.tenant).await;
    let mut server = home.server("one");
    let registration = home.registration(&server);
    let mut connection = home.connection(&registration, "ann");
    let handshake = home.handshake(&registration, "ann");
    let key = home.api_key("key");

    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&server).await.unwrap();
    assert!(tx.servers_mut().update(&server).await.unwrap());
    tx.registrations_mut().insert(&registration).await.unwrap();
    tx.connections_mut().insert(&connection).await.unwrap();
    assert!(tx.connections_mut().renew(&connection).await.unwrap());
    connection.version += 1;
    assert!(tx.connections_mut().save_life(&connection).await.unwrap());
    tx.connections_mut()
        .delete(&home.tenant, &user("ann"), server.id)
        .await
        .unwrap();
    tx.handshakes_mut().insert(&handshake).await.unwrap();
    tx.api_keys_mut().insert(&key).await.unwrap();
    assert!(tx.api_keys_mut().revoke(&key, NOW).await.unwrap());
    assert!(
        tx.chats_mut()
            .put(&home.chat("chat", "ann", &[]))
            .await
            .unwrap()
    );
    assert!(
        tx.chats_mut()
            .delete(&home.tenant, &chat_id("chat"), &user("ann"))
            .await
            .unwrap()
    );
    assert!(
        tx.servers_mut()
            .delete(&home.tenant, server.id, 2)
            .await
            .unwrap()
    );
    assert!(tx.tenants_mut().delete(&home.tenant, NOW).await.unwrap());
    tx.commit(&home.event()).await.unwrap();

    server.version = 0;
    let changes = after(db, &home.tenant, start).await;
    let of = |kind, subject: &dyn ToString, op| (kind, subject.to_string(), op);
    let expected = [
        of(ChangeKind::Server, &server.id, Op::Put),
        of(ChangeKind::Server, &server.id, Op::Put),
        of(ChangeKind::Registration, &registration.id, Op::Put),
        of(ChangeKind::Connection, &connection.id, Op::Put),
        of(ChangeKind::Connection, &connection.id, Op::Put),
        of(ChangeKind::Connection, &connection.id, Op::Put),
        of(ChangeKind::Connection, &connection.id, Op::Delete),
        of(ChangeKind::Handshake, &handshake.id, Op::Put),
        of(ChangeKind::ApiKey, &key.id, Op::Put),
        of(ChangeKind::ApiKey, &key.id, Op::Delete),
        of(ChangeKind::Chat, &"chat", Op::Put),
        of(ChangeKind::Chat, &"chat", Op::Delete),
        of(ChangeKind::Server, &server.id, Op::Delete),
        of(ChangeKind::Tenant, &"acme", Op::Delete),
    ];
    assert_eq!(told(&changes), expected);
    assert!(
        changes
            .iter()
            .all(|change| change.at == NOW && change.what.tenant == home.tenant)
    );
}

async fn what_changed_nothing_has_no_entry(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let absent = home.server("absent");
    let connection = home.connection(&registration, "ann");
    let start = head(db, &home.tenant).await;

    let mut tx = db.write().await.unwrap();
    assert!(!tx.servers_mut().update(&absent).await.unwrap());
    assert!(
        !tx.servers_mut()
            .delete(&home.tenant, absent.id, 1)
            .await
            .unwrap()
    );
    assert!(!tx.connections_mut().renew(&connection).await.unwrap());
    assert!(!tx.connections_mut().save_life(&connection).await.unwrap());
    assert!(
        !tx.api_keys_mut()
            .revoke(&home.api_key("none"), NOW)
            .await
            .unwrap()
    );
    assert!(
        !tx.chats_mut()
            .delete(&home.tenant, &chat_id("none"), &user("ann"))
            .await
            .unwrap()
    );
    assert!(
        !tx.tenants_mut()
            .delete(&tenant_id("none"), NOW)
            .await
            .unwrap()
    );
    let revision = tx.commit(&home.event()).await.unwrap();

    assert_eq!(revision, Revision(start.0 + 1), "the record's own place");
    assert!(after(db, &home.tenant, start).await.is_empty());
}

async fn the_revision_of_a_commit_shows_the_change(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let mut last = head(db, &home.tenant).await;

    for slug in ["a", "b", "c"] {
        let server = home.server(slug);
        let mut tx = db.write().await.unwrap();
        tx.servers_mut().insert(&server).await.unwrap();
        let revision = tx.commit(&home.event()).await.unwrap();

        let mut tx = db.read().await.unwrap();
        assert_eq!(tx.feed().head(&home.tenant).await.unwrap(), revision);
        assert!(
            tx.servers()
                .get(&home.tenant, server.id)
                .await
                .unwrap()
                .is_some()
        );
        assert!(revision > last);
        last = revision;
    }
}

async fn entries_are_read_in_order_from_a_revision_on(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = head(db, &home.tenant).await;
    let mut ids = Vec::new();
    for slug in ["c", "a", "b"] {
        ids.push(home.store_server(db, slug).await.id.to_string());
    }

    let mut tx = db.read().await.unwrap();
    let shard = shard_of(&home.tenant);
    let first = tx.feed().list_of_shard(shard, start, 2).await.unwrap();
    let on = first.next.unwrap();
    let rest = tx.feed().list_of_shard(shard, on, 2).await.unwrap();

    let all = first.changes.iter().chain(&rest.changes);
    let subjects = all.map(|change| change.what.subject.clone());
    assert_eq!(subjects.collect::<Vec<_>>(), ids);
    assert_eq!((first.changes.len(), rest.changes.len()), (2, 1));
    assert_eq!((on, rest.next), (first.changes[1].revision, None));
}

/// A tenant other than this one that writes to the same head.
fn neighbour(tenant: &TenantId) -> String {
    let names = (0..).map(|number| format!("t{number}"));
    let shard = shard_of(tenant);
    names
        .into_iter()
        .find(|name| shard_of(&tenant_id(name)) == shard)
        .unwrap()
}

async fn a_tenant_reads_its_own_entries_only(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, &neighbour(&home.tenant)).await;
    let start = head(db, &home.tenant).await;
    let mine = home.store_server(db, "mine").await;
    let theirs = other.store_server(db, "theirs").await;

    let mut tx = db.read().await.unwrap();
    let kind = ChangeKind::Server;
    let mut of = async |tenant| {
        tx.feed()
            .list_of_kind(tenant, kind, start, 9)
            .await
            .unwrap()
            .changes
    };
    let (my_changes, their_changes) = (of(&home.tenant).await, of(&other.tenant).await);

    let entry = |id: ServerId| [(ChangeKind::Server, id.to_string(), Op::Put)];
    assert_eq!(told(&my_changes), entry(mine.id));
    assert_eq!(told(&their_changes), entry(theirs.id));
}

async fn one_commit_may_change_several_tenants(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    assert_ne!(shard_of(&home.tenant), shard_of(&other.tenant));
    let (mine, theirs) = (home.server("mine"), other.server("theirs"));
    let starts = (head(db, &home.tenant).await, head(db, &other.tenant).await);

    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&theirs).await.unwrap();
    tx.servers_mut().insert(&mine).await.unwrap();
    let revision = tx.commit(&home.event()).await.unwrap();

    assert_eq!(
        revision,
        Revision(starts.0.0 + 2),
        "the revision of the event's tenant, after the event"
    );
    assert_eq!(after(db, &home.tenant, starts.0).await.len(), 1);
    let theirs_changed = after(db, &other.tenant, starts.1).await;
    let expected = NewChange {
        tenant: other.tenant.clone(),
        kind: ChangeKind::Server,
        subject: theirs.id.to_string(),
        op: Op::Put,
        owner: None,
    };
    assert_eq!(
        theirs_changed
            .into_iter()
            .map(|c| c.what)
            .collect::<Vec<_>>(),
        [expected]
    );
}

/// Eight writers of two replicas in one shard, and a reader that remembers the highest it saw.
async fn a_follower_of_concurrent_writers_misses_nothing(db: &Db) {
    const WRITERS: usize = 8;
    const COMMITS: usize = 6;
    let home = Home::settle(db, "acme").await;
    let other = db.another().await;
    let start = head(db, &home.tenant).await;
    let write = async |number: usize| {
        let store: &Store = if number.is_multiple_of(2) { db } else { &other };
        for commit in 0..COMMITS {
            let mut tx = store.write().await.unwrap();
            let server = home.server(&format!("s{number}-{commit}"));
            tx.servers_mut().insert(&server).await.unwrap();
            tx.commit(&home.event()).await.unwrap();
        }
    };
    let follow = async {
        let (mut seen, mut position) = (Vec::new(), start);
        while seen.len() < WRITERS * COMMITS {
            let new = after(db, &home.tenant, position).await;
            position = new.last().map_or(position, |change| change.revision);
            seen.extend(new);
        }
        seen
    };

    let limited = tokio::time::timeout(Duration::from_mins(1), follow);
    let (_, seen) = futures_util::join!(join_all((0..WRITERS).map(write)), limited);

    let seen = seen.expect("the reader skipped an entry and waits for it in vain");
    assert_eq!(seen, after(db, &home.tenant, start).await);
}

#[tokio::test]
async fn the_later_commit_has_the_higher_number_whoever_began_first() {
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let start = head(&db, &home.tenant).await;
    let (early, late) = (home.server("early"), home.server("late"));

    let mut begun_first = db.write().await.unwrap();
    let mut begun_second = db.write().await.unwrap();
    begun_first.servers_mut().insert(&late).await.unwrap();
    begun_second.servers_mut().insert(&early).await.unwrap();
    let first = begun_second.commit(&home.event()).await.unwrap();
    let between = after(&db, &home.tenant, start).await;
    let second = begun_first.commit(&home.event()).await.unwrap();

    assert!(first < second);
    assert_eq!(
        told(&between),
        [(ChangeKind::Server, early.id.to_string(), Op::Put)]
    );
    let rest = after(&db, &home.tenant, first).await;
    assert_eq!(
        told(&rest),
        [(ChangeKind::Server, late.id.to_string(), Op::Put)]
    );
}

/// A transaction that has drawn its number but is not committed holds the next one back.
#[tokio::test]
async fn no_number_is_given_past_one_that_is_not_committed() {
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let start = head(&db, &home.tenant).await;
    let mut slow = db.raw().await;
    slow.execute("BEGIN").await;
    slow.execute("UPDATE feed_heads SET seq = seq + 1").await;

    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&home.server("one")).await.unwrap();
    let mut event = home.event();
    event.at = later(1);
    let look = async {
        db.somebody_waits().await;
        let meanwhile = (
            head(&db, &home.tenant).await,
            after(&db, &home.tenant, start).await,
        );
        slow.execute("COMMIT").await;
        meanwhile
    };
    let (revision, meanwhile) = futures_util::join!(tx.commit(&event), look);

    assert_eq!(
        meanwhile,
        (start, Vec::new()),
        "nothing is seen while it waits"
    );
    assert_eq!(revision.unwrap(), Revision(start.0 + 3));
}
