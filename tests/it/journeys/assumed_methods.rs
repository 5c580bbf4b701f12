//! A client gets a secret and nobody says how to send it: the protocol's default is tried, then the other
//! way, and what works is remembered.

use stationmaster::client::v1;
use v1::{HandshakeState, ServerStatus as Status};

use crate::harness::browser::Browser;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Seen;
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows;

on_both_engines! {
    a_refused_way_gives_way_to_the_other_which_is_remembered,
    a_refresh_is_made_the_other_way_too_and_nothing_is_lost,
    a_client_refused_both_ways_is_refused,
    a_way_that_works_is_not_doubted_again,
    a_way_that_was_said_is_the_only_one,
}

const HOUR: u64 = 3600;
const SETTLED: &str = "SELECT COUNT(*) FROM registrations WHERE NOT method_assumed \
    AND auth_method = 'client_secret_post'";

/// How a request proves who the client is: one way, never two.
fn way(seen: &Seen) -> &'static str {
    let basic = seen.header("authorization").is_some();
    match (basic, seen.form("client_secret").is_some()) {
        (true, false) => "basic",
        (false, true) => "post",
        (true, true) => "both",
        (false, false) => "none",
    }
}

fn ways(world: &World) -> Vec<&'static str> {
    world.idp.token_requests().iter().map(way).collect()
}

async fn remembered(database: &TestDatabase) {
    World::until("the way is remembered", async || {
        rows::raw(database).await.number(SETTLED).await == 1
    })
    .await;
}

/// A user who is connected by a client that sends its secret in the body by now.
async fn connected(database: &TestDatabase) -> World {
    let world = World::around(TestService::start_on(database, &[]).await).await;
    world.idp.wants_secrets_in_the_body();
    world.found("tools").await;
    world.connect("alice", "tools").await;
    remembered(database).await;
    world
}

async fn a_refused_way_gives_way_to_the_other_which_is_remembered(engine: Engine) {
    let database = TestDatabase::new(engine).await;

    let world = connected(&database).await;

    assert_eq!(ways(&world), ["basic", "post"]);
    world.connect("bob", "tools").await;
    world.pass(HOUR + 1);
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    assert_eq!(ways(&world), ["basic", "post", "post", "post"]);
    world.service.stop().await;
}

async fn a_refresh_is_made_the_other_way_too_and_nothing_is_lost(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = connected(&database).await;
    let forget = "UPDATE registrations SET method_assumed = TRUE, \
        auth_method = 'client_secret_basic'";
    rows::raw(&database).await.execute(forget).await;
    world.pass(HOUR + 1);

    let header = world.header("alice", "tools").await;

    assert!(world.idp.accepts(&header));
    let presented = world.idp.redemptions();
    assert_eq!(presented.len(), 2);
    assert_eq!(presented[0], presented[1]);
    assert_eq!(ways(&world)[2..], ["basic", "post"]);
    remembered(&database).await;
    world.service.stop().await;
}

async fn a_client_refused_both_ways_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.wants_secrets_in_the_body();
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    world.idp.void_secrets();

    let page = Browser::default().connect(&started.connect_url).await;

    assert_ne!(page.status, 200);
    let failed = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(failed.state(), HandshakeState::Failed);
    assert_eq!(ways(&world), ["basic", "post"]);
}

async fn a_way_that_works_is_not_doubted_again(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = connected(&database).await;
    world.idp.void_secrets();
    world.pass(HOUR + 1);

    let refused = world.resolve("alice", "tools").await;

    assert_ne!(refused.status(), Status::Ready);
    assert_eq!(ways(&world), ["basic", "post", "post"]);
    world.service.stop().await;
}

async fn a_way_that_was_said_is_the_only_one(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.gives_secrets_until(0);
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    world.idp.void_secrets();

    let page = Browser::default().connect(&started.connect_url).await;

    assert_ne!(page.status, 200);
    assert_eq!(ways(&world), ["basic"]);
}
