//! Handshakes that come to nothing: what the browser is shown, what the caller is told, and that
//! nothing is stored.

use stationmaster::client::v1;
use v1::HandshakeFailure as Failure;
use v1::HandshakeState as State;

use crate::harness::browser::Browser;
use crate::harness::client::reason;
use crate::harness::http;
use crate::harness::idp::{Consent, Fault};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_server_that_changes_meanwhile_ends_the_handshake,
    a_server_that_changes_during_the_exchange_gets_nothing_stored,
    an_answer_of_another_issuer_is_not_used,
    an_answer_without_issuer_is_not_used,
    saying_no_is_told_as_such,
    an_error_of_the_provider_is_told_as_such,
    an_answer_without_code_is_told_as_such,
    a_refused_exchange_is_told_as_such,
    a_refused_client_is_told_as_such,
    a_busy_provider_is_told_as_such,
    an_exchange_whose_answer_is_lost_is_interrupted,
}

/// Changes where a server is, so that no grant of before counts any more.
async fn move_server(world: &World, slug: &str) {
    let moved = v1::Server {
        id: slug.to_owned(),
        url: world.idp.mcp("elsewhere"),
        ..v1::Server::default()
    };
    world.update(moved, &["url"]).await.unwrap();
}

async fn assert_failed(world: &World, started: &v1::StartHandshakeResponse, failure: Failure) {
    let ended = world
        .handshake(&started.handshake.as_ref().unwrap().id)
        .await;
    assert_eq!((ended.state(), ended.failure()), (State::Failed, failure));
    assert!(ended.complete_time.is_some());
    let connection = world.connection("alice", "tools").await;
    assert_eq!(reason(connection), "CONNECTION_NOT_FOUND");
}

async fn a_server_that_changes_meanwhile_ends_the_handshake(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    move_server(&world, "tools").await;

    let page = browser.get(&callback).await;

    assert_eq!(page.status, 400);
    assert!(page.text.contains("settings changed"), "{}", page.text);
    assert_eq!(world.idp.exchanges(), 0);
    assert_failed(&world, &started, Failure::ServerChanged).await;
}

async fn a_server_that_changes_during_the_exchange_gets_nothing_stored(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    let gate = world.idp.hold();

    let change = async {
        World::until("the exchange begins", async || world.idp.exchanges() == 1).await;
        move_server(&world, "tools").await;
        gate.close();
    };
    let (page, ()) = tokio::join!(browser.get(&callback), change);

    assert_eq!(page.status, 400, "{}", page.text);
    assert_failed(&world, &started, Failure::ServerChanged).await;
}

/// A handshake whose way ends in a failure, and what the browser is shown.
async fn failing(world: &World) -> (v1::StartHandshakeResponse, http::Answer) {
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let page = Browser::default().connect(&started.connect_url).await;
    (started, page)
}

async fn an_answer_of_another_issuer_is_not_used(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.consent(Consent::WrongIssuer);

    let (started, page) = failing(&world).await;

    assert_eq!((page.status.as_u16(), world.idp.exchanges()), (400, 0));
    assert_failed(&world, &started, Failure::IssMismatch).await;
}

async fn an_answer_without_issuer_is_not_used(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.consent(Consent::NoIssuer);

    let (started, page) = failing(&world).await;

    assert_eq!((page.status.as_u16(), world.idp.exchanges()), (400, 0));
    assert_failed(&world, &started, Failure::IssMismatch).await;
}

async fn saying_no_is_told_as_such(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.consent(Consent::Denied);

    let (started, page) = failing(&world).await;

    assert!(page.text.contains("Access was refused"), "{}", page.text);
    assert_failed(&world, &started, Failure::AccessDenied).await;
}

async fn an_error_of_the_provider_is_told_as_such(engine: Engine) {
    for (consent, failure) in [
        (Consent::Refused, Failure::ProviderError),
        (Consent::Broken, Failure::ExchangeUnavailable),
    ] {
        let world = World::start(engine).await;
        world.idp.consent(consent);

        let (started, page) = failing(&world).await;

        assert_eq!(page.status, 400);
        assert_failed(&world, &started, failure).await;
    }
}

async fn an_answer_without_code_is_told_as_such(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.consent(Consent::Empty);

    let (started, page) = failing(&world).await;

    assert_eq!(page.status, 400);
    assert_failed(&world, &started, Failure::MalformedCallback).await;
}

async fn a_refused_exchange_is_told_as_such(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.once(Fault::InvalidGrant);

    let (started, page) = failing(&world).await;

    assert_eq!(page.status, 400);
    assert_failed(&world, &started, Failure::ExchangeRefused).await;
}

async fn a_refused_client_is_told_as_such(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.once(Fault::InvalidClient);

    let (started, page) = failing(&world).await;

    assert!(page.text.contains("administrator"), "{}", page.text);
    assert_failed(&world, &started, Failure::ClientRefused).await;
}

async fn a_busy_provider_is_told_as_such(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.once(Fault::Busy(1));

    let (started, page) = failing(&world).await;

    assert_eq!(page.status, 400);
    assert_failed(&world, &started, Failure::ExchangeUnavailable).await;
}

async fn an_exchange_whose_answer_is_lost_is_interrupted(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.once(Fault::AnswerLost);

    let (started, page) = failing(&world).await;

    assert_eq!((page.status.as_u16(), world.idp.exchanges()), (400, 1));
    assert_failed(&world, &started, Failure::Interrupted).await;
}
