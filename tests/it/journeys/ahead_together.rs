//! Work that nobody asked for is shared, bounded and not forgotten.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::ahead::{profile, renew_ahead};
use crate::harness::idp::Idp;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    at_most_four_at_a_place_are_renewed_ahead_of_time_at_once,
    what_is_due_survives_a_restart,
    what_is_learned_of_a_provider_holds_for_the_grants_there_are,
}

/// Connects so many users, whose tokens of an hour are handed out.
async fn use_by(world: &World, users: &[String]) {
    world.found("tools").await;
    for user in users {
        world.connect(user, "tools").await;
        world.header(user, "tools").await;
    }
    world.write_uses().await;
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user-{number}")).collect()
}

async fn at_most_four_at_a_place_are_renewed_ahead_of_time_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let users = users(9);
    use_by(&world, &users).await;
    world.pass(3600 - 120);

    let other = world.service.client(world.service.daemon_key()).await;
    let watch = watching::watch(&other, watching::all()).await;
    let (mut watch, mut stored) = (watch.unwrap().synced().await, 0);
    // Each batch waits at the provider, so that nothing more may be begun.
    let mut gate = world.idp.hold_all();
    for (count, more) in [(4, true), (8, true), (9, false)] {
        World::until("a batch is under way", async || {
            world.renew_ahead().await;
            world.idp.redemptions().len() == count
        })
        .await;
        let begun = world.renew_ahead().await;

        // Whoever finds the last one under way has nothing to do about it.
        assert!(begun == 0 || !more, "{begun} more than {count}");
        assert_eq!(world.idp.redemptions().len(), count);
        let batch = std::mem::replace(&mut gate, world.idp.hold_all());
        batch.close();
        while stored < count {
            let told = watch.next().await.connection.unwrap();
            assert_eq!(told.generation, 2);
            stored += 1;
        }
    }

    assert_eq!(world.idp.redemptions().len(), 9);
}

/// A service that knows this of its provider from now on.
async fn knowing(database: &TestDatabase, idp: Idp, lines: &str) -> World {
    let profiles = profile(&idp, lines);
    let settings = [("oauth.profiles", profiles.path().to_str().unwrap())];
    let service = TestService::start_on(database, &settings).await;
    World::beside(service, idp).await
}

async fn what_is_learned_of_a_provider_holds_for_the_grants_there_are(engine: Engine) {
    const DAY: u64 = 24 * 3600;
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let World { service, idp, .. } = world;
    service.stop().await;

    let world = knowing(&database, idp, "idle_limit = \"10d\"").await;
    world.sweep().await;
    world.pass(8 * DAY);
    world.renew_ahead().await;
    world.renewed("alice", "tools", 2).await;
    let World { service, idp, .. } = world;
    service.stop().await;
    // The provider was found to be more patient: what is due by the old word is not by the new one.
    let world = knowing(&database, idp, "idle_limit = \"100d\"").await;
    world.pass(20 * DAY);
    world.renew_ahead().await;
    World::until("the renewal is put off", async || {
        world.renew_ahead().await == 0
    })
    .await;

    world.service.stop().await;
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn what_is_due_survives_a_restart(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
    // Nothing is written down before the end: that is done when the process stops in order.
    let World { service, idp, .. } = world;
    service.stop().await;

    let world = World::beside(TestService::start_on(&database, &[]).await, idp).await;
    world.pass(3600 - 120);
    world.renew_ahead().await;

    world.renewed("alice", "tools", 2).await;
    assert_eq!(world.idp.redemptions().len(), 1);
    world.service.stop().await;
}

#[tokio::test]
async fn two_replicas_renew_what_is_due_once_each() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let second = {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        let second = world.service.replica_on(&database).await;
        let users = users(12);
        use_by(&world, &users).await;
        world.pass(3600 - 120);
        second.clock().advance(Duration::from_mins(58));

        World::until("everything is renewed", async || {
            tokio::join!(renew_ahead(&world.service), renew_ahead(&second));
            let read = users.iter().map(|user| world.connection(user, "tools"));
            let read = join_all(read).await;
            read.iter()
                .all(|read| read.as_ref().unwrap().generation == 2)
        })
        .await;

        let mut redeemed = world.idp.redemptions();
        assert_eq!(redeemed.len(), users.len());
        redeemed.sort();
        redeemed.dedup();
        assert_eq!(redeemed.len(), users.len());
        world.service.stop().await;
        second
    };
    second.stop().await;
}
