//! What two attempts at one grant bring after its end: the later one's tokens count.

use std::time::Duration;

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, resolve};
use crate::walks::rows;

const OLD_LEASES: &str = "UPDATE connections SET lease_until = 1 WHERE intent IS NOT NULL";

#[tokio::test]
async fn an_older_attempt_leaves_the_newer_ones_tokens_in_the_outbox() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    let other = second.client(world.service.daemon_key()).await;
    world.idp.revokes();
    world.idp.forgives(true);
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    second.clock().advance(Duration::from_hours(1));
    let sleeps = world.idp.hold();

    let meanwhile = async {
        world.redeemed(1).await;
        rows::raw(&database).await.execute(OLD_LEASES).await;
        let newer = resolve(&other, "alice", "tools").await;
        assert_eq!(newer.headers.len(), 1, "{newer:?}");
        world.idp.revoke_once(Reply::status(503));
        world.disconnect("alice", "tools").await;
        World::until("the provider is asked", async || {
            world.idp.revocations().len() == 1
        })
        .await;
        sleeps.close();
    };
    tokio::join!(world.resolve("alice", "tools"), meanwhile);
    let newest = world.idp.revocations().remove(0);
    world.pass(3600);
    second.clock().advance(Duration::from_hours(1));

    world.outbox_is((0, 0)).await;
    let asked = world.idp.revocations();
    assert_eq!(asked.iter().filter(|one| **one == newest).count(), 2);
    assert_eq!((asked.len(), world.idp.grants()), (3, 0));
    world.service.stop().await;
    second.stop().await;
}
