//! Dynamic client registration.

use secrecy::ExposeSecret;
use serde_json::json;
use stationmaster::domain::authorization::{ClientAuthMethod, Scopes};
use stationmaster::domain::secrets::RegistrationAccessToken;
use stationmaster::domain::time::{Clock, SystemClock, Timestamp};
use stationmaster::oauth::{
    Error, ManagedClient, NewClient, RegisteredClient, RenewedClient, SecretEnd, register,
    renew_registration,
};

use super::{LOCAL, PATIENCE, fetch};
use crate::harness::web::{Reply, Web};

fn client(scopes: &Scopes) -> NewClient<'_> {
    NewClient {
        on_behalf_of: LOCAL,
        redirect_uri: "http://localhost:7401/oauth2/callback/srv_1",
        client_name: "Stationmaster",
        client_uri: None,
        scopes: Some(scopes),
        auth_methods: Some(&[ClientAuthMethod::None, ClientAuthMethod::ClientSecretPost]),
        deadline: PATIENCE,
    }
}

async fn try_register(web: &Web) -> Result<RegisteredClient, Error> {
    let scopes = Scopes::parse("a b");
    register(&fetch(), &web.url("/register"), &client(&scopes)).await
}

async fn try_renew(web: &Web) -> Result<RenewedClient, Error> {
    let clock = SystemClock::new();
    let scopes = Scopes::parse("a b");
    let managed = ManagedClient {
        client: client(&scopes),
        client_id: "c1",
        auth_method: ClientAuthMethod::ClientSecretPost,
        uri: &web.url("/register/c1"),
        token: &RegistrationAccessToken::new("r1".to_owned()),
        send_before: clock.instant(clock.monotonic() + PATIENCE),
    };
    renew_registration(&fetch(), &managed).await
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

#[tokio::test]
async fn a_registration_is_updated_with_what_it_is() {
    let web = Web::start().await;
    let answer = json!({
        "client_id": "c1",
        "client_secret": "s2",
        "client_secret_expires_at": 1_900_000_000,
        "registration_access_token": "r2",
        "registration_client_uri": web.url("/elsewhere/c1"),
    });
    web.on("/register/c1", Reply::json(200, &answer));

    let renewed = try_renew(&web).await.unwrap();

    assert_eq!(renewed.client_secret.unwrap().expose_secret(), "s2");
    let end = SecretEnd::At(Timestamp::from_secs(1_900_000_000));
    assert_eq!(renewed.secret_end, end);
    assert_eq!(renewed.auth_method, ClientAuthMethod::ClientSecretPost);
    let token = renewed.registration_access_token.unwrap();
    assert_eq!(token.expose_secret(), "r2");
    let uri = renewed.registration_client_uri.unwrap();
    assert_eq!(uri, web.url("/elsewhere/c1"));
    let seen = web.seen_at("/register/c1").remove(0);
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.header("authorization"), Some("Bearer r1"));
    let sent = seen.json();
    assert_eq!(sent["client_id"], "c1");
    assert_eq!(sent["token_endpoint_auth_method"], "client_secret_post");
    assert_eq!(
        sent["redirect_uris"][0],
        client(&Scopes::default()).redirect_uri
    );
    assert_eq!(sent["scope"], "a b");
    for unwanted in [
        "client_secret",
        "client_secret_expires_at",
        "registration_access_token",
        "registration_client_uri",
    ] {
        assert!(sent.get(unwanted).is_none(), "{unwanted}");
    }
}

#[tokio::test]
async fn what_an_update_does_not_say_stays_as_it_was() {
    let web = Web::start().await;
    for (answer, end) in [
        (json!({"client_id": "c1"}), SecretEnd::AsBefore),
        (
            json!({"client_id": "c1", "client_secret": "s"}),
            SecretEnd::Never,
        ),
        (
            json!({"client_id": "c1", "client_secret_expires_at": 0}),
            SecretEnd::Never,
        ),
        (
            json!({"client_id": "c1", "client_secret_expires_at": 9}),
            SecretEnd::At(Timestamp::from_secs(9)),
        ),
    ] {
        web.once("/register/c1", Reply::json(200, &answer));

        let renewed = try_renew(&web).await.unwrap();

        assert_eq!(renewed.secret_end, end, "{answer}");
        assert!(renewed.registration_access_token.is_none());
        assert!(renewed.registration_client_uri.is_none());
    }
}

#[tokio::test]
async fn an_update_that_is_refused_is_told_from_one_that_may_come_later() {
    let web = Web::start().await;
    let about_another = json!({"client_id": "c2", "client_secret": "hush"});
    let unspoken = json!({"client_id": "c1", "token_endpoint_auth_method": "tls_client_auth"});
    for (reply, expected) in [
        (
            Reply::status(401),
            "registration refused with status 401 Unauthorized",
        ),
        (Reply::status(404), "no such endpoint: status 404 Not Found"),
        (
            Reply::status(503),
            "temporarily unavailable with status 503 Service Unavailable",
        ),
        (
            Reply::text(200, "text/html", "<p>hush"),
            "registration answer is malformed",
        ),
        (
            Reply::json(200, &about_another),
            "registration answer is malformed",
        ),
        (
            Reply::json(200, &unspoken),
            "client authentication method not supported",
        ),
    ] {
        web.once("/register/c1", reply);

        let error = try_renew(&web).await.unwrap_err();

        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hush"));
    }
}

#[tokio::test]
async fn a_secret_without_a_method_is_sent_as_the_protocol_says_unless_metadata_knows() {
    let web = Web::start().await;
    let scopes = Scopes::default();
    let post = [ClientAuthMethod::ClientSecretPost];
    let silent = json!({"client_id": "c1", "client_secret": "s1"});
    let mut said = silent.clone();
    said["token_endpoint_auth_method"] = json!("client_secret_basic");
    for (listed, answer, method, assumed) in [
        (None, &silent, ClientAuthMethod::ClientSecretBasic, true),
        (None, &said, ClientAuthMethod::ClientSecretBasic, false),
        (
            Some(&post[..]),
            &silent,
            ClientAuthMethod::ClientSecretPost,
            false,
        ),
    ] {
        web.once("/register", Reply::json(201, answer));
        let wanted = NewClient {
            auth_methods: listed,
            ..client(&scopes)
        };

        let made = register(&fetch(), &web.url("/register"), &wanted).await;

        let made = made.unwrap();
        assert_eq!((made.auth_method, made.method_assumed), (method, assumed));
    }
}
