//! Many grants end at once: with their server, with its old values, with their user, over replicas.

use stationmaster::client::{answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, reason};
use crate::harness::idp::Idp;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows;

on_both_engines! {
    a_deleted_servers_grants_are_revoked_a_few_at_a_time_and_then_its_client,
    a_changed_servers_grants_are_revoked_where_they_came_from,
    a_replaced_client_is_deleted_when_its_last_grant_is_gone,
    the_record_says_how_many_grants_ended,
    a_purged_user_leaves_nothing,
    a_narrowed_key_purges_nobody,
    nothing_of_a_deleted_server_is_left_over,
    who_logs_out_keeps_their_grants,
}

const USERS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "fay"];

async fn delete(world: &World, server: &str) -> v1::DeleteServerResponse {
    let request = v1::DeleteServerRequest {
        server: server.to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap()
}

async fn a_deleted_servers_grants_are_revoked_a_few_at_a_time_and_then_its_client(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    for user in USERS {
        world.connect(user, "tools").await;
    }
    let gate = world.idp.hold_revocations();

    delete(&world, "tools").await;

    World::until("a few are asked for", async || {
        world.idp.revocations().len() == 4
    })
    .await;
    world.work().await;
    assert_eq!(world.idp.revocations().len(), 4);
    gate.close();
    world.outbox_is((1, 0)).await;
    assert_eq!(world.idp.revocations().len(), USERS.len());
    assert_eq!(world.idp.grants(), 0);
    assert!(world.idp.unregistered().is_empty(), "it may be needed yet");
    world.pass(121);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.unregistered().len(), 1);
}

async fn a_changed_servers_grants_are_revoked_where_they_came_from(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    let elsewhere = Idp::start().await;
    elsewhere.revokes();

    let moved = v1::Server {
        id: "tools".to_owned(),
        url: elsewhere.mcp("tools"),
        ..v1::Server::default()
    };
    let changed = world.update(moved, &["url"]).await.unwrap();

    assert_eq!(changed.ended_connections, 1);
    let resolved = world.resolve("ann", "tools").await;
    assert_eq!(resolved.status(), Status::ReconnectRequired);
    assert_eq!(resolved.reason(), Reason::ServerChanged);
    world.outbox_is((1, 0)).await;
    world.pass(121);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0);
    assert_eq!(world.idp.unregistered().len(), 1);
    assert!(elsewhere.revocation_requests().is_empty());
    world.disconnect("ann", "tools").await;
    assert_eq!(world.outbox().await, (0, 0));
    assert_eq!(world.idp.revocations().len(), 1);
}

async fn the_record_says_how_many_grants_ended(engine: Engine) {
    const CHANGED: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'server.update' \
        AND detail LIKE '%\"connections\":2%' AND detail LIKE '%\"revocations\":2%'";
    const DELETED: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'server.delete' \
        AND detail LIKE '%\"connections\":3%' AND detail LIKE '%\"revocations\":1%'";
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.idp.revokes();
        world.found("tools").await;
        for user in ["ann", "bob"] {
            world.connect(user, "tools").await;
        }
        let moved = v1::Server {
            id: "tools".to_owned(),
            url: world.idp.mcp("elsewhere"),
            ..v1::Server::default()
        };

        world.update(moved, &["url"]).await.unwrap();
        // What ended with the old values has no tokens any more.
        world.connect("cid", "tools").await;
        delete(&world, "tools").await;

        let mut raw = rows::raw(&database).await;
        assert_eq!(raw.number(CHANGED).await, 1);
        assert_eq!(raw.number(DELETED).await, 1);
        world.outbox_is((0, 0)).await;
    }
}

async fn a_replaced_client_is_deleted_when_its_last_grant_is_gone(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    let old = world.header("ann", "tools").await;
    let redirect = v1::Server {
        id: "tools".to_owned(),
        auth: Some(v1::server::Auth::Oauth2(v1::OAuth2Auth {
            redirect: v1::RedirectKind::Explicit.into(),
            explicit_redirect_uri: format!("{}/oauth2/callback", world.service.public_url()),
            ..v1::OAuth2Auth::default()
        })),
        ..v1::Server::default()
    };
    let sweep = async || {
        let swept = world.service.within(|app| async move {
            let swept = app.sweep().await;
            swept.map(drop).map_err(|error| error.to_string())
        });
        swept.await.unwrap();
    };
    world
        .update(
            redirect,
            &["oauth2.redirect", "oauth2.explicit_redirect_uri"],
        )
        .await
        .unwrap();
    sweep().await;
    assert_eq!(world.outbox().await, (0, 0), "a grant needs it");

    world.connect("ann", "tools").await;

    world.outbox_is((0, 0)).await;
    assert!(!world.idp.accepts(&old), "another client took its place");
    let new = world.header("ann", "tools").await;
    assert!(world.idp.accepts(&new));
    world.pass(25 * 3600);
    sweep().await;
    world.pass(121);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.unregistered().len(), 1);
}

async fn purge(world: &World, user: &str) -> v1::PurgeUserResponse {
    let request = v1::PurgeUserRequest {
        user: user.to_owned(),
    };
    answer(world.admin.tokens().purge_user(request))
        .await
        .unwrap()
}

async fn a_purged_user_leaves_nothing(engine: Engine) {
    let world = World::revoking(engine).await;
    for server in ["one", "two"] {
        world.found(server).await;
        world.connect("ann", server).await;
    }
    world.connect("bob", "one").await;
    let pending = world.begin("ann", "one").await;
    let chat = v1::SetChatServersRequest {
        actor: actor("ann"),
        chat_id: "chat-1".to_owned(),
        servers: vec!["one".to_owned()],
    };
    answer(world.daemon.chats().set_chat_servers(chat))
        .await
        .unwrap();

    let first = purge(&world, "ann").await;
    let second = purge(&world, "ann").await;

    assert_eq!((first.connections, first.chats), (2, 1));
    assert_eq!((second.connections, second.chats), (0, 0));
    assert_eq!(second.revision, first.revision);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 2);
    assert_eq!(world.idp.grants(), 1);
    let read = v1::GetHandshakeRequest {
        handshake: pending.handshake.unwrap().id,
    };
    let gone = answer(world.daemon.handshakes().get_handshake(read)).await;
    assert_eq!(reason(gone), "HANDSHAKE_NOT_FOUND");
    let resolved = world.resolve("bob", "one").await;
    assert_eq!(resolved.status(), Status::Ready);
}

async fn a_narrowed_key_purges_nobody(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "narrow".to_owned(),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec!["tools".to_owned()],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    let narrow = world.service.client(&made.unwrap().secret).await;

    let request = v1::PurgeUserRequest {
        user: "ann".to_owned(),
    };
    let refused = answer(narrow.tokens().purge_user(request)).await;

    assert_eq!(reason(refused), "KEY_NARROWED");
    let resolved = world.resolve("ann", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
}

#[tokio::test]
async fn two_replicas_revoke_each_grant_once() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let second = {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        let second = world.service.replica_on(&database).await;
        world.idp.revokes();
        world.found("tools").await;
        for user in USERS {
            world.connect(user, "tools").await;
        }

        delete(&world, "tools").await;
        World::until("all is revoked", async || {
            let theirs = second.within(|app| async move { app.revoke_due().await.is_ok() });
            let (outbox, worked) = tokio::join!(world.outbox(), theirs);
            assert!(worked);
            outbox == (0, 0)
        })
        .await;

        assert_eq!(world.idp.revocations().len(), USERS.len());
        assert_eq!(world.idp.grants(), 0);
        world.service.stop().await;
        second
    };
    second.stop().await;
}

/// What a handshake does that stores a grant: the connection, and then its own end.
const STORING: [&str; 5] = [
    "BEGIN",
    "CREATE TEMPORARY TABLE late ON COMMIT DROP AS SELECT * FROM connections WHERE user_id = 'ann'",
    "UPDATE late SET server = (SELECT id FROM servers WHERE slug = 'two'), id = \
     LEFT(id, LENGTH(id) - 8) || TRANSLATE(RIGHT(id, 8), '0123456789abcdef', '123456789abcdef0')",
    "INSERT INTO connections SELECT * FROM late",
    "UPDATE handshakes SET state = state WHERE user_id = 'ann'",
];

#[tokio::test]
async fn what_a_handshake_stores_during_a_purge_goes_too() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    for server in ["one", "two"] {
        world.found(server).await;
    }
    world.connect("ann", "one").await;
    let mut storing = rows::raw(&database).await;
    for statement in STORING {
        storing.execute(statement).await;
    }

    let mut watching = rows::raw(&database).await;
    let (purged, ()) = tokio::join!(purge(&world, "ann"), async {
        watching.somebody_waits().await;
        storing.execute("COMMIT").await;
    });

    assert_eq!(purged.connections, 2);
    let left = "SELECT COUNT(*) FROM connections WHERE user_id = 'ann'";
    assert_eq!(watching.number(left).await, 0);
}

/// Rows that speak of a server, but for what must outlive it: generations, and what tells of the past.
const OF_SERVERS: &str = "SELECT (SELECT COUNT(*) FROM servers) + (SELECT COUNT(*) FROM registrations) \
    + (SELECT COUNT(*) FROM connections) + (SELECT COUNT(*) FROM handshakes) \
    + (SELECT COUNT(*) FROM chat_servers) + (SELECT COUNT(*) FROM revocations) \
    + (SELECT COUNT(*) FROM retired_clients)";

async fn nothing_of_a_deleted_server_is_left_over(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.idp.revokes();
    world.idp.manages();
    world.found("tools").await;
    world.connect("ann", "tools").await;
    world.begin("bob", "tools").await;
    let chat = v1::SetChatServersRequest {
        actor: actor("ann"),
        chat_id: "chat-1".to_owned(),
        servers: vec!["tools".to_owned()],
    };
    answer(world.daemon.chats().set_chat_servers(chat))
        .await
        .unwrap();

    delete(&world, "tools").await;
    world.outbox_is((1, 0)).await;
    world.pass(121);
    world.outbox_is((0, 0)).await;

    World::until("nothing is left", async || {
        world.sweep().await;
        rows::raw(&database).await.number(OF_SERVERS).await == 0
    })
    .await;
    world.service.stop().await;
}

async fn who_logs_out_keeps_their_grants(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    let request = v1::CreateApiKeyRequest {
        name: "ann's session".to_owned(),
        role: v1::Role::User.into(),
        narrowing: Some(v1::ApiKeyNarrowing {
            user: "ann".to_owned(),
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    let session = made.unwrap().api_key.unwrap().id;

    let request = v1::RevokeApiKeyRequest { api_key: session };
    answer(world.admin.access().revoke_api_key(request))
        .await
        .unwrap();

    world.outbox_is((0, 0)).await;
    let resolved = world.resolve("ann", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
    assert!(world.idp.revocations().is_empty());
}
