//! A provider in trouble is left alone by everybody, and tried again by one.

use std::time::Duration;

use stationmaster::client::{answer, v1};
use stationmaster::domain::time::Clock as _;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    after_five_failures_in_a_row_a_place_is_left_alone_and_one_request_finds_out,
    a_probe_that_fails_too_prolongs_the_pause,
    a_refusal_is_no_trouble_of_the_place,
    nothing_is_renewed_ahead_of_time_at_a_place_in_trouble,
    a_place_that_is_asked_too_often_is_spared_what_nobody_waits_for,
}

/// Eight users, connected with tokens that ended.
async fn ended(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    for user in 0..8 {
        world.connect(&name(user), "tools").await;
    }
    world.pass(3600);
    world
}

fn name(user: usize) -> String {
    format!("user-{user}")
}

/// So many users, one after the other, meet a provider in trouble.
async fn trouble(world: &World, users: std::ops::Range<usize>) {
    for user in users {
        world.idp.once(Fault::Busy(0));
        let resolved = world.resolve(&name(user), "tools").await;
        assert_eq!(resolved.status(), Status::UpstreamUnavailable);
        assert_eq!(resolved.reason(), Reason::UpstreamFailing);
    }
}

/// What a place that is left alone means to a user: the seconds until it is worth asking again.
async fn left_alone(world: &World, user: usize) -> i64 {
    let resolved = world.resolve(&name(user), "tools").await;
    assert_eq!(resolved.status(), Status::UpstreamUnavailable);
    assert_eq!(resolved.reason(), Reason::BreakerOpen);
    resolved.retry_after.unwrap().seconds
}

async fn after_five_failures_in_a_row_a_place_is_left_alone_and_one_request_finds_out(
    engine: Engine,
) {
    let world = ended(engine).await;
    trouble(&world, 0..5).await;
    assert_eq!(world.idp.redemptions().len(), 5);

    assert_eq!(left_alone(&world, 5).await, 5);
    world.pass(3);
    assert_eq!(left_alone(&world, 5).await, 2);
    assert_eq!(world.idp.redemptions().len(), 5);
    world.pass(2);
    let gate = world.idp.hold();
    let hurried = async |user: usize| {
        let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
            actor: actor(&name(user)),
            servers: vec!["tools".to_owned()],
            ..v1::ResolveCredentialsRequest::default()
        });
        request.set_timeout(Duration::from_millis(500));
        answer(world.daemon.tokens().resolve_credentials(request)).await
    };
    // Its caller goes away; the probe does not.
    let probe = hurried(5).await.map(|answer| answer.servers[0].status());
    world.redeemed(6).await;
    assert_eq!(left_alone(&world, 6).await, 5);
    assert_eq!(world.idp.redemptions().len(), 6);
    gate.close();

    world.renewed(&name(5), "tools", 2).await;
    assert_ne!(probe.ok(), Some(Status::Ready));
    for user in 0..8 {
        let resolved = world.resolve(&name(user), "tools").await;
        assert_eq!(resolved.status(), Status::Ready, "{user}");
    }
}

async fn a_probe_that_fails_too_prolongs_the_pause(engine: Engine) {
    let world = ended(engine).await;
    trouble(&world, 0..5).await;
    world.pass(5);

    world.idp.once(Fault::Ignored);
    world.resolve(&name(5), "tools").await;

    assert_eq!(left_alone(&world, 6).await, 10);
    assert_eq!(world.idp.redemptions().len(), 6);
}

async fn a_refusal_is_no_trouble_of_the_place(engine: Engine) {
    let world = ended(engine).await;
    trouble(&world, 0..4).await;
    world.idp.once(Fault::InvalidGrant);
    let refused = world.resolve(&name(4), "tools").await;

    trouble(&world, 5..7).await;
    let resolved = world.resolve(&name(7), "tools").await;

    assert_eq!(refused.reason(), Reason::RefreshRefused);
    assert_eq!(resolved.status(), Status::Ready);
}

async fn nothing_is_renewed_ahead_of_time_at_a_place_in_trouble(engine: Engine) {
    let world = ended(engine).await;
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
    world.write_uses().await;
    // The workers take turns of their own: nothing is due before the place is in trouble.
    let alice = world.connection("alice", "tools").await.unwrap();
    let due = alice.next_attempt_time.unwrap();
    let now = world.service.clock().now().as_micros() / 1_000_000;
    world.pass(u64::try_from(due.seconds - now).unwrap() - 1);
    trouble(&world, 0..5).await;

    world.pass(2);
    let begun = world.renew_ahead().await;
    world.pass(3);
    world.renew_ahead().await;

    assert_eq!(begun, 0);
    world.renewed("alice", "tools", 2).await;
    assert_eq!(world.idp.redemptions().len(), 6);
}

async fn a_place_that_is_asked_too_often_is_spared_what_nobody_waits_for(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let connect = async |users: std::ops::Range<usize>| {
        for user in users {
            world.connect(&name(user), "tools").await;
            world.header(&name(user), "tools").await;
        }
        world.write_uses().await;
    };
    connect(0..1).await;
    world.pass(130);
    connect(1..3).await;
    // The first user is due by now, the others are not yet.
    let busy = Reply::status(429).with("retry-after", "300");
    world.idp.web().once("/as/token", busy);
    world.pass(3600 - 130 - 235);
    world.renew_ahead().await;
    World::until("the place said that it is busy", async || {
        world.connection(&name(0), "tools").await.unwrap().failures == 1
    })
    .await;
    world.pass(265);

    assert_eq!(world.renew_ahead().await, 0);
    // Somebody who waits is no less entitled than before.
    let waiting = world.resolve(&name(1), "tools").await;
    assert_eq!(
        (waiting.status(), waiting.credential_version),
        (Status::Ready, 2)
    );
    world.pass(34);
    assert_eq!(world.renew_ahead().await, 0);
    world.pass(1);
    world.renew_ahead().await;

    for user in [0, 2] {
        world.renewed(&name(user), "tools", 2).await;
    }
}
