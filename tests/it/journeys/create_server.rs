//! An administrator registers servers, changes them and takes them away.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;
use stationmaster::client::{answer, v1};
use v1::server::Auth;

use crate::harness::client::reason;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, create, get, list, on_both_engines, open, with_auth};

on_both_engines! {
    a_server_is_discovered_and_our_client_registered,
    nothing_is_stored_when_discovery_fails,
    nothing_is_stored_when_pkce_is_not_promised,
    nothing_is_stored_when_registration_is_refused,
    a_taken_slug_is_refused_before_anything_is_registered,
    an_administrator_may_choose_the_id,
    the_same_request_creates_once,
    the_same_request_at_the_same_time_creates_once,
    a_client_made_by_hand_needs_no_discovery,
    keys_and_headers_are_stored_and_never_read_back,
    roles_see_what_they_need,
    a_deletion_takes_everything_along,
}

async fn a_server_is_discovered_and_our_client_registered(engine: Engine) {
    let world = World::start(engine).await;

    let server = world.found("tools").await;

    let callback = format!(
        "{}/oauth2/callback/{}",
        world.service.public_url(),
        server.id
    );
    assert_eq!(server.redirect_uri, callback);
    assert_eq!(world.idp.registered(), [callback]);
    let Some(Auth::Oauth2(oauth2)) = &server.auth else {
        panic!("{server:?}");
    };
    let discovered = oauth2.discovered.clone().unwrap();
    assert_eq!(discovered.issuer, world.idp.issuer());
    assert_eq!(discovered.resource, server.url);
    assert_eq!(discovered.token_endpoint, world.idp.token_endpoint());
    assert_eq!(
        discovered.registration_kind(),
        v1::RegistrationKind::Dynamic
    );
    assert!(discovered.client_id.starts_with("client-"));
    assert_eq!(world.get("tools").await.unwrap(), server);
}

async fn nothing_is_stored_when_discovery_fails(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = world.automatic("tools");
    let good = std::mem::replace(&mut server.url, world.idp.web().url("/nothing"));

    let refused = world.create(server.clone()).await;

    assert_eq!(reason(refused), "DISCOVERY_FAILED");
    assert_eq!(list(&world.admin).await, []);
    server.url = good;
    assert_eq!(world.create(server).await.unwrap().slug, "tools");
}

async fn nothing_is_stored_when_pkce_is_not_promised(engine: Engine) {
    let world = World::start(engine).await;
    let mut metadata = world.idp.metadata();
    metadata["code_challenge_methods_supported"] = json!(["plain"]);
    world.idp.publish(&metadata);

    let refused = world.create(world.automatic("tools")).await;

    assert_eq!(reason(refused), "DISCOVERY_FAILED");
    assert!(list(&world.admin).await.is_empty());
    assert!(world.idp.registered().is_empty());
}

async fn nothing_is_stored_when_registration_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let refusal = Reply::json(403, &json!({ "error": "access_denied" }));
    world.idp.web().once("/as/register", refusal);

    let refused = world.create(world.automatic("tools")).await;

    assert_eq!(reason(refused), "REGISTRATION_FAILED");
    assert_eq!(list(&world.admin).await, []);
    assert_eq!(world.found("tools").await.slug, "tools");
}

async fn a_taken_slug_is_refused_before_anything_is_registered(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();

    let refused = world.create(world.automatic("tools")).await;

    assert_eq!(reason(refused), "SLUG_TAKEN");
    assert_eq!(world.idp.web().paths(), Vec::<String>::new());
}

async fn an_administrator_may_choose_the_id(engine: Engine) {
    let world = World::start(engine).await;
    let wanted = "srv_0198c0de000070008000000000000001";
    let request = |slug: &str| v1::CreateServerRequest {
        server: Some(world.automatic(slug)),
        server_id: wanted.to_owned(),
        ..v1::CreateServerRequest::default()
    };

    let made = create(&world.admin, request("one")).await;
    let again = create(&world.admin, request("two")).await;

    let made = made.unwrap().server.unwrap();
    assert_eq!(made.id, wanted);
    assert!(world.idp.registered()[0].ends_with(wanted));
    assert_eq!(reason(again), "SERVER_ID_TAKEN");
    assert_eq!(world.idp.registered().len(), 1);
}

async fn the_same_request_creates_once(engine: Engine) {
    let world = World::start(engine).await;
    let request = |server: v1::Server| v1::CreateServerRequest {
        server: Some(server),
        request_id: "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0001".to_owned(),
        ..v1::CreateServerRequest::default()
    };
    let server = world.automatic("tools");

    let first = create(&world.admin, request(server.clone())).await;
    let second = create(&world.admin, request(server.clone())).await;
    let other = v1::Server {
        enabled: false,
        ..server
    };
    let other = create(&world.admin, request(other)).await;

    assert_eq!(first.unwrap().server, second.unwrap().server);
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
    assert_eq!(world.idp.registered().len(), 1);
    assert_eq!(list(&world.admin).await.len(), 1);
}

async fn the_same_request_at_the_same_time_creates_once(engine: Engine) {
    let world = World::start(engine).await;
    let request = || v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        request_id: "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0002".to_owned(),
        ..v1::CreateServerRequest::default()
    };

    let made = join_all((0..4).map(|_| create(&world.admin, request()))).await;

    let ids: BTreeSet<String> = made
        .into_iter()
        .map(|made| made.unwrap().server.unwrap().id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(list(&world.admin).await.len(), 1);
}

async fn a_client_made_by_hand_needs_no_discovery(engine: Engine) {
    let world = World::start(engine).await;

    let server = world.create(world.manual("tools")).await.unwrap();

    assert!(server.has_client_secret);
    assert!(server.redirect_uri.ends_with(&server.id));
    let Some(Auth::Oauth2(oauth2)) = &server.auth else {
        panic!("{server:?}");
    };
    assert_eq!(oauth2.client_id, "by-hand");
    assert_eq!(oauth2.client_secret, None);
    assert_eq!(oauth2.discovered, None);
    assert_eq!(world.idp.web().paths(), Vec::<String>::new());
}

async fn keys_and_headers_are_stored_and_never_read_back(engine: Engine) {
    let world = World::start(engine).await;
    let api_key = Auth::ApiKey(v1::ApiKeyAuth {
        value: Some("Bearer hush".to_owned()),
        ..v1::ApiKeyAuth::default()
    });
    let url = "https://a.example.com/mcp".to_owned();
    let header = |name: &str| v1::CustomHeader {
        name: name.to_owned(),
        value: Some("hush".to_owned()),
    };
    let custom = Auth::CustomHeaders(v1::CustomHeadersAuth {
        headers: vec![header("X-Second"), header("X-First")],
        user_headers: Vec::new(),
    });

    let one = world
        .create(with_auth("one", url.clone(), api_key))
        .await
        .unwrap();
    let two = world.create(with_auth("two", url, custom)).await.unwrap();

    assert!(one.has_api_key);
    let Some(Auth::ApiKey(shown)) = &one.auth else {
        panic!("{one:?}");
    };
    assert_eq!(
        (shown.header.as_str(), &shown.value),
        ("Authorization", &None)
    );
    assert_eq!(two.custom_header_names, ["X-Second", "X-First"]);
    let shown = format!("{one:?} {two:?} {:?}", list(&world.admin).await);
    assert!(!shown.contains("hush"), "{shown}");
}

async fn roles_see_what_they_need(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let off = v1::Server {
        enabled: false,
        ..open("off")
    };
    world.create(off).await.unwrap();
    let hers = v1::Server {
        allowed_users: vec!["alice".to_owned()],
        ..open("hers")
    };
    world.create(hers).await.unwrap();
    let bob = world.service.client_as(v1::Role::User, "bob").await;
    let auditor = world.service.client_as(v1::Role::Auditor, "").await;

    let seen = get(&bob, "tools").await.unwrap();

    assert_eq!(seen.connected, Some(false));
    assert_eq!(seen.auth_kind(), v1::AuthKind::Oauth2);
    let redacted = v1::Server {
        url: String::new(),
        auth: None,
        redirect_uri: String::new(),
        created_by: String::new(),
        updated_by: String::new(),
        ..seen.clone()
    };
    assert_eq!(seen, redacted);
    assert_eq!(seen.transport(), v1::Transport::Unspecified);
    assert_eq!(reason(get(&bob, "off").await), "SERVER_NOT_FOUND");
    assert_eq!(reason(get(&bob, "hers").await), "SERVER_NOT_FOUND");
    let slugs = |servers: Vec<v1::Server>| -> Vec<String> {
        servers.into_iter().map(|server| server.slug).collect()
    };
    assert_eq!(slugs(list(&bob).await), ["tools"]);
    assert_eq!(slugs(list(&auditor).await), ["hers", "off", "tools"]);
    let daemon = get(&world.daemon, "tools").await.unwrap();
    assert_eq!((daemon.auth, daemon.redirect_uri), (None, String::new()));
}

async fn a_deletion_takes_everything_along(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    world.connect("alice", "tools").await;
    let request = |etag: &str| v1::DeleteServerRequest {
        server: "tools".to_owned(),
        etag: etag.to_owned(),
    };

    let stale = answer(world.admin.config().delete_server(request("stale"))).await;
    let gone = answer(world.admin.config().delete_server(request(&server.etag))).await;

    assert_eq!(reason(stale), "ETAG_MISMATCH");
    assert_eq!(gone.unwrap().ended_connections, 1);
    assert_eq!(
        reason(world.connection("alice", &server.id).await),
        "SERVER_NOT_FOUND"
    );
    assert_eq!(list(&world.admin).await, []);
    let again = answer(world.admin.config().delete_server(request(""))).await;
    assert_eq!(reason(again), "SERVER_NOT_FOUND");
    let anew = world.found("tools").await;
    assert_ne!(anew.id, server.id);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), v1::ServerStatus::NotConnected);
}
