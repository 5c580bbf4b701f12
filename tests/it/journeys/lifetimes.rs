//! How long a token and its grant live, as providers say it or do not.

use serde_json::json;
use stationmaster::client::v1;
use v1::ServerStatus as Status;

use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_lifetime_that_is_no_longer_said_is_taken_to_be_as_before,
    a_token_that_ended_long_ago_is_renewed,
    the_end_of_the_whole_grant_is_told,
    a_token_of_less_than_the_margin_is_not_renewed_on_every_read,
}

const START: i64 = 1_767_225_600;

async fn a_lifetime_that_is_no_longer_said_is_taken_to_be_as_before(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.idp.lifetime(None);
    world.pass(3600);

    let renewed = world.resolve("alice", "tools").await;
    world.pass(3600);
    let again = world.resolve("alice", "tools").await;

    assert_eq!(renewed.expire_time.unwrap().seconds, START + 7200);
    assert_eq!(again.credential_version, 3);
    assert_eq!(again.expire_time.unwrap().seconds, START + 10_800);
}

async fn a_token_that_ended_long_ago_is_renewed(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(400 * 24 * 3600);
    world.sweep().await;

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(
        (resolved.status(), resolved.credential_version),
        (Status::Ready, 2)
    );
}

async fn the_end_of_the_whole_grant_is_told(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let before = world.connection("alice", "tools").await.unwrap();
    world.pass(3600);
    let renewal = json!({
        "access_token": "next", "refresh_token": "last", "token_type": "Bearer",
        "expires_in": 3600, "refresh_token_expires_in": 86_400,
    });
    world
        .idp
        .web()
        .once("/as/token", Reply::json(200, &renewal));

    world.header("alice", "tools").await;
    let after = world.connection("alice", "tools").await.unwrap();

    assert_eq!(before.reconnect_before_time, None);
    let end = after.reconnect_before_time.unwrap();
    assert_eq!(end.seconds, START + 3600 + 86_400);
}

async fn a_token_of_less_than_the_margin_is_not_renewed_on_every_read(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.lifetime(Some(50));
    world.found("tools").await;
    world.connect("alice", "tools").await;

    for _ in 0..5 {
        world.header("alice", "tools").await;
        world.pass(5);
    }
    assert!(world.idp.redemptions().is_empty());
    world.pass(25);
    for _ in 0..5 {
        world.header("alice", "tools").await;
        world.pass(5);
    }

    assert_eq!(world.idp.redemptions().len(), 1);
}
