//! Redeeming.

use secrecy::ExposeSecret;
use serde_json::json;
use stationmaster::domain::authorization::{ClientAuthMethod, Resource};
use stationmaster::domain::secrets::{AuthorizationCode, ClientSecret, PkceVerifier, RefreshToken};
use stationmaster::fetch::{self, Cause};
use stationmaster::oauth::{
    About, ClientAuth, CodeGrant, Dialect, Endpoint, Error, Lost, Outcome, RefreshGrant, exchange,
    refresh,
};
use tokio::net::TcpListener;

use super::{
    IMPATIENCE, PATIENCE, RESOURCE, detachable, fetch as way_out, public, redeem, redeem_at,
};
use crate::harness::web::{Reply, Seen, Web};

#[tokio::test]
async fn an_exchange_sends_what_the_specification_wants() {
    let web = Web::start().await;
    web.on(
        "/token",
        Reply::json(
            200,
            &json!({"access_token": "a", "token_type": "BEARER", "expires_in": "60"}),
        ),
    );
    let grant = CodeGrant {
        dialect: &Dialect::default(),
        code: &AuthorizationCode::new("the code".to_owned()),
        verifier: &PkceVerifier::new("v".repeat(43)),
        redirect_uri: "http://localhost/cb?x=1",
        resource: Some(&Resource::new(RESOURCE)),
    };

    let (way_out, url) = (way_out(), web.url("/token?tenant=1"));
    let outcome = detachable(exchange(&way_out, &public(&url), &grant)).await;

    let Outcome::Granted(tokens) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(tokens.access_token.expose_secret(), "a");
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(tokens.expires_in.unwrap().as_secs(), 60);
    assert!(tokens.refresh_token.is_none());
    let seen = &web.seen()[0];
    assert_eq!(seen.query.as_deref(), Some("tenant=1"));
    assert_eq!(
        seen.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "the code"),
        ("code_verifier", &"v".repeat(43)),
        ("redirect_uri", "http://localhost/cb?x=1"),
        ("resource", RESOURCE),
        ("client_id", "the client"),
    ] {
        assert_eq!(seen.form(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn each_client_authentication_sends_the_secret_in_its_place_only() {
    let web = Web::start().await;
    web.on("/token", Reply::json(200, &json!({"access_token": "a"})));
    let url = web.url("/token");
    let secret = || Some(ClientSecret::new("p:w+d".to_owned()));

    for method in [
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
        ClientAuthMethod::None,
    ] {
        let auth = ClientAuth::new(method, secret()).unwrap();
        let endpoint = Endpoint {
            auth: &auth,
            ..public(&url)
        };
        assert!(matches!(redeem(&endpoint).await, Outcome::Granted(_)));
    }

    let [basic, post, none] = web.seen().try_into().unwrap();
    // base64("the+client:p%3Aw%2Bd")
    assert_eq!(
        basic.header("authorization"),
        Some("Basic dGhlK2NsaWVudDpwJTNBdyUyQmQ=")
    );
    assert_eq!(basic.form("client_secret"), None);
    assert_eq!(post.form("client_secret").as_deref(), Some("p:w+d"));
    assert_eq!(post.form("client_id").as_deref(), Some("the client"));
    assert_eq!(none.form("client_secret"), None);
    assert_eq!(
        (post.header("authorization"), none.header("authorization")),
        (None, None)
    );
    assert!(matches!(
        ClientAuth::new(ClientAuthMethod::PrivateKeyJwt, secret()),
        Err(Error::Unsupported { .. })
    ));
}

#[tokio::test]
async fn a_refresh_keeps_resource_and_reads_a_form() {
    let web = Web::start().await;
    let body = "access_token=a&refresh_token=new&scope=repo%2Cgist&token_type=bearer";
    web.on(
        "/token",
        Reply::text(200, "application/x-www-form-urlencoded", body),
    );

    let outcome = redeem_at(&web).await;

    let Outcome::Granted(tokens) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "new");
    assert_eq!(tokens.scopes.unwrap().to_string(), "repo gist");
    assert_eq!(tokens.expires_in, None);
    let seen = &web.seen()[0];
    assert_eq!(seen.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(seen.form("refresh_token").as_deref(), Some("old"));
    assert_eq!(seen.form("resource").as_deref(), Some(RESOURCE));
    assert_eq!(seen.form("scope"), None);
}

#[tokio::test]
async fn tokens_go_out_and_come_back_byte_for_byte() {
    let web = Web::start().await;
    let echo = |seen: &Seen| {
        let sent = seen.form("refresh_token").unwrap();
        let access = sent.replace('é', "~");
        Reply::json(
            200,
            &json!({ "access_token": access, "refresh_token": sent + "!" }),
        )
    };
    web.on("/token", Reply::made(echo));
    let odd = r#"a+b/c= d%20&e"'\é"#;
    let grant = RefreshGrant {
        dialect: &Dialect::default(),
        refresh_token: &RefreshToken::new(odd.to_owned()),
        resource: None,
        scopes: None,
    };

    let outcome = refresh(&way_out(), &public(&web.url("/token")), &grant).await;

    let Outcome::Granted(tokens) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(tokens.access_token.expose_secret(), odd.replace('é', "~"));
    let next = tokens.refresh_token.unwrap();
    assert_eq!(next.expose_secret(), format!("{odd}!"));
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(web.seen()[0].form("resource"), None);
}

#[tokio::test]
async fn refusals_are_typed_whatever_their_status() {
    let web = Web::start().await;

    for (status, code, expected) in [
        (400, "invalid_grant", About::Grant),
        (200, "token_revoked", About::Grant),
        (401, "invalid_client", About::Client),
        (400, "invalid_scope", About::Other),
    ] {
        web.once(
            "/token",
            Reply::json(status, &json!({"error": code, "error_description": "hush"})),
        );

        let outcome = redeem_at(&web).await;

        assert!(!format!("{outcome:?}").contains("hush"));
        let Outcome::Refused(refused) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            (refused.about, refused.code.as_deref()),
            (expected, Some(code))
        );
    }
}

#[tokio::test]
async fn trouble_is_transient() {
    let web = Web::start().await;
    web.once("/token", Reply::status(429).with("retry-after", "30"));
    web.once(
        "/token",
        Reply::json(503, &json!({"error": "invalid_grant"})),
    );
    web.once(
        "/token",
        Reply::text(200, "text/html", "<html>back soon</html>"),
    );
    web.once("/token", Reply::redirect(307, "/elsewhere"));
    // What gateways in front of a server say.
    let forbidden = json!({"message": "Forbidden"});
    let not_found = json!({"status": 404, "error": "Not Found", "path": "/token"});
    web.once("/token", Reply::json(403, &forbidden));
    web.once("/token", Reply::json(404, &not_found));
    web.once("/token", Reply::json(410, &json!({"error": "gone"})));

    let first = redeem_at(&web).await;
    assert!(
        matches!(first, Outcome::Transient { retry_after: Some(after), .. } if after.as_secs() == 30)
    );
    for _ in 0..6 {
        let outcome = redeem_at(&web).await;
        assert!(matches!(outcome, Outcome::Transient { .. }), "{outcome:?}");
    }
    assert!(web.paths().iter().all(|path| path == "/token"));
}

#[tokio::test]
async fn what_is_lost_after_the_request_was_written_is_unknown() {
    let web = Web::start().await;
    web.once("/token", Reply::Reset);
    web.once("/token", Reply::Truncated(r#"{"access_token":"#));
    web.once("/token", Reply::Silence);
    web.once("/token", Reply::json(200, &json!({"token_type": "bearer"})));
    let url = web.url("/token");

    for (expected, deadline) in [
        (Cause::Reset, PATIENCE),
        (Cause::Truncated, PATIENCE),
        (Cause::Deadline, IMPATIENCE),
    ] {
        let endpoint = Endpoint {
            deadline,
            ..public(&url)
        };
        let outcome = redeem(&endpoint).await;
        assert!(
            matches!(&outcome, Outcome::Unknown(Lost::NoAnswer(fetch::Error::Unknown { cause, .. })) if *cause == expected),
            "{outcome:?}"
        );
    }
    assert!(matches!(
        redeem(&public(&url)).await,
        Outcome::Unknown(Lost::Malformed)
    ));
    assert_eq!(web.seen().len(), 4, "each request is written once");
}

#[tokio::test]
async fn what_never_left_was_not_sent() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };

    let closed = redeem(&public(&format!("http://127.0.0.1:{port}/token"))).await;
    let blocked = redeem(&public("http://10.0.0.1/token")).await;
    let odd = redeem(&public("not a url")).await;

    assert!(
        matches!(
            closed,
            Outcome::NotSent(Error::Fetch(fetch::Error::NotSent { .. }))
        ),
        "{closed:?}"
    );
    assert!(matches!(
        blocked,
        Outcome::NotSent(Error::Fetch(fetch::Error::Blocked { .. }))
    ));
    assert!(matches!(odd, Outcome::NotSent(Error::Endpoint { .. })));
}
