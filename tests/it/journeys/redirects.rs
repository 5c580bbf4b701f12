//! The redirect URI is what the settings say, from the registration to the exchange, whatever a
//! request claims about where it arrived.

use stationmaster::client::v1;
use v1::server::Auth;
use v1::{RedirectKind, ServerStatus as Status};

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::fields;
use crate::harness::idp::Idp;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, with_auth};

on_both_engines! {
    headers_of_a_request_do_not_move_the_redirect_uri,
    an_explicit_redirect_uri_is_used_verbatim,
    grants_outlive_another_redirect_uri,
    answers_of_two_issuers_are_not_mixed_up_at_one_redirect_uri,
}

/// The redirect URI that a user who connects is sent away with.
async fn sent_with(world: &World, user: &str) -> String {
    let started = world.begin(user, "tools").await;
    let consent = Browser::default().depart(&started.connect_url).await;
    parameter(&consent, "redirect_uri").unwrap()
}

async fn headers_of_a_request_do_not_move_the_redirect_uri(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let elsewhere = [
        ("forwarded", "host=elsewhere.example;proto=https"),
        ("x-forwarded-host", "elsewhere.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/sub"),
    ];
    let site = world.service.public_url();
    browser.send("GET", &started.connect_url, &elsewhere).await;
    let mut pressing = vec![
        ("origin", site),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    pressing.extend(&elsewhere);

    let page = browser.send("POST", &started.connect_url, &pressing).await;

    let uri: String =
        url::form_urlencoded::byte_serialize(server.redirect_uri.as_bytes()).collect();
    assert!(page.text.contains(&uri), "{}: {}", page.status, page.text);
    assert!(!page.text.contains("elsewhere"), "{}", page.text);
    assert_eq!(world.idp.registered(), [server.redirect_uri]);
}

async fn an_explicit_redirect_uri_is_used_verbatim(engine: Engine) {
    const URI: &str = "https://app.example.com/Auth/back/?via=chat";
    let world = World::start(engine).await;
    let mut server = world.manual("tools");
    let Some(Auth::Oauth2(oauth2)) = &mut server.auth else {
        panic!("{server:?}");
    };
    oauth2.redirect = RedirectKind::Explicit.into();
    URI.clone_into(&mut oauth2.explicit_redirect_uri);

    let server = world.create(server).await.unwrap();

    assert_eq!(server.redirect_uri, URI);
    assert_eq!(sent_with(&world, "alice").await, URI);
}

async fn grants_outlive_another_redirect_uri(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(world.manual("tools")).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    let change = v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            redirect: RedirectKind::Shared.into(),
            ..v1::OAuth2Auth::default()
        })),
        ..v1::Server::default()
    };

    let changed = world.update(change, &["oauth2.redirect"]).await.unwrap();
    world.pass(3600);
    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(changed.ended_connections, 0);
    assert_eq!(
        (resolved.status(), resolved.credential_version),
        (Status::Ready, 2)
    );
    let shared = changed.server.unwrap().redirect_uri;
    assert_ne!(shared, server.redirect_uri);
    assert_eq!(sent_with(&world, "bob").await, shared);
}

/// Neither server's issuer is known to name itself: an answer of the one could be taken to be the other's
/// (RFC 9700, section 4.4).
async fn answers_of_two_issuers_are_not_mixed_up_at_one_redirect_uri(engine: Engine) {
    let world = World::start(engine).await;
    let other = Idp::start().await;
    let explicit = |redirect| match redirect {
        RedirectKind::Explicit => "https://app.example.com/back".to_owned(),
        RedirectKind::Unspecified | RedirectKind::PerServer | RedirectKind::Shared => String::new(),
    };
    let by_hand = |slug: &str, redirect: RedirectKind| {
        let mut server = world.manual(slug);
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            oauth2.redirect = redirect.into();
            oauth2.explicit_redirect_uri = explicit(redirect);
        }
        server
    };
    let elsewhere = |slug: &str, redirect: RedirectKind| {
        let mut server = by_hand(slug, redirect);
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            oauth2.authorization_endpoint = other.authorization_endpoint();
            oauth2.token_endpoint = other.token_endpoint();
            oauth2.issuer = other.issuer();
        }
        server
    };
    for (redirect, kind) in [
        (RedirectKind::Shared, "shared"),
        (RedirectKind::Explicit, "explicit"),
    ] {
        let name = |what: &str| format!("{what}-{kind}");
        let made = by_hand(&name("first"), redirect);
        world.create(made).await.unwrap();
        let same = by_hand(&name("same"), redirect);
        world.create(same).await.unwrap();

        let refused = world.create(elsewhere(&name("mixed"), redirect)).await;

        assert_eq!(fields(refused), ["server.oauth2.redirect"]);
        // Nor where one names itself and nothing is known of the other to compare that with.
        let mut unknown = by_hand(&name("unknown"), redirect);
        if let Some(Auth::Oauth2(oauth2)) = &mut unknown.auth {
            oauth2.issuer = String::new();
        }
        let alone = elsewhere(&name("alone"), RedirectKind::PerServer);
        world.create(alone).await.unwrap();
        let names_itself = with_auth(
            &name("found"),
            other.mcp("tools"),
            Auth::Oauth2(v1::OAuth2Auth {
                preregistered: Some(v1::PreregisteredClient {
                    client_id: "by-hand".to_owned(),
                    issuer: other.issuer(),
                }),
                redirect: redirect.into(),
                explicit_redirect_uri: explicit(redirect),
                ..v1::OAuth2Auth::default()
            }),
        );
        world.create(names_itself).await.unwrap();
        let refused = world.create(unknown).await;
        assert_eq!(fields(refused), ["server.oauth2.redirect"]);
    }
}
