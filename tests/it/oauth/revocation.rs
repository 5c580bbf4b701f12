//! Ending tokens and registrations at the provider.

use std::time::Duration;

use serde_json::json;
use stationmaster::domain::authorization::ClientAuthMethod;
use stationmaster::domain::secrets::{
    AccessToken, ClientSecret, RefreshToken, RegistrationAccessToken,
};
use stationmaster::oauth::{
    About, ClientAuth, Endpoint, Error, Revocation, Revoked, revoke, unregister,
};

use super::{IMPATIENCE, LOCAL, PATIENCE, fetch, public, strict};
use crate::harness::web::{Reply, Web};

const TOKEN: &str = "upstream-refresh-token-1";

async fn revoke_with(endpoint: &Endpoint<'_>) -> Revocation {
    let token = RefreshToken::new(TOKEN.to_owned());
    revoke(&fetch(), endpoint, Revoked::Refresh(&token)).await
}

/// What becomes of a token when the endpoint replies so.
async fn revoked(reply: Reply) -> Revocation {
    let web = Web::start().await;
    web.on("/revoke", reply);
    let revocation = revoke_with(&public(&web.url("/revoke"))).await;
    assert_eq!(web.seen().len(), 1, "one request");
    revocation
}

/// What becomes of a registration when its address replies so.
async fn unregistered(reply: Reply) -> Revocation {
    let web = Web::start().await;
    web.on("/register/c1", reply);
    let token = RegistrationAccessToken::new(TOKEN.to_owned());
    let revocation = unregister(&fetch(), &web.url("/register/c1"), LOCAL, &token, PATIENCE).await;
    assert_eq!(web.seen().len(), 1, "one request");
    revocation
}

fn refusal(code: &str) -> Reply {
    Reply::json(400, &json!({"error": code, "error_description": "hush"}))
}

#[tokio::test]
async fn the_upstream_token_is_sent_with_its_hint_and_its_clients_authentication() {
    let web = Web::start().await;
    web.on("/revoke", Reply::status(200));
    let url = web.url("/revoke");
    let secret = ClientSecret::new("p:w+d".to_owned());
    let basic = ClientAuth::new(ClientAuthMethod::ClientSecretBasic, Some(secret)).unwrap();
    let endpoint = Endpoint {
        auth: &basic,
        ..public(&url)
    };
    let access = AccessToken::new("upstream-access".to_owned());

    let refresh = revoke_with(&endpoint).await;
    let access = revoke(&fetch(), &public(&url), Revoked::Access(&access)).await;

    assert!(matches!(refresh, Revocation::Done));
    assert!(matches!(access, Revocation::Done));
    let [refresh, access] = web.seen().try_into().unwrap();
    assert_eq!(refresh.form("token").as_deref(), Some(TOKEN));
    assert_eq!(
        refresh.form("token_type_hint").as_deref(),
        Some("refresh_token")
    );
    assert_eq!(
        refresh.header("authorization"),
        Some("Basic dGhlK2NsaWVudDpwJTNBdyUyQmQ=")
    );
    assert_eq!(access.form("token").as_deref(), Some("upstream-access"));
    assert_eq!(
        access.form("token_type_hint").as_deref(),
        Some("access_token")
    );
    assert_eq!(access.form("client_id").as_deref(), Some("the client"));
    assert_eq!(access.header("authorization"), None);
}

#[tokio::test]
async fn every_good_status_means_revoked_whatever_the_body() {
    for reply in [
        Reply::status(200),
        Reply::status(204),
        Reply::status(202),
        Reply::text(200, "text/plain", "OK"),
        Reply::text(200, "text/html", "<p>revoked</p>"),
        Reply::json(200, &json!({"ok": true})),
        Reply::json(200, &json!(null)),
    ] {
        let revocation = revoked(reply).await;

        assert!(matches!(revocation, Revocation::Done), "{revocation:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_invalid_already_is_revoked() {
    for reply in [
        refusal("invalid_token"),
        refusal("invalid_grant"),
        Reply::json(401, &json!({"error": "invalid_token"})),
        Reply::json(404, &json!({"error": "token_not_found"})),
        Reply::json(200, &json!({"ok": false, "error": "token_revoked"})),
    ] {
        let revocation = revoked(reply).await;

        assert!(matches!(revocation, Revocation::Done), "{revocation:?}");
    }
}

#[tokio::test]
async fn a_refusal_to_revoke_is_typed_and_repeats_nothing() {
    for (reply, about, unsupported) in [
        (refusal("unsupported_token_type"), About::Other, true),
        (refusal("invalid_client"), About::Client, false),
        (refusal("invalid_request"), About::Other, false),
        (refusal(TOKEN), About::Other, false),
        (Reply::status(400), About::Other, false),
        (Reply::text(401, "text/plain", "who?"), About::Other, false),
        (
            Reply::json(200, &json!({"ok": false, "error": "not_authed"})),
            About::Other,
            false,
        ),
    ] {
        let revocation = revoked(reply).await;

        let shown = format!("{revocation:?}");
        assert!(!shown.contains("hush") && !shown.contains(TOKEN), "{shown}");
        let Revocation::Refused(refused) = revocation else {
            panic!("{shown}");
        };
        assert_eq!(refused.about, about, "{shown}");
        assert_eq!(refused.is_unsupported_token_type(), unsupported, "{shown}");
    }
}

#[tokio::test]
async fn trouble_at_the_revocation_endpoint_is_for_later() {
    let held = |seconds: &str, status| Reply::status(status).with("retry-after", seconds);
    for (reply, expected) in [
        (held("5", 503), Some(5)),
        (held("7", 429), Some(7)),
        (Reply::status(500), None),
        (Reply::status(408), None),
        (refusal("temporarily_unavailable"), None),
        (Reply::text(403, "text/html", "<html>blocked</html>"), None),
        (Reply::redirect(307, "/elsewhere"), None),
        (Reply::Reset, None),
        (Reply::Truncated("{"), None),
        (Reply::Endless, None),
    ] {
        let revocation = revoked(reply).await;

        let Revocation::Later { retry_after } = revocation else {
            panic!("{revocation:?}");
        };
        assert_eq!(retry_after, expected.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn a_revocation_endpoint_that_is_none_is_not_tried_again() {
    for status in [404, 405, 410, 501] {
        let revocation = revoked(Reply::text(status, "text/html", "<p>no</p>")).await;

        assert!(
            matches!(&revocation, Revocation::Impossible(Error::NoEndpoint { status: seen }) if *seen == status),
            "{revocation:?}"
        );
    }
}

#[tokio::test]
async fn a_revocation_endpoint_that_may_not_be_contacted_is_impossible() {
    let web = Web::start().await;
    let token = RefreshToken::new(TOKEN.to_owned());
    let management = RegistrationAccessToken::new(TOKEN.to_owned());

    for url in [web.url("/"), web.url_by_name("/"), "not a url".to_owned()] {
        let of_token = revoke(&strict(), &public(&url), Revoked::Refresh(&token)).await;
        let of_client = unregister(&strict(), &url, LOCAL, &management, PATIENCE).await;

        assert!(
            matches!(of_token, Revocation::Impossible(_)),
            "{of_token:?}"
        );
        assert!(
            matches!(of_client, Revocation::Impossible(_)),
            "{of_client:?}"
        );
    }
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn a_registration_is_deleted_with_its_own_token() {
    let web = Web::start().await;
    web.on("/register/c1", Reply::status(204));
    let token = RegistrationAccessToken::new(TOKEN.to_owned());

    let deleted = unregister(&fetch(), &web.url("/register/c1"), LOCAL, &token, PATIENCE).await;

    assert!(matches!(deleted, Revocation::Done), "{deleted:?}");
    let seen = &web.seen()[0];
    assert_eq!(seen.method, "DELETE");
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(seen.body, "");
}

#[tokio::test]
async fn a_registration_that_is_gone_already_is_deleted() {
    for reply in [
        Reply::status(200),
        Reply::text(200, "text/plain", "bye"),
        Reply::status(404),
        Reply::status(410),
        Reply::json(401, &json!({"error": "invalid_token"})),
        Reply::status(401),
    ] {
        let deleted = unregistered(reply).await;

        assert!(matches!(deleted, Revocation::Done), "{deleted:?}");
    }
}

#[tokio::test]
async fn a_registration_that_may_not_be_deleted_is_left_alone() {
    let refused = unregistered(Reply::status(403)).await;
    let echoed = unregistered(refusal(TOKEN)).await;

    assert!(matches!(refused, Revocation::Refused(_)), "{refused:?}");
    assert!(matches!(echoed, Revocation::Refused(_)), "{echoed:?}");
    assert!(!format!("{echoed:?}").contains(TOKEN));
    for status in [405, 501] {
        let none = unregistered(Reply::status(status)).await;

        assert!(
            matches!(none, Revocation::Impossible(Error::NoEndpoint { .. })),
            "{none:?}"
        );
    }
}

#[tokio::test]
async fn trouble_with_deleting_a_registration_is_for_later() {
    for reply in [
        Reply::status(500),
        Reply::status(429),
        Reply::text(403, "text/html", "<html>blocked</html>"),
        // The token is not carried anywhere else.
        Reply::redirect(307, "/elsewhere"),
        Reply::Reset,
    ] {
        let deleted = unregistered(reply).await;

        assert!(matches!(deleted, Revocation::Later { .. }), "{deleted:?}");
    }
    let web = Web::start().await;
    web.on("/register/c1", Reply::Silence);
    let token = RegistrationAccessToken::new(TOKEN.to_owned());
    let silent = unregister(
        &fetch(),
        &web.url("/register/c1"),
        LOCAL,
        &token,
        IMPATIENCE,
    )
    .await;
    assert!(matches!(silent, Revocation::Later { .. }), "{silent:?}");
}
