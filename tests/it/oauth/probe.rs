//! Asking an MCP server without credentials.

use stationmaster::mcp::{BearerChallenge, probe};

use super::{PATIENCE, fetch};
use crate::harness::web::{Reply, Web};

#[tokio::test]
async fn a_probe_is_well_formed_and_reads_every_challenge_line() {
    let web = Web::start().await;
    web.on(
        "/mcp",
        Reply::status(401)
            .with("www-authenticate", r#"Basic realm="x""#)
            .with(
                "www-authenticate",
                r#"Bearer resource_metadata="https://h/m", scope="a b""#,
            ),
    );

    let found = probe(&fetch(), &web.url("/mcp"), PATIENCE).await.unwrap();

    let challenge = &BearerChallenge::all(&found.challenges)[0];
    assert_eq!(found.status, 401);
    assert_eq!(challenge.resource_metadata.as_deref(), Some("https://h/m"));
    let seen = &web.seen()[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(
        seen.header("accept"),
        Some("application/json, text/event-stream")
    );
    assert_eq!(seen.json()["method"], "tools/list");
    let meta = &seen.json()["params"]["_meta"];
    assert_eq!(
        meta["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
}

#[tokio::test]
async fn a_probe_does_not_wait_for_an_endless_stream() {
    let web = Web::start().await;
    web.on("/mcp", Reply::Endless);

    let found = probe(&fetch(), &web.url("/mcp"), PATIENCE).await.unwrap();

    assert_eq!(found.status, 200);
    assert!(found.challenges.is_empty());
}
