//! Refusals that mean less, or more, than they say: in what is reported and in what is resolved.

use stationmaster::client::{answer, v1};
use v1::report_response_request::Outcome;
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    after_three_forced_renewals_in_an_hour_the_next_waits,
    a_report_of_a_credential_to_come_redeems_nothing,
    an_unclear_refusal_ends_the_grant_at_the_third_time,
    a_success_in_between_forgets_unclear_refusals,
    a_refused_client_is_told_to_who_reports_too,
}

async fn report(world: &World, status: i32, version: i64) -> v1::ReportResponseResponse {
    let request = v1::ReportResponseRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        outcome: Some(Outcome::HttpResponse(v1::HttpResponse {
            status,
            credential_version: version,
            ..v1::HttpResponse::default()
        })),
        ..v1::ReportResponseRequest::default()
    };
    let reported = answer(world.daemon.tokens().report_response(request)).await;
    reported.unwrap()
}

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.idp.lifetime(Some(4 * 3600));
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn after_three_forced_renewals_in_an_hour_the_next_waits(engine: Engine) {
    let world = connected(engine).await;
    for version in 1..=3 {
        let answer = report(&world, 401, version).await;
        assert_eq!(answer.action(), Action::Retry);
        assert_eq!(answer.credential_version, version + 1);
        report(&world, 200, version + 1).await;
        world.pass(60);
    }

    let limited = report(&world, 401, 4).await;
    let meanwhile = world.resolve("alice", "tools").await;
    world.pass(3600 - 180);
    let later = report(&world, 401, 4).await;

    assert_eq!(limited.action(), Action::Denied);
    assert_eq!(limited.reason(), Reason::RefreshLimit);
    assert_eq!(limited.retry_after.unwrap().seconds, 3600 - 180);
    assert_eq!(
        (meanwhile.status(), meanwhile.credential_version),
        (Status::Ready, 4)
    );
    assert_eq!(
        (later.action(), later.credential_version),
        (Action::Retry, 5)
    );
    assert_eq!(world.idp.redemptions().len(), 4);
}

async fn a_report_of_a_credential_to_come_redeems_nothing(engine: Engine) {
    let world = connected(engine).await;

    let answer = report(&world, 401, 9).await;

    assert_eq!(
        (answer.action(), answer.credential_version),
        (Action::Retry, 1)
    );
    assert!(world.idp.redemptions().is_empty());
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.credential_version, 1);
}

async fn an_unclear_refusal_ends_the_grant_at_the_third_time(engine: Engine) {
    let world = connected(engine).await;
    world.pass(4 * 3600);
    for tries in 1..=2 {
        world.idp.once(Fault::InvalidRequest);
        for _ in 0..2 {
            let resolved = world.resolve("alice", "tools").await;
            assert_eq!(resolved.status(), Status::UpstreamUnavailable);
            let pause = resolved.retry_after.unwrap().seconds;
            assert!((300..=375).contains(&pause), "{pause}");
        }
        assert_eq!(world.idp.redemptions().len(), tries);
        world.pass(375);
    }
    world.idp.once(Fault::InvalidRequest);

    let third = world.resolve("alice", "tools").await;
    world.pass(24 * 3600);
    let fourth = world.resolve("alice", "tools").await;

    for resolved in [third, fourth] {
        assert_eq!(resolved.status(), Status::ReconnectRequired);
        assert_eq!(resolved.reason(), Reason::RefreshRefused);
    }
    assert_eq!(world.idp.redemptions().len(), 3);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.last_error_code, "invalid_request");
}

async fn a_success_in_between_forgets_unclear_refusals(engine: Engine) {
    let world = connected(engine).await;
    for generation in 2..=4 {
        world.pass(4 * 3600);
        world.idp.once(Fault::InvalidRequest);
        let unclear = world.resolve("alice", "tools").await;
        assert_eq!(unclear.status(), Status::UpstreamUnavailable);
        world.pass(375);

        let resolved = world.resolve("alice", "tools").await;

        assert_eq!(
            (resolved.status(), resolved.credential_version),
            (Status::Ready, generation)
        );
    }
}

async fn a_refused_client_is_told_to_who_reports_too(engine: Engine) {
    let world = connected(engine).await;
    world.idp.once(Fault::InvalidClient);

    let reported = report(&world, 401, 1).await;
    let again = report(&world, 401, 1).await;
    let resolved = world.resolve("alice", "tools").await;

    for answer in [reported, again] {
        assert_eq!(answer.action(), Action::Denied);
        assert_eq!(answer.reason(), Reason::RegistrationRefused);
    }
    assert_eq!(resolved.status(), Status::ConfigError);
    assert_eq!(resolved.reason(), Reason::RegistrationRefused);
    assert_eq!(world.idp.redemptions().len(), 1);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.state(), v1::ConnectionState::Active);
}
