//! `connection …`: users' grants on servers, without their tokens.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use super::caller::{As, Caller};
use super::imports::Import;
use super::output::{Format, Output, fields, table};
use super::pages::{Page, Pages, more};
use super::show::{list, time, word, yes};
use crate::client::{self, answer, json, v1};

/// `connection …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List connections: of one user, or, for administrators, of all
    #[command(after_long_help = "\
Examples:
  stationmaster connection list --user alice
  stationmaster connection list --server tools --state reconnect-required")]
    List {
        /// Only this user's
        #[arg(long, short)]
        user: Option<String>,
        /// Only those on this server, by id or slug; for administrators, by user
        #[arg(long, conflicts_with = "user")]
        server: Option<String>,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        #[command(flatten)]
        pages: Pages,
    },
    /// Follow connections: those there are, then every change, until interrupted
    ///
    /// One line for each event: what happened, the revision to resume after, and the connection. With
    /// `--output json` each line is a document.
    #[command(after_long_help = "\
Examples:
  stationmaster connection watch
  stationmaster connection watch --user alice --server tools
  stationmaster connection watch --after 1234 --output json")]
    Watch {
        /// Only this user's
        #[arg(long, short)]
        user: Option<String>,
        /// Only on this server, by id or slug; repeat for more
        #[arg(long = "server", value_name = "SERVER")]
        servers: Vec<String>,
        /// Only what changed after this revision, within 24 hours
        #[arg(long, value_name = "REVISION")]
        after: Option<i64>,
    },
    /// Show one connection: why it works or does not
    #[command(after_long_help = "Example:\n  stationmaster connection get tools --user alice")]
    Get {
        /// The server, by id or slug
        server: String,
        /// Whose; without, the deployment's own (client credentials)
        #[arg(long, short)]
        user: Option<String>,
    },
    /// Take over a user's grant from another system
    ///
    /// Its refresh token is the service's from then on: whoever had it must stop using it. Without an
    /// access token the first use refreshes.
    #[command(after_long_help = "\
Examples:
  stationmaster connection import tools --user alice --refresh-token-file refresh.txt
  vault read -field=refresh alice |
    stationmaster connection import tools --user alice --refresh-token-file - \\
      --client-id old-app --client-secret-file old-app.secret --replace")]
    Import(Box<Import>),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Active,
    ReconnectRequired,
    Unreadable,
}

impl From<State> for v1::ConnectionState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::ReconnectRequired => Self::ReconnectRequired,
            State::Unreadable => Self::Unreadable,
        }
    }
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match self.action {
            Action::List {
                user,
                server,
                state,
                pages,
            } => {
                let (role, actor) = about(user);
                let client = self.caller.client(role).await?;
                let state = state.map_or(v1::ConnectionState::Unspecified, State::into);
                let page = async |page: Page| {
                    if let Some(server) = &server {
                        let request = v1::ListServerConnectionsRequest {
                            server: server.clone(),
                            page_size: page.size,
                            page_token: page.token,
                            state: state.into(),
                        };
                        let mut config = client.config();
                        let found = answer(config.list_server_connections(request)).await?;
                        return Ok((found.connections, found.next_page_token));
                    }
                    let request = v1::ListConnectionsRequest {
                        actor: actor.clone(),
                        page_size: page.size,
                        page_token: page.token,
                        state: state.into(),
                    };
                    let found = answer(client.tokens().list_connections(request)).await?;
                    Ok((found.connections, found.next_page_token))
                };
                let (connections, next_page_token) = pages.collect(page).await?;
                let found = v1::ListConnectionsResponse {
                    connections,
                    next_page_token,
                };
                out.answer(&found, all);
            }
            Action::Watch {
                user,
                servers,
                after,
            } => {
                let (role, actor) = about(user);
                let client = self.caller.client(role).await?;
                let request = v1::WatchConnectionsRequest {
                    actor,
                    servers,
                    after_revision: after,
                };
                let mut events = answer(client.tokens().watch_connections(request)).await?;
                while let Some(event) = events.message().await.map_err(client::Error::from)? {
                    match out.format() {
                        Format::Table => out.answer(&event, line),
                        Format::Json => out.line(&json::write(&event)),
                    }
                }
            }
            Action::Import(import) => {
                let request = import.request()?;
                let client = self.caller.client(As::Daemon).await?;
                let made = answer(client.tokens().import_connection(request)).await?;
                out.answer(&made, |made| {
                    one(&made.connection.clone().unwrap_or_default())
                });
            }
            Action::Get { server, user } => {
                let (role, actor) = about(user);
                let client = self.caller.client(role).await?;
                let request = v1::GetConnectionRequest { actor, server };
                let found = answer(client.tokens().get_connection(request)).await?;
                out.answer(&found, |found| {
                    one(&found.connection.clone().unwrap_or_default())
                });
            }
        }
        Ok(())
    }
}

/// Who asks about this user, or about all.
fn about(user: Option<String>) -> (As, Option<v1::Actor>) {
    let role = if user.is_some() {
        As::Daemon
    } else {
        As::Administrator
    };
    let groups = Vec::new();
    (role, user.map(|user| v1::Actor { user, groups }))
}

/// An event in one line.
fn line(event: &v1::WatchConnectionsResponse) -> String {
    let kind = word(event.kind().as_str_name(), "CHANGE_KIND");
    let head = format!("{kind:<9}  {:<10}", event.revision);
    let Some(connection) = &event.connection else {
        return format!("{head}  {}", event.connection_id);
    };
    let v1::Connection {
        user, server_slug, ..
    } = connection;
    let id = &event.connection_id;
    let (state, why) = (state(connection), why(connection));
    let line = format!("{head}  {id}  {user}  {server_slug}  {state}  {why}");
    line.trim_end().to_owned()
}

fn all(found: &v1::ListConnectionsResponse) -> String {
    let rows = found.connections.iter().map(|connection| {
        let ends = time(connection.expire_time.as_ref());
        let user = connection.user.clone();
        let server = connection.server_slug.clone();
        [
            user,
            server,
            state(connection),
            why(connection),
            ends,
            yes(connection.renewable),
        ]
    });
    let head = ["USER", "SERVER", "STATE", "WHY", "EXPIRES", "RENEWABLE"];
    more(table(head, rows), &found.next_page_token)
}

fn warnings(connection: &v1::Connection) -> String {
    let warnings = connection.warnings.iter().map(|warning| {
        let reason = word(warning.reason().as_str_name(), "STATUS_REASON");
        format!("{reason}: {}", warning.detail)
    });
    list(&warnings.collect::<Vec<_>>())
}

fn one(connection: &v1::Connection) -> String {
    fields([
        ("connection", connection.id.clone()),
        (
            "server",
            format!("{} ({})", connection.server_slug, connection.server),
        ),
        ("user", connection.user.clone()),
        ("state", state(connection)),
        ("why", why(connection)),
        ("account", connection.account.clone()),
        ("warnings", warnings(connection)),
        ("scopes", list(&connection.granted_scopes)),
        ("issuer", connection.issuer.clone()),
        ("resource", connection.resource.clone()),
        ("generation", connection.generation.to_string()),
        ("expires", time(connection.expire_time.as_ref())),
        ("renewable", yes(connection.renewable)),
        ("origin", origin(connection)),
        ("granted", time(connection.obtain_time.as_ref())),
        ("refreshed", time(connection.refresh_time.as_ref())),
        ("used", time(connection.last_use_time.as_ref())),
        (
            "reconnect before",
            time(connection.reconnect_before_time.as_ref()),
        ),
        ("failures", connection.failures.to_string()),
        ("last failure", time(connection.last_failure_time.as_ref())),
        ("last error", connection.last_error_code.clone()),
        ("next attempt", next_attempt(connection)),
        ("updated", time(connection.update_time.as_ref())),
        ("client", connection.registration_id.clone()),
    ])
}

fn origin(connection: &v1::Connection) -> String {
    word(connection.origin().as_str_name(), "CONNECTION_ORIGIN")
}

/// When it is refreshed next, or why that is not planned.
fn next_attempt(connection: &v1::Connection) -> String {
    if connection.state() != v1::ConnectionState::Active {
        return "none: the user must connect again".to_owned();
    }
    match &connection.next_attempt_time {
        Some(at) => time(Some(at)),
        None if connection.renewable => "when it is asked for and needs one".to_owned(),
        None => "none: there is no refresh token".to_owned(),
    }
}

fn state(connection: &v1::Connection) -> String {
    word(connection.state().as_str_name(), "CONNECTION_STATE")
}

fn why(connection: &v1::Connection) -> String {
    word(connection.reason().as_str_name(), "STATUS_REASON")
}
