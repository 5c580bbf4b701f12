//! The keys of issuers: fetched when needed, found anew when they change, never asked for in floods,
//! and what happens while they cannot be had.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stationmaster::client::{Error, Refusal, answer, v1};
use tokio::sync::Semaphore;

use crate::harness::client::refusal;
use crate::harness::issuer::{JWKS, METADATA, START, TestIssuer};
use crate::harness::keys::Key;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_rotated_key_is_found_at_once_and_the_old_one_ends,
    a_key_that_is_no_longer_published_ends_with_the_next_fetch,
    old_keys_are_fetched_again_behind_the_calls_that_go_by_them,
    a_withdrawn_key_does_not_work_after_a_long_silence,
    unknown_keys_have_us_ask_once_in_a_while,
    many_callers_wait_for_one_fetch,
    without_keys_nobody_is_let_in_and_trying_again_helps,
    an_outage_leaves_the_keys_in_use_for_a_day,
    what_is_no_set_of_keys_of_this_issuer_is_not_used,
    keys_are_where_the_deployment_says,
}

/// A day and more.
const LONG: i64 = 200_000;

/// How a call with this token ends.
async fn ask(world: &World, token: &str) -> Result<v1::WhoAmIResponse, Error> {
    let client = world.service.client(token).await;
    answer(client.access().who_am_i(v1::WhoAmIRequest {})).await
}

async fn why(world: &World, token: &str) -> Refusal {
    refusal(ask(world, token).await)
}

/// What lives long.
fn lasting() -> Value {
    json!({ "exp": START + LONG })
}

async fn a_rotated_key_is_found_at_once_and_the_old_one_ends(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let old = issuer.token(&lasting());
    assert!(ask(&world, &old).await.is_ok());
    issuer.publish(&[("two", Key::Rs256)]);
    let new = issuer.signed("two", Key::Rs256, &lasting());

    let found = ask(&world, &new).await;

    assert_eq!(found.unwrap().subject, "ann");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(why(&world, &old).await.reason, "CREDENTIALS_INVALID");
    assert_eq!(issuer.asked(), 2);
}

async fn a_key_that_is_no_longer_published_ends_with_the_next_fetch(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    assert!(ask(&world, &token).await.is_ok());
    issuer.publish(&[]);

    world.pass(599);
    assert!(ask(&world, &token).await.is_ok());
    assert_eq!(issuer.asked(), 1);
    world.pass(1);
    assert!(ask(&world, &token).await.is_ok());

    World::until("the key ends", async || ask(&world, &token).await.is_err()).await;
    assert_eq!(why(&world, &token).await.reason, "CREDENTIALS_INVALID");
}

async fn old_keys_are_fetched_again_behind_the_calls_that_go_by_them(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    assert!(ask(&world, &token).await.is_ok());
    world.pass(600);
    let gate = Arc::new(Semaphore::new(0));
    let keys = json!({ "keys": [Key::Es256.jwk("two")] });
    let held = Reply::Held(Arc::clone(&gate), Box::new(Reply::json(200, &keys)));
    issuer.web.on(JWKS, held);

    for _ in 0..3 {
        assert!(ask(&world, &token).await.is_ok());
    }
    World::until("the keys are asked for", async || issuer.asked() == 2).await;
    gate.close();

    World::until("the key ends", async || ask(&world, &token).await.is_err()).await;
}

async fn a_withdrawn_key_does_not_work_after_a_long_silence(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    assert!(ask(&world, &token).await.is_ok());
    issuer.publish(&[]);
    world.pass(1200);

    assert_eq!(why(&world, &token).await.reason, "CREDENTIALS_INVALID");
    assert_eq!(issuer.asked(), 2);
}

async fn unknown_keys_have_us_ask_once_in_a_while(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    assert!(ask(&world, &issuer.token(&lasting())).await.is_ok());
    let flood = async || {
        for number in 0..20 {
            let unknown = issuer.signed(&number.to_string(), Key::EdDsa, &lasting());
            let unknown = why(&world, &unknown).await;
            assert_eq!(unknown.reason, "CREDENTIALS_INVALID");
            let forged = issuer.signed(&number.to_string(), Key::Es256, &lasting());
            assert_eq!(why(&world, &forged).await.reason, "CREDENTIALS_INVALID");
        }
        issuer.asked()
    };

    assert_eq!(flood().await, 2);
    world.pass(29);
    assert_eq!(flood().await, 2);
    world.pass(1);
    assert_eq!(flood().await, 3);
    assert!(ask(&world, &issuer.token(&lasting())).await.is_ok());
}

async fn many_callers_wait_for_one_fetch(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let keys = json!({ "keys": [Key::Es256.jwk("one")] });
    let gate = Arc::new(Semaphore::new(0));
    let held = Reply::Held(Arc::clone(&gate), Box::new(Reply::json(200, &keys)));
    issuer.web.on(JWKS, held);
    let token = issuer.token(&lasting());
    let client = world.service.client(&token).await;

    let calls = (0..20).map(|_| {
        let client = client.clone();
        async move { answer(client.access().who_am_i(v1::WhoAmIRequest {})).await }
    });
    let opened = async {
        World::until("the keys are asked for", async || issuer.asked() > 0).await;
        gate.close();
    };
    let (answers, ()) = tokio::join!(join_all(calls), opened);

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(issuer.asked(), 1);
}

async fn without_keys_nobody_is_let_in_and_trying_again_helps(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    issuer.web.once(JWKS, Reply::status(503));

    let refused = why(&world, &token).await;
    let again = why(&world, &token).await;

    assert_eq!(refused.reason, "UPSTREAM_UNAVAILABLE");
    assert_eq!(refused.code, tonic::Code::Unavailable);
    assert_eq!(refused.retry_after.map(|after| after.as_secs()), Some(5));
    assert_eq!(again.reason, "UPSTREAM_UNAVAILABLE");
    assert_eq!(issuer.asked(), 1);
    world.pass(5);
    assert!(ask(&world, &token).await.is_ok());
    assert_eq!(issuer.asked(), 2);
}

async fn an_outage_leaves_the_keys_in_use_for_a_day(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    assert!(ask(&world, &token).await.is_ok());
    issuer.web.on(JWKS, Reply::Reset);

    world.pass(600);
    assert!(ask(&world, &token).await.is_ok());
    assert!(ask(&world, &token).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    world.pass(85_799);
    assert!(ask(&world, &token).await.is_ok());
    world.pass(1);
    assert_eq!(why(&world, &token).await.reason, "UPSTREAM_UNAVAILABLE");
    issuer.publish(&[("one", Key::Es256)]);
    world.pass(5);
    assert!(ask(&world, &token).await.is_ok());
}

async fn what_is_no_set_of_keys_of_this_issuer_is_not_used(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let token = issuer.token(&lasting());
    let jwks = issuer.web.url(JWKS);
    let metadata = |named: &str| json!({ "issuer": named, "jwks_uri": jwks });
    let foreign = metadata("https://other.example");
    let nowhere = json!({ "issuer": issuer.name() });
    let many = json!({ "keys": vec![Key::Es256.jwk("one"); 101] });
    let large = Reply::text(200, "application/json", " ".repeat(300 * 1024));
    for (path, reply) in [
        (METADATA, Reply::json(200, &foreign)),
        (METADATA, Reply::json(200, &nowhere)),
        (METADATA, Reply::redirect(302, issuer.web.url("/elsewhere"))),
        (JWKS, Reply::redirect(302, issuer.web.url("/elsewhere"))),
        (JWKS, Reply::text(200, "text/html", "<html>")),
        (JWKS, Reply::json(200, &many)),
        (JWKS, large),
        (JWKS, Reply::Truncated("{\"keys\":[")),
    ] {
        issuer.web.once(path, reply);

        assert_eq!(why(&world, &token).await.reason, "UPSTREAM_UNAVAILABLE");
        world.pass(5);
    }

    assert!(ask(&world, &token).await.is_ok());
    assert!(issuer.web.seen_at("/elsewhere").is_empty());
}

async fn keys_are_where_the_deployment_says(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let elsewhere = issuer.web.url("/other/keys");
    let keys = json!({ "keys": [Key::EdDsa.jwk("one")] });
    issuer.web.on("/other/keys", Reply::json(200, &keys));
    let lines = format!("jwks_uri = \"{elsewhere}\"\nalgorithms = [\"EdDSA\"]");
    let world = issuer.world(engine, &lines).await;

    let right = ask(&world, &issuer.signed("one", Key::EdDsa, &lasting())).await;
    let pinned = why(&world, &issuer.token(&lasting())).await;

    assert!(right.is_ok(), "{right:?}");
    assert_eq!(pinned.reason, "CREDENTIALS_INVALID");
    assert_eq!(issuer.web.paths(), ["/other/keys"]);
}
