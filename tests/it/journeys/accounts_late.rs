//! Grants of accounts, judged once more when the front end confirms.

use serde_json::json;
use stationmaster::client::{Error, answer, v1};
use v1::HandshakeFailure as Failure;
use v1::HandshakeState as State;

use super::accounts::{ANN, binding, found, names};
use crate::harness::browser::{Browser, parameter};
use crate::harness::client::{actor, reason};
use crate::harness::http::Answer;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    the_front_end_sees_the_account_before_it_confirms,
    a_policy_of_the_last_moment_counts,
    what_another_claim_says_is_not_what_is_asked_for,
}

const DONE: &str = "https://chat.example.com/done";
const SETTINGS: &[(&str, &str)] = &[("public.allowed_completion_urls", DONE)];

/// Ann comes back from the provider to her front end, or to a page of ours.
async fn arrives(world: &World) -> Answer {
    let ask = v1::StartHandshakeRequest {
        actor: actor(ANN),
        server: "tools".to_owned(),
        binding: v1::HandshakeBinding::Confirm.into(),
        completion_url: DONE.to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(world.daemon.handshakes().start_handshake(ask)).await;
    let link = started.unwrap().connect_url;
    Browser::default().connect(&link).await
}

/// Her grant waits for her front end: the id of the handshake, and the code.
async fn parked(world: &World) -> (String, String) {
    let page = arrives(world).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let url = page.header("location");
    let given = |name| parameter(url, name).unwrap();
    (given("handshake"), given("code"))
}

async fn complete(
    world: &World,
    (handshake, code): (String, String),
) -> Result<v1::CompleteHandshakeResponse, Error> {
    let request = v1::CompleteHandshakeRequest {
        handshake,
        code,
        actor: actor(ANN),
    };
    answer(world.daemon.handshakes().complete_handshake(request)).await
}

async fn the_front_end_sees_the_account_before_it_confirms(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    found(&world, v1::AccountPolicy::Warn).await;
    names(&world.idp, json!({ "email": "bob@corp.test" }));
    let (id, code) = parked(&world).await;

    let waiting = world.handshake(&id).await;
    let completed = complete(&world, (id.clone(), code)).await.unwrap();

    assert_eq!(waiting.state(), State::AwaitingConfirmation);
    assert_eq!(waiting.account, "bob@corp.test");
    let connection = completed.connection.unwrap();
    assert_eq!(connection.account, "bob@corp.test");
    assert_eq!(connection.warnings.len(), 1);
    assert_eq!(world.handshake(&id).await.account, "bob@corp.test");
}

/// Mail addresses come to decide, and the parked grant is refused when it is confirmed.
async fn is_refused_by_now(world: &World, (id, code): (String, String)) {
    let refuse = v1::Server {
        id: "tools".to_owned(),
        account_binding: Some(binding(v1::AccountPolicy::Refuse, "email")),
        ..v1::Server::default()
    };
    world.update(refuse, &["account_binding"]).await.unwrap();

    let refused = complete(world, (id.clone(), code)).await;

    assert_eq!(reason(refused), "HANDSHAKE_NOT_PENDING");
    assert_eq!(
        world.handshake(&id).await.failure(),
        Failure::AccountMismatch
    );
}

async fn a_policy_of_the_last_moment_counts(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    found(&world, v1::AccountPolicy::Warn).await;
    names(&world.idp, json!({ "email": "bob@corp.test" }));
    let waiting = parked(&world).await;
    is_refused_by_now(&world, waiting).await;
    // Nobody is asked to confirm what will not be kept.
    assert_eq!(arrives(&world).await.status, 400);
}

async fn what_another_claim_says_is_not_what_is_asked_for(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let server = v1::Server {
        account_binding: Some(binding(v1::AccountPolicy::Warn, "nickname")),
        ..world.automatic("tools")
    };
    world.create(server).await.unwrap();
    names(
        &world.idp,
        json!({ "nickname": ANN, "email": "bob@corp.test" }),
    );
    let waiting = parked(&world).await;
    is_refused_by_now(&world, waiting).await;
}
