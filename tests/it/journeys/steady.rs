//! Grants that go on while everything around them is away, changes or is too large.

use serde_json::json;
use stationmaster::client::v1;
use v1::{ConnectionState as State, ReportAction as Action, ServerStatus as Status};

use crate::harness::service::Engine;
use crate::harness::web::{Reply, Web};
use crate::harness::world::{World, on_both_engines, with_auth};

on_both_engines! {
    a_renewal_asks_the_token_endpoint_of_then_and_nobody_else,
    another_policy_of_a_provider_holds_from_the_next_consent_on,
    a_token_larger_than_any_header_is_kept_and_handed_out,
    a_second_consent_without_refresh_token_is_told_as_not_renewable,
    a_rejection_told_in_a_good_answer_can_be_reported_as_one,
}

async fn a_renewal_asks_the_token_endpoint_of_then_and_nobody_else(engine: Engine) {
    let world = World::start(engine).await;
    // The server and its metadata are at another origin than the authorization server.
    let mcp = Web::start().await;
    let url = mcp.url("/mcp");
    let at = "/.well-known/oauth-protected-resource/mcp";
    let document = json!({ "resource": url, "authorization_servers": [world.idp.issuer()] });
    mcp.on(at, Reply::json(200, &document));
    let oauth2 = v1::server::Auth::Oauth2(v1::OAuth2Auth::default());
    let server = with_auth("tools", url, oauth2);
    world.create(server).await.unwrap();
    world.connect("alice", "tools").await;
    // Nothing that was discovered is there any more, and the server is gone altogether.
    let metadata = "/.well-known/oauth-authorization-server/as";
    world.idp.web().on(metadata, Reply::status(503));
    drop(mcp);
    let before = world.idp.web().paths().len();

    for version in 2..4 {
        world.pass(3600);
        let resolved = world.resolve("alice", "tools").await;

        assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
        assert_eq!(resolved.credential_version, version);
        assert!(world.idp.accepts(&resolved.headers[0].value));
    }
    assert_eq!(
        world.idp.web().paths()[before..],
        ["/as/token", "/as/token"]
    );
}

async fn another_policy_of_a_provider_holds_from_the_next_consent_on(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.lifetime(None);
    world.idp.renews(false);
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let old = world.connection("alice", "tools").await.unwrap();
    assert_eq!((old.renewable, old.expire_time), (false, None));
    // Over night it gives tokens that end and are renewed, and ends those of before.
    world.idp.lifetime(Some(24 * 3600));
    world.idp.renews(true);

    let answer = world.rejected("alice", "tools", 1).await;
    assert_eq!(answer.action(), Action::Authorize);
    world.connect("alice", "tools").await;

    let new = world.connection("alice", "tools").await.unwrap();
    assert!(new.renewable && new.expire_time.is_some(), "{new:?}");
    world.pass(24 * 3600);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(
        (resolved.status(), resolved.credential_version),
        (Status::Ready, new.generation + 1)
    );
}

async fn a_token_larger_than_any_header_is_kept_and_handed_out(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let large = "a".repeat(16 * 1024);
    let token = json!({ "access_token": large, "token_type": "Bearer", "expires_in": 3600 });
    world.idp.web().once("/as/token", Reply::json(200, &token));

    world.connect("alice", "tools").await;

    let header = world.header("alice", "tools").await;
    assert_eq!(header.len(), "Bearer ".len() + large.len());
}

async fn a_second_consent_without_refresh_token_is_told_as_not_renewable(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let first = world.connection("alice", "tools").await.unwrap();
    world.idp.renews(false);

    world.connect("alice", "tools").await;

    let second = world.connection("alice", "tools").await.unwrap();
    assert_eq!((first.renewable, second.renewable), (true, false));
    assert_eq!(second.state(), State::Active);
    world.pass(3600);
    let ended = world.resolve("alice", "tools").await;
    assert_eq!(ended.status(), Status::Expired, "{ended:?}");
    assert!(world.idp.redemptions().is_empty());
}

async fn a_rejection_told_in_a_good_answer_can_be_reported_as_one(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    // The status was 200; that the text in it tells of a rejection is the daemon's to know and say.
    world.worked("alice", "tools", 1).await;

    let answer = world.rejected("alice", "tools", 1).await;

    assert_eq!(
        (answer.action(), answer.credential_version),
        (Action::Retry, 2)
    );
    assert_eq!(world.idp.redemptions().len(), 1);
}
