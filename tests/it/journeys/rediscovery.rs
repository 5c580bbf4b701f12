//! What administrators ask of discovery: a preview before there is a server, and another look at one
//! that there is.

use stationmaster::client::{Error, answer, v1};
use v1::server::Auth;
use v1::{DiscoveryResult as Found, RegistrationKind as Kind, ServerStatus as Status};

use crate::harness::client::{fields, reason, refusal};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines, rediscover};

on_both_engines! {
    a_preview_says_what_would_be_found_and_makes_nothing,
    a_preview_tells_why_nothing_is_found,
    a_preview_is_judged_like_a_server,
    another_look_keeps_client_and_connections,
    another_client_is_had_for_the_asking,
    what_is_not_discovered_is_not_looked_at,
    another_redirect_uri_has_another_client_registered,
}

async fn preview(
    world: &World,
    url: &str,
    oauth2: Option<v1::OAuth2Auth>,
) -> Result<v1::DiscoverServerResponse, Error> {
    let request = v1::DiscoverServerRequest {
        url: url.to_owned(),
        oauth2,
        server_id: String::new(),
    };
    answer(world.admin.config().discover_server(request)).await
}

async fn a_preview_says_what_would_be_found_and_makes_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let url = world.idp.mcp("tools");

    let seen = preview(&world, &url, None).await.unwrap();

    assert_eq!(seen.result(), Found::Found);
    let discovered = seen.discovered.unwrap();
    assert_eq!(discovered.issuer, world.idp.issuer());
    assert_eq!(discovered.registration_kind(), Kind::Dynamic);
    assert!(seen.redirect_uri.ends_with(&seen.server_id));
    let steps: Vec<_> = seen
        .steps
        .iter()
        .map(|step| (step.method.as_str(), step.http_status))
        .collect();
    assert_eq!(steps, [("POST", 401), ("GET", 200), ("GET", 200)]);
    assert_eq!(seen.steps[0].url, url);
    assert!(seen.steps.iter().all(|step| step.used), "{:?}", seen.steps);
    assert!(world.idp.registered().is_empty());
    let made = v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        server_id: seen.server_id.clone(),
        ..v1::CreateServerRequest::default()
    };
    let made = crate::harness::world::create(&world.admin, made)
        .await
        .unwrap();
    let server = made.server.unwrap();
    assert_eq!(
        (server.id, server.redirect_uri),
        (seen.server_id, seen.redirect_uri)
    );
}

async fn a_preview_tells_why_nothing_is_found(engine: Engine) {
    let world = World::start(engine).await;
    let web = world.idp.web();
    web.on("/open", Reply::status(200));
    web.on("/closed", Reply::status(401));
    let tools = world.idp.mcp("tools");
    let secretive = {
        let url = world.idp.mcp("secretive");
        world
            .idp
            .names("secretive", &["https://as.invalid".to_owned()]);
        url
    };
    let foreign = {
        let url = world.idp.mcp("foreign");
        let document = serde_json::json!({
            "resource": "https://evil.example/mcp",
            "authorization_servers": [world.idp.issuer()],
        });
        let at = "/.well-known/oauth-protected-resource/mcp/foreign";
        web.on(at, Reply::json(200, &document));
        url
    };
    for (url, expected) in [
        (web.url("/open"), Found::NoAuthNeeded),
        (web.url("/closed"), Found::NoResourceMetadata),
        (foreign, Found::ResourceMismatch),
        (secretive, Found::Unreachable),
        ("https://10.0.0.1/mcp".to_owned(), Found::UrlNotAllowed),
    ] {
        let seen = preview(&world, &url, None).await.unwrap();

        assert_eq!(seen.result(), expected, "{url}: {:?}", seen.steps);
        assert!(seen.discovered.is_none());
        assert!(!seen.steps.is_empty());
    }
    for (member, value, expected) in [
        (
            "registration_endpoint",
            serde_json::Value::Null,
            Found::RegistrationUnavailable,
        ),
        (
            "code_challenge_methods_supported",
            serde_json::Value::Null,
            Found::PkceUnsupported,
        ),
        (
            "issuer",
            serde_json::json!("https://other.example"),
            Found::IssuerMismatch,
        ),
        (
            "token_endpoint",
            serde_json::Value::Null,
            Found::MalformedMetadata,
        ),
    ] {
        let mut metadata = world.idp.metadata();
        metadata[member] = value;
        world.idp.publish(&metadata);

        let seen = preview(&world, &tools, None).await.unwrap();

        assert_eq!(seen.result(), expected, "{member}: {:?}", seen.steps);
    }
}

async fn a_preview_is_judged_like_a_server(engine: Engine) {
    let world = World::start(engine).await;
    let by_hand = v1::OAuth2Auth {
        client_id: "c".to_owned(),
        authorization_endpoint: world.idp.authorization_endpoint(),
        token_endpoint: world.idp.token_endpoint(),
        issuer: "not a url".to_owned(),
        ..v1::OAuth2Auth::default()
    };

    let offences = fields(preview(&world, "ftp://x", Some(by_hand)).await);

    for field in ["url", "oauth2", "oauth2.issuer"] {
        assert!(
            offences.iter().any(|one| one == field),
            "{field} in {offences:?}"
        );
    }
    let daemon = v1::DiscoverServerRequest::default();
    let refused = answer(world.daemon.config().discover_server(daemon)).await;
    assert_eq!(reason(refused), "ROLE_NOT_ALLOWED");
}

async fn another_look_keeps_client_and_connections(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.found("tools").await;
    world.connect("alice", "tools").await;
    let mut metadata = world.idp.metadata();
    metadata["revocation_endpoint"] = serde_json::json!(world.idp.revocation_endpoint());
    world.idp.publish(&metadata);
    world.pass(60);

    let stale = v1::RediscoverServerRequest {
        server: "tools".to_owned(),
        etag: "v0".to_owned(),
        ..v1::RediscoverServerRequest::default()
    };
    let stale = answer(world.admin.config().rediscover_server(stale)).await;
    let looked = rediscover(&world.admin, "tools", "").await.unwrap();

    assert_eq!(reason(stale), "ETAG_MISMATCH");
    assert_eq!(looked.ended_connections, 0);
    assert_eq!(looked.steps.len(), 3);
    let server = looked.server.unwrap();
    assert_eq!(server.auth_version, before.auth_version);
    let found = |server: v1::Server| match server.auth {
        Some(Auth::Oauth2(oauth2)) => oauth2.discovered.unwrap(),
        other => panic!("{other:?}"),
    };
    let (before, now) = (found(before), found(server));
    assert_eq!(now.client_id, before.client_id);
    assert_eq!(now.revocation_endpoint, world.idp.revocation_endpoint());
    let times = (before.discover_time.unwrap(), now.discover_time.unwrap());
    assert_eq!(times.0.seconds + 60, times.1.seconds);
    world.header("alice", "tools").await;
    world.idp.publish(&serde_json::json!({}));
    let failed = refusal(rediscover(&world.admin, "tools", "").await);
    assert_eq!(failed.reason, "DISCOVERY_FAILED");
    assert!(
        failed.message.contains("oauth-authorization-server"),
        "{}",
        failed.message
    );
    world.header("alice", "tools").await;
}

async fn another_client_is_had_for_the_asking(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;

    let request = v1::RediscoverServerRequest {
        server: "tools".to_owned(),
        register_again: true,
        ..v1::RediscoverServerRequest::default()
    };
    let asked = answer(world.admin.config().rediscover_server(request)).await;

    assert_eq!(asked.unwrap().ended_connections, 0);
    assert_eq!(world.idp.registered().len(), 2);
    // The grant is renewed by the client that obtained it.
    world.pass(3600);
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
    world.connect("bob", "tools").await;
    world.header("bob", "tools").await;
}

async fn what_is_not_discovered_is_not_looked_at(engine: Engine) {
    let world = World::start(engine).await;
    world.create(world.manual("by-hand")).await.unwrap();

    let refused = refusal(rediscover(&world.admin, "by-hand", "").await);
    let unknown = rediscover(&world.admin, "nobody", "").await;

    assert_eq!(refused.reason, "AUTH_NOT_DISCOVERED");
    assert_eq!(refused.metadata["auth_kind"], "oauth2");
    assert_eq!(reason(unknown), "SERVER_NOT_FOUND");
}

async fn another_redirect_uri_has_another_client_registered(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let before = World::around(TestService::start_on(&database, &[]).await).await;
    let server = before.found("tools").await;
    before.connect("alice", "tools").await;
    let World { service, idp, .. } = before;
    let old = service.public_url().to_owned();
    service.stop().await;
    // The same deployment under another name.
    let moved = TestService::start_on(&database, &[]).await;
    let world = World::beside(moved, idp).await;
    assert_ne!(world.service.public_url(), old);

    let page = world.connect("bob", "tools").await;

    assert!(page.text.contains("TOOLS is connected"), "{}", page.text);
    let registered = world.idp.registered();
    assert_eq!(registered.len(), 2);
    assert_eq!(registered[0], server.redirect_uri);
    assert!(registered[1].starts_with(world.service.public_url()));
    world.pass(3600);
    for user in ["alice", "bob"] {
        let header = world.header(user, "tools").await;
        assert!(world.idp.accepts(&header), "{user}");
    }
    world.connect("carol", "tools").await;
    assert_eq!(world.idp.registered().len(), 2);
    world.service.stop().await;
}
