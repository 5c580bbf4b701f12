//! Tokens end and are renewed, whatever the provider answers.

use stationmaster::client::{answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    an_expired_token_is_renewed_once_and_rotates,
    a_renewal_names_the_resource_of_its_grant,
    a_token_about_to_end_is_renewed_before_it_is_handed_out,
    a_longer_life_is_asked_for_within_reason,
    a_refused_grant_needs_a_new_consent_and_is_not_tried_again,
    a_refusal_leaves_a_living_token_in_use,
    a_busy_provider_is_left_alone_as_long_as_it_asks,
    a_living_token_is_handed_out_while_the_provider_is_busy,
    an_answer_that_was_lost_is_asked_for_again_after_the_end,
    a_second_lost_answer_ends_the_grant,
    a_lost_answer_that_was_a_success_ends_the_grant,
    without_a_new_refresh_token_the_old_one_stays,
    a_refused_client_leaves_the_grant,
    a_grant_without_refresh_token_expires,
    a_token_without_end_is_handed_out_for_good,
}

/// A deployment in which alice is connected with a token of an hour.
async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn an_expired_token_is_renewed_once_and_rotates(engine: Engine) {
    let world = connected(engine).await;
    let before = world.header("alice", "tools").await;
    world.pass(3600);

    let after = world.resolve("alice", "tools").await;
    let again = world.resolve("alice", "tools").await;

    assert_eq!(after.status(), Status::Ready);
    assert_eq!(after.credential_version, 2);
    assert_ne!(after.headers[0].value, before);
    assert!(world.idp.accepts(&after.headers[0].value));
    assert_eq!(again, after);
    assert_eq!(world.idp.redemptions().len(), 1);
    world.pass(3600);
    assert_eq!(world.resolve("alice", "tools").await.credential_version, 3);
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 2);
    assert_ne!(redeemed[0], redeemed[1]);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(
        connection.refresh_time.unwrap().seconds,
        1_767_225_600 + 7200
    );
}

async fn a_renewal_names_the_resource_of_its_grant(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);

    let header = world.header("alice", "tools").await;

    // The provider refuses another resource, or none.
    assert!(world.idp.accepts(&header));
    let renewal = world.idp.last_redemption().unwrap();
    assert_eq!(renewal.form("resource"), Some(world.idp.mcp("tools")));
}

async fn a_token_about_to_end_is_renewed_before_it_is_handed_out(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600 - 121);
    assert_eq!(world.resolve("alice", "tools").await.credential_version, 1);

    world.pass(3);

    assert_eq!(world.resolve("alice", "tools").await.credential_version, 2);
}

async fn a_longer_life_is_asked_for_within_reason(engine: Engine) {
    let world = connected(engine).await;
    let ask = async |seconds| {
        let request = v1::ResolveCredentialsRequest {
            actor: actor("alice"),
            servers: vec!["tools".to_owned()],
            min_valid_for: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..v1::ResolveCredentialsRequest::default()
        };
        let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;
        resolved.unwrap().servers[0].credential_version
    };
    world.pass(1000);

    assert_eq!(ask(2500).await, 1);
    assert_eq!(ask(86_400).await, 2);
    // A fresh one lives no longer than it can.
    assert_eq!(ask(86_400).await, 2);
}

async fn a_refused_grant_needs_a_new_consent_and_is_not_tried_again(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);

    let first = world.resolve("alice", "tools").await;
    let second = world.resolve("alice", "tools").await;

    for resolved in [first, second] {
        assert_eq!(resolved.status(), Status::ReconnectRequired);
        assert_eq!(resolved.reason(), Reason::RefreshRefused);
        assert!(resolved.headers.is_empty());
    }
    assert_eq!(world.idp.redemptions().len(), 1);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.state(), v1::ConnectionState::ReconnectRequired);
    assert_eq!(connection.last_error_code, "invalid_grant");
    world.connect("alice", "tools").await;
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
    assert_eq!(
        world
            .connection("alice", "tools")
            .await
            .unwrap()
            .last_error_code,
        ""
    );
}

async fn a_refusal_leaves_a_living_token_in_use(engine: Engine) {
    let world = connected(engine).await;
    let before = world.header("alice", "tools").await;
    world.pass(3600 - 60);
    world.idp.once(Fault::InvalidGrant);

    let living = world.resolve("alice", "tools").await;
    let again = world.resolve("alice", "tools").await;
    world.pass(60);
    let ended = world.resolve("alice", "tools").await;

    assert_eq!(living.status(), Status::Ready);
    assert_eq!(living.headers[0].value, before);
    let warnings: Vec<_> = living.warnings.iter().map(v1::Warning::reason).collect();
    assert_eq!(warnings, [Reason::RenewalRefused]);
    assert_eq!(again, living);
    assert_eq!(ended.reason(), Reason::RefreshRefused);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_busy_provider_is_left_alone_as_long_as_it_asks(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::Busy(90));

    let first = world.resolve("alice", "tools").await;
    world.pass(60);
    let second = world.resolve("alice", "tools").await;
    assert_eq!(world.idp.redemptions().len(), 1);
    world.pass(30);
    let third = world.resolve("alice", "tools").await;

    assert_eq!(first.status(), Status::UpstreamUnavailable);
    assert_eq!(first.retry_after.unwrap().seconds, 90);
    assert_eq!(second.retry_after.unwrap().seconds, 30);
    assert_eq!(
        (third.status(), third.credential_version),
        (Status::Ready, 2)
    );
    assert_eq!(world.idp.redemptions().len(), 2);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(
        (connection.failures, connection.next_attempt_time),
        (0, None)
    );
}

async fn a_living_token_is_handed_out_while_the_provider_is_busy(engine: Engine) {
    let world = connected(engine).await;
    let before = world.header("alice", "tools").await;
    world.pass(3600 - 60);
    world.idp.once(Fault::Busy(30));

    let living = world.resolve("alice", "tools").await;

    assert_eq!(living.status(), Status::Ready);
    assert_eq!(living.headers[0].value, before);
    let warnings: Vec<_> = living.warnings.iter().map(v1::Warning::reason).collect();
    assert_eq!(warnings, [Reason::ShorterThanAsked]);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.failures, 1);
    assert!(connection.next_attempt_time.is_some());
}

async fn an_answer_that_was_lost_is_asked_for_again_after_the_end(engine: Engine) {
    let world = connected(engine).await;
    let before = world.header("alice", "tools").await;
    world.pass(3600 - 60);
    world.idp.once(Fault::Ignored);

    let living = world.resolve("alice", "tools").await;
    let again = world.resolve("alice", "tools").await;
    assert_eq!(world.idp.redemptions().len(), 1);
    world.pass(60);
    let renewed = world.resolve("alice", "tools").await;

    for living in [living, again] {
        assert_eq!(
            (living.status(), &living.headers[0].value),
            (Status::Ready, &before)
        );
    }
    assert_eq!(
        (renewed.status(), renewed.credential_version),
        (Status::Ready, 2)
    );
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 2);
    assert_eq!(redeemed[0], redeemed[1]);
}

async fn a_second_lost_answer_ends_the_grant(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::Ignored);
    world.idp.once(Fault::Ignored);

    let first = world.resolve("alice", "tools").await;
    world.pass(3);
    let second = world.resolve("alice", "tools").await;
    let third = world.resolve("alice", "tools").await;

    assert_eq!(first.status(), Status::UpstreamUnavailable);
    for resolved in [second, third] {
        assert_eq!(resolved.status(), Status::ReconnectRequired);
        assert_eq!(resolved.reason(), Reason::OutcomeUnknown);
    }
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn a_lost_answer_that_was_a_success_ends_the_grant(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::AnswerLost);

    let first = world.resolve("alice", "tools").await;
    world.pass(3);
    let second = world.resolve("alice", "tools").await;

    assert_eq!(first.status(), Status::UpstreamUnavailable);
    assert_eq!(second.reason(), Reason::OutcomeUnknown);
    world.connect("alice", "tools").await;
    assert_eq!(world.resolve("alice", "tools").await.credential_version, 2);
}

async fn without_a_new_refresh_token_the_old_one_stays(engine: Engine) {
    let world = connected(engine).await;
    world.idp.rotates(false);

    for generation in 2..=4 {
        world.pass(3600);
        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(resolved.credential_version, generation);
    }

    let mut redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 3);
    redeemed.dedup();
    assert_eq!(redeemed.len(), 1);
}

async fn a_refused_client_leaves_the_grant(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::InvalidClient);

    let refused = world.resolve("alice", "tools").await;
    let connection = world.connection("alice", "tools").await.unwrap();
    world.pass(375);
    let renewed = world.resolve("alice", "tools").await;

    assert_eq!(refused.status(), Status::ConfigError);
    assert_eq!(refused.reason(), Reason::RegistrationRefused);
    assert_eq!(connection.state(), v1::ConnectionState::Active);
    assert_eq!(connection.last_error_code, "invalid_client");
    assert_eq!(
        (renewed.status(), renewed.credential_version),
        (Status::Ready, 2)
    );
}

async fn a_grant_without_refresh_token_expires(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.renews(false);
    world.found("tools").await;
    world.connect("alice", "tools").await;

    let living = world.resolve("alice", "tools").await;
    world.pass(3600);
    let ended = world.resolve("alice", "tools").await;

    assert_eq!(living.warnings[0].reason(), Reason::NotRenewable);
    assert_eq!(
        (ended.status(), ended.reason()),
        (Status::Expired, Reason::NotRenewable)
    );
    assert!(world.idp.redemptions().is_empty());
}

async fn a_token_without_end_is_handed_out_for_good(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.lifetime(None);
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(400 * 24 * 3600);

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(
        (resolved.status(), resolved.expire_time),
        (Status::Ready, None)
    );
    assert!(world.idp.redemptions().is_empty());
}
