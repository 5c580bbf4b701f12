//! Many renewals at once hold up nobody else.

use futures_util::future::join_all;
use stationmaster::client::v1::ServerStatus as Status;

use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    two_hundred_renewals_at_a_slow_provider_hold_no_database_connection,
}

const USERS: usize = 200;

async fn two_hundred_renewals_at_a_slow_provider_hold_no_database_connection(engine: Engine) {
    let world = World::start_with(
        engine,
        &[
            ("oauth.request_timeout", "50s"),
            ("lifecycle.shutdown_timeout", "56s"),
        ],
    )
    .await;
    world.found("tools").await;
    let users: Vec<_> = (0..USERS).map(|number| format!("user-{number}")).collect();
    for some in users.chunks(20) {
        join_all(some.iter().map(|user| world.connect(user, "tools"))).await;
    }
    world.pass(3600);
    world.connect("alice", "tools").await;
    let gate = world.idp.hold_all();

    let crowd = users.iter().map(|user| world.resolve(user, "tools"));
    let crowd = join_all(crowd);
    let others = async {
        world.redeemed(USERS).await;
        // All of them wait at the provider, fifty for each connection of the pool.
        for _ in 0..20 {
            world.header("alice", "tools").await;
            world.connection("alice", "tools").await.unwrap();
        }
        world.disconnect("alice", "tools").await;
        gate.close();
    };
    let (resolved, ()) = tokio::join!(crowd, others);

    for resolved in &resolved {
        assert_eq!(resolved.status(), Status::Ready);
        assert_eq!(resolved.credential_version, 2);
    }
    assert_eq!(world.idp.redemptions().len(), USERS);
}
