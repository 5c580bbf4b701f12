//! How a server comes by its client: what an administrator is told where a provider registers none,
//! and that nothing is guessed on the way.

use serde_json::{Value, json};
use stationmaster::client::v1;
use v1::RegistrationKind as Kind;
use v1::server::Auth;

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::refusal;
use crate::harness::service::Engine;
use crate::harness::web::{Reply, Seen};
use crate::harness::world::{World, list, on_both_engines, with_auth};

on_both_engines! {
    who_is_not_registered_is_told_what_to_do,
    a_registration_that_cannot_be_used_makes_no_server,
    a_client_that_is_configured_goes_before_registration,
    the_registration_endpoint_is_the_one_that_is_published,
    where_no_client_is_registered_nothing_is_guessed,
    where_discovery_fails_no_registration_is_tried,
    a_server_that_lets_strangers_in_is_discovered_all_the_same,
    a_registration_names_the_scopes_that_will_be_asked_for,
    other_scopes_have_another_client_and_grants_keep_theirs,
    a_registration_leaves_room_for_what_the_resource_has,
}

const REGISTER: &str = "/as/register";

fn found(server: &v1::Server) -> v1::Discovered {
    match &server.auth {
        Some(Auth::Oauth2(oauth2)) => oauth2.discovered.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn paths(world: &World) -> Vec<String> {
    let mut paths = world.idp.web().paths();
    paths.retain(|path| !path.contains("/.well-known/"));
    paths
}

async fn who_is_not_registered_is_told_what_to_do(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.automatic("tools");
    let only_loopback = json!({
        "error": "invalid_redirect_uri",
        "error_description": "only loopback, hush",
    });
    for (reply, why) in [
        (Reply::text(403, "text/plain", "Forbidden, hush"), "403"),
        (Reply::json(400, &only_loopback), "invalid_redirect_uri"),
    ] {
        world.idp.web().once(REGISTER, reply);

        let refused = refusal(world.create(server.clone()).await);

        assert_eq!(refused.reason, "REGISTRATION_FAILED");
        let callback = format!("{}/oauth2/callback/srv_", world.service.public_url());
        for said in [why, &callback, "oauth2.preregistered"] {
            assert!(refused.message.contains(said), "{}", refused.message);
        }
        assert!(!refused.message.contains("hush"), "{}", refused.message);
    }
    assert_eq!(list(&world.admin).await, []);
    assert_eq!(world.idp.registered().len(), 2);
}

async fn a_registration_that_cannot_be_used_makes_no_server(engine: Engine) {
    let world = World::start(engine).await;
    for answer in [
        json!({}),
        json!({ "client_id": "" }),
        json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_post" }),
        json!({ "client_id": "c", "token_endpoint_auth_method": "tls_client_auth" }),
    ] {
        world.idp.web().once(REGISTER, Reply::json(201, &answer));

        let refused = refusal(world.create(world.automatic("tools")).await);

        assert_eq!(refused.reason, "REGISTRATION_FAILED", "{answer}");
    }
    let text = Reply::text(200, "text/html", "<html>welcome</html>");
    world.idp.web().once(REGISTER, text);
    let refused = refusal(world.create(world.automatic("tools")).await);
    assert_eq!(refused.reason, "REGISTRATION_FAILED");
    assert_eq!(list(&world.admin).await, []);
}

async fn a_client_that_is_configured_goes_before_registration(engine: Engine) {
    let world = World::start(engine).await;
    // A public one: there is no secret that would tell it from none.
    let oauth2 = v1::OAuth2Auth {
        preregistered: Some(v1::PreregisteredClient {
            client_id: "https://by-hand.example/client".to_owned(),
            issuer: world.idp.issuer(),
        }),
        ..v1::OAuth2Auth::default()
    };

    let server = with_auth("tools", world.idp.mcp("tools"), Auth::Oauth2(oauth2));
    let server = world.create(server).await.unwrap();

    let client = found(&server);
    assert_eq!(client.registration_kind(), Kind::Preregistered);
    assert_eq!(client.client_id, "https://by-hand.example/client");
    assert!(world.idp.registered().is_empty());
    world
        .idp
        .add_documented_client(&client.client_id, &server.redirect_uri);
    world.connect("alice", "tools").await;
    let exchange = world.idp.web().seen_at("/as/token").remove(0);
    assert_eq!(exchange.form("client_id"), Some(client.client_id));
    assert_eq!(exchange.header("authorization"), None);
    assert_eq!(exchange.form("client_secret"), None);
}

async fn the_registration_endpoint_is_the_one_that_is_published(engine: Engine) {
    let world = World::start(engine).await;
    let elsewhere = "/another/place";
    let answer = json!({ "client_id": "c", "token_endpoint_auth_method": "none" });
    world.idp.web().on(elsewhere, Reply::json(201, &answer));
    let mut metadata = world.idp.metadata();
    metadata["registration_endpoint"] = json!(world.idp.web().url(elsewhere));
    world.idp.publish(&metadata);

    let server = world.found("tools").await;

    assert_eq!(found(&server).client_id, "c");
    assert_eq!(paths(&world), ["/mcp/tools", elsewhere]);
}

async fn where_no_client_is_registered_nothing_is_guessed(engine: Engine) {
    let world = World::start(engine).await;
    let mut metadata = world.idp.metadata();
    metadata["registration_endpoint"] = Value::Null;
    world.idp.publish(&metadata);

    let refused = refusal(world.create(world.automatic("tools")).await);

    assert_eq!(refused.reason, "REGISTRATION_FAILED");
    for said in [&world.idp.issuer(), "by hand", "oauth2.preregistered"] {
        assert!(refused.message.contains(said), "{}", refused.message);
    }
    assert_eq!(paths(&world), ["/mcp/tools"]);
}

async fn where_discovery_fails_no_registration_is_tried(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.automatic("tools");
    let at = "/.well-known/oauth-authorization-server/as";
    world.idp.web().on(at, Reply::status(404));

    let refused = refusal(world.create(server).await);

    assert_eq!(refused.reason, "DISCOVERY_FAILED");
    assert!(refused.message.contains(at), "{}", refused.message);
    assert!(!refused.message.contains("register"), "{}", refused.message);
    assert_eq!(paths(&world), ["/mcp/tools"]);
}

async fn a_server_that_lets_strangers_in_is_discovered_all_the_same(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.automatic("tools");
    // It opens a session and lists its tools for everybody, and asks for a token at the first call.
    let reply = Reply::made(|seen: &Seen| match seen.json()["method"].as_str() {
        Some("tools/call") => Reply::status(401),
        _ => Reply::json(200, &json!({ "jsonrpc": "2.0", "id": 1, "result": {} })),
    });
    world.idp.web().on("/mcp/tools", reply);

    let server = world.create(server).await.unwrap();

    assert_eq!(found(&server).issuer, world.idp.issuer());
    world.connect("alice", "tools").await;
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_registration_names_the_scopes_that_will_be_asked_for(engine: Engine) {
    let world = World::start(engine).await;
    let oauth2 = v1::OAuth2Auth {
        scopes: vec!["read".to_owned(), "write".to_owned()],
        ..v1::OAuth2Auth::default()
    };
    let server = with_auth("tools", world.idp.mcp("tools"), Auth::Oauth2(oauth2));

    world.create(server).await.unwrap();

    let asked = world.idp.web().seen_at(REGISTER).remove(0).json();
    assert_eq!(asked["scope"], "read write");
    assert_eq!(
        asked["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    let started = world.begin("alice", "tools").await;
    let consent = Browser::default().depart(&started.connect_url).await;
    assert_eq!(parameter(&consent, "scope").as_deref(), Some("read write"));
}

/// The scopes of every registration so far.
fn registered_scopes(world: &World) -> Vec<String> {
    let seen = world.idp.web().seen_at(REGISTER);
    let scope = |seen: &Seen| seen.json()["scope"].as_str().unwrap_or_default().to_owned();
    seen.iter().map(scope).collect()
}

async fn other_scopes_have_another_client_and_grants_keep_theirs(engine: Engine) {
    let world = World::start(engine).await;
    let with = |scopes: &[&str]| v1::OAuth2Auth {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..v1::OAuth2Auth::default()
    };
    let url = world.idp.mcp("tools");
    let server = with_auth("tools", url, Auth::Oauth2(with(&["read"])));
    let before = world.create(server).await.unwrap();
    world.connect("alice", "tools").await;

    let wider = v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(with(&["read", "write"]))),
        ..v1::Server::default()
    };
    let changed = world.update(wider, &["oauth2.scopes"]).await.unwrap();

    assert_eq!(registered_scopes(&world), ["read", "read write"]);
    assert_eq!(changed.ended_connections, 0);
    let after = found(&changed.server.unwrap()).client_id;
    assert_ne!(after, found(&before).client_id);
    world.pass(3601);
    world.header("alice", "tools").await;
    let renewed = world.idp.last_redemption().unwrap();
    assert_eq!(renewed.form("client_id"), Some(found(&before).client_id));
    world.connect("alice", "tools").await;
    world.pass(3601);
    world.header("alice", "tools").await;
    let renewed = world.idp.last_redemption().unwrap();
    assert_eq!(renewed.form("client_id"), Some(after));
}

/// A step-up may want any of them, and some providers bind a client to what it registered.
async fn a_registration_leaves_room_for_what_the_resource_has(engine: Engine) {
    let world = World::start(engine).await;
    let url = world.idp.mcp("tools");
    let document = json!({
        "resource": url,
        "authorization_servers": [world.idp.issuer()],
        "scopes_supported": ["read", "write"],
    });
    let at = "/.well-known/oauth-protected-resource/mcp/tools";
    world.idp.web().on(at, Reply::json(200, &document));
    let oauth2 = v1::OAuth2Auth {
        scopes: vec!["read".to_owned()],
        ..v1::OAuth2Auth::default()
    };

    let server = with_auth("tools", url, Auth::Oauth2(oauth2));
    world.create(server.clone()).await.unwrap();

    assert_eq!(registered_scopes(&world), ["read write"]);
    let refusal = json!({ "error": "invalid_client_metadata" });
    world.idp.web().once(REGISTER, Reply::json(400, &refusal));
    let again = v1::Server {
        slug: "again".to_owned(),
        ..server
    };
    world.create(again).await.unwrap();
    assert_eq!(registered_scopes(&world)[1..], ["read write", "read"]);
    let started = world.begin("alice", "tools").await;
    let consent = Browser::default().depart(&started.connect_url).await;
    assert_eq!(parameter(&consent, "scope").as_deref(), Some("read"));
}
