//! Servers of revision 2025-03-26, where an administrator says that a server is one.

use serde_json::{Value, json};
use stationmaster::domain::authorization::Issuer;
use stationmaster::oauth::{
    Discovery, Error, ForeignEndpoints, Legacy, MissingPkce, Purpose, Target, discover,
};

use super::{PATIENCE, clock, fetch};
use crate::harness::web::{Reply, Web};

const PATH_FORM: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT_FORM: &str = "/.well-known/oauth-protected-resource";
const METADATA: &str = "/.well-known/oauth-authorization-server";

fn target(url: &str) -> Target<'_> {
    Target {
        server_url: url,
        hint: None,
        issuer: None,
        trusted_origins: &[],
        legacy: Legacy::Spoken,
        foreign_endpoints: ForeignEndpoints::Refused,
        purpose: Purpose::Users,
        missing_pkce: MissingPkce::Refused,
        clock: clock(),
        deadline: PATIENCE,
    }
}

async fn run(web: &Web) -> Discovery {
    discover(&fetch(), &target(&web.url("/mcp"))).await
}

fn metadata(web: &Web) -> Value {
    json!({
        "issuer": web.url(""),
        "authorization_endpoint": web.url("/oauth/authorize"),
        "token_endpoint": web.url("/oauth/token"),
        "registration_endpoint": web.url("/oauth/register"),
        "code_challenge_methods_supported": ["S256"],
    })
}

#[tokio::test]
async fn a_server_that_publishes_nothing_has_everything_at_fixed_places() {
    let web = Web::start().await;

    let found = run(&web).await.result.unwrap();

    assert_eq!(web.paths(), [PATH_FORM, ROOT_FORM, METADATA]);
    let server = &found.authorization_server;
    assert_eq!(server.issuer.as_str(), web.url(""));
    assert_eq!(server.authorization_endpoint, web.url("/authorize"));
    assert_eq!(server.token_endpoint, web.url("/token"));
    assert_eq!(server.registration_endpoint, Some(web.url("/register")));
    assert_eq!(found.resource.resource.as_str(), web.url("/mcp"));
    assert_eq!(found.resource.metadata_url, None);
    assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
}

#[tokio::test]
async fn metadata_at_the_servers_root_is_followed() {
    let web = Web::start().await;
    web.on(METADATA, Reply::json(200, &metadata(&web)));

    let found = run(&web).await.result.unwrap();

    let server = &found.authorization_server;
    assert_eq!(server.token_endpoint, web.url("/oauth/token"));
    let asked = web.seen_at(METADATA);
    assert_eq!(asked[0].header("mcp-protocol-version"), Some("2025-03-26"));
}

#[tokio::test]
async fn the_root_may_be_written_with_its_slash_and_nothing_else() {
    let web = Web::start().await;
    for (issuer, taken) in [
        (web.url("/"), true),
        (web.url(""), true),
        (web.url("/as"), false),
        ("https://elsewhere.example".to_owned(), false),
    ] {
        let mut document = metadata(&web);
        document["issuer"] = json!(issuer);
        web.on(METADATA, Reply::json(200, &document));

        let result = run(&web).await.result;

        match result {
            Ok(found) => {
                assert!(taken, "{issuer}");
                assert_eq!(found.authorization_server.issuer.as_str(), issuer);
            }
            Err(error) => {
                assert!(!taken, "{issuer}");
                assert!(matches!(error, Error::IssuerMismatch { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn endpoints_elsewhere_need_permission() {
    let web = Web::start().await;
    let elsewhere = Web::start().await;
    for member in [
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
    ] {
        let mut document = metadata(&web);
        document[member] = json!(elsewhere.url("/x"));
        web.on(METADATA, Reply::json(200, &document));

        let refused = run(&web).await.result;
        let url = web.url("/mcp");
        let allowing = Target {
            foreign_endpoints: ForeignEndpoints::Allowed,
            ..target(&url)
        };
        let allowed = discover(&fetch(), &allowing).await.result;

        assert_eq!(refused, Err(Error::ForeignEndpoint { member }));
        assert!(allowed.is_ok(), "{member}");
    }
}

#[tokio::test]
async fn metadata_that_is_there_is_never_replaced_by_fixed_places() {
    let web = Web::start().await;
    let mut silent = metadata(&web);
    silent
        .as_object_mut()
        .unwrap()
        .remove("code_challenge_methods_supported");
    for (reply, expected) in [
        (Reply::status(503), "unavailable"),
        (
            Reply::json(200, &json!({"issuer": web.url("")})),
            "authorization_endpoint",
        ),
        (Reply::json(200, &silent), "PKCE"),
    ] {
        web.on(METADATA, reply);

        let error = run(&web).await.result.unwrap_err().to_string();

        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn resource_metadata_that_is_there_rules_the_legacy_way_out() {
    let web = Web::start().await;
    web.on(METADATA, Reply::json(200, &metadata(&web)));
    let foreign =
        json!({"resource": "https://evil.example/mcp", "authorization_servers": [web.url("")]});
    let nobody = json!({"resource": web.url("/mcp")});
    for document in [foreign, nobody] {
        web.on(PATH_FORM, Reply::json(200, &document));

        assert!(run(&web).await.result.is_err(), "{document}");
    }
    assert!(web.seen_at(METADATA).is_empty());
}

#[tokio::test]
async fn a_client_of_another_issuer_is_not_shown_there() {
    let web = Web::start().await;
    let wanted = Issuer::new("https://as.example");
    let url = web.url("/mcp");

    let bound = Target {
        issuer: Some(&wanted),
        ..target(&url)
    };
    let refused = discover(&fetch(), &bound).await.result;

    assert_eq!(refused, Err(Error::IssuerNotListed { wanted }));
}

#[tokio::test]
async fn without_the_switch_nothing_of_it_is_tried() {
    let web = Web::start().await;
    let url = web.url("/mcp");

    let strict = Target {
        legacy: Legacy::Refused,
        ..target(&url)
    };
    let refused = discover(&fetch(), &strict).await.result;

    assert_eq!(refused, Err(Error::NoResourceMetadata));
    assert_eq!(web.paths(), [PATH_FORM, ROOT_FORM]);
}
