//! A daemon reports what became of a request, and is told what to do.

use futures_util::future::join_all;
use stationmaster::client::{Error, answer, v1};
use v1::report_response_request::Outcome;
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::{actor, reason};
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, with_auth};

on_both_engines! {
    ten_reports_of_one_credential_renew_it_once,
    a_report_of_an_older_credential_redeems_nothing,
    without_a_connection_the_user_is_asked,
    the_same_open_handshake_is_answered_again,
    a_credential_rejected_right_after_a_forced_renewal_is_not_renewed_again,
    a_credential_that_worked_may_be_renewed_again,
    a_grant_that_cannot_be_renewed_needs_a_new_consent,
    a_refused_grant_needs_a_new_consent,
    what_is_used_to_its_end_is_given_up_at_its_first_rejection,
    a_busy_provider_is_waited_for,
    missing_scopes_are_asked_for_with_those_there_are,
    what_no_scope_helps_is_denied,
    scopes_that_are_granted_already_help_nothing,
    what_is_not_about_authorization_is_noted,
    a_rejected_key_is_the_administrators_to_mend,
    a_server_that_does_not_exist_for_the_user_is_not_found,
    a_handshake_is_begun_as_the_report_says,
}

async fn report(world: &World, outcome: Outcome) -> Result<v1::ReportResponseResponse, Error> {
    let request = v1::ReportResponseRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        outcome: Some(outcome),
        ..v1::ReportResponseRequest::default()
    };
    answer(world.daemon.tokens().report_response(request)).await
}

fn status(status: i32, credential_version: i64, challenges: &[&str]) -> Outcome {
    Outcome::HttpResponse(v1::HttpResponse {
        status,
        credential_version,
        www_authenticate: challenges.iter().map(|line| (*line).to_owned()).collect(),
        ..v1::HttpResponse::default()
    })
}

/// A report of a 401 for this credential.
async fn rejected(world: &World, version: i64) -> v1::ReportResponseResponse {
    report(world, status(401, version, &[])).await.unwrap()
}

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn ten_reports_of_one_credential_renew_it_once(engine: Engine) {
    let world = connected(engine).await;

    let answers = join_all((0..10).map(|_| rejected(&world, 1))).await;

    for answer in answers {
        assert_eq!(
            (answer.action(), answer.credential_version),
            (Action::Retry, 2)
        );
    }
    assert_eq!(world.idp.redemptions().len(), 1);
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_report_of_an_older_credential_redeems_nothing(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.header("alice", "tools").await;

    let answer = rejected(&world, 1).await;

    assert_eq!(
        (answer.action(), answer.credential_version),
        (Action::Retry, 2)
    );
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn without_a_connection_the_user_is_asked(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;

    let answer = rejected(&world, 0).await;

    assert_eq!(answer.action(), Action::Authorize);
    let link = answer.authorize.unwrap().connect_url;
    let page = Browser::default().connect(&link).await;
    assert!(page.text.contains("TOOLS is connected"), "{}", page.text);
}

async fn the_same_open_handshake_is_answered_again(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;

    let first = rejected(&world, 0).await;
    let second = rejected(&world, 0).await;
    world.pass(600);
    let third = rejected(&world, 0).await;

    assert_eq!(second.authorize, first.authorize);
    assert_ne!(
        third.authorize.unwrap().handshake,
        first.authorize.unwrap().handshake
    );
}

async fn a_credential_rejected_right_after_a_forced_renewal_is_not_renewed_again(engine: Engine) {
    let world = connected(engine).await;
    assert_eq!(rejected(&world, 1).await.action(), Action::Retry);

    let answer = rejected(&world, 2).await;
    let again = rejected(&world, 2).await;

    assert_eq!(answer.action(), Action::Authorize);
    assert_eq!(again.authorize, answer.authorize);
    assert_eq!(world.idp.redemptions().len(), 1);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::ReconnectRequired);
    assert_eq!(resolved.reason(), Reason::TokenRejected);
}

async fn a_credential_that_worked_may_be_renewed_again(engine: Engine) {
    let world = connected(engine).await;
    assert_eq!(rejected(&world, 1).await.action(), Action::Retry);
    let worked = report(&world, status(200, 2, &[])).await.unwrap();

    let answer = rejected(&world, 2).await;

    assert_eq!(worked.action(), Action::NotAuth);
    assert_eq!(
        (answer.action(), answer.credential_version),
        (Action::Retry, 3)
    );
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn a_grant_that_cannot_be_renewed_needs_a_new_consent(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.renews(false);
    world.found("tools").await;
    world.connect("alice", "tools").await;

    let answer = rejected(&world, 1).await;

    assert_eq!(answer.action(), Action::Authorize);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.reason(), Reason::TokenRejected);
}

async fn a_refused_grant_needs_a_new_consent(engine: Engine) {
    let world = connected(engine).await;
    world.idp.once(Fault::InvalidGrant);

    let answer = rejected(&world, 1).await;

    assert_eq!(answer.action(), Action::Authorize);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn what_is_used_to_its_end_is_given_up_at_its_first_rejection(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600 - 60);
    world.idp.once(Fault::InvalidGrant);
    let living = world.resolve("alice", "tools").await;
    assert_eq!(living.status(), Status::Ready);

    let answer = rejected(&world, 1).await;

    assert_eq!(answer.action(), Action::Authorize);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.reason(), Reason::RefreshRefused, "{resolved:?}");
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_busy_provider_is_waited_for(engine: Engine) {
    let world = connected(engine).await;
    world.idp.once(Fault::Busy(30));

    let busy = rejected(&world, 1).await;
    world.pass(30);
    let later = rejected(&world, 1).await;

    assert_eq!(busy.action(), Action::Denied);
    assert_eq!(busy.reason(), Reason::UpstreamUnreachable);
    assert_eq!(busy.retry_after.unwrap().seconds, 30);
    assert_eq!(
        (later.action(), later.credential_version),
        (Action::Retry, 2)
    );
}

async fn missing_scopes_are_asked_for_with_those_there_are(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = world.automatic("tools");
    server.auth = Some(v1::server::Auth::Oauth2(v1::OAuth2Auth {
        scopes: vec!["read".to_owned()],
        ..v1::OAuth2Auth::default()
    }));
    world.create(server).await.unwrap();
    world.connect("alice", "tools").await;
    let challenge = r#"Bearer error="insufficient_scope", scope="write admin""#;

    let answer = report(&world, status(403, 1, &[challenge])).await.unwrap();

    assert_eq!(answer.action(), Action::Authorize);
    let step = answer.authorize.unwrap();
    let mut scopes = step.scopes.clone();
    scopes.sort();
    assert_eq!(scopes, ["admin", "read", "write"]);
    let consent = Browser::default().depart(&step.connect_url).await;
    assert_eq!(parameter(&consent, "scope").unwrap().split(' ').count(), 3);
    // The old grant still serves what it served before.
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
    Browser::default()
        .connect(&world.begin("alice", "tools").await.connect_url)
        .await;
    assert!(world.idp.redemptions().is_empty());
}

async fn what_no_scope_helps_is_denied(engine: Engine) {
    let world = connected(engine).await;

    for challenges in [&[][..], &["Bearer error=\"invalid_request\""][..]] {
        let answer = report(&world, status(403, 1, challenges)).await.unwrap();

        assert_eq!(
            (answer.action(), answer.reason()),
            (Action::Denied, Reason::Forbidden)
        );
    }
    assert!(world.idp.redemptions().is_empty());
}

async fn scopes_that_are_granted_already_help_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = world.automatic("tools");
    server.auth = Some(v1::server::Auth::Oauth2(v1::OAuth2Auth {
        scopes: vec!["read".to_owned()],
        ..v1::OAuth2Auth::default()
    }));
    world.create(server).await.unwrap();
    world.connect("alice", "tools").await;
    let challenge = r#"Bearer error="insufficient_scope", scope="read""#;

    let answer = report(&world, status(403, 1, &[challenge])).await.unwrap();

    assert_eq!(answer.action(), Action::Denied);
    assert_eq!(answer.reason(), Reason::ScopesAlreadyGranted);
}

async fn what_is_not_about_authorization_is_noted(engine: Engine) {
    let world = connected(engine).await;
    let timeout = Outcome::Timeout(v1::RequestTimeout::default());
    let broken = Outcome::ConnectError(v1::ConnectError::default());
    let mut outcomes = vec![timeout, broken];
    outcomes.extend([200, 404, 429, 500].map(|code| status(code, 1, &[])));

    for outcome in outcomes {
        let answer = report(&world, outcome.clone()).await.unwrap();

        assert_eq!(answer.action(), Action::NotAuth, "{outcome:?}");
    }
    assert_eq!(world.resolve("alice", "tools").await.credential_version, 1);
    assert!(world.idp.redemptions().is_empty());
}

async fn a_rejected_key_is_the_administrators_to_mend(engine: Engine) {
    let world = World::start(engine).await;
    let key = v1::ApiKeyAuth {
        value: Some("hush".to_owned()),
        ..v1::ApiKeyAuth::default()
    };
    let url = "https://a.example.com/mcp".to_owned();
    let server = with_auth("tools", url, v1::server::Auth::ApiKey(key));
    world.create(server).await.unwrap();

    let version = world.resolve("alice", "tools").await.credential_version;
    let answer = rejected(&world, version).await;

    assert_eq!(
        (answer.action(), answer.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
}

async fn a_server_that_does_not_exist_for_the_user_is_not_found(engine: Engine) {
    let world = connected(engine).await;
    let closed = v1::Server {
        id: "tools".to_owned(),
        allowed_users: vec!["bob".to_owned()],
        ..v1::Server::default()
    };
    world.update(closed, &["allowed_users"]).await.unwrap();

    let answer = report(&world, status(401, 1, &[])).await;

    assert_eq!(reason(answer), "SERVER_NOT_FOUND");
    assert!(world.idp.redemptions().is_empty());
}

async fn a_handshake_is_begun_as_the_report_says(engine: Engine) {
    let done = "https://chat.example.com/done";
    let settings = [("public.allowed_completion_urls", done)];
    let world = World::start_with(engine, &settings).await;
    world.found("tools").await;
    let open = rejected(&world, 0).await.authorize.unwrap();
    let request = v1::ReportResponseRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        outcome: Some(status(401, 0, &[])),
        handshake_options: Some(v1::HandshakeOptions {
            binding: v1::HandshakeBinding::Confirm.into(),
            completion_url: done.to_owned(),
            ..v1::HandshakeOptions::default()
        }),
        ..v1::ReportResponseRequest::default()
    };

    let confirmed = answer(world.daemon.tokens().report_response(request)).await;

    let confirmed = confirmed.unwrap().authorize.unwrap();
    assert_ne!(confirmed.handshake, open.handshake);
    let handshake = world.handshake(&confirmed.handshake).await;
    assert_eq!(handshake.binding(), v1::HandshakeBinding::Confirm);
}
