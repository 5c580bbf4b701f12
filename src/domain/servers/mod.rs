//! Servers: the MCP server configurations that administrators approve.
//!
//! [`Spec`] is what an administrator writes, without secrets; [`Draft`] is a whole configuration
//! on its way in, secrets included; [`Server`] is what is stored. `check` says what a draft must
//! hold, `consequences` what changing one to another entails.

mod access;
mod auth;
mod binding;
mod check;
mod consequences;
mod forwarding;
mod login;
mod personal;
mod policy;
mod signing;
mod user_headers;

pub use access::{Access, AccessPatch};
pub use auth::{
    ApiKey, Auth, AuthKind, ClientCredentials, CustomHeaders, Endpoints, Enterprise, IdentityToken,
    IssuerChange, OAuth2, Overrides, PreregisteredClient, Redirect, UserOidc, Workload,
};
pub use check::{Rules, Stored, check};
pub(in crate::domain) use check::{UNREACHED, server_url};
pub use consequences::{Consequences, consequences};
pub use personal::{check_personal, personal_slug};
pub use policy::{Glimpse, Policy};
pub use user_headers::UserHeader;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::AccountBinding;
use super::authorization::Discovered;
use super::forwarding::Forwarding;
use super::ids::ServerId;
use super::secrets::{ClientSecret, HeaderSecret, Opaque, PrivateKey, Sealed};
use super::tenants::TenantId;
use super::text::{Slug, UserId};
use super::time::Timestamp;

/// How the daemon speaks MCP to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    StreamableHttp,
    /// HTTP with server-sent events, the older transport.
    Sse,
}

impl Transport {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StreamableHttp => "streamable_http",
            Self::Sse => "sse",
        }
    }

    /// The transport of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::StreamableHttp, Self::Sse]
            .into_iter()
            .find(|t| t.as_str() == name)
    }
}

/// Whether a chat that did not choose has the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Every chat has it; nobody can take it out.
    ForceOn,
    /// A new chat has it until somebody takes it out.
    DefaultOn,
    /// A chat has it when somebody puts it in.
    DefaultOff,
}

impl Availability {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForceOn => "force_on",
            Self::DefaultOn => "default_on",
            Self::DefaultOff => "default_off",
        }
    }

    /// The availability of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ForceOn, Self::DefaultOn, Self::DefaultOff]
            .into_iter()
            .find(|availability| availability.as_str() == name)
    }
}

/// Which tools of a server may be called. Deny always wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ToolPolicy {
    /// When not empty, only these.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
}

/// What an administrator writes, without secrets. Already trimmed and normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each named by the API"
)]
pub struct Spec {
    /// Unique in the tenant.
    pub slug: Slug,
    /// What people see.
    pub display_name: String,
    /// A paragraph about it; may be empty.
    pub description: String,
    /// A URL or an emoji; may be empty.
    pub icon_url: String,
    /// Where it is, byte for byte as written.
    pub url: String,
    /// How it is spoken to.
    pub transport: Transport,
    /// The kill switch.
    pub enabled: bool,
    /// Whether a chat that did not choose has it.
    pub availability: Availability,
    /// Whether its tools may be used in plan mode.
    pub allow_in_plan_mode: bool,
    /// Whether sub-agents may use it.
    pub allow_in_subagents: bool,
    /// Whether the model is asked to say why it calls a tool.
    pub model_intent: bool,
    /// Whether requests say whom they are for.
    pub forward_identity_headers: bool,
    /// How they say it; `None` as by default.
    pub identity_forwarding: Option<Forwarding>,
    /// Which tools.
    pub tools: ToolPolicy,
    /// Who.
    pub access: Access,
    /// A label for what manages the configuration (`terraform`, ...); may be empty.
    pub managed_by: String,
    /// How requests are authorised.
    pub auth: Auth,
    /// Whether the account a user connects must be their own; `None` accepts any, unasked.
    pub account_binding: Option<AccountBinding>,
}

/// A stored secret on its way in: kept, cleared or replaced.
#[derive(Debug, Default)]
pub enum Edit<T> {
    /// What is stored stays.
    #[default]
    Keep,
    /// What is stored goes.
    Clear,
    /// This replaces it.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether something is there once the edit is applied.
    pub fn leaves(&self, stored: bool) -> bool {
        match self {
            Self::Keep => stored,
            Self::Clear => false,
            Self::Set(_) => true,
        }
    }

    /// Whether the edit supplies a value.
    pub fn is_set(&self) -> bool {
        matches!(self, Self::Set(_))
    }
}

/// The secrets of a draft.
#[derive(Debug, Default)]
pub struct SecretEdits {
    /// The OAuth client's secret.
    pub client_secret: Edit<ClientSecret>,
    /// The key that signs client assertions.
    pub private_key: Edit<PrivateKey>,
    /// The value of the API key header.
    pub api_key: Edit<HeaderSecret>,
    /// Values of custom headers by name. A name of the configuration that is not among them keeps
    /// the value stored.
    pub custom_headers: Vec<(String, HeaderSecret)>,
    /// The key that signs identity headers.
    pub signing_secret: Edit<Opaque>,
    /// The secret of our client at the enterprise's identity provider.
    pub idp_client_secret: Edit<ClientSecret>,
    /// The workload's own assertion.
    pub assertion: Edit<Opaque>,
}

/// A whole configuration on its way in.
#[derive(Debug)]
pub struct Draft {
    /// Everything but the secrets.
    pub spec: Spec,
    /// The secrets.
    pub secrets: SecretEdits,
}

/// How long the former secret of a client made by hand is tried where the present one is refused.
pub const SECRETS_OVERLAP: Duration = Duration::from_hours(24);

/// The secret that a client made by hand had before the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSecret {
    /// The secret.
    pub secret: Sealed,
    /// Until when it is tried.
    pub until: Timestamp,
}

/// The sealed secrets of a stored server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealedSecrets {
    /// The OAuth client's secret.
    pub client_secret: Option<Sealed>,
    /// The key that signs client assertions.
    pub private_key: Option<Sealed>,
    /// The value of the API key header.
    pub api_key: Option<Sealed>,
    /// Names and values of the custom headers.
    pub custom_headers: Option<Sealed>,
    /// The key that signs identity headers.
    pub signing_secret: Option<Sealed>,
    /// The secret of our client at the enterprise's identity provider.
    pub idp_client_secret: Option<Sealed>,
    /// The workload's own assertion.
    pub assertion: Option<Sealed>,
    /// What the client's secret was before.
    pub former_client_secret: Option<FormerSecret>,
}

/// A stored MCP server configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The one user a personal server belongs to; fixed when it is made.
    pub owner: Option<UserId>,
    /// What the administrator wrote.
    pub spec: Spec,
    /// Its secrets.
    pub secrets: SealedSecrets,
    /// What discovery found, for automatic OAuth.
    pub discovered: Option<Discovered>,
    /// Grows when a change invalidates the grants issued before it, and only then.
    pub auth_version: i64,
    /// Grows with every change; the etag.
    pub version: i64,
    /// The principal that made it.
    pub created_by: String,
    /// The principal that last changed it.
    pub updated_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The origin of a URL, for comparing whether secrets would go elsewhere. `None` when it has none.
pub fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.origin()
        .is_tuple()
        .then(|| url.origin().ascii_serialization())
}
