//! `server …`: the MCP servers that administrators approve.

mod access;
mod apply;
mod auth;
mod discovery;
mod fields;
mod identity;
mod paths;
mod proof;
mod provider;
mod show;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use prost_types::FieldMask;

use self::auth::Auth;
use self::fields::Fields;
use super::caller::{As, Caller};
use super::failure::Failure;
use super::output::Output;
use super::pages::{Page, Pages};
use super::secrets;
use crate::client::{Client, answer, json, v1};

/// `server …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(Box<Create>),
    Discover(Box<discovery::Discover>),
    Rediscover(discovery::Rediscover),
    List(List),
    /// Show one server
    #[command(after_long_help = "Example:\n  stationmaster server get tools --output json")]
    Get {
        /// The server, by id or slug
        server: String,
        /// Also whether this user is connected
        #[arg(long, short)]
        user: Option<String>,
    },
    Update(Box<Update>),
    Access(access::Access),
    Apply(apply::Apply),
    /// Delete a server with its connections and registrations
    #[command(after_long_help = "Example:\n  stationmaster server delete tools")]
    Delete {
        /// The server, by id or slug
        server: String,
        /// Only if this is still its version
        #[arg(long)]
        etag: Option<String>,
    },
}

/// Register a server
///
/// With `--auth oauth2` alone, its authorization server is discovered and a client registered there;
/// nothing is stored unless that succeeds. Secrets are given by file, by standard input (`-`), or by
/// the name of an environment variable, never as words of the command line.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  Everything discovered:
    stationmaster server create --name Tools --url https://mcp.example.com/mcp --auth oauth2 --enabled
  A client made by hand, endpoints discovered; the redirect URI to make it with is that of `server discover`:
    stationmaster server create --name Mail --url https://mail.example.com/mcp --auth oauth2 \\
      --client-id abc --issuer https://login.example.com --client-secret-file secret.txt --server-id srv_...
  One key for everybody:
    printf 'Bearer %s' \"$KEY\" | stationmaster server create --name Search \\
      --url https://search.example.com/mcp --auth api-key --header-value-file -
  Headers, one of them each user's own:
    stationmaster server create --name Wiki --url https://wiki.example.com/mcp --auth custom-headers \\
      --header-file X-Api-Key=key.txt --user-header X-User-Token='from your profile page'
  Anything else, as JSON with the field names of the proto (`Server` in server.proto):
    echo '{\"display_name\": \"CRM\", \"url\": \"https://crm.example.com/mcp\", \"user_oidc\": {}}' |
      stationmaster server create --from-file -")]
struct Create {
    #[command(flatten)]
    fields: Fields,
    /// Whose personal server it is; without, everybody's
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    #[command(flatten)]
    auth: Auth,
    /// A configuration in JSON, `-` for standard input; flags are laid over it
    #[arg(long, value_name = "FILE")]
    from_file: Option<std::path::PathBuf>,
    /// The id it shall have, chosen beforehand
    #[arg(long, value_name = "ID")]
    server_id: Option<String>,
    /// A UUID that makes repeating this command harmless
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

/// Change what the flags name, and nothing else
///
/// Flags about authorization change single fields of the kind that is stored; together with `--auth`
/// they describe it whole. A secret that is not given stays. A flag that may be repeated replaces its whole
/// list; `--header-file`, `--user-header` and `--optional-user-header` each theirs, values that users set for headers
/// that are gone included.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster server update tools --disabled
  stationmaster server update tools --scope read --scope write
  stationmaster server update tools --client-secret-file new-secret.txt
  stationmaster server update tools --private-key-file new-key.pem --private-key-id k2
  stationmaster server update tools --clear tool-deny --clear allow-group")]
struct Update {
    /// The server, by id or slug
    server: String,
    #[command(flatten)]
    fields: Fields,
    /// Make this empty; repeat for more
    #[arg(long, value_enum, value_name = "FIELD")]
    clear: Vec<fields::Clear>,
    /// Let `--clear` open to everybody what was for some
    #[arg(long)]
    allow_everyone: bool,
    #[command(flatten)]
    auth: Auth,
    /// Only if this is still its version
    #[arg(long)]
    etag: Option<String>,
}

/// List servers
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  stationmaster server list --enabled true")]
struct List {
    /// Only what this user may use, and whether they are connected
    #[arg(long, short)]
    user: Option<String>,
    /// A group the user belongs to; repeat for more
    #[arg(long = "group", short, value_name = "GROUP", requires = "user")]
    groups: Vec<String>,
    /// Only enabled (true) or disabled (false) ones
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// Only those with this label
    #[arg(long, value_name = "LABEL")]
    managed_by: Option<String>,
    #[command(flatten)]
    pages: Pages,
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        match self.action {
            Action::Create(command) => Box::pin(command.run(&client, out)).await,
            Action::Discover(command) => Box::pin(command.run(&client, out)).await,
            Action::Rediscover(command) => command.run(&client, out).await,
            Action::List(command) => command.run(&client, out).await,
            Action::Update(command) => Box::pin(command.run(&client, out)).await,
            Action::Access(command) => command.run(&client, out).await,
            Action::Apply(command) => command.run(&client, out).await,
            Action::Get { server, user } => {
                let request = v1::GetServerRequest {
                    server,
                    actor: user.map(|user| v1::Actor {
                        user,
                        groups: Vec::new(),
                    }),
                };
                let found = answer(client.config().get_server(request)).await?;
                out.answer(&found, |found| show::one(found.server.as_ref()));
                Ok(())
            }
            Action::Delete { server, etag } => {
                let request = v1::DeleteServerRequest {
                    server: server.clone(),
                    etag: etag.unwrap_or_default(),
                };
                let deleted = answer(client.config().delete_server(request)).await?;
                out.answer(&deleted, |deleted| {
                    format!(
                        "deleted {server}, {}",
                        show::ended(deleted.ended_connections)
                    )
                });
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let mut server = match &self.from_file {
            Some(file) => {
                let text = secrets::from_file(file)?;
                json::read(&text).with_context(|| format!("{}", file.display()))?
            }
            None => v1::Server::default(),
        };
        self.fields.lay_over(&mut server)?;
        if let Some(owner) = self.owner {
            server.owner = owner;
        }
        if let Some(auth) = self.auth.whole()? {
            server.auth = Some(auth);
        }
        if server.display_name.is_empty() || server.url.is_empty() {
            return Err(Failure::usage(
                "a server needs --name and --url, or a --from-file with them",
            ));
        }
        let request = v1::CreateServerRequest {
            server: Some(server),
            server_id: self.server_id.unwrap_or_default(),
            request_id: self.request_id.unwrap_or_default(),
        };
        let made = answer(Box::pin(client.config().create_server(request))).await?;
        out.answer(&made, |made| show::made(made.server.as_ref()));
        Ok(())
    }
}

impl Update {
    /// Refuses to open a server to everybody unasked: an empty list of users is no restriction without groups.
    async fn check_access(&self, server: &v1::Server, client: &Client) -> Result<()> {
        let clears = self.clear.iter().any(|clear| clear.is_access());
        if !clears || self.allow_everyone {
            return Ok(());
        }
        let request = v1::GetServerRequest {
            server: self.server.clone(),
            actor: None,
        };
        let stored = answer(client.config().get_server(request)).await?.server;
        let stored = stored.unwrap_or_default();
        let left = |cleared: fields::Clear, given: &[String], stored: &[String]| {
            !given.is_empty() || !self.clear.contains(&cleared) && !stored.is_empty()
        };
        let users = left(
            fields::Clear::AllowUser,
            &server.allowed_users,
            &stored.allowed_users,
        );
        let groups = left(
            fields::Clear::AllowGroup,
            &server.allowed_groups,
            &stored.allowed_groups,
        );
        let restricted = !stored.allowed_users.is_empty() || !stored.allowed_groups.is_empty();
        if restricted && !users && !groups {
            return Err(Failure::usage(
                "that opens the server to everybody; say --allow-everyone if it is meant",
            ));
        }
        Ok(())
    }

    async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let mut server = v1::Server::default();
        let mut paths = self.fields.lay_over(&mut server)?;
        for clear in &self.clear {
            paths.push(clear.empty(&mut server));
        }
        self.check_access(&server, client).await?;
        if self.auth.is_whole() {
            server.auth = self.auth.whole()?;
            paths.push("auth");
        } else if self.auth.says_anything() {
            let request = v1::GetServerRequest {
                server: self.server.clone(),
                actor: None,
            };
            let stored = answer(client.config().get_server(request)).await?.server;
            let stored = stored.and_then(|server| server.auth);
            let (auth, changed) = self.auth.part(stored.as_ref())?;
            server.auth = Some(auth);
            paths.extend(changed);
        }
        if paths.is_empty() {
            return Err(Failure::usage(
                "nothing to change; see `stationmaster server update --help`",
            ));
        }
        server.id = self.server;
        server.etag = self.etag.unwrap_or_default();
        let request = v1::UpdateServerRequest {
            server: Some(server),
            update_mask: Some(FieldMask {
                paths: paths.into_iter().map(str::to_owned).collect(),
            }),
        };
        let updated = answer(Box::pin(client.config().update_server(request))).await?;
        out.answer(&updated, |updated| {
            let one = show::one(updated.server.as_ref());
            match updated.ended_connections {
                0 => one,
                count => format!("{one}\n\n{}", show::ended(count)),
            }
        });
        Ok(())
    }
}

impl List {
    async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let groups = self.groups;
        let actor = self.user.map(|user| v1::Actor { user, groups });
        let page = async |page: Page| {
            let request = v1::ListServersRequest {
                page_size: page.size,
                page_token: page.token,
                actor: actor.clone(),
                managed_by: self.managed_by.clone(),
                enabled: self.enabled,
            };
            let found = answer(client.config().list_servers(request)).await?;
            Ok((found.servers, found.next_page_token))
        };
        let (servers, next_page_token) = self.pages.collect(page).await?;
        let found = v1::ListServersResponse {
            servers,
            next_page_token,
        };
        out.answer(&found, show::all);
        Ok(())
    }
}
