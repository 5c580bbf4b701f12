//! Following the audit trail.

use stationmaster::client::{answer, v1};
use v1::AuditVerdict as Verdict;

use crate::harness::client::{reason, refusal};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::trail::{Trail, any, done};
use crate::harness::world::{self, World, on_both_engines, open};
use crate::walks::rows::raw;

on_both_engines! {
    what_happens_from_now_on_is_told_in_order,
    a_resumed_watch_sees_what_came_since_refusals_too,
    many_events_at_once_are_all_told,
    nobody_elses_events_are_told,
    a_watch_ends_with_its_key_and_with_the_process,
    what_is_forgotten_cannot_be_resumed_after,
    a_database_that_is_put_back_ends_a_watch,
}

fn refused() -> v1::AuditFilter {
    v1::AuditFilter {
        verdict: Verdict::Refused.into(),
        ..any()
    }
}

/// The daemon tries to make a server, which it may not.
async fn overreach(world: &World) {
    let request = v1::CreateServerRequest {
        server: Some(open("mine")),
        ..v1::CreateServerRequest::default()
    };
    let made = world::create(&world.daemon, request).await;
    assert_eq!(reason(made), "ROLE_NOT_ALLOWED");
}

async fn what_happens_from_now_on_is_told_in_order(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("before")).await.unwrap();

    let (mut all, begun) = Trail::synced(&world.admin, any(), None).await;
    let (mut refusals, _) = Trail::synced(&world.admin, refused(), None).await;
    let one = world.create(open("one")).await.unwrap();
    overreach(&world).await;
    let two = world.create(open("two")).await.unwrap();

    let mut last = begun;
    for (action, subject) in [
        ("server.create", one.id.as_str()),
        (
            "access.refuse",
            "/stationmaster.v1.ConfigService/CreateServer",
        ),
        ("server.create", &two.id),
    ] {
        let event = all.next().await;
        assert_eq!(
            (event.action.as_str(), event.subject.as_str()),
            (action, subject)
        );
        assert!(event.revision > last, "{event:?}");
        last = event.revision;
    }
    assert_eq!(refusals.next().await.reason, "ROLE_NOT_ALLOWED");
}

async fn a_resumed_watch_sees_what_came_since_refusals_too(engine: Engine) {
    let world = World::start(engine).await;
    let (mut first, _) = Trail::synced(&world.admin, any(), None).await;
    world.create(open("one")).await.unwrap();
    let seen = first.next().await.revision;
    drop(first);
    overreach(&world).await;
    world.create(open("two")).await.unwrap();

    let (mut second, from) = Trail::synced(&world.admin, any(), Some(seen)).await;
    let (mut refusals, _) = Trail::synced(&world.admin, refused(), Some(seen)).await;

    assert_eq!(from, seen);
    assert_eq!(second.next().await.action, "access.refuse");
    assert_eq!(second.next().await.action, "server.create");
    assert_eq!(refusals.next().await.action, "access.refuse");
    overreach(&world).await;
    for trail in [&mut second, &mut refusals] {
        assert_eq!(trail.next().await.action, "access.refuse");
    }
}

async fn many_events_at_once_are_all_told(engine: Engine) {
    const MANY: usize = 250;
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let (mut trail, begun) = Trail::synced(&world.admin, done(&["test.many"]), None).await;
    let mut raw = raw(&database).await;

    raw.execute("BEGIN").await;
    raw.execute("UPDATE feed_heads SET seq = seq + 250 WHERE shard = 14")
        .await;
    raw.execute(
        "INSERT INTO audit_events (id, tenant, at, actor_kind, principal, principal_name, action, \
         subject, verdict, detail, revision) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
         SELECT 'evt_0190c0ffee007000800000000000' || (1000 + i), 'default', 1767225600000000, \
         'service', '', '', 'test.many', 'x', 'done', '{}', \
         (SELECT seq FROM feed_heads WHERE shard = 14) - 250 + i FROM n",
    )
    .await;
    raw.execute("COMMIT").await;

    let mut told = Vec::new();
    while told.len() < MANY {
        told.push(trail.next().await.revision);
    }
    assert!(told[0] > begun);
    assert!(told.windows(2).all(|two| two[1] == two[0] + 1), "{told:?}");
    drop(trail);
    world.service.stop().await;
}

async fn nobody_elses_events_are_told(engine: Engine) {
    let world = World::start(engine).await;
    let request = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
    let key = world
        .service
        .key_in(Some("acme"), v1::Role::Admin, "")
        .await;
    let acme = world.service.client(&key).await;
    let (mut trail, _) = Trail::synced(&acme, any(), None).await;

    world.create(open("theirs")).await.unwrap();
    let request = v1::CreateServerRequest {
        server: Some(open("ours")),
        ..v1::CreateServerRequest::default()
    };
    let ours = world::create(&acme, request).await.unwrap();

    assert_eq!(trail.next().await.subject, ours.server.unwrap().id);
}

async fn a_watch_ends_with_its_key_and_with_the_process(engine: Engine) {
    let world = World::start(engine).await;
    let key = world.service.key_in(None, v1::Role::Auditor, "").await;
    let auditor = world.service.client(&key).await;
    let (mut trail, _) = Trail::synced(&auditor, any(), None).await;
    let (mut kept, _) = Trail::synced(&world.admin, done(&["api_key.*"]), None).await;

    let id = format!("key_{}", key.split('_').nth(1).unwrap());
    let request = v1::RevokeApiKeyRequest { api_key: id };
    let revoked = answer(world.admin.access().revoke_api_key(request)).await;

    assert!(revoked.is_ok(), "{revoked:?}");
    assert_eq!(reason::<()>(Err(trail.end().await)), "CREDENTIALS_INVALID");
    assert_eq!(kept.next().await.action, "api_key.revoke");
    let World { service, .. } = world;
    let (ended, ()) = tokio::join!(kept.end(), service.stop());
    assert_eq!(reason::<()>(Err(ended)), "SHUTTING_DOWN");
}

async fn what_is_forgotten_cannot_be_resumed_after(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("one")).await.unwrap();
    world.pass(24 * 60 * 60 + 1);
    world.create(open("two")).await.unwrap();
    let swept = world.service.within(async |app| app.sweep().await).await;
    assert!(swept.is_ok());

    let before = Trail::watch(&world.admin, any(), Some(1)).await;
    let beyond = Trail::watch(&world.admin, any(), Some(i64::MAX)).await;

    let refused = refusal(before);
    assert_eq!(refused.reason, "REVISION_COMPACTED");
    let floor = refused.metadata["revision"].parse().unwrap();
    assert_eq!(reason(beyond), "REVISION_COMPACTED");
    let (mut resumed, _) = Trail::synced(&world.admin, done(&["server.*"]), Some(floor)).await;
    assert_eq!(resumed.next().await.action, "server.create");
}

async fn a_database_that_is_put_back_ends_a_watch(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(open("one")).await.unwrap();
    let (mut trail, _) = Trail::synced(&world.admin, any(), None).await;
    let mut raw = raw(&database).await;

    raw.execute("UPDATE feed_heads SET seq = 1 WHERE shard = 14")
        .await;

    assert_eq!(reason::<()>(Err(trail.end().await)), "REVISION_COMPACTED");
    drop(trail);
    world.service.stop().await;
}
