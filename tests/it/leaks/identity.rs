//! A server that is told whom a request is for: what signs that, and what was signed, is found nowhere.

use serde_json::json;

use super::Caller;
use crate::harness::receiver::fetched;
use crate::walks::world::text;

/// One request to it, and one more by somebody who wants to check it.
pub(super) async fn tell(caller: &mut Caller<'_>) {
    let secret = caller
        .search
        .plant("a signing secret", "planted-signing-secret");
    let server = json!({ "server": {
        "slug": "told", "displayName": "Told", "enabled": true, "url": "http://127.0.0.1:9/told",
        "none": {}, "signingSecret": secret,
        "forwardIdentityHeaders": true, "identityForwarding": { "signedToken": true },
    }});
    let made = caller.admin("ConfigService/CreateServer", server).await;
    assert!(!made.is_null(), "the server is made");
    let ask = json!({ "actor": { "user": "ann" }, "servers": ["told"] });

    let told = caller.daemon("TokenService/ResolveCredentials", ask).await;

    let entry = &told["servers"][0];
    assert_eq!(entry["signingKey"]["secret"], secret);
    let headers = entry["headers"].as_array().unwrap();
    let token = text(&headers.last().unwrap()["value"]);
    let signature = token.rsplit('.').next().unwrap();
    caller
        .search
        .plant("an identity token's signature", signature);
    let keys = fetched(caller.service).await;
    assert!(keys.text.contains("Ed25519"), "{}", keys.text);
    caller.search.look_at("the published keys", keys.text);
}
