//! What an import is held against: itself, the server, the caller, and what was asked before.

use stationmaster::client::{Client, Error, answer, v1};
use v1::{ConnectionState, Role};

use super::imports::{deployment, foreign, grant, import};
use crate::harness::client::{actor, fields, reason};
use crate::harness::service::Engine;
use crate::harness::world::{on_both_engines, open};

on_both_engines! {
    a_repeated_request_answers_the_same_connection,
    imports_of_one_request_at_once_make_one_connection,
    every_offence_is_named_at_once,
    what_is_not_of_the_server_is_refused,
    only_servers_that_users_connect_to_take_grants,
    who_keeps_grants_may_import_them,
    nobody_else_sees_an_imported_grant,
}

const REQUEST: &str = "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0007";

async fn by(client: &Client, ask: v1::ImportConnectionRequest) -> Result<v1::Connection, Error> {
    let made = answer(client.tokens().import_connection(ask)).await;
    made.map(|made| made.connection.unwrap())
}

async fn a_repeated_request_answers_the_same_connection(engine: Engine) {
    let world = deployment(engine).await;
    let ask = v1::ImportConnectionRequest {
        request_id: REQUEST.to_owned(),
        ..foreign(&world, "alice")
    };
    let first = import(&world, ask.clone()).await.unwrap();
    world.pass(3600);
    world.resolve("alice", "tools").await;

    let again = import(&world, ask.clone()).await.unwrap();
    let other = v1::ImportConnectionRequest {
        scopes: Vec::new(),
        ..ask.clone()
    };
    let other = import(&world, other).await;

    assert_eq!(again.id, first.id);
    assert_eq!(again, world.connection("alice", "tools").await.unwrap());
    assert_eq!(again.generation, 2);
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
    world.disconnect("alice", "tools").await;
    assert_eq!(reason(import(&world, ask).await), "CONNECTION_NOT_FOUND");
    world.outbox_is((0, 0)).await;
}

async fn imports_of_one_request_at_once_make_one_connection(engine: Engine) {
    let world = deployment(engine).await;
    let ask = v1::ImportConnectionRequest {
        request_id: REQUEST.to_owned(),
        ..foreign(&world, "alice")
    };

    let (one, two, three) = tokio::join!(
        import(&world, ask.clone()),
        import(&world, ask.clone()),
        import(&world, ask)
    );

    let one = one.unwrap();
    assert_eq!(two.unwrap(), one);
    assert_eq!(three.unwrap(), one);
}

async fn every_offence_is_named_at_once(engine: Engine) {
    let world = deployment(engine).await;
    let ask = v1::ImportConnectionRequest {
        refresh_token: "line\nbreak".to_owned(),
        token_type: "DPoP".to_owned(),
        expire_time: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        scopes: vec!["a b".to_owned()],
        issuer: "x".repeat(2049),
        resource: "x\0".to_owned(),
        client_secret: "x".repeat(8193),
        request_id: "none".to_owned(),
        ..v1::ImportConnectionRequest::default()
    };
    let empty = v1::ImportConnectionRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        ..v1::ImportConnectionRequest::default()
    };
    let spaced = v1::ImportConnectionRequest {
        access_token: "two words".to_owned(),
        ..empty.clone()
    };

    let found = fields(import(&world, ask).await);

    for field in [
        "actor.user",
        "server",
        "refresh_token",
        "token_type",
        "expire_time",
        "scopes",
        "issuer",
        "resource",
        "client_id",
        "client_secret",
        "request_id",
    ] {
        assert!(found.contains(&field.to_owned()), "{field} in {found:?}");
    }
    assert_eq!(fields(import(&world, empty).await), ["access_token"]);
    assert_eq!(fields(import(&world, spaced).await), ["access_token"]);
    let nothing = reason(world.connection("alice", "tools").await);
    assert_eq!(nothing, "CONNECTION_NOT_FOUND");
}

async fn what_is_not_of_the_server_is_refused(engine: Engine) {
    let world = deployment(engine).await;
    let mut ask = grant(&world, "alice", "by-hand");
    ask.issuer = world.idp.issuer();
    ask.resource = world.idp.mcp("tools");
    "by-hand".clone_into(&mut ask.client_id);
    let wrong = v1::ImportConnectionRequest {
        refresh_token: String::new(),
        expire_time: Some(prost_types::Timestamp::default()),
        issuer: format!("{}/", ask.issuer),
        resource: format!("{}/other", ask.resource),
        client_secret: "hush".to_owned(),
        ..ask.clone()
    };

    let found = fields(import(&world, wrong).await);
    let made = import(&world, ask).await;

    assert_eq!(
        found,
        ["issuer", "resource", "client_secret", "expire_time"]
    );
    assert!(made.is_ok(), "{made:?}");
}

async fn only_servers_that_users_connect_to_take_grants(engine: Engine) {
    let world = deployment(engine).await;
    world.create(open("open")).await.unwrap();
    let mut off = world.manual("off");
    off.enabled = false;
    world.create(off).await.unwrap();
    let ask = |server: &str| v1::ImportConnectionRequest {
        server: server.to_owned(),
        ..grant(&world, "alice", "by-hand")
    };

    let open = import(&world, ask("open")).await;
    let unknown = import(&world, ask("nowhere")).await;
    let hidden = import(&world, ask("off")).await;
    let prepared = by(&world.admin, ask("off")).await.unwrap();

    assert_eq!(reason(open), "AUTH_NOT_INTERACTIVE");
    assert_eq!(reason(unknown), "SERVER_NOT_FOUND");
    assert_eq!(reason(hidden), "SERVER_NOT_FOUND");
    assert_eq!(prepared.state(), ConnectionState::Active);
}

async fn who_keeps_grants_may_import_them(engine: Engine) {
    let world = deployment(engine).await;

    for (role, user) in [(Role::Daemon, "ann"), (Role::Admin, "bob")] {
        let client = world.service.client_as(role, "").await;
        let made = by(&client, grant(&world, user, "by-hand")).await.unwrap();
        assert_eq!(made.user, user);
    }
    by(&world.admin, grant(&world, "carol", "by-hand"))
        .await
        .unwrap();
    for (role, user) in [(Role::User, "dora"), (Role::Auditor, "")] {
        let client = world.service.client_as(role, user).await;
        let refused = by(&client, grant(&world, "dora", "by-hand")).await;
        assert_eq!(reason(refused), "ROLE_NOT_ALLOWED");
    }
}

async fn nobody_else_sees_an_imported_grant(engine: Engine) {
    let world = deployment(engine).await;
    import(&world, grant(&world, "alice", "by-hand"))
        .await
        .unwrap();

    let bob = world.resolve("bob", "tools").await;

    assert_eq!(bob.status(), v1::ServerStatus::NotConnected);
    let read = world.connection("bob", "tools").await;
    assert_eq!(reason(read), "CONNECTION_NOT_FOUND");
    let client = world.service.client_as(Role::User, "bob").await;
    let all = v1::ListConnectionsRequest::default();
    let listed = answer(client.tokens().list_connections(all)).await;
    assert_eq!(listed.unwrap().connections, []);
    let tenant = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(tenant))
        .await
        .unwrap();
    let elsewhere = world.service.key_in(Some("acme"), Role::Daemon, "").await;
    let elsewhere = world.service.client(&elsewhere).await;
    let alices = v1::GetConnectionRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
    };
    let read = answer(elsewhere.tokens().get_connection(alices)).await;
    assert_eq!(reason(read), "SERVER_NOT_FOUND");
}
