//! `apikey …` and `whoami`: who may call.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use prost_types::Timestamp;
use serde_json::json;

use super::caller::{As, Caller};
use super::failure::Failure;
use super::output::{Output, fields, table};
use super::pages::{Page, Pages, more};
use super::settings::Settings;
use super::show::{list, time, word};
use super::{parse, serve};
use crate::client::{answer, v1};
use crate::domain::time::{Clock as _, SystemClock};

/// `apikey …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Bootstrap(Bootstrap),
    Create(Create),
    List(List),
    Revoke(Revoke),
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match self.action {
            Action::Bootstrap(command) => Box::pin(command.run(out)).await,
            Action::Create(command) => command.run(out).await,
            Action::List(command) => command.run(out).await,
            Action::Revoke(command) => command.run(out).await,
        }
    }
}

/// What a caller may do, in the large.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Operator,
    Admin,
    Auditor,
    Daemon,
    User,
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
            Role::Auditor => Self::Auditor,
            Role::Daemon => Self::Daemon,
            Role::User => Self::User,
        }
    }
}

/// Make the first operator key, straight in the database, and print it this once
///
/// Refuses once an operator key exists. Takes the service's settings, since no service is asked; on
/// the embedded database the service must not be running.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  stationmaster apikey bootstrap --config stationmaster.toml"
)]
struct Bootstrap {
    /// What people call the key
    #[arg(long, default_value = "bootstrap")]
    name: String,
    #[command(flatten)]
    settings: Settings,
}

impl Bootstrap {
    async fn run(self, out: &Output) -> Result<()> {
        let config = self.settings.load()?;
        let Some(key) = serve::bootstrap(config, &self.name).await? else {
            return Err(anyhow::Error::new(Failure {
                code: "ALREADY_EXISTS",
                reason: "BOOTSTRAPPED".to_owned(),
                message: "an operator key exists already; use it to make others".to_owned(),
                exit: 1,
            }));
        };
        out.value(|| json!({ "secret": key }), || key.clone());
        Ok(())
    }
}

/// Make a key and print it this once
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster apikey create --role daemon --name chat-1
  stationmaster apikey create --role daemon --name edge --expires 90d --source-cidr 10.0.0.0/8 \\
    --method /stationmaster.v1.TokenService/ResolveCredentials
  stationmaster apikey create --role user --name alice --user alice")]
struct Create {
    #[command(flatten)]
    caller: Caller,
    /// What it may do
    #[arg(long, value_enum)]
    role: Role,
    /// What people call it
    #[arg(long)]
    name: String,
    /// The one user it may act for; required for role user
    #[arg(long)]
    user: Option<String>,
    /// Only this method, by its full name; repeat for more
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// Only this server, by id or slug; repeat for more
    #[arg(long = "server", value_name = "SERVER")]
    servers: Vec<String>,
    /// Only calls from here, such as 10.0.0.0/8; repeat for more
    #[arg(long = "source-cidr", value_name = "CIDR")]
    source_cidrs: Vec<String>,
    /// Every call that is about a user must carry that user's own JWT; for role daemon
    #[arg(long)]
    requires_user_token: bool,
    /// When it ends by itself, from now: 90s, 15m, 12h, 30d, 8w
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    expires: Option<std::time::Duration>,
    /// A UUID that makes repeating this command harmless
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

impl Create {
    async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let narrowing = v1::ApiKeyNarrowing {
            methods: self.methods,
            servers: self.servers,
            source_cidrs: self.source_cidrs,
            requires_user_token: self.requires_user_token,
            user: self.user.unwrap_or_default(),
        };
        let request = v1::CreateApiKeyRequest {
            role: v1::Role::from(self.role).into(),
            name: self.name,
            narrowing: (narrowing != v1::ApiKeyNarrowing::default()).then_some(narrowing),
            expire_time: self.expires.map(|expires| {
                let seconds = SystemClock::new().now().after(expires).as_secs();
                Timestamp { seconds, nanos: 0 }
            }),
            request_id: self.request_id.unwrap_or_default(),
        };
        let made = answer(client.access().create_api_key(request)).await?;
        out.answer(&made, |made| {
            let key = made.api_key.clone().unwrap_or_default();
            let about = format!("{} ({} {})", key.id, role(key.role()), key.name);
            if made.secret.is_empty() {
                format!("{about} was made before; its secret is not shown again")
            } else {
                format!(
                    "{}\n\nThis is the secret of {about}. It is not shown again.",
                    made.secret
                )
            }
        });
        Ok(())
    }
}

/// List keys, by name, without their secrets
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  stationmaster apikey list --role daemon")]
struct List {
    #[command(flatten)]
    caller: Caller,
    /// Only keys of this role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Also those that were revoked or have ended
    #[arg(long)]
    show_revoked: bool,
    #[command(flatten)]
    pages: Pages,
}

impl List {
    async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let role_wanted = self.role.map_or(v1::Role::Unspecified, v1::Role::from);
        let page = async |page: Page| {
            let request = v1::ListApiKeysRequest {
                page_size: page.size,
                page_token: page.token,
                show_revoked: self.show_revoked,
                role: role_wanted.into(),
            };
            let found = answer(client.access().list_api_keys(request)).await?;
            Ok((found.api_keys, found.next_page_token))
        };
        let (api_keys, next_page_token) = self.pages.collect(page).await?;
        let found = v1::ListApiKeysResponse {
            api_keys,
            next_page_token,
        };
        out.answer(&found, |found| {
            let rows = found.api_keys.iter().map(|key| {
                let ends = key.revoke_time.as_ref().map_or_else(
                    || time(key.expire_time.as_ref()),
                    |at| format!("revoked {}", time(Some(at))),
                );
                let used = time(key.last_use_time.as_ref());
                [
                    key.id.clone(),
                    role(key.role()),
                    key.name.clone(),
                    narrowed(key),
                    used,
                    ends,
                ]
            });
            let head = ["ID", "ROLE", "NAME", "NARROWED TO", "LAST USED", "ENDS"];
            more(table(head, rows), &found.next_page_token)
        });
        Ok(())
    }
}

/// Revoke a key: calls that begin later are refused, and streams that are open end
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  stationmaster apikey revoke key_0190…")]
struct Revoke {
    #[command(flatten)]
    caller: Caller,
    /// The key's id
    id: String,
}

impl Revoke {
    async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let request = v1::RevokeApiKeyRequest { api_key: self.id };
        let revoked = answer(client.access().revoke_api_key(request)).await?;
        out.answer(&revoked, |revoked| {
            let key = revoked.api_key.clone().unwrap_or_default();
            format!("revoked {} ({} {})", key.id, role(key.role()), key.name)
        });
        Ok(())
    }
}

/// Show how the service sees this caller
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  stationmaster whoami")]
pub(super) struct WhoAmI {
    #[command(flatten)]
    caller: Caller,
}

impl WhoAmI {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let me = answer(client.access().who_am_i(v1::WhoAmIRequest {})).await?;
        out.answer(&me, |me| {
            fields([
                ("principal", me.principal.clone()),
                ("name", me.name.clone()),
                ("role", role(me.role())),
                ("tenant", me.tenant.clone()),
                ("by", word(me.kind().as_str_name(), "CALLER_KIND")),
                ("issuer", me.issuer.clone()),
                ("subject", me.subject.clone()),
                ("user", me.user.clone()),
                ("groups", list(&me.groups)),
                ("narrowed to", narrowing(me.narrowing.as_ref())),
                ("ends", time(me.expire_time.as_ref())),
            ])
        });
        Ok(())
    }
}

fn role(role: v1::Role) -> String {
    word(role.as_str_name(), "ROLE")
}

fn narrowed(key: &v1::ApiKey) -> String {
    narrowing(key.narrowing.as_ref())
}

fn narrowing(narrowing: Option<&v1::ApiKeyNarrowing>) -> String {
    let Some(narrowing) = narrowing else {
        return String::new();
    };
    let user = (!narrowing.user.is_empty()).then(|| format!("user {}", narrowing.user));
    let token = narrowing
        .requires_user_token
        .then(|| "user's token".to_owned());
    let count = |entries: &[String], what: &str| match entries {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("{} {what}", many.len())),
    };
    let parts = [
        user,
        count(&narrowing.servers, "servers"),
        count(&narrowing.methods, "methods"),
        count(&narrowing.source_cidrs, "networks"),
        token,
    ];
    list(&parts.into_iter().flatten().collect::<Vec<_>>())
}
