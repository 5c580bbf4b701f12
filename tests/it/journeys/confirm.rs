//! A user connects by the binding CONFIRM: the front end takes the one-time code and confirms for
//! the user it has signed in.

use stationmaster::client::{Client, Error, answer, v1};
use v1::HandshakeState as State;

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    the_front_end_confirms_and_only_then_is_there_a_connection,
    a_completion_url_must_be_on_the_list,
    every_other_url_must_be_on_its_list,
    a_wrong_code_is_refused_and_spends_nothing,
    another_user_is_refused,
    a_code_works_once,
    a_cancelled_grant_is_not_stored,
    a_server_that_changes_before_the_confirmation_gets_nothing_stored,
    a_grant_that_nobody_confirms_expires,
    a_link_alone_binds_only_where_that_is_allowed,
    a_user_confirms_for_themselves,
}

const DONE: &str = "https://chat.example.com/done";
const SETTINGS: &[(&str, &str)] = &[
    ("public.allowed_completion_urls", DONE),
    (
        "public.allowed_return_urls",
        "https://chat.example.com/back",
    ),
    ("public.allowed_opener_origins", "https://chat.example.com"),
];

fn ask(user: &str) -> v1::StartHandshakeRequest {
    v1::StartHandshakeRequest {
        actor: actor(user),
        server: "tools".to_owned(),
        binding: v1::HandshakeBinding::Confirm.into(),
        completion_url: format!("{DONE}?tab=1"),
        ..v1::StartHandshakeRequest::default()
    }
}

async fn start(
    client: &Client,
    request: v1::StartHandshakeRequest,
) -> Result<v1::StartHandshakeResponse, Error> {
    answer(client.handshakes().start_handshake(request)).await
}

async fn complete(
    client: &Client,
    (handshake, code): (&str, &str),
    user: &str,
) -> Result<v1::CompleteHandshakeResponse, Error> {
    let request = v1::CompleteHandshakeRequest {
        handshake: handshake.to_owned(),
        code: code.to_owned(),
        actor: actor(user),
    };
    answer(client.handshakes().complete_handshake(request)).await
}

/// A handshake of alice whose grant is parked: its id and the one-time code.
async fn parked(world: &World) -> (String, String) {
    world.found("tools").await;
    let started = start(&world.daemon, ask("alice")).await.unwrap();
    let browser = Browser::default();
    let page = browser.connect(&started.connect_url).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let url = page.header("location");
    assert!(url.starts_with(&format!("{DONE}?tab=1&")), "{url}");
    let id = parameter(url, "handshake").unwrap();
    (id, parameter(url, "code").unwrap())
}

async fn nothing_is_stored(world: &World) {
    let connection = world.connection("alice", "tools").await;
    assert_eq!(reason(connection), "CONNECTION_NOT_FOUND");
}

async fn the_front_end_confirms_and_only_then_is_there_a_connection(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;
    nothing_is_stored(&world).await;
    assert_eq!(
        world.handshake(&id).await.state(),
        State::AwaitingConfirmation
    );

    let completed = complete(&world.daemon, (&id, &code), "alice")
        .await
        .unwrap();

    let (handshake, connection) = (completed.handshake.unwrap(), completed.connection.unwrap());
    assert_eq!(handshake.state(), State::Completed);
    assert_eq!(handshake.connection_id, connection.id);
    assert_eq!(
        connection,
        world.connection("alice", "tools").await.unwrap()
    );
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_completion_url_must_be_on_the_list(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    world.found("tools").await;
    let with = |url: &str| v1::StartHandshakeRequest {
        completion_url: url.to_owned(),
        ..ask("alice")
    };

    for url in [
        "https://chat.example.com/other",
        "https://evil.example/done",
    ] {
        let refused = start(&world.daemon, with(url)).await;
        assert_eq!(reason(refused), "URL_NOT_ALLOWED", "{url}");
    }
    let absent = start(&world.daemon, with("")).await;
    assert_eq!(fields(absent), ["completion_url"]);
}

async fn every_other_url_must_be_on_its_list(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    world.found("tools").await;
    let elsewhere = v1::StartHandshakeRequest {
        return_url: "https://evil.example/back".to_owned(),
        ..ask("alice")
    };
    let stranger = v1::StartHandshakeRequest {
        opener_origin: "https://evil.example".to_owned(),
        ..ask("alice")
    };
    let good = v1::StartHandshakeRequest {
        return_url: "https://chat.example.com/back/7".to_owned(),
        opener_origin: "https://chat.example.com".to_owned(),
        ..ask("alice")
    };

    let elsewhere = refusal(start(&world.daemon, elsewhere).await);
    let stranger = refusal(start(&world.daemon, stranger).await);

    assert_eq!(elsewhere.reason, "URL_NOT_ALLOWED");
    assert_eq!(elsewhere.metadata["field"], "return_url");
    assert_eq!(stranger.metadata["field"], "opener_origin");
    start(&world.daemon, good).await.unwrap();
}

async fn a_wrong_code_is_refused_and_spends_nothing(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;

    let wrong = complete(&world.daemon, (&id, "wrong"), "alice").await;

    assert_eq!(reason(wrong), "HANDSHAKE_CODE_INVALID");
    nothing_is_stored(&world).await;
    complete(&world.daemon, (&id, &code), "alice")
        .await
        .unwrap();
}

async fn another_user_is_refused(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;

    let other = complete(&world.daemon, (&id, &code), "mallory").await;

    assert_eq!(reason(other), "HANDSHAKE_CODE_INVALID");
    nothing_is_stored(&world).await;
    let theirs = world.connection("mallory", "tools").await;
    assert_eq!(reason(theirs), "CONNECTION_NOT_FOUND");
}

async fn a_code_works_once(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;

    let (first, second) = tokio::join!(
        complete(&world.daemon, (&id, &code), "alice"),
        complete(&world.daemon, (&id, &code), "alice"),
    );
    let third = complete(&world.daemon, (&id, &code), "alice").await;

    assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    assert_eq!(reason(first.and(second)), "HANDSHAKE_NOT_PENDING");
    assert_eq!(reason(third), "HANDSHAKE_NOT_PENDING");
    assert_eq!(
        world.connection("alice", "tools").await.unwrap().generation,
        1
    );
}

async fn a_cancelled_grant_is_not_stored(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;
    let request = v1::CancelHandshakeRequest {
        handshake: id.clone(),
    };
    let cancelled = answer(world.daemon.handshakes().cancel_handshake(request)).await;
    cancelled.unwrap();

    let late = complete(&world.daemon, (&id, &code), "alice").await;

    assert_eq!(reason(late), "HANDSHAKE_NOT_PENDING");
    nothing_is_stored(&world).await;
}

async fn a_server_that_changes_before_the_confirmation_gets_nothing_stored(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;
    let moved = v1::Server {
        id: "tools".to_owned(),
        url: world.idp.mcp("elsewhere"),
        ..v1::Server::default()
    };
    world.update(moved, &["url"]).await.unwrap();

    let late = complete(&world.daemon, (&id, &code), "alice").await;

    assert_eq!(reason(late), "HANDSHAKE_NOT_PENDING");
    nothing_is_stored(&world).await;
    let ended = world.handshake(&id).await;
    assert_eq!(ended.failure(), v1::HandshakeFailure::ServerChanged);
}

async fn a_grant_that_nobody_confirms_expires(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    let (id, code) = parked(&world).await;
    world.pass(600);

    let late = complete(&world.daemon, (&id, &code), "alice").await;

    assert_eq!(reason(late), "HANDSHAKE_NOT_PENDING");
    assert_eq!(world.handshake(&id).await.state(), State::Expired);
    nothing_is_stored(&world).await;
}

async fn a_link_alone_binds_only_where_that_is_allowed(engine: Engine) {
    let mut settings = SETTINGS.to_vec();
    settings.push(("handshakes.allow_link", "false"));
    let world = World::start_with(engine, &settings).await;
    world.found("tools").await;
    let linked = v1::StartHandshakeRequest {
        binding: v1::HandshakeBinding::Link.into(),
        ..ask("alice")
    };
    let unsaid = v1::StartHandshakeRequest {
        binding: v1::HandshakeBinding::Unspecified.into(),
        ..ask("alice")
    };

    let refused = start(&world.daemon, linked).await;
    let defaulted = start(&world.daemon, unsaid).await.unwrap();

    assert_eq!(reason(refused), "BINDING_NOT_ALLOWED");
    let handshake = defaulted.handshake.unwrap();
    assert_eq!(handshake.binding(), v1::HandshakeBinding::Confirm);
}

async fn a_user_confirms_for_themselves(engine: Engine) {
    let world = World::start_with(engine, SETTINGS).await;
    world.found("tools").await;
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    let own = v1::StartHandshakeRequest {
        actor: None,
        binding: v1::HandshakeBinding::Unspecified.into(),
        ..ask("alice")
    };

    let linked = v1::StartHandshakeRequest {
        binding: v1::HandshakeBinding::Link.into(),
        ..own.clone()
    };
    assert_eq!(reason(start(&alice, linked).await), "BINDING_NOT_ALLOWED");
    assert_eq!(reason(start(&alice, ask("bob")).await), "USER_NOT_ALLOWED");
    let started = start(&alice, own).await.unwrap();
    let page = Browser::default().connect(&started.connect_url).await;
    let code = parameter(page.header("location"), "code").unwrap();
    let id = started.handshake.unwrap().id;
    let by_another = complete(&world.daemon, (&id, &code), "alice").await;
    assert_eq!(reason(by_another), "HANDSHAKE_NOT_FOUND");
    complete(&alice, (&id, &code), "").await.unwrap();
    assert!(world.connection("alice", "tools").await.is_ok());
}
