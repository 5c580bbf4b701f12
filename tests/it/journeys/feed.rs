//! The feed between replicas, without a bell, and while the database is away.

use std::time::Duration;

use serde_json::Value;
use stationmaster::client::v1::ChangeKind as Kind;

use crate::harness::client::reason;
use crate::harness::http;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching::{all, said, watch};
use crate::harness::world::{World, resolve};
use crate::walks::rows::raw;

/// One connection goes, past every bell.
const SILENT: [&str; 4] = [
    "BEGIN",
    "UPDATE feed_heads SET seq = seq + 1 WHERE shard = 14",
    "INSERT INTO changes (shard, seq, tenant, kind, subject, op, at) \
     SELECT shard, seq, 'default', 'connection', 'con_1', 'delete', 1767225600000000 \
     FROM feed_heads WHERE shard = 14",
    "COMMIT",
];

#[tokio::test]
async fn what_changes_at_one_replica_is_told_at_the_other() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let second = {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        let second = world.service.replica_on(&database).await;
        world.found("tools").await;
        let (admin, daemon) = (world.service.admin_key(), world.service.daemon_key());
        let (admin, daemon) = (second.client(admin).await, second.client(daemon).await);
        let mut watched = watch(&admin, all()).await.unwrap().synced().await;
        let mut lost = watch(&daemon, all()).await.unwrap().synced().await;

        world.connect("alice", "tools").await;
        let connected = watched.next().await;
        let seen = resolve(&daemon, "alice", "tools").await;
        let id = world.service.daemon_key().split('_').nth(1).unwrap();
        let request = stationmaster::client::v1::RevokeApiKeyRequest {
            api_key: format!("key_{id}"),
        };
        let revoked = world.admin.access().revoke_api_key(request).await;

        assert_eq!(said(&connected), (Kind::Put, "alice".to_owned()));
        assert_eq!(seen.slug, "tools");
        assert!(revoked.is_ok(), "{revoked:?}");
        let ended = Err::<(), _>(lost.end().await);
        assert_eq!(reason(ended), "CREDENTIALS_INVALID");
        world.service.stop().await;
        second
    };
    second.stop().await;
}

async fn without_a_bell(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let mut watched = watch(&world.admin, all()).await.unwrap().synced().await;
    let mut raw = raw(&database).await;

    for statement in SILENT {
        raw.execute(statement).await;
    }

    let gone = watched.next().await;
    assert_eq!((gone.kind(), &*gone.connection_id), (Kind::Delete, "con_1"));
    drop(watched);
    world.service.stop().await;
}

#[tokio::test]
async fn what_nobody_rings_for_is_told_too_on_sqlite() {
    without_a_bell(Engine::Sqlite).await;
}

#[tokio::test]
async fn what_nobody_rings_for_is_told_too_on_postgres() {
    without_a_bell(Engine::Postgres).await;
}

async fn put_back(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let mut watched = watch(&world.admin, all()).await.unwrap().synced().await;
    let mut raw = raw(&database).await;

    raw.execute("UPDATE feed_heads SET seq = 1 WHERE shard = 14")
        .await;

    assert_eq!(
        reason(Err::<(), _>(watched.end().await)),
        "REVISION_COMPACTED"
    );
    drop(watched);
    world.service.stop().await;
}

#[tokio::test]
async fn a_watch_ends_when_the_database_is_put_back_on_sqlite() {
    put_back(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_watch_ends_when_the_database_is_put_back_on_postgres() {
    put_back(Engine::Postgres).await;
}

/// What the probe says of the feed, and whether work should be sent there.
async fn probe(service: &TestService) -> (String, bool) {
    let ready = http::get(&format!("{}/readyz", service.operations_url()), &[]).await;
    let said: Value = serde_json::from_str(&ready.text).unwrap();
    (
        said["feed"].as_str().unwrap().to_owned(),
        ready.status == 200,
    )
}

/// How long ago the feed was read, as metrics have it, in seconds.
async fn lag(service: &TestService) -> f64 {
    let metrics = http::get(&format!("{}/metrics", service.operations_url()), &[]).await;
    let lag = metrics
        .text
        .lines()
        .find_map(|line| line.strip_prefix("stationmaster_feed_lag_seconds "));
    lag.unwrap().parse().unwrap()
}

async fn away(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let mut watched = watch(&world.admin, all()).await.unwrap().synced().await;
    let mut raw = raw(&database).await;
    // Whoever was told of a change reads nothing more until it hears of the next.
    for statement in SILENT {
        raw.execute(statement).await;
    }
    assert_eq!(watched.next().await.kind(), Kind::Delete);

    raw.execute("ALTER TABLE feed_heads RENAME TO away").await;
    World::until("the feed cannot be read", async || {
        let followed = world.service.within(async |app| app.follow_feed().await);
        followed.await.is_err()
    })
    .await;
    world.service.clock().advance(Duration::from_secs(10));
    let (behind, said) = (lag(&world.service).await, probe(&world.service).await);
    raw.execute("ALTER TABLE away RENAME TO feed_heads").await;

    assert_eq!(said, ("lags".to_owned(), true));
    assert!((behind - 10.0).abs() < 0.1, "{behind}");
    World::until("the feed is read again", async || {
        probe(&world.service).await == ("ok".to_owned(), true)
    })
    .await;
    for statement in SILENT {
        raw.execute(statement).await;
    }
    assert_eq!(watched.next().await.kind(), Kind::Delete);
    drop(watched);
    world.service.stop().await;
}

#[tokio::test]
async fn a_follower_outlives_its_database_on_sqlite() {
    away(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_follower_outlives_its_database_on_postgres() {
    away(Engine::Postgres).await;
}
