//! A client that signs: neither its key, taken or refused, nor what it signed is told or kept.

use serde_json::{Value, json};

use super::{Caller, grant};
use crate::harness::keys::Key;
use crate::harness::web::{Reply, Web};
use crate::walks::world::{browse, text};

fn server(web: &Web, key: &str) -> Value {
    json!({ "server": {
        "slug": "signed", "displayName": "Signed", "enabled": true, "url": web.url("/signed"),
        "oauth2": {
            "clientId": "signed-client", "privateKey": key, "privateKeyId": "k1",
            "authorizationEndpoint": web.url("/authorize"),
            "tokenEndpoint": web.url("/signed-token"),
            "revocationEndpoint": web.url("/signed-revoke"),
        },
    }})
}

/// One life of a connection whose client signs.
pub(super) async fn sign(caller: &mut Caller<'_>, web: &Web) {
    let key = Key::Es256.pem();
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        caller.search.plant("a line of a private key", line);
    }
    for (what, secret) in [
        ("a signed client's access token", "planted-signed-1"),
        ("a signed client's refresh token", "planted-signed-2"),
        ("a signed client's code", "planted-signed-3"),
    ] {
        caller.search.plant(what, secret);
    }

    let refused = format!("{key}{key}");
    for damaged in [refused, key.replace("-----END", "-----ENDE")] {
        let answer = caller.admin("ConfigService/CreateServer", server(web, &damaged));
        assert!(answer.await.is_null(), "the key is refused");
    }
    let made = caller.admin("ConfigService/CreateServer", server(web, key));
    let id = text(&made.await["server"]["id"]);
    web.once(
        "/signed-token",
        grant("planted-signed-1", "planted-signed-2"),
    );
    let ask = json!({ "actor": { "user": "ann" }, "server": "signed" });
    let began = caller.daemon("HandshakeService/StartHandshake", ask.clone());
    let url = text(&began.await["connectUrl"]);
    let (state, page) = browse(caller.service, &id, &url, "planted-signed-3").await;
    assert_eq!(page.status, 200, "{}", page.text);
    caller.search.plant("a signed client's state", &state);
    caller
        .search
        .look_at("the page of a signed client", page.text);
    web.once("/signed-revoke", Reply::status(503));
    caller.daemon("TokenService/Disconnect", ask).await;
    crate::harness::world::World::until("its revocation is asked for", async || {
        let turn = caller
            .service
            .within(|app| async move { app.revoke_due().await.is_ok() });
        turn.await && !web.seen_at("/signed-revoke").is_empty()
    })
    .await;

    let sent = [web.seen_at("/signed-token"), web.seen_at("/signed-revoke")].concat();
    assert_eq!(sent.len(), 2);
    for seen in sent {
        let assertion = seen.form("client_assertion").unwrap();
        let signature = assertion.rsplit('.').next().unwrap();
        caller.search.plant("an assertion's signature", signature);
    }
}
