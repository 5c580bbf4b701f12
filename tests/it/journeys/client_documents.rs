//! Clients that are known by the document under their URL: ours for each server, or one that the
//! deployment publishes; and what happens where they are not taken.

use serde_json::{Value, json};
use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{HandshakeState, RegistrationKind};

use crate::harness::browser::Browser;
use crate::harness::http;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    our_client_is_named_by_the_document_that_it_publishes,
    a_document_of_the_deployments_own_serves_all_servers,
    a_document_is_used_only_where_it_is_said_to_be_taken,
    a_client_whose_document_is_refused_is_registered,
    where_no_document_is_ever_fetched_an_administrator_has_a_client_registered,
    nothing_is_published_where_no_server_is_known_by_it,
}

const PUBLIC: &str = "https://mcp.example.com/sm";
const OWN: &str = "https://conformance.example/client.json";

/// A deployment that publishes documents, and an authorization server that says it takes them.
async fn world(engine: Engine, settings: &[(&str, &str)]) -> World {
    let world = World::start_with(engine, settings).await;
    world.idp.takes_documents();
    world
}

async fn ours(engine: Engine) -> World {
    let settings = [("public.url", PUBLIC), ("oauth.client_metadata", "true")];
    world(engine, &settings).await
}

async fn at(engine: Engine) -> World {
    world(engine, &[("oauth.client_metadata_url", OWN)]).await
}

fn found(server: &v1::Server) -> v1::Discovered {
    match &server.auth {
        Some(Auth::Oauth2(oauth2)) => oauth2.discovered.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What is published under a path of the public listener.
async fn published(world: &World, path: &str) -> http::Answer {
    // The listener's own address, not the URL that a proxy in front has.
    let url = format!("{}{path}", world.service.public_listener());
    http::get(&url, &[]).await
}

async fn our_client_is_named_by_the_document_that_it_publishes(engine: Engine) {
    let world = ours(engine).await;

    let server = world.found("tools").await;

    let path = format!("/oauth2/client/{}.json", server.id);
    let client = found(&server);
    assert_eq!(
        client.registration_kind(),
        RegistrationKind::MetadataDocument
    );
    assert_eq!(client.client_id, format!("{PUBLIC}{path}"));
    assert!(world.idp.registered().is_empty());
    let document = published(&world, &path).await;
    assert_eq!(document.status, 200, "{}", document.text);
    assert_eq!(document.header("content-type"), "application/json");
    let document: Value = serde_json::from_str(&document.text).unwrap();
    for (member, expected) in [
        ("client_id", json!(client.client_id)),
        ("client_name", json!("Stationmaster")),
        ("redirect_uris", json!([server.redirect_uri])),
        ("token_endpoint_auth_method", json!("none")),
        ("application_type", json!("web")),
        (
            "grant_types",
            json!(["authorization_code", "refresh_token"]),
        ),
        ("response_types", json!(["code"])),
    ] {
        assert_eq!(document[member], expected, "{member}");
    }
    let started = world.begin("alice", "tools").await;
    let listener = world.service.public_listener();
    let link = started.connect_url.replace(PUBLIC, &listener);
    let browser = Browser::default();
    browser.send("GET", &link, &[]).await;
    let pressing = [
        ("origin", "https://mcp.example.com"),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let page = browser.send("POST", &link, &pressing).await;
    for sent in [&client.client_id, &server.redirect_uri] {
        let sent: String = url::form_urlencoded::byte_serialize(sent.as_bytes()).collect();
        assert!(page.text.contains(&sent), "{}: {}", page.status, page.text);
    }
}

async fn a_document_of_the_deployments_own_serves_all_servers(engine: Engine) {
    let world = at(engine).await;
    let shared = format!("{}/oauth2/callback", world.service.public_url());
    world.idp.add_documented_client(OWN, &shared);

    for slug in ["tools", "files"] {
        let server = world.found(slug).await;
        world.connect("alice", slug).await;

        assert_eq!(found(&server).client_id, OWN);
        assert_eq!(server.redirect_uri, shared);
        let header = world.header("alice", slug).await;
        assert!(world.idp.accepts(&header));
    }
    assert!(world.idp.registered().is_empty());
}

async fn a_document_is_used_only_where_it_is_said_to_be_taken(engine: Engine) {
    let ours = ours(engine).await;
    let theirs = at(engine).await;
    for (slug, member, value) in [
        (
            "silent",
            "client_id_metadata_document_supported",
            Value::Null,
        ),
        (
            "refused",
            "client_id_metadata_document_supported",
            json!(false),
        ),
        (
            "secret",
            "token_endpoint_auth_methods_supported",
            json!(["client_secret_basic"]),
        ),
        (
            "unsaid",
            "token_endpoint_auth_methods_supported",
            Value::Null,
        ),
        (
            "nameless",
            "authorization_response_iss_parameter_supported",
            json!(false),
        ),
    ] {
        for world in [&ours, &theirs] {
            let mut metadata = world.idp.metadata();
            metadata["client_id_metadata_document_supported"] = json!(true);
            metadata[member] = value.clone();
            world.idp.publish(&metadata);
        }
        // A redirect URI of the server's own tells answers apart, too.
        let expected = if slug == "nameless" {
            RegistrationKind::MetadataDocument
        } else {
            RegistrationKind::Dynamic
        };

        let of_ours = found(&ours.found(slug).await).registration_kind();
        let of_theirs = found(&theirs.found(slug).await).registration_kind();

        assert_eq!(of_ours, expected, "{slug}");
        assert_eq!(of_theirs, RegistrationKind::Dynamic, "{slug}");
    }
}

async fn a_client_whose_document_is_refused_is_registered(engine: Engine) {
    let world = at(engine).await;
    let shared = format!("{}/oauth2/callback", world.service.public_url());
    world.idp.add_documented_client(OWN, &shared);
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    world.idp.once(Fault::InvalidClient);

    Browser::default().connect(&started.connect_url).await;

    let failed = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(failed.state(), HandshakeState::Failed);
    World::until("a client is registered", async || {
        let server = world.get("tools").await.unwrap();
        found(&server).registration_kind() == RegistrationKind::Dynamic
    })
    .await;
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
    assert_eq!(world.idp.registered().len(), 1);
}

async fn where_no_document_is_ever_fetched_an_administrator_has_a_client_registered(
    engine: Engine,
) {
    let world = at(engine).await;
    let server = world.found("tools").await;
    assert_eq!(found(&server).client_id, OWN);
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let consent = browser.depart(&started.connect_url).await;
    // It says that it takes documents, never looks at one, and shows its own page.
    let page = browser.get(&consent).await;
    assert_eq!((page.status.as_u16(), page.header("location")), (400, ""));

    let request = v1::RediscoverServerRequest {
        server: "tools".to_owned(),
        register_again: true,
        ..v1::RediscoverServerRequest::default()
    };
    answer(world.admin.config().rediscover_server(request))
        .await
        .unwrap();

    let server = world.get("tools").await.unwrap();
    assert_eq!(
        found(&server).registration_kind(),
        RegistrationKind::Dynamic
    );
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
    // Nor does a later change go back to the document.
    let change = v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            scopes: vec!["read".to_owned()],
            ..v1::OAuth2Auth::default()
        })),
        ..v1::Server::default()
    };
    let changed = world.update(change, &["oauth2.scopes"]).await.unwrap();
    assert_eq!(
        found(&changed.server.unwrap()).registration_kind(),
        RegistrationKind::Dynamic
    );
}

async fn nothing_is_published_where_no_server_is_known_by_it(engine: Engine) {
    let world = ours(engine).await;
    let by_hand = world.create(world.manual("by-hand")).await.unwrap();
    let off = World::start(engine).await;
    let automatic = off.found("tools").await;
    for (world, file) in [
        (&world, format!("{}.json", by_hand.id)),
        (&world, by_hand.id.clone()),
        (
            &world,
            "srv_01920000-0000-7000-8000-000000000000.json".to_owned(),
        ),
        (&world, "nonsense.json".to_owned()),
        (&world, "%FF.json".to_owned()),
        (&off, format!("{}.json", automatic.id)),
    ] {
        let answer = published(world, &format!("/oauth2/client/{file}")).await;

        assert_eq!(answer.status, 404, "{file}");
    }
}
