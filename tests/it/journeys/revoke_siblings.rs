//! A revocation that waits while its user is about to have another grant of the same client: many
//! providers would end the one with the other.

use stationmaster::client::{answer, v1};

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::actor;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    what_waits_is_put_off_while_a_grant_waits_to_be_confirmed,
    what_waits_is_put_off_while_a_code_is_exchanged,
    what_waits_is_revoked_after_all_when_nothing_comes_of_a_handshake,
}

const DONE: &str = "https://chat.example.com/done";

/// Alice disconnected, and her provider was in trouble.
async fn disconnected(engine: Engine) -> World {
    let world = World::start_with(engine, &[("public.allowed_completion_urls", DONE)]).await;
    world.idp.revokes();
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.idp.revoke_once(Reply::status(503));
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;
    world
}

/// Alice consents once more; what comes of it waits for her front end: handshake and code.
async fn parked(world: &World) -> (String, String) {
    let ask = v1::StartHandshakeRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        binding: v1::HandshakeBinding::Confirm.into(),
        completion_url: DONE.to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(world.daemon.handshakes().start_handshake(ask)).await;
    let started = started.unwrap();
    let page = Browser::default().connect(&started.connect_url).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let code = parameter(page.header("location"), "code").unwrap();
    (started.handshake.unwrap().id, code)
}

/// The new grant lives, and the old one was asked for no more than at first.
async fn is_left_alone(world: &World) {
    let header = world.header("alice", "tools").await;
    world.pass(3600);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    assert!(world.idp.accepts(&header));
}

async fn what_waits_is_put_off_while_a_grant_waits_to_be_confirmed(engine: Engine) {
    let world = disconnected(engine).await;
    let (handshake, code) = parked(&world).await;

    world.pass(60);
    world.puts_off(2).await;

    let complete = v1::CompleteHandshakeRequest {
        handshake,
        code,
        actor: actor("alice"),
    };
    answer(world.daemon.handshakes().complete_handshake(complete))
        .await
        .unwrap();
    is_left_alone(&world).await;
}

async fn what_waits_is_put_off_while_a_code_is_exchanged(engine: Engine) {
    let world = disconnected(engine).await;
    let started = world.begin("alice", "tools").await;
    let gate = world.idp.hold();
    let meanwhile = async {
        World::until("the code is presented", async || world.idp.exchanges() == 2).await;
        world.pass(60);
        world.puts_off(2).await;
        gate.close();
    };

    let browser = Browser::default();
    let (page, ()) = tokio::join!(browser.connect(&started.connect_url), meanwhile);

    assert_eq!(page.status, 200, "{}", page.text);
    is_left_alone(&world).await;
}

async fn what_waits_is_revoked_after_all_when_nothing_comes_of_a_handshake(engine: Engine) {
    let world = disconnected(engine).await;
    world.begin("alice", "tools").await;
    world.pass(60);
    world.puts_off(2).await;

    world.pass(3600);

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 2);
    assert_eq!(world.idp.grants(), 0);
}
