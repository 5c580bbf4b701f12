//! A client that was registered for what was not stored in the end is deleted at its provider.

use stationmaster::client::v1;
use v1::ServerStatus as Status;

use crate::harness::client::reason;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows;

on_both_engines! {
    a_server_whose_slug_is_taken_meanwhile_leaves_no_client,
    a_change_that_came_too_late_leaves_no_client,
    a_provider_that_deletes_no_clients_is_not_asked_to,
}

const RETIRED: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'registration.retire'";

/// The registration that is held has arrived.
async fn registering(world: &World, count: usize) {
    World::until("a client is being registered", async || {
        world.idp.registered().len() == count
    })
    .await;
}

/// A server is being made when another one takes its slug.
async fn lose_the_slug(world: &World) {
    let gate = world.idp.hold_registration();
    let faster = async {
        registering(world, 1).await;
        world.create(open("tools")).await.unwrap();
        gate.close();
    };

    let (refused, ()) = tokio::join!(world.create(world.automatic("tools")), faster);

    assert_eq!(reason(refused), "SLUG_TAKEN");
}

async fn a_server_whose_slug_is_taken_meanwhile_leaves_no_client(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.idp.manages();

        lose_the_slug(&world).await;

        World::until("the client is deleted", async || {
            world.idp.unregistered() == ["client-1"]
        })
        .await;
        world.outbox_is((0, 0)).await;
        assert_eq!(rows::raw(&database).await.number(RETIRED).await, 1);
    }
}

async fn a_change_that_came_too_late_leaves_no_client(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    let gate = world.idp.hold_registration();
    let moved = v1::Server {
        id: "tools".to_owned(),
        url: world.idp.mcp("elsewhere"),
        ..v1::Server::default()
    };
    let named = v1::Server {
        id: "tools".to_owned(),
        display_name: "Ours".to_owned(),
        ..v1::Server::default()
    };
    let faster = async {
        registering(&world, 2).await;
        world.update(named, &["display_name"]).await.unwrap();
        gate.close();
    };

    let (changed, ()) = tokio::join!(world.update(moved, &["url"]), faster);

    changed.unwrap();
    World::until("the lost client is deleted", async || {
        world.idp.unregistered() == ["client-2"]
    })
    .await;
    world.connect("alice", "tools").await;
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
    world.pass(121);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.unregistered(), ["client-2", "client-1"]);
}

async fn a_provider_that_deletes_no_clients_is_not_asked_to(engine: Engine) {
    let world = World::start(engine).await;

    lose_the_slug(&world).await;

    assert_eq!(world.outbox().await, (0, 0));
    assert!(world.idp.unregistered().is_empty());
}
