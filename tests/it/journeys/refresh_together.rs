//! Tokens are renewed once, whatever the number of callers, whoever waits and whoever goes away.

use std::time::Duration;

use futures_util::future::join_all;
use stationmaster::client::{answer, v1};
use v1::ServerStatus as Status;

use crate::harness::client::actor;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    fifty_callers_at_once_redeem_once,
    a_caller_that_goes_away_stops_nothing,
    a_slow_provider_does_not_hold_up_who_is_in_a_hurry,
}

/// A deployment in which alice is connected with a token of an hour.
async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn fifty_callers_at_once_redeem_once(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);

    let calls = (0..50).map(|_| world.header("alice", "tools"));
    let mut headers = join_all(calls).await;

    headers.dedup();
    assert_eq!(headers.len(), 1);
    assert!(world.idp.accepts(&headers[0]));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_caller_that_goes_away_stops_nothing(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    let gate = world.idp.hold();

    let call = world.resolve("alice", "tools");
    let sent = World::until("the token is redeemed", async || {
        world.idp.redemptions().len() == 1
    });
    tokio::select! {
        answered = call => panic!("nobody answered: {answered:?}"),
        () = sent => {}
    }
    gate.close();

    World::until("the new token is stored", async || {
        world.connection("alice", "tools").await.unwrap().generation == 2
    })
    .await;
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_slow_provider_does_not_hold_up_who_is_in_a_hurry(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    let gate = world.idp.hold();
    let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    });
    request.set_timeout(Duration::from_millis(2500));

    let hurried = answer(world.daemon.tokens().resolve_credentials(request)).await;
    gate.close();

    let hurried = hurried.unwrap().servers.remove(0);
    assert_eq!(hurried.status(), Status::UpstreamUnavailable);
    assert!(hurried.retry_after.is_some());
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    assert_eq!(world.idp.redemptions().len(), 1);
}
