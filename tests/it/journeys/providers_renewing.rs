//! Providers that deviate, as [`super::providers`]: what they do with grants over time, and in which
//! words they refuse to renew them.

use serde_json::json;
use stationmaster::client::v1;
use v1::{ServerStatus as Status, StatusReason as Reason};

use super::providers::named;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    github_says_that_a_refresh_token_is_dead_with_status_200,
    github_and_slack_do_not_know_our_client_in_words_of_their_own,
    google_and_entra_leave_refresh_tokens_good,
    linear_and_atlassian_take_a_spent_refresh_token_for_a_while,
    grants_that_would_be_forgotten_are_kept_alive,
    where_nothing_says_how_long_a_token_lives_its_provider_is_known_to,
}

const DAY: u64 = 24 * 3600;

async fn github_says_that_a_refresh_token_is_dead_with_status_200(engine: Engine) {
    let world = World::start(engine).await;
    named(&world, "github", &[]).await;
    world.connect("alice", "github").await;
    world.pass(3600);
    let dead = json!({
        "error": "bad_refresh_token",
        "error_description": "The refresh token passed is incorrect or expired.",
    });
    world.idp.refuses_once(200, &dead);

    let refused = world.resolve("alice", "github").await;
    let again = world.resolve("alice", "github").await;

    assert_eq!(refused.reason(), Reason::RefreshRefused, "{refused:?}");
    assert_eq!(again.reason(), Reason::RefreshRefused, "{again:?}");
    assert_eq!(world.idp.redemptions().len(), 1, "once is enough");
}

async fn github_and_slack_do_not_know_our_client_in_words_of_their_own(engine: Engine) {
    let world = World::start(engine).await;
    for (profile, code) in [
        ("github", "incorrect_client_credentials"),
        ("slack", "invalid_client_id"),
    ] {
        named(&world, profile, &[]).await;
        world.connect("alice", profile).await;
        world.pass(3600);
        let stranger = json!({ "ok": false, "error": code });
        world.idp.refuses_once(200, &stranger);

        let refused = world.resolve("alice", profile).await;

        assert_eq!(refused.status(), Status::ConfigError, "{refused:?}");
        assert_eq!(refused.reason(), Reason::RegistrationRefused);
        let kept = world.connection("alice", profile).await.unwrap();
        assert_eq!(kept.state(), v1::ConnectionState::Active);
        assert_eq!(kept.last_error_code, code);
    }
}

async fn google_and_entra_leave_refresh_tokens_good(engine: Engine) {
    let world = World::start(engine).await;
    for (profile, rotates) in [("google", false), ("entra", true)] {
        world.idp.rotates(rotates);
        world.idp.forgives(rotates);
        named(&world, profile, &[]).await;
        world.connect("alice", profile).await;
        world.pass(3600);

        // Whether an answer was lost on the way or never made: what is presented again is good.
        for (fault, pause) in [(Fault::AnswerLost, 3), (Fault::Ignored, 5)] {
            world.idp.once(fault);
            let lost = world.resolve("alice", profile).await;
            assert_eq!(lost.reason(), Reason::UpstreamFailing, "{lost:?}");
            world.pass(pause);
        }

        let renewed = world.resolve("alice", profile).await;
        assert_eq!(renewed.status(), Status::Ready, "{renewed:?}");
        assert_eq!(renewed.credential_version, 2);
    }
}

async fn linear_and_atlassian_take_a_spent_refresh_token_for_a_while(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.forgives(true);
    for profile in ["linear", "linear-app", "atlassian-app"] {
        named(&world, profile, &[]).await;
        world.connect("alice", profile).await;
        world.pass(3600 - 60);
        let before = world.idp.redemptions().len();
        world.idp.once(Fault::AnswerLost);

        let meanwhile = world.resolve("alice", profile).await;
        world.pass(3);
        let again = world.resolve("alice", profile).await;

        assert_eq!(meanwhile.credential_version, 1, "{meanwhile:?}");
        assert_eq!(again.status(), Status::Ready, "{again:?}");
        assert_eq!(again.credential_version, 2);
        let redeemed = &world.idp.redemptions()[before..];
        assert_eq!(redeemed.len(), 2);
        assert_eq!(redeemed[0], redeemed[1], "the spent one, once more");
    }
}

async fn grants_that_would_be_forgotten_are_kept_alive(engine: Engine) {
    let world = World::start(engine).await;
    let limits = [
        ("entra", 90),
        ("atlassian", 90),
        ("atlassian-app", 90),
        ("google", 180),
        ("stripe", 365),
    ];
    for (profile, _) in limits {
        named(&world, profile, &[]).await;
        world.connect("alice", profile).await;
    }
    let generation = async |profile| {
        let connection = world.connection("alice", profile).await;
        connection.unwrap().generation
    };

    let mut passed = 0;
    for (place, (profile, days)) in limits.into_iter().enumerate() {
        // Nothing before seven tenths of the time, and by eight tenths of it.
        let (early, late) = (days * DAY * 7 / 10 - 1, days * DAY * 8 / 10);
        if early > passed {
            world.pass(early - passed);
            passed = early;
            world.renew_ahead().await;
            for (left, _) in &limits[place..] {
                assert_eq!(generation(left).await, 1, "{left}");
            }
        }
        if late > passed {
            world.pass(late - passed);
            passed = late;
        }
        world.renew_ahead().await;
        world.renewed("alice", profile, 2).await;
        world.disconnect("alice", profile).await;
    }
}

async fn where_nothing_says_how_long_a_token_lives_its_provider_is_known_to(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.lifetime(None);
    for profile in ["salesforce", "stripe"] {
        named(&world, profile, &[]).await;
        world.connect("alice", profile).await;
        let first = world.resolve("alice", profile).await;
        world.pass(3600);

        let renewed = world.resolve("alice", profile).await;

        assert_eq!(first.credential_version, 1);
        assert_eq!(renewed.status(), Status::Ready, "{renewed:?}");
        assert_eq!(renewed.credential_version, 2);
    }
}
