//! Refusals on record: of callers that reach too far, and of strangers.

use serde_json::{Value, json};
use stationmaster::client::{answer, v1};
use v1::{AuditActorKind as Kind, AuditVerdict as Verdict};

use super::audit::text;
use crate::harness::client::{actor, reason};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::trail::{any, done, list};
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows;
use crate::walks::wire::{As, Wire};

on_both_engines! {
    a_key_that_reaches_for_more_is_on_record,
    who_names_another_users_chat_is_on_record,
    a_key_narrowed_to_servers_reads_no_trail,
    strangers_are_counted_by_source_and_minute,
    what_was_counted_is_written_at_the_end,
}

async fn a_key_that_reaches_for_more_is_on_record(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(open("tools")).await.unwrap();
    let narrow = |role: v1::Role, servers: Vec<String>| v1::CreateApiKeyRequest {
        role: role.into(),
        name: text("narrow"),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers,
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let mut access = world.admin.access();
    let made = access.create_api_key(narrow(v1::Role::Admin, vec![server.id]));
    let narrowed = world
        .service
        .client(&answer(made).await.unwrap().secret)
        .await;

    let mut access = narrowed.access();
    let wider = access
        .create_api_key(narrow(v1::Role::Admin, Vec::new()))
        .await;
    world.pass(1);
    let operator = access
        .create_api_key(narrow(v1::Role::Operator, Vec::new()))
        .await;
    world.pass(1);
    let purged = v1::PurgeUserRequest { user: text("ann") };
    let purged = answer(narrowed.tokens().purge_user(purged)).await;

    assert!(wider.is_err() && operator.is_err());
    assert_eq!(reason(purged), "KEY_NARROWED");
    let refused = list(&world.admin, done(&["access.refuse"])).await.unwrap();
    let refused: Vec<_> = refused
        .iter()
        .map(|event| {
            (
                event.reason.as_str(),
                event.subject.rsplit('/').next().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        refused,
        [
            ("KEY_NARROWED", "PurgeUser"),
            ("ROLE_NOT_ALLOWED", "CreateApiKey"),
            ("INVALID_ARGUMENT", "CreateApiKey"),
        ]
    );
}

async fn who_names_another_users_chat_is_on_record(engine: Engine) {
    let world = World::start(engine).await;
    let ask = |user: &str| v1::SetChatServersRequest {
        actor: actor(user),
        chat_id: text("chat"),
        servers: Vec::new(),
    };
    let mut chats = world.daemon.chats();
    answer(chats.set_chat_servers(ask("alice"))).await.unwrap();

    let taken = answer(chats.set_chat_servers(ask("bob"))).await;

    assert_eq!(reason(taken), "CHAT_OWNED_BY_ANOTHER_USER");
    let refused = list(&world.admin, done(&["access.refuse"])).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason, "CHAT_OWNED_BY_ANOTHER_USER");
    assert!(refused[0].subject.ends_with("/SetChatServers"));
}

async fn a_key_narrowed_to_servers_reads_no_trail(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(open("tools")).await.unwrap();
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Auditor.into(),
        name: text("narrow"),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec![server.id],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    let narrowed = world.service.client(&made.unwrap().secret).await;

    let listed = list(&narrowed, any()).await;
    let request = v1::WatchAuditEventsRequest::default();
    let watched = answer(narrowed.audit().watch_audit_events(request)).await;

    assert_eq!(reason(listed), "KEY_NARROWED");
    assert_eq!(reason(watched.map(drop)), "KEY_NARROWED");
}

/// Calls without a key, and with one that is none.
async fn knock(service: &TestService, missing: usize, invalid: usize) {
    let wire = Wire::new(service.grpc_channel().await);
    let path = "/stationmaster.v1.AccessService/WhoAmI";
    for _ in 0..missing {
        wire.code_of(path, As::default(), Vec::new()).await;
    }
    for _ in 0..invalid {
        wire.code_of(path, As::key("stm_x"), Vec::new()).await;
    }
}

async fn strangers_are_counted_by_source_and_minute(engine: Engine) {
    let world = World::start(engine).await;
    let counted = async || {
        let written = world.service.within(async |app| app.write_refusals().await);
        written.await.unwrap();
        list(&world.admin, done(&["access.refuse_stranger"]))
            .await
            .unwrap()
    };
    world.pass(30);
    knock(&world.service, 1, 2).await;
    world.pass(20);
    knock(&world.service, 0, 1).await;
    assert_eq!(counted().await, [], "the minute is not over");
    world.pass(10);
    knock(&world.service, 2, 0).await;
    world.pass(60);

    // The worker may be at it just now.
    World::until("both minutes are written", async || {
        counted().await.len() == 2
    })
    .await;

    let events = counted().await;
    let told = events.iter().map(|event| {
        assert_eq!(
            (event.actor_kind(), event.verdict()),
            (Kind::Unknown, Verdict::Refused)
        );
        assert_eq!(event.address.as_deref(), Some("127.0.0.1"));
        let at = event.event_time.unwrap().seconds - 1_767_225_600;
        (at, event.count, event.reason.as_str())
    });
    let expected = [
        (60, 2, "CREDENTIALS_MISSING"),
        (0, 4, "CREDENTIALS_INVALID"),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let first: Value = serde_json::from_str(&events[1].detail_json).unwrap();
    assert_eq!(first, json!({ "missing": 1, "invalid": 3 }));
}

async fn what_was_counted_is_written_at_the_end(engine: Engine) {
    const COUNTED: &str = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM audit_events \
        WHERE action = 'access.refuse_stranger' AND tenant = 'default'";
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;

    knock(&service, 2, 3).await;
    service.stop().await;

    assert_eq!(rows::raw(&database).await.number(COUNTED).await, 5);
}
