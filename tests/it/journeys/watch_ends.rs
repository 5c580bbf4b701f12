//! What ends a watch: its key, its tenant, the process, and time.

use std::time::Duration;

use stationmaster::app::{
    App, ConnectionEvent, ConnectionWatch, Error, Presented, SecretText, Told, WatchConnections,
};
use stationmaster::client::{Client, answer, v1};
use stationmaster::domain::changes::Revision;

use crate::harness::client::{actor, reason, refusal};
use crate::harness::database::Raw;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching::{after, all, burst, watch};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    a_revoked_key_ends_its_watches,
    a_key_that_expires_ends_its_watches,
    a_deleted_tenant_ends_its_watches,
    the_end_of_the_process_is_told,
    what_is_forgotten_cannot_be_resumed_after,
    a_watcher_that_reads_is_told_any_number,
}

async fn key(client: &Client, role: v1::Role, expires_in: Option<i64>) -> (String, String) {
    let seconds = |seconds| prost_types::Timestamp {
        seconds: 1_767_225_600 + seconds,
        nanos: 0,
    };
    let request = v1::CreateApiKeyRequest {
        role: role.into(),
        name: "watches".to_owned(),
        expire_time: expires_in.map(seconds),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(client.access().create_api_key(request))
        .await
        .unwrap();
    (made.api_key.unwrap().id, made.secret)
}

/// A watch of a handshake, which has told its first state.
async fn handshake(client: &Client) -> tonic::Streaming<v1::WatchHandshakeResponse> {
    let request = v1::StartHandshakeRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let begun = answer(client.handshakes().start_handshake(request)).await;
    let request = v1::WatchHandshakeRequest {
        handshake: begun.unwrap().handshake.unwrap().id,
    };
    let watch = answer(client.handshakes().watch_handshake(request)).await;
    let mut watch = watch.unwrap();
    watch.message().await.unwrap().unwrap();
    watch
}

/// Why such a watch ends, within a second.
async fn why(mut watch: tonic::Streaming<v1::WatchHandshakeResponse>) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(1), watch.message()).await;
    let ended = ended.expect("the watch should end within a second");
    reason(ended.map_err(stationmaster::client::Error::from))
}

async fn a_revoked_key_ends_its_watches(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    for role in [v1::Role::Daemon, v1::Role::Operator] {
        let (id, secret) = key(&world.admin, role, None).await;
        let client = world.service.client(&secret).await;
        let mut watched = watch(&client, all()).await.unwrap().synced().await;
        // Operators start no handshakes.
        let steps = if role == v1::Role::Daemon {
            Some(handshake(&client).await)
        } else {
            None
        };
        let kept = watch(&world.daemon, all()).await.unwrap();
        let mut kept = kept.synced().await;

        let request = v1::RevokeApiKeyRequest { api_key: id };
        let revoked = answer(world.admin.access().revoke_api_key(request)).await;

        assert!(revoked.is_ok(), "{revoked:?}");
        let ended = refusal::<()>(Err(watched.end().await));
        assert_eq!(ended.reason, "CREDENTIALS_INVALID");
        assert_eq!(ended.code, tonic::Code::Unauthenticated);
        if let Some(steps) = steps {
            assert_eq!(why(steps).await, "CREDENTIALS_INVALID");
        }
        world.connect("alice", "tools").await;
        kept.next().await;
    }
}

async fn a_key_that_expires_ends_its_watches(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let (_, secret) = key(&world.admin, v1::Role::Daemon, Some(60)).await;
    let client = world.service.client(&secret).await;
    let mut watched = watch(&client, all()).await.unwrap().synced().await;
    let steps = handshake(&client).await;

    world.pass(60);

    let ended = (watched.end().await, why(steps).await);
    assert_eq!(reason::<()>(Err(ended.0)), "CREDENTIALS_INVALID");
    assert_eq!(ended.1, "CREDENTIALS_INVALID");
}

async fn a_deleted_tenant_ends_its_watches(engine: Engine) {
    let world = World::start(engine).await;
    let request = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
    let service = &world.service;
    let daemon = service.key_in(Some("acme"), v1::Role::Daemon, "").await;
    let clients = [
        service.client(&daemon).await,
        service.client_in(service.admin_key(), Some("acme")).await,
    ];
    let mut watches = Vec::new();
    for client in &clients {
        watches.push(watch(client, all()).await.unwrap().synced().await);
    }

    let request = v1::DeleteTenantRequest {
        tenant: "acme".to_owned(),
        etag: String::new(),
    };
    let deleted = answer(world.admin.tenants().delete_tenant(request)).await;

    assert!(deleted.is_ok(), "{deleted:?}");
    for watched in &mut watches {
        let ended = Err::<(), _>(watched.end().await);
        assert_eq!(reason(ended), "TENANT_NOT_FOUND");
    }
}

async fn the_end_of_the_process_is_told(engine: Engine) {
    let world = World::start(engine).await;
    let mut watched = watch(&world.admin, all()).await.unwrap().synced().await;

    let World { service, .. } = world;
    let (ended, ()) = tokio::join!(watched.end(), service.stop());

    let ended = refusal::<()>(Err(ended));
    assert_eq!(ended.reason, "SHUTTING_DOWN");
    assert!(ended.retry_after.is_some());
}

async fn what_is_forgotten_cannot_be_resumed_after(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let began = watch(&world.admin, all()).await.unwrap().existing().await.1;
    world.pass(24 * 60 * 60 + 1);
    world.connect("bob", "tools").await;

    let swept = world.service.within(async |app| app.sweep().await).await;

    assert!(swept.unwrap() > 0);
    let floor = |refused| {
        let refused = refusal(refused);
        assert_eq!(refused.reason, "REVISION_COMPACTED");
        assert_eq!(refused.code, tonic::Code::OutOfRange);
        refused.metadata["revision"].parse::<i64>().unwrap()
    };
    let before = floor(watch(&world.admin, after(began - 1)).await.map(drop));
    let beyond = floor(watch(&world.admin, after(i64::MAX)).await.map(drop));
    assert_eq!((before, beyond), (began, began));
    let mut resumed = watch(&world.admin, after(before)).await.unwrap();
    assert_eq!(resumed.existing().await, (Vec::new(), began));
    let bob = resumed.next().await.connection.unwrap();
    assert_eq!(bob.user, "bob");
    let mut anew = watch(&world.admin, all()).await.unwrap();
    assert_eq!(anew.existing().await.0.len(), 2);
}

/// A watch at the use cases, where a test decides who reads when.
async fn bare(service: &TestService, after: Option<Revision>) -> ConnectionWatch {
    let key = service.admin_key().to_owned();
    let begin = async move |app: App| {
        let presented = Presented {
            path: "/stationmaster.v1.TokenService/WatchConnections",
            key: Some(&SecretText(&key)),
            user_token: None,
            tenant: None,
            address: None,
            request_id: "a test's",
        };
        let caller = app.authenticate(presented).await?;
        let ask = WatchConnections {
            actor: None,
            servers: Vec::new(),
            after,
        };
        app.watch_connections(&caller, ask).await
    };
    service.within(begin).await.unwrap()
}

async fn read(
    service: &TestService,
    watch: &mut Option<ConnectionWatch>,
) -> Result<Told<ConnectionEvent>, Error> {
    let mut reading = watch.take().unwrap();
    let reading = async move |_| {
        let told = reading.next().await;
        (reading, told)
    };
    let (read, told) = service.within(reading).await;
    *watch = Some(read);
    told
}

/// A watch that has told everything and waits for changes.
async fn live(
    service: &TestService,
    raw: &mut Raw,
) -> (Option<ConnectionWatch>, Told<ConnectionEvent>) {
    let mut watch = Some(bare(service, None).await);
    assert_eq!(
        read(service, &mut watch).await.unwrap().event,
        ConnectionEvent::Synced
    );
    raw.execute("BEGIN").await;
    raw.execute("UPDATE feed_heads SET seq = seq + 1 WHERE shard = 14")
        .await;
    raw.execute(
        "INSERT INTO changes (shard, seq, tenant, kind, subject, op, at) \
         SELECT shard, seq, 'default', 'connection', 'con_', 'delete', 1767225600000000 \
         FROM feed_heads WHERE shard = 14",
    )
    .await;
    raw.execute("COMMIT").await;
    let told = read(service, &mut watch).await.unwrap();
    assert_eq!(told.event, ConnectionEvent::Delete("con_".to_owned()));
    (watch, told)
}

async fn a_watcher_that_reads_is_told_any_number(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let mut raw = raw(&database).await;
    let (mut watch, last) = live(&service, &mut raw).await;

    let waiting = async {
        let mut told = Vec::new();
        while told.len() < 1001 {
            told.push(read(&service, &mut watch).await.unwrap().revision.0);
        }
        told
    };
    let (told, ()) = tokio::join!(waiting, burst(&mut raw, &service));

    let expected: Vec<_> = (1..=1001).map(|number| last.revision.0 + number).collect();
    assert_eq!(told, expected);
    drop(watch);
    service.stop().await;
}
