//! The end of logins that are exchanged, and what it leaves of what they were exchanged for; and time, which is
//! the caller's: two that are slow share it.

use std::time::Duration;

use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{ServerStatus as Status, StatusReason as Reason};

use super::logins::forget;
use super::logins_exchanged::{PATH, exchange, exchanges, granted, world};
use crate::harness::client::actor;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    what_a_login_was_exchanged_for_is_not_renewed_once_it_ended,
    an_idle_login_is_renewed_for_what_it_is_exchanged_for,
    a_login_that_is_forgotten_takes_its_exchanged_tokens_with_it,
    a_secret_that_was_added_proves_the_next_exchange,
    a_slow_login_leaves_the_rest_of_the_time_to_its_exchange,
}

async fn what_a_login_was_exchanged_for_is_not_renewed_once_it_ended(engine: Engine) {
    let (world, database) = world(engine).await;
    let deposit = v1::PutUserIdentityRequest {
        refresh_token: String::new(),
        expire_time: Some(world.in_seconds(900)),
        ..world.fresh_login("ann")
    };
    world.put(deposit).await.unwrap();
    world.header("ann", "desk").await;
    world.write_uses().await;
    world.pass(1200);

    World::until("the renewal is tried", async || {
        world.renew_ahead().await;
        let kept = world.connection("ann", "desk").await.unwrap();
        kept.state() == v1::ConnectionState::ReconnectRequired
    })
    .await;

    let mut raw = raw(&database).await;
    let due = "SELECT COUNT(*) FROM connections WHERE due_at IS NOT NULL";
    assert_eq!(raw.number(due).await, 0);
    assert_eq!(exchanges(&world).len(), 1);
    // At this very moment: that it is there again counts, not when it came.
    world.log_in("ann").await;
    assert_eq!(world.header("ann", "desk").await, "Bearer desk-2");
}

async fn an_idle_login_is_renewed_for_what_it_is_exchanged_for(engine: Engine) {
    let (world, _database) = world(engine).await;
    let day = granted("desk-day", 86_400);
    world.idp.web().on(PATH, Reply::json(200, &day));
    world.log_in("ann").await;
    world.header("ann", "desk").await;
    world.write_uses().await;
    world.pass(86_200);

    World::until("it is exchanged again", async || {
        world.renew_ahead().await;
        exchanges(&world).len() == 2
    })
    .await;

    let subject = exchanges(&world)[1].form("subject_token").unwrap();
    assert!(world.idp.accepts(&format!("Bearer {subject}")));
    assert_eq!(world.idp.redemptions().len(), 1);
    world.renewed("ann", "desk", 2).await;
    assert_eq!(world.header("ann", "desk").await, "Bearer desk-day");
}

async fn a_login_that_is_forgotten_takes_its_exchanged_tokens_with_it(engine: Engine) {
    let (world, database) = world(engine).await;
    world.log_in("ann").await;
    world.log_in("bob").await;
    for user in ["ann", "bob"] {
        world.header(user, "desk").await;
    }
    let mut raw = raw(&database).await;
    let count = "SELECT COUNT(*) FROM connections";
    assert_eq!(raw.number(count).await, 2);

    forget(&world, "ann", "https://other.test").await;
    assert_eq!(raw.number(count).await, 2);
    forget(&world, "ann", &world.idp.issuer()).await;

    assert_eq!(raw.number(count).await, 1);
    let anew = world.log_in("ann").await;
    assert_eq!(world.header("ann", "desk").await, "Bearer desk-3");
    let subject = exchanges(&world)[2].form("subject_token");
    assert_eq!(subject, Some(anew));
}

async fn a_secret_that_was_added_proves_the_next_exchange(engine: Engine) {
    let (world, _database) = world(engine).await;
    let auth = |secret: Option<&str>| {
        let exchange = v1::TokenExchange {
            client_secret: secret.map(str::to_owned),
            ..exchange(&world)
        };
        Some(Auth::UserOidc(v1::UserOidcAuth {
            exchange: Some(exchange),
            ..v1::UserOidcAuth::default()
        }))
    };
    let public = v1::Server {
        slug: "public".to_owned(),
        display_name: "Public".to_owned(),
        url: world.idp.web().url("/public"),
        enabled: true,
        auth: auth(None),
        ..v1::Server::default()
    };
    let public = world.create(public).await.unwrap();
    world.log_in("ann").await;
    world.header("ann", "public").await;

    let secret = v1::Server {
        id: public.id,
        auth: auth(Some("added")),
        ..v1::Server::default()
    };
    world.update(secret, &["user_oidc.exchange"]).await.unwrap();
    world.pass(600);
    world.header("ann", "public").await;

    let sent = exchanges(&world);
    let proofs: Vec<_> = sent
        .iter()
        .map(|seen| seen.header("authorization").is_some())
        .collect();
    assert_eq!(proofs, [false, true]);
}

async fn a_slow_login_leaves_the_rest_of_the_time_to_its_exchange(engine: Engine) {
    let (world, _database) = world(engine).await;
    world.log_in("ann").await;
    world.pass(3300);
    let logins = world.idp.hold();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = Reply::Held(std::sync::Arc::clone(&gate), Box::new(Reply::status(503)));
    world.idp.web().on(PATH, held);
    let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
        actor: actor("ann"),
        servers: vec!["desk".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    });
    request.set_timeout(Duration::from_secs(3));

    let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;

    let resolved = resolved.unwrap().servers.remove(0);
    assert_eq!(
        (resolved.status(), resolved.reason()),
        (Status::UpstreamUnavailable, Reason::StillWorking)
    );
    logins.close();
    gate.close();
}
