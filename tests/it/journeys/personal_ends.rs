//! What personal servers may not reach, and how they end with their user.

use stationmaster::client::{answer, v1};
use v1::Role;

use super::personal::{Users, create, keyed, update, users};
use crate::harness::client::{actor, fields, reason};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::trail;
use crate::harness::world::{World, list, on_both_engines, open};
use crate::walks::rows::raw;

on_both_engines! {
    an_owner_connects_and_a_purge_takes_everything,
    a_purge_takes_one_whose_row_is_damaged,
    what_may_not_be_reached_any_more_can_be_switched_off,
    nobody_names_a_place_that_the_deployment_does_not_let_reach,
}

async fn an_owner_connects_and_a_purge_takes_everything(engine: Engine) {
    let Users { world, alice, bob } = users(engine, &[]).await;
    let mine = create(&alice, world.automatic("mine")).await.unwrap();
    create(&bob, open("bobs")).await.unwrap();
    world.connect("alice", &mine.slug).await;
    let ready = world.resolve("alice", &mine.slug).await;
    assert_eq!(ready.status(), v1::ServerStatus::Ready);
    let import = v1::ImportConnectionRequest {
        actor: actor("bob"),
        server: mine.id.clone(),
        access_token: "bobs".to_owned(),
        ..v1::ImportConnectionRequest::default()
    };
    let import = Box::pin(answer(world.admin.tokens().import_connection(import))).await;
    assert_eq!(reason(import), "SERVER_NOT_FOUND");
    let off = v1::Server {
        id: mine.id.clone(),
        ..v1::Server::default()
    };
    update(&alice, &["enabled"], off).await.unwrap();
    let start = v1::StartHandshakeRequest {
        server: mine.id,
        ..v1::StartHandshakeRequest::default()
    };
    let start = Box::pin(answer(alice.handshakes().start_handshake(start))).await;
    assert_eq!(reason(start), "SERVER_NOT_FOUND");

    let request = v1::PurgeUserRequest {
        user: "alice".to_owned(),
    };
    let purged = answer(world.admin.tokens().purge_user(request.clone())).await;
    let again = answer(world.admin.tokens().purge_user(request)).await;

    let purged = purged.unwrap();
    assert_eq!((purged.servers, purged.connections), (1, 1));
    assert_eq!(again.unwrap().servers, 0);
    let told = trail::detail(&world.admin, "user.purge").await;
    assert_eq!(told["servers"], 1);
    let left = list(&world.admin).await;
    let owners: Vec<_> = left.iter().map(|server| &*server.owner).collect();
    assert_eq!(owners, ["bob"]);
}

async fn a_purge_takes_one_whose_row_is_damaged(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let alice = world.service.client_as(Role::User, "alice").await;
    let broken = create(&alice, world.automatic("broken")).await.unwrap();
    create(&alice, open("whole")).await.unwrap();
    world.connect("alice", &broken.slug).await;
    let mut raw = raw(&database).await;
    raw.execute("UPDATE servers SET transport = 'pigeon' WHERE display_name = 'broken'")
        .await;
    let request = v1::PurgeUserRequest {
        user: "alice".to_owned(),
    };

    let purged = answer(world.admin.tokens().purge_user(request.clone())).await;
    let again = answer(world.admin.tokens().purge_user(request)).await;

    let purged = purged.unwrap();
    assert_eq!((purged.servers, purged.connections), (2, 1));
    let told = trail::detail(&world.admin, "user.purge").await;
    assert_eq!(told["servers"], 2);
    assert_eq!(again.unwrap().servers, 0);
    let left = raw.number("SELECT COUNT(*) FROM servers").await;
    assert_eq!(left, 0);
    world.service.stop().await;
}

async fn nobody_names_a_place_that_the_deployment_does_not_let_reach(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;
    let inside = "https://169.254.169.254/mcp";
    let at = |url: &str| v1::Server {
        url: url.to_owned(),
        ..keyed("notes")
    };
    let of_alice = v1::Server {
        owner: "alice".to_owned(),
        ..at(inside)
    };

    assert_eq!(fields(create(&alice, at(inside)).await), ["server.url"]);
    assert_eq!(fields(create(&world.admin, of_alice).await), ["server.url"]);
    let mine = create(&alice, keyed("notes")).await.unwrap();
    let moved = v1::Server {
        id: mine.id,
        ..at(inside)
    };
    let moved = update(&alice, &["url", "api_key"], moved).await;
    assert_eq!(fields(moved), ["server.url"]);
    // An administrator knows what is inside.
    create(&world.admin, at(inside)).await.unwrap();
}

async fn what_may_not_be_reached_any_more_can_be_switched_off(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let alice = world.service.client_as(Role::User, "alice").await;
    let mine = create(&alice, keyed("notes")).await.unwrap();
    let mut raw = raw(&database).await;
    raw.execute("UPDATE servers SET url = 'https://10.0.0.1/mcp'")
        .await;
    let off = v1::Server {
        id: mine.id,
        ..v1::Server::default()
    };

    let off = update(&alice, &["enabled"], off).await.unwrap();

    assert!(!off.enabled);
    world.service.stop().await;
}
