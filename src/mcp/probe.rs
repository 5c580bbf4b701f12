//! Asking an MCP server, without credentials, what it wants.

use std::time::Duration;

use http::header::{ACCEPT, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use url::Url;

use super::challenge::Challenge;
use super::error::Error;
use crate::fetch::{Fetch, Policy, ReadBody, Request};

/// The revision whose stateless wire is spoken; older servers challenge before they look at it.
const REVISION: &str = "2026-07-28";

/// What the server answered to a stranger.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The status; 401 and 403 come with challenges, usually.
    pub status: StatusCode,
    /// Every challenge of every `WWW-Authenticate` line, in order.
    pub challenges: Vec<Challenge>,
}

/// Sends `tools/list` without credentials and reads the head of the answer only.
///
/// `tools/list` because some servers leave `initialize` open, and `POST` because some answer 404 to
/// anything else. The request is well-formed at the stateless wire (revision 2026-07-28) and
/// harmless at older ones. `deadline` bounds everything.
///
/// # Errors
/// [`Error::Address`], or [`Error::Fetch`] when there is no answer.
pub async fn probe(fetch: &Fetch, server_url: &str, deadline: Duration) -> Result<Probe, Error> {
    let url = Url::parse(server_url).map_err(|_error| Error::Address)?;
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/list",
        "params": {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": REVISION,
                "io.modelcontextprotocol/clientInfo": {
                    "name": "stationmaster",
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let request = Request::post_json(url, body.to_string())
        .header(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        )
        .header(
            HeaderName::from_static("mcp-protocol-version"),
            HeaderValue::from_static(REVISION),
        )
        .header(
            HeaderName::from_static("mcp-method"),
            HeaderValue::from_static("tools/list"),
        )
        .policy(Policy::on_behalf_of(server_url))
        .read(ReadBody::No)
        .deadline(deadline);
    let answer = fetch.send(request).await?;
    let lines = answer
        .headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()));
    Ok(Probe {
        status: answer.status,
        challenges: Challenge::parse_all(lines),
    })
}
