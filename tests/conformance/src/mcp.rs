//! MCP over HTTP, in either of its two wires. Knows nothing of OAuth: headers are handed in, and an
//! answer that refuses them is handed out.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::Value;
use stationmaster::client::v1::Header;

use crate::sse;

/// How MCP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// 2025-11-25: a session that is opened first.
    Stateful,
    /// 2026-07-28: every request says everything.
    Stateless,
}

impl Wire {
    pub(crate) fn revision(self) -> &'static str {
        match self {
            Self::Stateful => "2025-11-25",
            Self::Stateless => "2026-07-28",
        }
    }
}

impl FromStr for Wire {
    type Err = String;

    fn from_str(revision: &str) -> Result<Self, Self::Err> {
        [Self::Stateful, Self::Stateless]
            .into_iter()
            .find(|wire| wire.revision() == revision)
            .ok_or_else(|| format!("{revision} is not spoken here"))
    }
}

/// One message to the server.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) method: &'static str,
    /// What the method is applied to, where that is one thing with a name.
    pub(crate) name: Option<String>,
    /// All of it.
    pub(crate) body: Value,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Every `WWW-Authenticate` line, in order.
    pub(crate) challenges: Vec<String>,
    /// The `DPoP-Nonce` header, or nothing.
    pub(crate) nonce: String,
    /// The session it opened.
    pub(crate) session: Option<String>,
    /// The JSON-RPC response; null after a notification and after a failure.
    pub(crate) response: Value,
}

/// The way to one server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) wire: Wire,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    /// The session that is open.
    pub(crate) session: Option<String>,
}

impl Endpoint {
    /// Sends a message with these headers and reads the answer.
    pub(crate) async fn post(
        &self,
        message: &Message,
        headers: &[Header],
    ) -> anyhow::Result<Answer> {
        let mut request = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if message.method != "initialize" {
            request = request.header("mcp-protocol-version", self.wire.revision());
        }
        if self.wire == Wire::Stateless {
            request = request.header("mcp-method", message.method);
            if let Some(name) = &message.name {
                request = request.header("mcp-name", name);
            }
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for header in headers {
            request = request.header(&header.name, &header.value);
        }
        let answer = request.body(message.body.to_string()).send().await;
        let answer = answer.context("calling the MCP server")?;
        read(answer, message.body.get("id")).await
    }
}

/// Reads the answer up to the response to the call of this id.
async fn read(mut answer: reqwest::Response, id: Option<&Value>) -> anyhow::Result<Answer> {
    let text = |name: &str| {
        let value = answer.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let lines = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    let challenges = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    let mut read = Answer {
        status: answer.status(),
        challenges: challenges.collect(),
        nonce: text("dpop-nonce").unwrap_or_default(),
        session: text("mcp-session-id"),
        response: Value::Null,
    };
    let Some(id) = id.filter(|_| read.status.is_success()) else {
        return Ok(read);
    };
    let events = text("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !events {
        read.response = serde_json::from_slice(&answer.bytes().await?)?;
        return Ok(read);
    }
    let mut stream = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        stream.extend_from_slice(&chunk);
        for data in sse::complete(&String::from_utf8_lossy(&stream)) {
            let message: Value = serde_json::from_str(&data)?;
            if message["id"] == *id && message["method"].is_null() {
                read.response = message;
                return Ok(read);
            }
        }
    }
    bail!("the stream ended without the response");
}
