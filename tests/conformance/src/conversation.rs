//! A short conversation with one MCP server: a session where the wire has one, the list of tools, a
//! call of the first.

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::mcp::{Endpoint, Message, Wire};

/// A conversation with one server for one user.
pub(crate) struct Conversation {
    endpoint: Endpoint,
    daemon: Daemon,
    /// How many calls there were.
    calls: u64,
}

impl Conversation {
    pub(crate) fn new(wire: Wire, url: String, http: reqwest::Client, daemon: Daemon) -> Self {
        let endpoint = Endpoint {
            wire,
            url,
            http,
            session: None,
        };
        Self {
            endpoint,
            daemon,
            calls: 0,
        }
    }

    /// Opens a session where the wire has one, lists the tools and calls the first.
    pub(crate) async fn hold(mut self) -> anyhow::Result<()> {
        if self.endpoint.wire == Wire::Stateful {
            let hello = json!({
                "protocolVersion": Wire::Stateful.revision(),
                "capabilities": {},
                "clientInfo": client_info(),
            });
            self.call("initialize", hello).await?;
            self.notify("notifications/initialized").await?;
        }
        let listed = self.call("tools/list", json!({})).await?;
        let tool = &listed["tools"][0]["name"];
        ensure!(tool.is_string(), "the server has no tools: {listed}");
        let call = json!({ "name": tool, "arguments": {} });
        self.call("tools/call", call).await?;
        Ok(())
    }

    async fn call(&mut self, method: &'static str, params: Value) -> anyhow::Result<Value> {
        self.calls += 1;
        let name = params["name"].as_str().map(str::to_owned);
        let body = self.body(method, params, Some(self.calls));
        let mut response = self.send(Message { method, name, body }).await?;
        if !response["error"].is_null() {
            bail!("{method} was answered with {}", response["error"]);
        }
        Ok(response["result"].take())
    }

    async fn notify(&mut self, method: &'static str) -> anyhow::Result<()> {
        let body = self.body(method, json!({}), None);
        let name = None;
        self.send(Message { method, name, body }).await?;
        Ok(())
    }

    fn body(&self, method: &str, mut params: Value, id: Option<u64>) -> Value {
        if self.endpoint.wire == Wire::Stateless {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.endpoint.wire.revision(),
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let mut body = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if let Some(id) = id {
            body["id"] = id.into();
        }
        body
    }

    async fn send(&mut self, message: Message) -> anyhow::Result<Value> {
        let answer = self.daemon.carry(&self.endpoint, &message).await?;
        let Message { method, .. } = message;
        ensure!(answer.status.is_success(), "{method}: {}", answer.status);
        if answer.session.is_some() {
            self.endpoint.session = answer.session;
        }
        Ok(answer.response)
    }
}

fn client_info() -> Value {
    json!({ "name": "stationmaster-conformance", "version": env!("CARGO_PKG_VERSION") })
}
