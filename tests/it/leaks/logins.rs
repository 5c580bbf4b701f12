//! A user's own login: none of its tokens, deposited, refused or renewed, is told to anybody but the daemon
//! that resolves, or kept in the clear.

use std::time::Duration;

use serde_json::json;

use super::{Caller, grant};
use crate::harness::web::{Reply, Web};

/// Where the identity provider is.
pub(super) const ISSUER: &str = "/idp";

/// One life of a login.
pub(super) async fn log_in(caller: &mut Caller<'_>, web: &Web) {
    for (what, secret) in [
        ("a login's access token", "planted-login-1"),
        ("a login's ID token", "planted-login-2"),
        ("a login's refresh token", "planted-login-3"),
        ("a refused login's access token", "planted-login-4"),
        ("a refused login's refresh token", "planted-login-5"),
        ("a renewed login's access token", "planted-login-6"),
        ("a renewed login's refresh token", "planted-login-7"),
        (
            "the secret of the client at the identity provider",
            "planted-login-client",
        ),
    ] {
        caller.search.plant(what, secret);
    }
    let issuer = web.url(ISSUER);
    let metadata = json!({ "issuer": issuer, "token_endpoint": web.url("/idp/token") });
    web.on(
        "/.well-known/oauth-authorization-server/idp",
        Reply::json(200, &metadata),
    );
    let server = json!({ "server": {
        "slug": "login", "displayName": "Login", "enabled": true, "url": web.url("/login"),
        "userOidc": {},
    }});
    caller.admin("ConfigService/CreateServer", server).await;

    for issuer in [issuer.as_str(), "https://stranger.test"] {
        let refused = json!({
            "actor": { "user": "ann" }, "issuer": issuer,
            "accessToken": "planted-login-4", "refreshToken": "planted-login-5",
            "idToken": "planted-login-2\r\nX: y",
        });
        let answer = caller.daemon("TokenService/PutUserIdentity", refused).await;
        assert!(answer.is_null(), "the deposit is refused: {answer}");
    }
    let deposit = json!({
        "actor": { "user": "ann" }, "issuer": issuer, "accessToken": "planted-login-1",
        "idToken": "planted-login-2", "refreshToken": "planted-login-3",
    });
    for _ in 0..2 {
        let put = caller.daemon("TokenService/PutUserIdentity", deposit.clone());
        assert!(!put.await.is_null(), "the deposit is taken");
    }
    let ask = json!({ "actor": { "user": "ann" }, "servers": ["login"] });
    let ready = caller.daemon("TokenService/ResolveCredentials", ask.clone());
    let ready = ready.await.to_string();
    assert!(ready.contains("planted-login-1"), "{ready}");
    let report = |version: u32| {
        json!({
            "actor": { "user": "ann" }, "server": "login",
            "httpResponse": { "status": 401, "credentialVersion": version.to_string() },
        })
    };
    web.once("/idp/token", grant("planted-login-6", "planted-login-7"));
    caller
        .daemon("TokenService/ReportResponse", report(1))
        .await;
    let renewed = caller.daemon("TokenService/ResolveCredentials", ask.clone());
    let renewed = renewed.await.to_string();
    assert!(renewed.contains("planted-login-6"), "{renewed}");
    let refusal = json!({
        "error": "invalid_grant",
        "error_description": "planted-prose: no planted-login-7 of planted-login-client",
    });
    web.once("/idp/token", Reply::json(400, &refusal));
    caller.service.clock().advance(Duration::from_hours(1));
    caller.daemon("TokenService/ResolveCredentials", ask).await;
    let forget = json!({ "actor": { "user": "ann" } });
    caller
        .daemon("TokenService/DeleteUserIdentity", forget)
        .await;

    let seen = web.seen_at("/idp/token");
    assert_eq!(seen.len(), 2);
    for one in seen {
        let proof = one.header("authorization").unwrap();
        let proof = proof.strip_prefix("Basic ").unwrap();
        caller.search.plant("how that client proves itself", proof);
    }
}
