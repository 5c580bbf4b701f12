//! The profiles that are compiled in, at token endpoints that speak as their providers do.

use serde_json::json;
use stationmaster::domain::authorization::Issuer;
use stationmaster::domain::secrets::{AuthorizationCode, PkceVerifier, RefreshToken};
use stationmaster::oauth::{About, CodeGrant, Outcome, Profiles, RefreshGrant, exchange, refresh};

use super::{detachable, fetch, public};
use crate::harness::web::{Reply, Web};

/// What comes of a code and of a refresh token, both refused in this word.
async fn refused(profile: &str, code: &str) -> [Outcome; 2] {
    let profiles = Profiles::load(None).unwrap();
    let dialect = profiles.dialect(Some(profile), &Issuer::new(""));
    let web = Web::start().await;
    web.on(
        "/token",
        Reply::json(200, &json!({ "ok": false, "error": code })),
    );
    let (way_out, url) = (fetch(), web.url("/token"));
    let redeemed = CodeGrant {
        code: &AuthorizationCode::new("code".to_owned()),
        verifier: &PkceVerifier::new("v".repeat(43)),
        redirect_uri: "http://localhost/cb",
        resource: None,
        dialect,
    };
    let renewed = RefreshGrant {
        refresh_token: &RefreshToken::new("old".to_owned()),
        resource: None,
        scopes: None,
        dialect,
    };
    [
        detachable(exchange(&way_out, &public(&url), &redeemed)).await,
        detachable(refresh(&way_out, &public(&url), &renewed)).await,
    ]
}

async fn assert_about(profile: &str, words: &[(&str, About)]) {
    for (code, expected) in words {
        for outcome in refused(profile, code).await {
            let Outcome::Refused(refused) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(refused.about, *expected, "{code}");
            assert_eq!(refused.code.as_deref(), Some(*code));
            assert_eq!(
                refused.is_unknown_client(),
                *expected == About::Client,
                "{code}"
            );
        }
    }
}

#[tokio::test]
async fn github_refuses_in_words_of_its_own() {
    let words = [
        ("bad_refresh_token", About::Grant),
        ("bad_verification_code", About::Grant),
        ("incorrect_client_credentials", About::Client),
        ("redirect_uri_mismatch", About::Other),
    ];

    assert_about("github", &words).await;
}

#[tokio::test]
async fn slack_refuses_in_words_of_its_own() {
    let words = [
        ("invalid_code", About::Grant),
        ("invalid_refresh_token", About::Grant),
        ("bad_client_secret", About::Client),
        ("invalid_client_id", About::Client),
        ("bad_redirect_uri", About::Other),
    ];

    for profile in ["slack", "slack-app"] {
        assert_about(profile, &words).await;
    }
}

#[tokio::test]
async fn one_providers_words_mean_nothing_at_another() {
    assert_about("google", &[("bad_refresh_token", About::Other)]).await;
}
