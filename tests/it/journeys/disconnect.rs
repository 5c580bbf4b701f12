//! A user's grant is forgotten, at once and whatever is under way.

use stationmaster::client::{answer, v1};
use v1::ServerStatus as Status;

use crate::harness::client::{actor, reason};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_connection_is_gone_at_once_and_once,
    nothing_is_told_about_what_there_is,
    it_works_after_access_was_lost,
    a_renewal_under_way_brings_nothing_back,
    who_connects_again_gets_a_higher_generation,
    a_user_disconnects_for_themselves_only,
}

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn a_connection_is_gone_at_once_and_once(engine: Engine) {
    let world = connected(engine).await;
    world.connect("bob", "tools").await;

    let first = world.disconnect("alice", "tools").await;
    let second = world.disconnect("alice", "tools").await;

    assert_eq!(first, second);
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::NotConnected
    );
    assert_eq!(
        reason(world.connection("alice", "tools").await),
        "CONNECTION_NOT_FOUND"
    );
    assert_eq!(world.resolve("bob", "tools").await.status(), Status::Ready);
}

async fn nothing_is_told_about_what_there_is(engine: Engine) {
    let world = connected(engine).await;

    let mut revisions = Vec::new();
    for server in [
        "tools",
        "nowhere",
        "srv_0198c0de000070008000000000000009",
        "No Slug",
    ] {
        revisions.push(world.disconnect("bob", server).await);
    }

    revisions.dedup();
    assert_eq!(revisions.len(), 1);
}

async fn it_works_after_access_was_lost(engine: Engine) {
    let world = connected(engine).await;
    let closed = v1::Server {
        id: "tools".to_owned(),
        allowed_users: vec!["bob".to_owned()],
        enabled: false,
        ..v1::Server::default()
    };
    world
        .update(closed, &["allowed_users", "enabled"])
        .await
        .unwrap();

    world.disconnect("alice", "tools").await;

    let request = v1::ListConnectionsRequest::default();
    let left = answer(world.admin.tokens().list_connections(request)).await;
    assert!(left.unwrap().connections.is_empty());
}

async fn a_renewal_under_way_brings_nothing_back(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    let gate = world.idp.hold();

    let end = async {
        World::until("the token is redeemed", async || {
            world.idp.redemptions().len() == 1
        })
        .await;
        world.disconnect("alice", "tools").await;
        gate.close();
    };
    let (resolved, ()) = tokio::join!(world.resolve("alice", "tools"), end);

    assert_eq!(resolved.status(), Status::NotConnected);
    assert_eq!(
        reason(world.connection("alice", "tools").await),
        "CONNECTION_NOT_FOUND"
    );
}

async fn who_connects_again_gets_a_higher_generation(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.header("alice", "tools").await;
    world.disconnect("alice", "tools").await;

    world.connect("alice", "tools").await;

    assert_eq!(world.resolve("alice", "tools").await.credential_version, 3);
}

async fn a_user_disconnects_for_themselves_only(engine: Engine) {
    let world = connected(engine).await;
    let bob = world.service.client_as(v1::Role::User, "bob").await;
    let request = |user: &str| v1::DisconnectRequest {
        actor: actor(user),
        server: "tools".to_owned(),
    };

    let foreign = answer(bob.tokens().disconnect(request("alice"))).await;
    let own = answer(bob.tokens().disconnect(request("bob"))).await;

    assert_eq!(reason(foreign), "USER_NOT_ALLOWED");
    own.unwrap();
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
}
