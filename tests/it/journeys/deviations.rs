//! Answers of a token endpoint that say more, less or other than they should, as users come to see
//! it.

use serde_json::json;
use stationmaster::client::{answer, v1};
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    what_a_refusal_carries_is_not_stored,
    granted_scopes_are_what_the_provider_says,
    a_first_renewal_that_is_refused_is_told_once_and_not_repeated,
    a_gateway_that_forbids_everything_costs_no_grant,
}

const TOKEN: &str = "/as/token";

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

async fn what_a_refusal_carries_is_not_stored(engine: Engine) {
    let world = connected(engine).await;
    let before = world.header("alice", "tools").await;
    world.pass(3600 - 60);
    let refusal = json!({
        "error": "bad_refresh_token", "access_token": "worthless", "refresh_token": "worthless",
        "expires_in": 3600, "token_type": "bearer",
    });
    world.idp.web().once(TOKEN, Reply::json(200, &refusal));

    let living = world.resolve("alice", "tools").await;

    assert_eq!(
        (living.status(), living.credential_version),
        (Status::Ready, 1)
    );
    assert_eq!(living.headers[0].value, before);
    let kept = world.connection("alice", "tools").await.unwrap();
    assert_eq!(kept.generation, 1);
    assert_eq!(kept.last_error_code, "bad_refresh_token");
}

async fn granted_scopes_are_what_the_provider_says(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let tokens = |scope: Option<&str>| {
        let mut tokens = json!({
            "access_token": "access", "refresh_token": "refresh", "token_type": "Bearer",
            "expires_in": 60,
        });
        if let Some(scope) = scope {
            tokens["scope"] = json!(scope);
        }
        Reply::json(200, &tokens)
    };
    let granted = async || {
        let connection = world.connection("alice", "tools").await.unwrap();
        (connection.generation, connection.granted_scopes)
    };

    world.idp.web().once(TOKEN, tokens(Some("read")));
    world.connect("alice", "tools").await;
    assert_eq!(granted().await, (1, vec!["read".to_owned()]));

    for (said, kept) in [
        (None, vec!["read"]),
        (Some("read,write"), vec!["read", "write"]),
        (Some("write"), vec!["write"]),
    ] {
        let (generation, _) = granted().await;
        world.pass(60);
        world.idp.web().once(TOKEN, tokens(said));
        world.header("alice", "tools").await;
        let kept: Vec<String> = kept.into_iter().map(str::to_owned).collect();
        assert_eq!(granted().await, (generation + 1, kept), "{said:?}");
    }
}

async fn a_first_renewal_that_is_refused_is_told_once_and_not_repeated(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    let report = async || {
        let request = v1::ReportResponseRequest {
            actor: actor("alice"),
            server: "tools".to_owned(),
            outcome: Some(v1::report_response_request::Outcome::HttpResponse(
                v1::HttpResponse {
                    status: 401,
                    credential_version: 1,
                    ..v1::HttpResponse::default()
                },
            )),
            ..v1::ReportResponseRequest::default()
        };
        let reported = answer(world.daemon.tokens().report_response(request)).await;
        reported.unwrap()
    };

    let mut handshakes = Vec::new();
    for _ in 0..10 {
        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(resolved.reason(), Reason::RefreshRefused, "{resolved:?}");
        let reported = report().await;
        assert_eq!(reported.action(), Action::Authorize);
        handshakes.push(reported.authorize.unwrap().handshake);
    }

    handshakes.dedup();
    assert_eq!(handshakes.len(), 1);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_gateway_that_forbids_everything_costs_no_grant(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    for _ in 0..5 {
        let forbidden = Reply::json(403, &json!({ "message": "Forbidden" }));
        world.idp.web().once(TOKEN, forbidden);
        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(
            resolved.status(),
            Status::UpstreamUnavailable,
            "{resolved:?}"
        );
        world.pass(375);
    }

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
    assert_eq!(resolved.credential_version, 2);
}
