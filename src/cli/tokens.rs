//! `resolve` and `disconnect`: what a chat daemon does for a user.

use anyhow::Result;
use clap::Args;

use super::caller::{As, Caller};
use super::output::{Output, table};
use super::parse;
use super::show::{list, time, word};
use crate::client::{answer, v1};

/// The user a command is about.
#[derive(Debug, Args)]
pub(super) struct Actor {
    /// The user
    #[arg(long, short)]
    user: String,
    /// A group they belong to; repeat for more
    #[arg(long = "group", short, value_name = "GROUP")]
    groups: Vec<String>,
}

impl Actor {
    pub(super) fn user(&self) -> &str {
        &self.user
    }
}

impl From<Actor> for v1::Actor {
    fn from(actor: Actor) -> Self {
        Self {
            user: actor.user,
            groups: actor.groups,
        }
    }
}

/// Get ready-to-send headers for a user, or the reason why there are none
///
/// For people the values of headers are hidden; with `--output json` they are there in full, since
/// that is what programs come for. A server that is not ready is an answer, not a failure.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster resolve tools --user alice
  stationmaster resolve tools mail --user alice --group staff --min-valid-for 10m
  stationmaster resolve tools --user alice --output json |
    jq -r '.servers[0].headers[] | \"\\(.name): \\(.value)\"'")]
pub(super) struct Resolve {
    #[command(flatten)]
    caller: Caller,
    /// The servers, by id or slug
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<String>,
    #[command(flatten)]
    actor: Actor,
    /// The chat that the request belongs to, for identity headers
    #[arg(long, value_name = "CHAT")]
    chat: Option<String>,
    /// The sub-chat
    #[arg(long, value_name = "SUBCHAT", requires = "chat")]
    subchat: Option<String>,
    #[command(flatten)]
    wishes: Wishes,
}

/// What credentials must be like, and how much of them is shown.
#[derive(Debug, Args)]
pub(super) struct Wishes {
    /// How long credentials must still live: 90s, 15m
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    min_valid_for: Option<std::time::Duration>,
    /// The answer must include everything up to this revision
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(super) min_revision: i64,
    /// The workspace that the request belongs to, for identity headers
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// Show the values of headers
    #[arg(long)]
    pub(super) show_secrets: bool,
}

impl Wishes {
    pub(super) fn min_valid_for(&self) -> Option<prost_types::Duration> {
        let duration = self.min_valid_for?;
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    /// What the request belongs to, beside its chat.
    pub(super) fn identity(&self) -> v1::IdentityContext {
        v1::IdentityContext {
            workspace_id: self.workspace.clone().unwrap_or_default(),
            ..v1::IdentityContext::default()
        }
    }
}

impl Resolve {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Daemon).await?;
        let request = v1::ResolveCredentialsRequest {
            actor: Some(self.actor.into()),
            servers: self.servers,
            min_valid_for: self.wishes.min_valid_for(),
            min_revision: self.wishes.min_revision,
            identity: Some(v1::IdentityContext {
                chat_id: self.chat.unwrap_or_default(),
                subchat_id: self.subchat.unwrap_or_default(),
                ..self.wishes.identity()
            }),
            ..Default::default()
        };
        let found = answer(client.tokens().resolve_credentials(request)).await?;
        out.answer(&found, |found| {
            resolved(
                &found.servers,
                &found.unknown_servers,
                self.wishes.show_secrets,
            )
        });
        Ok(())
    }
}

/// The answer of a resolve for people.
pub(super) fn resolved(
    servers: &[v1::ResolvedServer],
    unknown: &[String],
    show_secrets: bool,
) -> String {
    let rows = servers.iter().map(|server| {
        let status = word(server.status().as_str_name(), "SERVER_STATUS");
        let missing = [
            server.missing_scopes.as_slice(),
            server.missing_headers.as_slice(),
        ]
        .concat();
        let why = word(server.reason().as_str_name(), "STATUS_REASON");
        let why = [why, list(&missing)].join(" ").trim().to_owned();
        let headers = server.headers.iter().map(|header| {
            let value = if show_secrets {
                header.value.as_str()
            } else {
                "(hidden)"
            };
            format!("{}: {value}", header.name)
        });
        let headers: Vec<String> = headers.collect();
        let ends = time(server.expire_time.as_ref());
        [
            server.slug.clone(),
            status,
            why,
            ends,
            headers.join("\n"),
            server.url.clone(),
        ]
    });
    let mut parts = Vec::new();
    if servers.is_empty() {
        parts.push("no servers".to_owned());
    } else {
        let head = ["SERVER", "STATUS", "WHY", "EXPIRES", "HEADERS", "URL"];
        parts.push(table(head, rows));
    }
    if !unknown.is_empty() {
        parts.push(format!("unknown to this user: {}", list(unknown)));
    }
    parts.join("\n")
}

/// Forget a user's grant on a server
///
/// Fine to repeat; works after access to the server was lost.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  stationmaster disconnect tools --user alice")]
pub(super) struct Disconnect {
    #[command(flatten)]
    caller: Caller,
    /// The server, by id or slug
    server: String,
    #[command(flatten)]
    actor: Actor,
}

impl Disconnect {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Daemon).await?;
        let words = format!("{} is not connected to {}.", self.actor.user(), self.server);
        let request = v1::DisconnectRequest {
            actor: Some(self.actor.into()),
            server: self.server,
        };
        let done = answer(client.tokens().disconnect(request)).await?;
        out.answer(&done, |_| words);
        Ok(())
    }
}
