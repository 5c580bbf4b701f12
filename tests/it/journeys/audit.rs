//! Who did what to what: found by whoever may know, as long as it is kept.

use stationmaster::client::{answer, v1};
use v1::{AuditActorKind as Kind, AuditVerdict as Verdict};

use crate::harness::client::{actor, fields, reason};
use crate::harness::service::Engine;
use crate::harness::trail::{actions, any, detail, done, list};
use crate::harness::world::{self, World, on_both_engines, open};

on_both_engines! {
    a_change_and_its_refusal_are_found_by_each_filter,
    pages_go_through_everything_and_keep_to_their_filter,
    what_makes_no_sense_is_named,
    another_tenant_sees_nothing,
    operators_read_the_trail_of_a_tenant_that_is_gone,
    what_is_kept_no_longer_is_forgotten,
}

pub(super) fn text(text: &str) -> String {
    text.to_owned()
}

async fn a_change_and_its_refusal_are_found_by_each_filter(engine: Engine) {
    let world = World::start(engine).await;
    let auditor = world.service.client_as(v1::Role::Auditor, "").await;
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    let server = world.create(open("tools")).await.unwrap();
    world.pass(60);
    let request = v1::CreateServerRequest {
        server: Some(open("more")),
        ..v1::CreateServerRequest::default()
    };
    let refused = world::create(&auditor, request).await;
    assert_eq!(reason(refused), "ROLE_NOT_ALLOWED");
    world.pass(1);
    let request = v1::ListConnectionsRequest {
        actor: actor("bob"),
        ..v1::ListConnectionsRequest::default()
    };
    let refused = answer(alice.tokens().list_connections(request)).await;
    assert_eq!(reason(refused), "USER_NOT_ALLOWED");
    world.pass(1);
    select(&world, &["tools"]).await;

    let made = list(&auditor, done(&["server.create"])).await.unwrap();
    let refusals = v1::AuditFilter {
        verdict: Verdict::Refused.into(),
        ..any()
    };
    let refusals = list(&auditor, refusals).await.unwrap();

    let [made] = &made[..] else {
        panic!("{made:#?}")
    };
    assert_eq!(
        (made.actor_kind(), made.verdict()),
        (Kind::Caller, Verdict::Done)
    );
    assert_eq!(
        (&made.subject, &made.address),
        (&server.id, &Some(text("127.0.0.1")))
    );
    assert_eq!((made.count, made.reason.as_str()), (1, ""));
    assert!(made.id.starts_with("evt_") && made.revision > 0 && !made.request_id.is_empty());
    let why: Vec<_> = refusals
        .iter()
        .map(|refused| refused.reason.as_str())
        .collect();
    assert_eq!(why, ["USER_NOT_ALLOWED", "ROLE_NOT_ALLOWED"]);
    assert!(
        refusals
            .iter()
            .all(|refused| refused.action == "access.refuse")
    );
    let role = &refusals[1];
    assert_eq!(role.subject, "/stationmaster.v1.ConfigService/CreateServer");

    for (filter, expected) in cases(made, role) {
        assert_eq!(actions(&auditor, filter).await, expected);
    }
}

/// What each filter finds of what happened: at first a server was made, and a minute later one caller was
/// refused, another one too, and a chat was given servers.
fn cases(
    made: &v1::AuditEvent,
    refused: &v1::AuditEvent,
) -> [(v1::AuditFilter, &'static [&'static str]); 7] {
    let since = prost_types::Timestamp {
        seconds: 1_767_225_660,
        nanos: 0,
    };
    let chosen = ["chat.select"].as_slice();
    let later = ["chat.select", "access.refuse", "access.refuse"].as_slice();
    [
        (done(&["chat.*", "access.*"]), later),
        (
            v1::AuditFilter {
                start_time: Some(since),
                ..any()
            },
            later,
        ),
        (
            v1::AuditFilter {
                user: text("alice"),
                ..any()
            },
            chosen,
        ),
        (
            v1::AuditFilter {
                subject: text("chat"),
                ..any()
            },
            chosen,
        ),
        (
            v1::AuditFilter {
                principal: refused.principal.clone(),
                ..any()
            },
            &["access.refuse"],
        ),
        (
            v1::AuditFilter {
                request_id: made.request_id.clone(),
                ..any()
            },
            &["server.create"],
        ),
        (
            v1::AuditFilter {
                actor_kind: Kind::Service.into(),
                end_time: Some(since),
                ..done(&["root_key.*"])
            },
            &["root_key.add"],
        ),
    ]
}

pub(super) async fn select(world: &World, servers: &[&str]) {
    let request = v1::SetChatServersRequest {
        actor: actor("alice"),
        chat_id: text("chat"),
        servers: servers.iter().map(|&server| text(server)).collect(),
    };
    answer(world.daemon.chats().set_chat_servers(request))
        .await
        .unwrap();
}

async fn pages_go_through_everything_and_keep_to_their_filter(engine: Engine) {
    let world = World::start(engine).await;
    for number in 0..5 {
        select(&world, &[]).await;
        world.pass(number % 2);
    }
    let all = list(&world.admin, done(&["chat.*"])).await.unwrap();
    let page = |filter: v1::AuditFilter, token: &str| v1::ListAuditEventsRequest {
        filter: Some(filter),
        page_size: 2,
        page_token: text(token),
    };

    let (mut paged, mut tokens) = (Vec::new(), vec![String::new()]);
    while let Some(token) = tokens
        .last()
        .filter(|token| tokens.len() == 1 || !token.is_empty())
    {
        let request = page(done(&["chat.*"]), token);
        let found = answer(world.admin.audit().list_audit_events(request)).await;
        let found = found.unwrap();
        paged.extend(found.events);
        tokens.push(found.next_page_token);
    }

    assert_eq!((paged.len(), tokens.len()), (5, 4));
    assert_eq!(paged, all);
    let other = page(done(&["server.*"]), &tokens[1]);
    let other = answer(world.admin.audit().list_audit_events(other)).await;
    assert_eq!(fields(other), ["page_token"]);
}

async fn what_makes_no_sense_is_named(engine: Engine) {
    let world = World::start(engine).await;
    let bad = v1::AuditFilter {
        actions: vec![text("server")],
        principal: text("a\u{0}b"),
        user: "x".repeat(1025),
        verdict: 9,
        actor_kind: 9,
        start_time: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..any()
    };
    let many = v1::AuditFilter {
        actions: (0..33)
            .map(|n| format!("a.{}", "b".repeat(n + 1)))
            .collect(),
        ..any()
    };
    let request = v1::WatchAuditEventsRequest {
        filter: Some(v1::AuditFilter {
            end_time: Some(prost_types::Timestamp::default()),
            ..any()
        }),
        after_revision: Some(-1),
    };

    let bad = list(&world.admin, bad).await;
    let many = list(&world.admin, many).await;
    let watch = answer(world.admin.audit().watch_audit_events(request)).await;

    let mut named = fields(bad);
    named.sort_unstable();
    let expected = [
        "actions",
        "actor_kind",
        "principal",
        "start_time",
        "user",
        "verdict",
    ];
    assert_eq!(named, expected.map(|field| format!("filter.{field}")));
    assert_eq!(fields(many), ["filter.actions"]);
    assert_eq!(
        fields(watch.map(drop)),
        ["filter.end_time", "after_revision"]
    );
}

async fn make_tenant(world: &World, id: &str) {
    let request = v1::CreateTenantRequest {
        tenant_id: text(id),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
}

async fn another_tenant_sees_nothing(engine: Engine) {
    let world = World::start(engine).await;
    make_tenant(&world, "acme").await;
    world.pass(1);
    let key = world
        .service
        .key_in(Some("acme"), v1::Role::Admin, "")
        .await;
    let acme = world.service.client(&key).await;
    let server = world.create(open("tools")).await.unwrap();
    let theirs = v1::AuditFilter {
        subject: server.id,
        ..any()
    };

    let seen = list(&acme, any()).await.unwrap();
    let sought = list(&acme, theirs.clone()).await.unwrap();

    let seen: Vec<_> = seen.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(seen, ["api_key.create", "tenant.create"]);
    assert_eq!(sought, []);
    assert_eq!(list(&world.admin, theirs).await.unwrap().len(), 1);
}

async fn operators_read_the_trail_of_a_tenant_that_is_gone(engine: Engine) {
    let world = World::start(engine).await;
    make_tenant(&world, "acme").await;
    world.pass(1);
    let request = v1::DeleteTenantRequest {
        tenant: text("acme"),
        ..v1::DeleteTenantRequest::default()
    };
    answer(world.admin.tenants().delete_tenant(request))
        .await
        .unwrap();
    let service = &world.service;
    let there = service.client_in(service.admin_key(), Some("acme")).await;
    let never = service.client_in(service.admin_key(), Some("never")).await;

    let seen = actions(&there, any()).await;
    let deleted = detail(&there, "tenant.delete").await;
    let request = v1::WatchAuditEventsRequest::default();
    let watched = answer(there.audit().watch_audit_events(request)).await;

    assert_eq!(seen, ["tenant.delete", "tenant.create"]);
    assert_eq!(deleted["before"]["state"], "active");
    assert_eq!(deleted["after"]["state"], "deleted");
    assert_eq!(reason(watched.map(drop)), "TENANT_NOT_FOUND");
    assert_eq!(reason(list(&never, any()).await), "TENANT_NOT_FOUND");
}

async fn what_is_kept_no_longer_is_forgotten(engine: Engine) {
    const DAY: u64 = 24 * 60 * 60;
    for (retention, left) in [("30d", 0), ("0s", 1)] {
        let settings = [("audit.retention", retention)];
        let world = World::start_with(engine, &settings).await;
        world.create(open("old")).await.unwrap();
        world.pass(DAY * 30 + 1);
        let young = world.create(open("young")).await.unwrap();

        let swept = world.service.within(async |app| app.sweep().await).await;

        assert!(swept.is_ok());
        let events = list(&world.admin, done(&["server.create"])).await.unwrap();
        assert_eq!(events.len(), 1 + left, "{retention}");
        assert_eq!(events[0].subject, young.id);
    }
}
