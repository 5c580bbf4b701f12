//! From an MCP server's address to its authorization server.

use http::StatusCode;
use serde_json::{Value, json};
use stationmaster::domain::authorization::{Issuer, Scopes};
use stationmaster::oauth::{
    Discovery, Error, Finding, ForeignEndpoints, Hint, Legacy, MissingPkce, Purpose, Target,
    discover,
};

use super::{PATIENCE, clock, fetch};
use crate::harness::web::{Reply, Web};

const PATH_FORM: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT_FORM: &str = "/.well-known/oauth-protected-resource";
const RFC8414: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn resource(resource: &str, issuers: &[&str]) -> Reply {
    Reply::json(
        200,
        &json!({"resource": resource, "authorization_servers": issuers, "scopes_supported": ["x"]}),
    )
}

fn server(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "code_challenge_methods_supported": ["S256"],
    })
}

/// An MCP server at `/mcp` and its authorization server, both of the plainest kind.
async fn plain() -> (Web, Web) {
    let (mcp, auth) = (Web::start().await, Web::start().await);
    mcp.on(PATH_FORM, resource(&mcp.url("/mcp"), &[&auth.url("")]));
    auth.on(RFC8414, Reply::json(200, &server(&auth.url(""))));
    (mcp, auth)
}

fn target(url: &str) -> Target<'_> {
    Target {
        server_url: url,
        hint: None,
        issuer: None,
        trusted_origins: &[],
        legacy: Legacy::Refused,
        foreign_endpoints: ForeignEndpoints::Refused,
        purpose: Purpose::Users,
        missing_pkce: MissingPkce::Refused,
        clock: clock(),
        deadline: PATIENCE,
    }
}

async fn run(mcp: &Web) -> Discovery {
    discover(&fetch(), &target(&mcp.url("/mcp"))).await
}

#[tokio::test]
async fn the_path_form_is_enough_and_the_root_is_not_asked() {
    let (mcp, auth) = plain().await;

    let found = run(&mcp).await.result.unwrap();

    assert_eq!(found.resource.resource.as_str(), mcp.url("/mcp"));
    assert_eq!(found.authorization_server.issuer.as_str(), auth.url(""));
    assert_eq!(found.warnings, Vec::<String>::new());
    assert_eq!(mcp.paths(), [PATH_FORM]);
    assert_eq!(auth.paths(), [RFC8414]);
}

#[tokio::test]
async fn the_root_is_asked_after_the_path_and_its_resource_is_kept_byte_for_byte() {
    let (mcp, auth) = plain().await;
    mcp.on(PATH_FORM, Reply::status(404));
    mcp.on(ROOT_FORM, resource(&mcp.url(""), &[&auth.url("")]));

    let found = run(&mcp).await.result.unwrap();

    assert_eq!(found.resource.resource.as_str(), mcp.url(""));
    assert_eq!(mcp.paths(), [PATH_FORM, ROOT_FORM]);
}

#[tokio::test]
async fn the_challenge_is_followed_first() {
    let (mcp, auth) = plain().await;
    mcp.on("/custom.json", resource(&mcp.url("/mcp"), &[&auth.url("")]));
    let hint = Hint {
        resource_metadata: Some(mcp.url("/custom.json")),
        scopes: Some(Scopes::parse("s")),
    };

    let url = mcp.url("/mcp");
    let target = Target {
        hint: Some(&hint),
        ..target(&url)
    };
    let found = discover(&fetch(), &target).await.result.unwrap();

    assert_eq!(found.challenged_scopes, Some(Scopes::parse("s")));
    assert_eq!(mcp.paths(), ["/custom.json"]);
}

#[tokio::test]
async fn a_challenge_to_another_origin_is_followed_only_with_permission() {
    let (mcp, auth) = plain().await;
    let elsewhere = Web::start().await;
    elsewhere.on("/m", resource(&mcp.url("/mcp"), &[&auth.url("")]));
    let hint = Hint {
        resource_metadata: Some(elsewhere.url("/m?secret=hush")),
        scopes: None,
    };
    let url = mcp.url("/mcp");
    let mut target = Target {
        hint: Some(&hint),
        ..target(&url)
    };

    let ignored = discover(&fetch(), &target).await;
    assert!(ignored.result.is_ok());
    assert!(elsewhere.seen().is_empty());
    assert_eq!(ignored.report.attempts[0].finding, Finding::OtherOrigin);
    assert!(!format!("{:?}", ignored.report).contains("hush"));

    let trusted = [elsewhere.url("")];
    target.trusted_origins = &trusted;
    let followed = discover(&fetch(), &target).await.result.unwrap();
    assert_eq!(
        followed.resource.metadata_url,
        Some(elsewhere.url("/m?secret=hush"))
    );
}

#[tokio::test]
async fn an_issuer_with_a_path_is_sought_at_its_three_places_only() {
    let (mcp, auth) = plain().await;
    let issuer = auth.url("/t1");
    mcp.on(PATH_FORM, resource(&mcp.url("/mcp"), &[&issuer]));
    auth.on(
        "/t1/.well-known/openid-configuration",
        Reply::json(200, &server(&issuer)),
    );

    let discovery = run(&mcp).await;

    assert_eq!(
        discovery
            .result
            .unwrap()
            .authorization_server
            .issuer
            .as_str(),
        issuer
    );
    assert_eq!(
        auth.paths(),
        [
            format!("{RFC8414}/t1"),
            format!("{OPENID}/t1"),
            format!("/t1{OPENID}")
        ]
    );
    let findings: Vec<_> = discovery
        .report
        .attempts
        .into_iter()
        .map(|a| a.finding)
        .collect();
    assert_eq!(
        findings,
        [
            Finding::Used,
            Finding::Status(StatusCode::NOT_FOUND),
            Finding::Status(StatusCode::NOT_FOUND),
            Finding::Used
        ]
    );
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let (mcp, auth) = plain().await;
    auth.on(RFC8414, Reply::json(200, &server("https://evil.example")));

    let error = run(&mcp).await.result.unwrap_err();

    assert!(
        matches!(&error, Error::IssuerMismatch { found, .. } if found.as_str() == "https://evil.example"),
        "{error:?}"
    );
    assert_eq!(auth.paths(), [RFC8414, OPENID]);
}

#[tokio::test]
async fn metadata_of_another_resource_ends_discovery() {
    let (mcp, auth) = plain().await;
    mcp.on(
        PATH_FORM,
        resource("https://evil.example/mcp", &[&auth.url("")]),
    );

    let error = run(&mcp).await.result.unwrap_err();

    assert!(matches!(error, Error::ResourceMismatch { .. }));
    assert_eq!(mcp.paths(), [PATH_FORM]);
    assert!(auth.seen().is_empty());
}

#[tokio::test]
async fn an_outage_is_not_taken_for_absence() {
    let (mcp, auth) = plain().await;
    mcp.on(
        ROOT_FORM,
        resource(&mcp.url(""), &["https://other.example"]),
    );
    mcp.on(PATH_FORM, Reply::status(503).with("retry-after", "3"));

    let error = run(&mcp).await.result.unwrap_err();

    assert!(
        matches!(
            error,
            Error::Unavailable {
                retry_after: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(mcp.paths(), [PATH_FORM]);
    assert!(auth.seen().is_empty());
}

#[tokio::test]
async fn something_else_in_place_of_a_document_is_absence() {
    let (mcp, auth) = plain().await;
    mcp.on(PATH_FORM, Reply::text(200, "text/html", "<html>app</html>"));
    mcp.on(ROOT_FORM, resource(&mcp.url(""), &[&auth.url("")]));

    assert!(run(&mcp).await.result.is_ok());

    mcp.on(PATH_FORM, Reply::json(200, &json!({"error": "not found"})));

    assert!(run(&mcp).await.result.is_ok());
}

#[tokio::test]
async fn of_several_authorization_servers_the_first_usable_is_chosen() {
    let (mcp, auth) = plain().await;
    let broken = Web::start().await;
    let listed = [broken.url(""), auth.url("")];
    mcp.on(
        PATH_FORM,
        resource(&mcp.url("/mcp"), &[&listed[0], &listed[1]]),
    );

    let found = run(&mcp).await.result.unwrap();

    assert_eq!(found.authorization_server.issuer.as_str(), auth.url(""));
    assert_eq!(found.warnings.len(), 1);
}

#[tokio::test]
async fn the_clients_own_issuer_is_taken_or_none() {
    let (mcp, auth) = plain().await;
    let other = Web::start().await;
    mcp.on(
        PATH_FORM,
        resource(&mcp.url("/mcp"), &[&other.url(""), &auth.url("")]),
    );
    let (listed, unlisted) = (
        Issuer::new(auth.url("")),
        Issuer::new("https://gone.example"),
    );
    let url = mcp.url("/mcp");

    let found = discover(
        &fetch(),
        &Target {
            issuer: Some(&listed),
            ..target(&url)
        },
    )
    .await;
    let refused = discover(
        &fetch(),
        &Target {
            issuer: Some(&unlisted),
            ..target(&url)
        },
    )
    .await;

    assert_eq!(found.result.unwrap().authorization_server.issuer, listed);
    assert!(other.seen().is_empty());
    assert!(matches!(refused.result, Err(Error::IssuerNotListed { .. })));
}

#[tokio::test]
async fn missing_pkce_metadata_is_refused_unless_allowed() {
    let (mcp, auth) = plain().await;
    let url = mcp.url("/mcp");
    for methods in [json!(null), json!([]), json!(["plain"])] {
        let mut document = server(&auth.url(""));
        document["code_challenge_methods_supported"] = methods;
        auth.on(RFC8414, Reply::json(200, &document));

        let refused = run(&mcp).await.result.unwrap_err();
        let allowing = Target {
            missing_pkce: MissingPkce::Allowed,
            ..target(&url)
        };
        let allowed = discover(&fetch(), &allowing).await.result.unwrap();

        assert!(matches!(refused, Error::PkceUnsupported { .. }));
        assert_eq!(allowed.warnings.len(), 1);
    }
}

#[tokio::test]
async fn endpoints_are_checked_and_optional_ones_dropped() {
    let (mcp, auth) = plain().await;
    let mut document = server(&auth.url(""));
    document["revocation_endpoint"] = json!("ftp://as/revoke");
    document["registration_endpoint"] = json!("http://10.0.0.1/register");
    auth.on(RFC8414, Reply::json(200, &document));

    let found = run(&mcp).await.result.unwrap();
    assert_eq!(found.authorization_server.revocation_endpoint, None);
    assert_eq!(found.authorization_server.registration_endpoint, None);
    assert_eq!(found.warnings.len(), 2);

    for (member, value) in [
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "http://as.example/authorize"),
        ("token_endpoint", "http://169.254.169.254/token"),
    ] {
        let mut document = server(&auth.url(""));
        document[member] = json!(value);
        auth.on(RFC8414, Reply::json(200, &document));

        let error = run(&mcp).await.result.unwrap_err();
        assert_eq!(error, Error::Metadata { member }, "{value}");
    }
}

#[tokio::test]
async fn a_token_endpoint_elsewhere_is_taken_from_metadata_of_the_issuer() {
    let (mcp, auth) = plain().await;
    let elsewhere = Web::start().await;
    let mut document = server(&auth.url(""));
    document["token_endpoint"] = json!(elsewhere.url("/token"));
    auth.on(RFC8414, Reply::json(200, &document));

    let found = run(&mcp).await.result.unwrap();

    let server = found.authorization_server;
    assert_eq!(server.token_endpoint, elsewhere.url("/token"));
    assert_eq!(found.warnings, Vec::<String>::new());
}
