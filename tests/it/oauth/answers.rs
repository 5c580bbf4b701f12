//! What token endpoints answer in the wild, through a whole redemption.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stationmaster::domain::authorization::{ClientAuthMethod, Issuer, TokenSet};
use stationmaster::domain::secrets::{AuthorizationCode, ClientSecret, PkceVerifier, RefreshToken};
use stationmaster::domain::time::{Clock, SystemClock};
use stationmaster::fetch::{self, Cause, Sent};
use stationmaster::oauth::{
    About, ClientAuth, CodeGrant, Dialect, Endpoint, Error, Lost, Outcome, Profiles, RefreshGrant,
    exchange, refresh,
};

use super::{IMPATIENCE, NOW, PATIENCE, fetch, public, redeem, redeem_at, redeem_by, strict};
use crate::harness::web::{Reply, Web};

async fn answered(reply: Reply) -> Outcome {
    let web = Web::start().await;
    web.on("/token", reply);
    redeem_at(&web).await
}

async fn granted(reply: Reply) -> TokenSet {
    let outcome = answered(reply).await;
    let Outcome::Granted(tokens) = outcome else {
        panic!("{outcome:?}");
    };
    tokens
}

async fn granted_json(body: Value) -> TokenSet {
    granted(Reply::json(200, &body)).await
}

#[tokio::test]
async fn the_refresh_token_is_there_only_when_one_was_given() {
    for (given, expected) in [
        (json!({"access_token": "a"}), None),
        (json!({"access_token": "a", "refresh_token": null}), None),
        (json!({"access_token": "a", "refresh_token": ""}), None),
        (json!({"access_token": "a", "refresh_token": "old"}), None),
        (
            json!({"access_token": "a", "refresh_token": "new"}),
            Some("new"),
        ),
    ] {
        let tokens = granted_json(given).await;

        let token = tokens.refresh_token.as_ref();
        assert_eq!(token.map(ExposeSecret::expose_secret), expected);
    }
    let form = Reply::text(200, "text/plain", "access_token=a&refresh_token=");
    assert!(granted(form).await.refresh_token.is_none());
}

#[tokio::test]
async fn lifetimes_come_through() {
    let claims = URL_SAFE_NO_PAD.encode(json!({"iat": 1, "exp": NOW + 60}).to_string());
    let jwt = format!("e30.{claims}.sig");

    let unknown = granted_json(json!({"access_token": "a"})).await;
    let hinted = granted_json(json!({"access_token": jwt})).await;
    let dated = Reply::json(
        200,
        &json!({"access_token": "a", "expires_at": "2026-11-21T04:00:00Z"}),
    );
    let dated = granted(dated.with("date", "Sat, 21 Nov 2026 03:30:00 GMT")).await;
    let both = granted_json(json!({
        "access_token": "a", "expires_in": 28800, "refresh_token_expires_in": 15_897_600
    }))
    .await;

    assert_eq!(
        (unknown.expires_in, unknown.refresh_expires_in),
        (None, None)
    );
    assert!(hinted.expires_in.is_some());
    assert_eq!(dated.expires_in, Some(Duration::from_mins(30)));
    assert_eq!(both.expires_in, Some(Duration::from_hours(8)));
    assert_eq!(
        both.refresh_expires_in,
        Some(Duration::from_hours(184 * 24))
    );
}

#[tokio::test]
async fn granted_scopes_are_what_the_answer_says_and_nothing_when_it_is_silent() {
    for (said, expected) in [
        (json!("read"), Some("read")),
        (json!("read write admin"), Some("read write admin")),
        (json!("read,write"), Some("read write")),
        (json!(["read", "write"]), Some("read write")),
        (json!(""), None),
        (json!(null), None),
    ] {
        let tokens = granted_json(json!({"access_token": "a", "scope": said})).await;

        let scopes = tokens.scopes.map(|scopes| scopes.to_string());
        assert_eq!(scopes.as_deref(), expected, "{said}");
    }
}

#[tokio::test]
async fn an_answer_is_read_whatever_its_content_type_says() {
    let form = "access_token=a&refresh_token=new&expires_in=60";
    let document =
        json!({"access_token": "a", "refresh_token": "new", "expires_in": 60}).to_string();

    for content_type in [
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "text/plain",
        "text/html",
    ] {
        for body in [form.to_owned(), document.clone()] {
            let tokens = granted(Reply::text(200, content_type, body)).await;

            assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "new");
            assert_eq!(tokens.expires_in, Some(Duration::from_mins(1)));
        }
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_transient_and_not_shown() {
    for (status, page) in [
        (200, "<!doctype html><p>hush</p>"),
        (403, "<html>hush: request blocked</html>"),
        (403, "hush"),
        (400, "<html>hush</html>"),
    ] {
        let outcome = answered(Reply::text(status, "text/html", page)).await;

        assert!(matches!(outcome, Outcome::Transient { .. }), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("hush"));
    }
}

#[tokio::test]
async fn an_answer_without_end_or_bounds_is_bounded_and_unknown() {
    let web = Web::start().await;
    let huge = format!(
        r#"{{"access_token":"a","padding":"{}"}}"#,
        "x".repeat(300_000)
    );
    web.once("/token", Reply::Endless);
    web.once("/token", Reply::text(200, "application/json", huge));
    web.once("/token", Reply::Dripping);
    web.once("/token", Reply::Truncated(r#"{"access_token":"a"}"#));
    let url = web.url("/token");

    for deadline in [PATIENCE, PATIENCE, IMPATIENCE, PATIENCE] {
        let endpoint = Endpoint {
            deadline,
            ..public(&url)
        };
        let outcome = redeem(&endpoint).await;

        assert!(
            matches!(&outcome, Outcome::Unknown(Lost::NoAnswer(error)) if error.sent() == Sent::Maybe),
            "{outcome:?}"
        );
    }
    assert_eq!(web.seen().len(), 4, "each request is written once");
}

#[tokio::test]
async fn a_refusal_that_repeats_what_it_was_sent_never_shows_it() {
    const REFRESH: &str = "r3fresh-t0ken-with-s0me-length";
    const SECRET: &str = "cl1ent-s3cret-with-s0me-length";
    const CODE: &str = "a-c0de-with-s0me-length";
    let web = Web::start().await;
    let url = web.url("/token");
    let secret = ClientSecret::new(SECRET.to_owned());
    let auth = ClientAuth::new(ClientAuthMethod::ClientSecretPost, Some(secret)).unwrap();
    let endpoint = Endpoint {
        auth: &auth,
        ..public(&url)
    };
    let token = RefreshToken::new(REFRESH.to_owned());
    let grant = RefreshGrant {
        dialect: &Dialect::default(),
        refresh_token: &token,
        resource: None,
        scopes: None,
    };
    let code = CodeGrant {
        dialect: &Dialect::default(),
        code: &AuthorizationCode::new(CODE.to_owned()),
        verifier: &PkceVerifier::new("v".repeat(43)),
        redirect_uri: "http://localhost/cb",
        resource: None,
    };

    for error in [REFRESH, SECRET, CODE] {
        let body = json!({
            "error": error, "error_description": format!("no {REFRESH} {SECRET} {CODE}"),
            "error_uri": format!("https://as.example/?t={REFRESH}"),
        });
        web.on("/token", Reply::json(400, &body));
        let outcome = if error == CODE {
            exchange(&fetch(), &endpoint, &code).await
        } else {
            refresh(&fetch(), &endpoint, &grant).await
        };

        let shown = format!("{outcome:?}");
        for hidden in [REFRESH, SECRET, CODE] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        let Outcome::Refused(refused) = outcome else {
            panic!("{shown}");
        };
        assert_eq!((refused.about, refused.code), (About::Other, None));
    }
}

#[tokio::test]
async fn a_refusal_carries_its_code_and_nothing_to_store() {
    for body in [
        json!({"error": "invalid_grant", "error_description": "d", "error_uri": "u"}),
        json!({"error": "invalid_grant", "access_token": "hush", "refresh_token": "hush"}),
        json!({"ok": false, "error": "token_revoked", "access_token": "hush"}),
    ] {
        let outcome = answered(Reply::json(200, &body)).await;

        assert!(!format!("{outcome:?}").contains("hush"));
        assert!(
            matches!(&outcome, Outcome::Refused(refused) if refused.about == About::Grant),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_invalid_grant_is_about_the_grant_whatever_its_description_says() {
    for description in ["client not found", "invalid client_id", "unknown client"] {
        let body = json!({"error": "invalid_grant", "error_description": description});

        let outcome = answered(Reply::json(400, &body)).await;

        assert!(
            matches!(&outcome, Outcome::Refused(refused) if refused.about == About::Grant),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn slacks_user_token_is_found_when_exchanged_and_when_refreshed() {
    let web = Web::start().await;
    let user =
        json!({"id": "U1", "access_token": "xoxp-1", "token_type": "user", "refresh_token": "r1"});
    web.once(
        "/token",
        Reply::json(
            200,
            &json!({"ok": true, "access_token": "xoxb", "token_type": "bot", "authed_user": user}),
        ),
    );
    web.once(
        "/token",
        Reply::json(
            200,
            &json!({"ok": true, "access_token": "xoxp-2", "token_type": "user", "refresh_token": "r2"}),
        ),
    );
    let profiles = Profiles::load(None).unwrap();
    let dialect = profiles.dialect(None, &Issuer::new("https://slack.com"));
    let grant = CodeGrant {
        dialect,
        code: &AuthorizationCode::new("code".to_owned()),
        verifier: &PkceVerifier::new("v".repeat(43)),
        redirect_uri: "http://localhost/cb",
        resource: None,
    };

    let url = web.url("/token");
    let exchanged = exchange(&fetch(), &public(&url), &grant).await;
    let token = RefreshToken::new("r1".to_owned());
    let grant = RefreshGrant {
        dialect,
        refresh_token: &token,
        resource: None,
        scopes: None,
    };
    let refreshed = refresh(&fetch(), &public(&url), &grant).await;

    for (outcome, access, refresh) in [(exchanged, "xoxp-1", "r1"), (refreshed, "xoxp-2", "r2")] {
        let Outcome::Granted(tokens) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(tokens.access_token.expose_secret(), access);
        assert_eq!(tokens.refresh_token.unwrap().expose_secret(), refresh);
        assert_eq!(tokens.token_type, "Bearer");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_private_by_now_is_not_sent_to() {
    let web = Web::start().await;

    for url in [
        web.url_by_name("/token"),
        web.url("/token"),
        web.url_by_name("/token").replace("localhost", "localhost."),
        "http://[::ffff:127.0.0.1]/token".to_owned(),
        "http://169.254.169.254/token".to_owned(),
    ] {
        let outcome = redeem_by(&strict(), &public(&url)).await;

        assert!(
            matches!(
                &outcome,
                Outcome::NotSent(Error::Fetch(fetch::Error::Blocked {
                    why: fetch::Why::Address(_),
                    ..
                }))
            ),
            "{url}: {outcome:?}"
        );
    }
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn a_redemption_whose_time_is_over_is_not_sent() {
    let web = Web::start().await;
    web.on("/token", Reply::json(200, &json!({"access_token": "a"})));
    let url = web.url("/token");
    let endpoint = Endpoint {
        send_before: Some(SystemClock::new().instant(Duration::ZERO)),
        ..public(&url)
    };

    let outcome = redeem(&endpoint).await;

    assert!(
        matches!(
            &outcome,
            Outcome::NotSent(Error::Fetch(fetch::Error::NotSent {
                cause: Cause::TooLate,
                ..
            }))
        ),
        "{outcome:?}"
    );
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn what_else_an_answer_carries_does_not_cost_its_tokens() {
    for id_token in [
        json!("no.jwt"),
        json!(""),
        json!(17),
        json!({"a": 1}),
        json!(null),
    ] {
        let body = json!({
            "access_token": "a", "refresh_token": "new", "id_token": id_token, "user": [1],
        });

        let tokens = granted_json(body).await;

        assert!(tokens.refresh_token.is_some(), "{id_token}");
    }
}
