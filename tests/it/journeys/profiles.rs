//! What is known of a provider, told or seen, is made use of.

use stationmaster::client::{Error, answer, v1};
use v1::server::Auth;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, refusal};
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    what_a_provider_wants_to_be_told_is_told_at_every_redemption,
    within_a_known_grace_a_lost_answer_is_asked_for_at_once,
    after_the_grace_a_lost_answer_is_not_risked,
    a_provider_known_to_keep_refresh_tokens_may_lose_answers,
    a_grant_seen_to_keep_its_refresh_token_survives_lost_answers,
    where_grants_are_independent_the_old_one_is_revoked,
    where_grants_are_independent_what_waits_is_revoked_beside_the_new_one,
    an_imported_grant_may_be_the_one_that_waits,
    a_profile_that_nobody_knows_is_not_to_be_named,
    a_profile_of_the_deployment_is_known_by_name,
}

async fn connect(world: &World) {
    world.found("tools").await;
    world.connect("alice", "tools").await;
}

async fn within_a_known_grace_a_lost_answer_is_asked_for_at_once(engine: Engine) {
    let world = World::knowing(engine, "replay_grace = \"30m\"").await;
    world.idp.forgives(true);
    connect(&world).await;
    world.pass(3600 - 60);
    world.idp.once(Fault::AnswerLost);

    let meanwhile = world.resolve("alice", "tools").await;
    world.pass(3);
    let again = world.resolve("alice", "tools").await;

    assert_eq!(
        (meanwhile.status(), meanwhile.credential_version),
        (Status::Ready, 1)
    );
    assert_eq!(
        (again.status(), again.credential_version),
        (Status::Ready, 2)
    );
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 2);
    assert_eq!(redeemed[0], redeemed[1]);
}

async fn after_the_grace_a_lost_answer_is_not_risked(engine: Engine) {
    let world = World::knowing(engine, "replay_grace = \"30s\"").await;
    connect(&world).await;
    world.pass(3600 - 60);
    world.idp.once(Fault::Ignored);
    world.resolve("alice", "tools").await;

    world.pass(31);
    let later = world.resolve("alice", "tools").await;

    assert_eq!(
        (later.status(), later.credential_version),
        (Status::Ready, 1)
    );
    assert_eq!(world.idp.redemptions().len(), 1);
}

/// Two answers are lost while nothing lives; the third comes.
async fn lose_two_and_get_the_third(world: &World, generation: i64) {
    for pause in [3, 5] {
        world.idp.once(Fault::Ignored);
        let lost = world.resolve("alice", "tools").await;
        assert_eq!(lost.status(), Status::UpstreamUnavailable);
        assert_eq!(lost.reason(), Reason::UpstreamFailing);
        world.pass(pause);
    }

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.credential_version, generation);
}

async fn a_provider_known_to_keep_refresh_tokens_may_lose_answers(engine: Engine) {
    let world = World::knowing(engine, "keeps_refresh_tokens = true").await;
    world.idp.rotates(false);
    connect(&world).await;
    world.pass(3600);

    lose_two_and_get_the_third(&world, 2).await;
}

async fn a_grant_seen_to_keep_its_refresh_token_survives_lost_answers(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.rotates(false);
    connect(&world).await;
    world.pass(3600);
    world.header("alice", "tools").await;
    world.pass(3600);

    lose_two_and_get_the_third(&world, 3).await;
}

/// A deployment that knows grants to be independent, with one of alice's.
async fn independent(engine: Engine) -> World {
    let world = World::knowing(engine, "independent_grants = true").await;
    world.idp.revokes();
    connect(&world).await;
    world
}

async fn where_grants_are_independent_the_old_one_is_revoked(engine: Engine) {
    let world = independent(engine).await;
    let old = world.header("alice", "tools").await;

    world.connect("alice", "tools").await;

    World::until("the old one is revoked", async || !world.idp.accepts(&old)).await;
    world.outbox_is((0, 0)).await;
    let new = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&new));
}

async fn where_grants_are_independent_what_waits_is_revoked_beside_the_new_one(engine: Engine) {
    let world = independent(engine).await;
    let old = world.header("alice", "tools").await;
    world.idp.revoke_once(Reply::status(503));
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;
    world.connect("alice", "tools").await;
    let new = world.header("alice", "tools").await;

    world.pass(60);

    world.outbox_is((0, 0)).await;
    assert!(!world.idp.accepts(&old) && world.idp.accepts(&new));
}

async fn an_imported_grant_may_be_the_one_that_waits(engine: Engine) {
    let world = independent(engine).await;
    let header = world.header("alice", "tools").await;
    world.idp.revoke_once(Reply::status(503));
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;
    let again = v1::ImportConnectionRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        access_token: header.trim_start_matches("Bearer ").to_owned(),
        ..v1::ImportConnectionRequest::default()
    };
    answer(world.daemon.tokens().import_connection(again))
        .await
        .unwrap();

    world.pass(60);

    world.outbox_is((0, 0)).await;
    assert!(world.idp.accepts(&header));
}

async fn what_a_provider_wants_to_be_told_is_told_at_every_redemption(engine: Engine) {
    let world = World::knowing(engine, "token_parameters = { expires_in = \"1800\" }").await;
    connect(&world).await;
    world.pass(3600);
    world.header("alice", "tools").await;

    let told = world.idp.web().seen_at("/as/token");
    let told: Vec<_> = told.iter().map(|seen| seen.form("expires_in")).collect();
    assert_eq!(told, [Some("1800".to_owned()), Some("1800".to_owned())]);
}

/// A change of a server's profile.
async fn rename(world: &World, profile: &str) -> Result<v1::UpdateServerResponse, Error> {
    let oauth2 = v1::OAuth2Auth {
        provider_profile: profile.to_owned(),
        ..v1::OAuth2Auth::default()
    };
    let server = v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(oauth2)),
        ..v1::Server::default()
    };
    world.update(server, &["oauth2.provider_profile"]).await
}

async fn a_profile_that_nobody_knows_is_not_to_be_named(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let mut other = world.automatic("other");
    other.auth = Some(Auth::Oauth2(v1::OAuth2Auth {
        provider_profile: "gihub".to_owned(),
        ..v1::OAuth2Auth::default()
    }));

    let created = refusal(world.create(other).await);
    let changed = refusal(rename(&world, "gihub").await);

    for refused in [created, changed] {
        assert_eq!(refused.reason, "INVALID_ARGUMENT");
        let [violation] = refused.field_violations.as_slice() else {
            panic!("{refused:?}");
        };
        assert_eq!(violation.field, "server.oauth2.provider_profile");
        let what = &violation.description;
        assert!(what.starts_with("is unknown"), "{what}");
        assert!(what.contains("entra, github, google"), "{what}");
    }
    rename(&world, "github").await.unwrap();
}

async fn a_profile_of_the_deployment_is_known_by_name(engine: Engine) {
    let world = World::knowing(engine, "").await;
    world.found("tools").await;

    rename(&world, "ours").await.unwrap();

    let refused = refusal(rename(&world, "theirs").await);
    let what = &refused.field_violations[0].description;
    assert!(what.contains("ours"), "{what}");
}
