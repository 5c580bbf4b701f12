//! A client that signs: its assertion is all that proves it, at every endpoint.

use serde_json::json;
use stationmaster::crypto::SigningKey;
use stationmaster::domain::secrets::{
    AuthorizationCode, ClientAssertion, PkceVerifier, PrivateKey, RefreshToken,
};
use stationmaster::domain::time::Timestamp;
use stationmaster::oauth::{
    Claims, ClientAuth, CodeGrant, Dialect, Endpoint, Outcome, Revocation, Revoked, Unsigned,
    exchange, revoke,
};

use super::{NOW, fetch, public, redeem};
use crate::harness::keys::Key;
use crate::harness::web::{Reply, Seen, Web};

const ISSUER: &str = "https://AS.example";

fn signed(key: Key, key_id: Option<&str>, id: &str) -> ClientAssertion {
    let signing = SigningKey::from_pem(&PrivateKey::new(key.pem().to_owned())).unwrap();
    let claims = Claims {
        client_id: "the client",
        audience: ISSUER,
        id,
        now: Timestamp::from_secs(NOW),
    };
    let unsigned = Unsigned::new(signing.algorithm(), key_id, &claims);
    let signature = signing.sign(unsigned.message()).unwrap();
    unsigned.signed(&signature)
}

/// Sees that a request is proven by this key's assertion of this name and by nothing else.
fn assert_proven(seen: &Seen, key: Key, key_id: Option<&str>, id: &str) {
    let assertion = seen.form("client_assertion").unwrap();
    let (header, claims) = key.verify(&assertion).unwrap();
    let mut expected = json!({ "alg": key.algorithm(), "typ": "JWT" });
    if let Some(key_id) = key_id {
        expected["kid"] = json!(key_id);
    }
    assert_eq!(header, expected);
    assert_eq!(
        claims,
        json!({
            "iss": "the client", "sub": "the client", "aud": ISSUER, "jti": id,
            "iat": NOW, "exp": NOW + 120,
        })
    );
    assert_eq!(
        seen.form("client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    assert_eq!(seen.form("client_id").as_deref(), Some("the client"));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.form("client_secret"), None);
}

#[tokio::test]
async fn every_request_is_proven_by_its_assertion_alone() {
    for key in Key::ALL {
        let web = Web::start().await;
        web.on("/token", Reply::json(200, &json!({"access_token": "a"})));
        web.on("/revoke", Reply::status(200));
        let (token, ending) = (web.url("/token"), web.url("/revoke"));
        let auth = |id| ClientAuth::Assertion(signed(key, Some("k1"), id));
        let (first, second, third) = (auth("1"), auth("2"), auth("3"));
        let at = |url, auth| Endpoint {
            auth,
            ..public(url)
        };
        let code = CodeGrant {
            dialect: &Dialect::default(),
            code: &AuthorizationCode::new("the code".to_owned()),
            verifier: &PkceVerifier::new("v".repeat(43)),
            redirect_uri: "http://localhost/cb",
            resource: None,
        };
        let old = RefreshToken::new("old".to_owned());

        let exchanged = exchange(&fetch(), &at(&token, &first), &code).await;
        let renewed = redeem(&at(&token, &second)).await;
        let revoked = revoke(&fetch(), &at(&ending, &third), Revoked::Refresh(&old)).await;

        assert!(matches!(exchanged, Outcome::Granted(_)), "{exchanged:?}");
        assert!(matches!(renewed, Outcome::Granted(_)), "{renewed:?}");
        assert!(matches!(revoked, Revocation::Done), "{revoked:?}");
        let [exchange, refresh, revoke] = web.seen().try_into().unwrap();
        for (seen, id) in [(&exchange, "1"), (&refresh, "2"), (&revoke, "3")] {
            assert_proven(seen, key, Some("k1"), id);
        }
        assert_eq!(exchange.form("code").as_deref(), Some("the code"));
        assert_eq!(refresh.form("refresh_token").as_deref(), Some("old"));
        assert_eq!(revoke.form("token").as_deref(), Some("old"));
    }
}

#[tokio::test]
async fn a_key_that_has_no_name_is_not_named() {
    let web = Web::start().await;
    web.on("/token", Reply::json(200, &json!({"access_token": "a"})));
    let url = web.url("/token");
    let auth = ClientAuth::Assertion(signed(Key::EdDsa, None, "1"));

    let outcome = redeem(&Endpoint {
        auth: &auth,
        ..public(&url)
    })
    .await;

    assert!(matches!(outcome, Outcome::Granted(_)), "{outcome:?}");
    assert_proven(&web.seen()[0], Key::EdDsa, None, "1");
}

#[tokio::test]
async fn a_refusal_that_repeats_the_assertion_is_told_without_it() {
    let web = Web::start().await;
    let echo = |seen: &Seen| {
        let assertion = seen.form("client_assertion").unwrap();
        Reply::json(400, &json!({ "error": assertion }))
    };
    web.on("/token", Reply::made(echo));
    let url = web.url("/token");
    let auth = ClientAuth::Assertion(signed(Key::EdDsa, None, "1"));
    let endpoint = Endpoint {
        auth: &auth,
        ..public(&url)
    };

    let outcome = redeem(&endpoint).await;

    let told = format!("{outcome:?} {endpoint:?}");
    let sent = web.seen()[0].form("client_assertion").unwrap();
    assert!(
        matches!(outcome, Outcome::Refused(_) | Outcome::Transient { .. }),
        "{told}"
    );
    assert!(!told.contains(&sent));
}
