//! A client made by hand that proves itself with a key: each request with an assertion of its own,
//! from the first code to the last revocation.

use std::collections::HashSet;

use serde_json::{Value, json};
use stationmaster::client::{answer, v1};
use v1::ServerStatus as Status;
use v1::TokenEndpointAuthMethod as Method;
use v1::server::Auth;

use crate::harness::keys::Key;
use crate::harness::service::Engine;
use crate::harness::web::{Reply, Seen};
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_preregistered_client_signs_every_request,
    without_an_issuer_assertions_are_for_the_token_endpoint,
    a_new_key_ends_no_grants_and_signs_from_then_on,
    what_waits_is_revoked_with_the_key_of_then,
    another_token_of_the_same_grant_is_another_assertion,
    metadata_chooses_between_secret_and_key,
    a_secret_gives_way_to_a_key_under_the_grants_there_are,
    what_may_not_be_kept_is_revoked_with_an_assertion,
}

const CLIENT: &str = "by-hand";

/// A server whose client was made by hand at the issuer and signs.
fn preregistered(world: &World, key: Key) -> v1::Server {
    let mut server = world.automatic("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.preregistered = Some(v1::PreregisteredClient {
            client_id: CLIENT.to_owned(),
            issuer: world.idp.issuer(),
        });
        oauth2.private_key = Some(key.pem().to_owned());
        "k1".clone_into(&mut oauth2.private_key_id);
    }
    server
}

/// The same, stored and known to its issuer.
async fn signing(world: &World, key: Key) -> v1::Server {
    let server = world.create(preregistered(world, key)).await.unwrap();
    let to = (server.redirect_uri.as_str(), world.idp.issuer());
    world.idp.add_signing_client(CLIENT, key, (to.0, &to.1));
    server
}

async fn connected(engine: Engine, key: Key) -> World {
    let world = World::revoking(engine).await;
    signing(&world, key).await;
    world.connect("alice", "tools").await;
    world
}

/// Everything that was sent in the client's name: to the token endpoint, then for revocation.
fn sent(world: &World) -> Vec<Seen> {
    let mut sent = world.idp.web().seen_at("/as/token");
    sent.extend(world.idp.revocation_requests());
    sent
}

/// Header and claims of each assertion; each is this key's and proves its request alone.
fn assertions(sent: &[Seen], key: Key) -> Vec<(Value, Value)> {
    let proven = |seen: &Seen| {
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.form("client_secret"), None);
        key.verify(&seen.form("client_assertion").unwrap()).unwrap()
    };
    sent.iter().map(proven).collect()
}

/// An update of the client's proof alone.
fn patch(oauth2: v1::OAuth2Auth) -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(oauth2)),
        ..v1::Server::default()
    }
}

async fn a_preregistered_client_signs_every_request(engine: Engine) {
    for key in Key::ALL {
        let world = World::revoking(engine).await;
        let server = signing(&world, key).await;
        world.connect("alice", "tools").await;
        let first = world.header("alice", "tools").await;
        world.pass(3600);

        let second = world.header("alice", "tools").await;
        world.disconnect("alice", "tools").await;

        world.outbox_is((0, 0)).await;
        assert!(server.has_private_key && !server.has_client_secret);
        assert!(
            matches!(server.auth, Some(Auth::Oauth2(auth)) if auth.private_key.is_none()
            && auth.private_key_id == "k1")
        );
        assert_ne!(first, second);
        assert_eq!(world.idp.grants(), 0, "the grant is revoked");
        let said = assertions(&sent(&world), key);
        assert_eq!(said.len(), 3, "code, refresh token, revocation");
        let kind = json!({ "alg": key.algorithm(), "typ": "JWT", "kid": "k1" });
        let names: HashSet<_> = said
            .iter()
            .map(|(_, claims)| claims["jti"].as_str())
            .collect();
        assert_eq!(names.len(), 3);
        for (header, claims) in &said {
            assert_eq!(*header, kind);
            assert_eq!(claims["aud"], json!(world.idp.issuer()));
        }
        let at = |nth: usize| said[nth].1["iat"].as_i64().unwrap();
        assert_eq!(at(1) - at(0), 3600, "the time is the clock's");
    }
}

async fn without_an_issuer_assertions_are_for_the_token_endpoint(engine: Engine) {
    let world = World::revoking(engine).await;
    let mut manual = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut manual.auth {
        oauth2.issuer.clear();
        oauth2.private_key = Some(Key::Es256.pem().to_owned());
        oauth2.client_secret = None;
        oauth2.revocation_endpoint = world.idp.revocation_endpoint();
    }
    let server = world.create(manual).await.unwrap();
    let token_endpoint = world.idp.token_endpoint();
    let to = (server.redirect_uri.as_str(), token_endpoint.as_str());
    world.idp.add_signing_client(CLIENT, Key::Es256, to);
    world.connect("alice", "tools").await;

    let request = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap();

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0, "the grant is revoked");
    let said = assertions(&sent(&world), Key::Es256);
    assert_eq!(said.len(), 2);
    for (header, claims) in said {
        assert_eq!(claims["aud"], json!(token_endpoint));
        assert_eq!(header.get("kid"), None);
    }
}

async fn a_new_key_ends_no_grants_and_signs_from_then_on(engine: Engine) {
    let world = connected(engine, Key::Es256).await;
    let key = v1::OAuth2Auth {
        private_key: Some(Key::EdDsa.pem().to_owned()),
        private_key_id: "k2".to_owned(),
        ..v1::OAuth2Auth::default()
    };

    let mask = ["oauth2.private_key", "oauth2.private_key_id"];
    let updated = world.update(patch(key), &mask).await.unwrap();
    world.idp.change_key(CLIENT, Key::EdDsa);
    world.pass(3600);

    assert_eq!(updated.ended_connections, 0);
    world.header("alice", "tools").await;
    let last = world.idp.last_redemption().unwrap();
    let said = assertions(&[last], Key::EdDsa);
    assert_eq!(said[0].0["kid"], json!("k2"));
}

async fn what_waits_is_revoked_with_the_key_of_then(engine: Engine) {
    let world = connected(engine, Key::Rs256).await;
    let busy = Reply::status(503).with("retry-after", "600".to_owned());
    world.idp.revoke_once(busy);
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;

    let none = v1::OAuth2Auth {
        private_key: Some(String::new()),
        ..v1::OAuth2Auth::default()
    };
    let mask = ["oauth2.private_key", "oauth2.private_key_id"];
    let updated = world.update(patch(none), &mask).await.unwrap();
    world.pass(601);

    world.outbox_is((0, 0)).await;
    assert!(!updated.server.unwrap().has_private_key);
    assert_eq!(world.idp.grants(), 0, "the grant is revoked");
    let said = assertions(&world.idp.revocation_requests(), Key::Rs256);
    assert_eq!(said.len(), 2);
    assert_ne!(said[0].1["jti"], said[1].1["jti"]);
    assert_eq!(said[1].0["kid"], json!("k1"));
}

async fn another_token_of_the_same_grant_is_another_assertion(engine: Engine) {
    let world = connected(engine, Key::EdDsa).await;
    let refusal = json!({ "error": "unsupported_token_type" });
    world.idp.revoke_once(Reply::json(400, &refusal));

    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 0)).await;
    let asked = world.idp.revocations().into_iter().map(|(hint, _)| hint);
    assert_eq!(asked.collect::<Vec<_>>(), ["refresh_token", "access_token"]);
    let said = assertions(&world.idp.revocation_requests(), Key::EdDsa);
    assert_ne!(said[0].1["jti"], said[1].1["jti"]);
    assert_eq!(world.idp.grants(), 0, "the grant is revoked");
}

async fn metadata_chooses_between_secret_and_key(engine: Engine) {
    for (listed, signs) in [
        (&["client_secret_basic", "private_key_jwt"][..], true),
        (&["client_secret_basic"], false),
    ] {
        let world = World::start(engine).await;
        let mut metadata = world.idp.metadata();
        metadata["token_endpoint_auth_methods_supported"] = json!(listed);
        world.idp.publish(&metadata);
        let mut server = preregistered(&world, Key::EdDsa);
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            oauth2.client_secret = Some("hush".to_owned());
        }
        let server = world.create(server).await.unwrap();
        let issuer = world.idp.issuer();
        let at = server.redirect_uri.as_str();
        if signs {
            world
                .idp
                .add_signing_client(CLIENT, Key::EdDsa, (at, &issuer));
        } else {
            world.idp.add_client(CLIENT, "hush", at);
        }

        world.connect("alice", "tools").await;

        let seen = sent(&world).remove(0);
        assert_eq!(seen.form("client_assertion").is_some(), signs, "{listed:?}");
        assert_eq!(seen.header("authorization").is_some(), !signs);
        assert_eq!(seen.form("client_secret"), None);
    }
}

async fn a_secret_gives_way_to_a_key_under_the_grants_there_are(engine: Engine) {
    let world = World::revoking(engine).await;
    let mut manual = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut manual.auth {
        oauth2.revocation_endpoint = world.idp.revocation_endpoint();
    }
    let server = world.create(manual).await.unwrap();
    let at = server.redirect_uri.as_str();
    world.idp.add_client(CLIENT, "hush", at);
    world.connect("alice", "tools").await;
    let key = v1::OAuth2Auth {
        private_key: Some(Key::Es256.pem().to_owned()),
        token_endpoint_auth_method: Method::PrivateKeyJwt.into(),
        ..v1::OAuth2Auth::default()
    };

    let mask = ["oauth2.private_key", "oauth2.token_endpoint_auth_method"];
    let updated = world.update(patch(key), &mask).await.unwrap();
    let issuer = world.idp.issuer();
    world
        .idp
        .add_signing_client(CLIENT, Key::Es256, (at, &issuer));
    world.pass(3600);
    world.header("alice", "tools").await;
    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 0)).await;
    assert_eq!(updated.ended_connections, 0);
    assert!(
        updated.server.unwrap().has_client_secret,
        "it is kept, unused"
    );
    let sent = sent(&world);
    assert!(sent[0].header("authorization").is_some());
    assert_eq!(assertions(&sent[1..], Key::Es256).len(), 2);
    assert_eq!(world.idp.grants(), 0, "the grant is revoked");
}

async fn what_may_not_be_kept_is_revoked_with_an_assertion(engine: Engine) {
    let world = connected(engine, Key::EdDsa).await;
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
    let gate = world.idp.hold();

    // The server is gone when the answer comes: what it grants may not be kept.
    let started = world.begin("bob", "tools").await;
    let browser = async {
        crate::harness::browser::Browser::default()
            .connect(&started.connect_url)
            .await
    };
    let end = async {
        World::until("the code is redeemed", async || world.idp.exchanges() == 2).await;
        let off = v1::Server {
            enabled: false,
            ..patch(v1::OAuth2Auth::default())
        };
        world.update(off, &["enabled"]).await.unwrap();
        gate.close();
    };
    let (page, ()) = tokio::join!(browser, end);

    assert_eq!(page.status, 400, "{}", page.text);
    world.outbox_is((0, 0)).await;
    let said = assertions(&world.idp.revocation_requests(), Key::EdDsa);
    assert_eq!(said.len(), 1);
    assert_eq!(world.idp.grants(), 1, "only alice's is left");
}
