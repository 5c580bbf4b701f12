//! Dynamic client registration.

use secrecy::ExposeSecret;
use serde_json::json;
use stationmaster::domain::authorization::{ClientAuthMethod, Scopes};
use stationmaster::domain::time::Timestamp;
use stationmaster::oauth::{Error, NewClient, RegisteredClient, register};

use super::{LOCAL, PATIENCE, fetch};
use crate::harness::web::{Reply, Web};

async fn try_register(web: &Web) -> Result<RegisteredClient, Error> {
    let client = NewClient {
        on_behalf_of: LOCAL,
        redirect_uri: "http://localhost:7401/oauth2/callback/srv_1",
        client_name: "Stationmaster",
        client_uri: None,
        scopes: Some(&Scopes::parse("a b")),
        auth_methods: Some(&[ClientAuthMethod::None, ClientAuthMethod::ClientSecretPost]),
        deadline: PATIENCE,
    };
    register(&fetch(), &web.url("/register"), &client).await
}

#[tokio::test]
async fn the_answers_method_governs_over_the_one_asked_for() {
    let web = Web::start().await;
    web.on(
        "/register",
        Reply::json(
            201,
            &json!({
                "client_id": "c1",
                "client_secret": "s1",
                "client_secret_expires_at": 1_900_000_000,
                "token_endpoint_auth_method": "client_secret_post",
                "registration_access_token": "r1",
                "registration_client_uri": "https://as/register/c1",
            }),
        ),
    );

    let client = try_register(&web).await.unwrap();

    assert_eq!(client.client_id, "c1");
    assert_eq!(client.auth_method, ClientAuthMethod::ClientSecretPost);
    assert_eq!(client.client_secret.unwrap().expose_secret(), "s1");
    assert_eq!(
        client.secret_expires_at,
        Some(Timestamp::from_secs(1_900_000_000))
    );
    assert_eq!(
        client.registration_access_token.unwrap().expose_secret(),
        "r1"
    );
    assert_eq!(
        client.registration_client_uri.unwrap(),
        "https://as/register/c1"
    );
    let asked = web.seen()[0].json();
    assert_eq!(asked["token_endpoint_auth_method"], "none");
    assert_eq!(
        asked["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(asked["application_type"], "native");
    assert_eq!(asked["scope"], "a b");
}

#[tokio::test]
async fn refusals_carry_a_code_and_never_a_text() {
    let web = Web::start().await;
    web.once("/register", Reply::text(403, "text/plain", "go away, hush"));
    web.once(
        "/register",
        Reply::json(
            400,
            &json!({"error": "invalid_redirect_uri", "error_description": "hush"}),
        ),
    );

    let plain = try_register(&web).await.unwrap_err();
    let coded = try_register(&web).await.unwrap_err();

    assert!(matches!(&plain, Error::RegistrationRefused { status, code: None } if *status == 403));
    assert!(
        matches!(&coded, Error::RegistrationRefused { code: Some(code), .. } if code == "invalid_redirect_uri")
    );
    assert!(!format!("{plain:?}{plain}{coded:?}{coded}").contains("hush"));
}

#[tokio::test]
async fn trouble_is_not_a_refusal() {
    let web = Web::start().await;
    web.on("/register", Reply::status(429).with("retry-after", "9"));

    let error = try_register(&web).await.unwrap_err();

    assert!(
        matches!(error, Error::Unavailable { retry_after: Some(after), .. } if after.as_secs() == 9)
    );
}

#[tokio::test]
async fn a_client_that_cannot_be_used_is_deleted_again() {
    let web = Web::start().await;
    let answer = json!({
        "client_id": "c1",
        "token_endpoint_auth_method": "private_key_jwt",
        "registration_access_token": "r1",
        "registration_client_uri": web.url("/register/c1"),
    });
    web.on("/register", Reply::json(201, &answer));
    web.on("/register/c1", Reply::status(204));

    let refused = try_register(&web).await;

    assert!(
        matches!(refused, Err(Error::Unsupported { .. })),
        "{refused:?}"
    );
    let deletion = web.seen_at("/register/c1").remove(0);
    assert_eq!(deletion.method, "DELETE");
    assert_eq!(deletion.header("authorization"), Some("Bearer r1"));
}
