//! Several users, and servers that are easily taken for one another: whose grant is whose.

use stationmaster::client::{answer, v1};
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::service::Engine;
use crate::harness::world::{World, create, on_both_engines, rediscover};

on_both_engines! {
    servers_of_one_url_have_grants_of_their_own,
    servers_that_change_names_keep_their_own_grants,
    a_server_made_again_under_its_id_knows_nobody,
    nothing_but_a_resolve_uses_a_persons_credential,
    another_client_id_has_users_connect_again,
}

async fn servers_of_one_url_have_grants_of_their_own(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let twin = v1::Server {
        url: world.idp.mcp("tools"),
        ..world.automatic("twin")
    };
    world.create(twin).await.unwrap();
    for (user, server) in [("alice", "tools"), ("bob", "tools"), ("alice", "twin")] {
        world.connect(user, server).await;
    }

    let mut headers = vec![
        world.header("alice", "tools").await,
        world.header("bob", "tools").await,
        world.header("alice", "twin").await,
    ];

    headers.sort_unstable();
    headers.dedup();
    assert_eq!(headers.len(), 3);
    let none = world.resolve("bob", "twin").await;
    assert_eq!(none.status(), Status::NotConnected);
    assert!(none.headers.is_empty());
}

async fn servers_that_change_names_keep_their_own_grants(engine: Engine) {
    let world = World::start(engine).await;
    for slug in ["one", "two"] {
        world.found(slug).await;
    }
    world.connect("alice", "one").await;
    let before = world.header("alice", "one").await;
    let rename = async |from: &str, to: &str| {
        let renamed = v1::Server {
            id: from.to_owned(),
            slug: to.to_owned(),
            ..v1::Server::default()
        };
        world.update(renamed, &["slug"]).await.unwrap();
    };

    rename("one", "three").await;
    rename("two", "one").await;

    assert_eq!(world.header("alice", "three").await, before);
    let other = world.resolve("alice", "one").await;
    assert_eq!(other.status(), Status::NotConnected);
    assert!(other.headers.is_empty());
}

async fn a_server_made_again_under_its_id_knows_nobody(engine: Engine) {
    let world = World::start(engine).await;
    let first = world.found("tools").await;
    world.connect("alice", "tools").await;
    let old = world.resolve("alice", "tools").await.credential_version;
    let gone = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(gone))
        .await
        .unwrap();

    let again = v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        server_id: first.id.clone(),
        ..v1::CreateServerRequest::default()
    };
    create(&world.admin, again).await.unwrap();
    let none = world.resolve("alice", "tools").await;
    world.connect("alice", "tools").await;
    let new = world.resolve("alice", "tools").await;

    assert_eq!(none.server, first.id);
    assert_eq!(none.status(), Status::NotConnected);
    assert!(new.credential_version > old, "{old} {new:?}");
}

async fn nothing_but_a_resolve_uses_a_persons_credential(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;

    rediscover(&world.admin, "tools", "").await.unwrap();
    world.pass(3600);
    world.renew_ahead().await;

    let asked = world.idp.web().seen_at("/mcp/tools");
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

async fn another_client_id_has_users_connect_again(engine: Engine) {
    let world = World::start(engine).await;
    world.create(world.manual("tools")).await.unwrap();
    let redirect_uri = world.get("tools").await.unwrap().redirect_uri;
    world.idp.add_client("by-hand", "hush", &redirect_uri);
    world.connect("alice", "tools").await;
    world.idp.add_client("another", "hush", &redirect_uri);
    let mut changed = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut changed.auth {
        "another".clone_into(&mut oauth2.client_id);
    }
    "tools".clone_into(&mut changed.id);

    let ended = world.update(changed, &["oauth2.client_id", "oauth2.client_secret"]);
    let ended = ended.await.unwrap().ended_connections;
    let told = world.resolve("alice", "tools").await;
    world.connect("alice", "tools").await;

    assert_eq!(ended, 1);
    assert_eq!(told.status(), Status::ReconnectRequired);
    assert_eq!(told.reason(), v1::StatusReason::ServerChanged);
    assert!(told.headers.is_empty());
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
}
