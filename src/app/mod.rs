//! Use cases: one public method for each RPC, callback or tick. All decisions live here or in
//! `domain`; rows, protocols and keys are reached through `store`, `oauth`, `mcp` and `crypto`.
//!
//! Two rules hold everywhere: no transaction is open while we wait for the network, and no second
//! one is begun while one is held. What must not be lost when a caller goes away (a redemption, an
//! exchange) runs on the task tracker.

mod access;
mod assumed_methods;
mod audit;
mod chats;
mod client_auth;
mod client_documents;
mod clients;
mod connections;
mod discovery;
mod error;
mod feed;
mod flights;
mod former_secrets;
mod handshakes;
mod identities;
mod identity_tokens;
mod imports;
mod insist;
mod lately;
pub mod metrics;
mod own_grants;
mod profiles;
mod provision;
mod readable;
mod redeem;
mod redirects;
mod rediscovery;
mod refused_clients;
mod rejections;
mod renewed_clients;
mod replaced_clients;
mod reports;
mod requests;
mod resolve;
mod revocations;
mod secrets;
mod servers;
mod start;
mod strangers;
mod tenants;
mod user_headers;
mod users;
mod uses;
mod vault;

pub use access::{NewApiKey, Presented, SecretText};
pub use audit::Refusal;
pub use chats::{ChatView, ResolveChat, ResolvedInline, ResolvedTurn};
pub use client_documents::ClientDocuments;
pub use discovery::Step;
pub use error::{Error, Result};
pub use feed::{
    AuditWatch, ConnectionEvent, ConnectionWatch, Events, Told, TrailEvent, WatchConnections,
};
pub use handshakes::{
    Callback, Closed, HandshakeWatch, LinkPage, NewHandshake, Options, ResultPage, Started,
};
pub use identities::Deposit;
pub use imports::{Existing, Import, ImportedClient};
pub use rediscovery::{Preview, Previewed, Rediscover, Rediscovered, Verdict};
pub use reports::{Answer, Denial, Report, Response};
pub use requests::Once;
pub use resolve::{Entry, Resolve, ResolvedServers};
pub use servers::{
    Applied, AppliedServer, Apply, ApplyAction, ApplyMode, Described, Ended, ListServers,
    NewServer, ServerRef, ServerView, Unapplied, UpdatedServer,
};
pub use users::Purged;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::crypto::RootKeys;
use crate::domain::changes::Revision;
use crate::domain::connections as lifecycle;
use crate::domain::ids::{ReplicaId, ServerId};
use crate::domain::issuers::Issuers;
use crate::domain::random::Random;
use crate::domain::servers::Rules;
use crate::domain::tenants::TenantId;
use crate::domain::time::Clock;
use crate::fetch::{Fetch, Policy};
use crate::oauth::Profiles;
use crate::store::Store;
use metrics::Metrics;
use vault::Vault;

/// What the deployment chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The base of every public URL.
    pub public_url: Url,
    /// Whether http URLs may be configured.
    pub url_rules: Rules,
    /// The name consent pages show.
    pub client_name: String,
    /// How long one outgoing request may take.
    pub request_timeout: Duration,
    /// Whether a link alone may bind an account to a user.
    pub allow_link: bool,
    /// Whether callers may attach servers to a chat.
    pub allow_inline_servers: bool,
    /// How many personal servers a user may have.
    pub personal_quota: u32,
    /// How long a handshake stays open.
    pub handshake_ttl: Duration,
    /// When to renew, and how.
    pub tokens: lifecycle::Policy,
    /// What is known of providers.
    pub profiles: Profiles,
    /// Whose JWTs are taken, and our client at each.
    pub issuers: Issuers,
    /// Where our client's metadata documents are.
    pub client_documents: ClientDocuments,
    /// Where a browser may be sent when a handshake is over.
    pub return_urls: Vec<Url>,
    /// Front ends that may take the code that confirms a handshake.
    pub completion_urls: Vec<Url>,
    /// Pages that may be told of a result, as origins.
    pub opener_origins: Vec<String>,
    /// How long audit events are kept; for ever where it is `None`.
    pub audit_retention: Option<Duration>,
}

/// What the use cases stand on.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The root keys.
    pub root_keys: RootKeys,
    /// The way out to the web.
    pub fetch: Fetch,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What the deployment chose.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Metrics,
    /// Where work runs that must finish.
    pub tasks: TaskTracker,
}

/// The use cases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    vault: Vault,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
    metrics: Metrics,
    tasks: TaskTracker,
    replica: ReplicaId,
    flights: flights::Flights<redeem::Key>,
    identity_flights: flights::Flights<redeem::IdentityKey>,
    /// Where identities are renewed.
    identity_endpoints: identities::Endpoints,
    looks: flights::Flights<(TenantId, ServerId)>,
    places: redeem::Places,
    identity: identity_tokens::Signers,
    /// Servers whose client is refused.
    refused_clients: lately::Lately,
    /// Servers whose issuer waits for approval.
    pending: lately::Lately,
    /// Servers whose metadata could not be read.
    looked_in_vain: lately::Lately,
    walk: redeem::Walk,
    uses: uses::Uses,
    strangers: strangers::Strangers,
    feed: feed::Feed,
    key_sets: access::KeySets,
    outbox: revocations::Outbox,
    ending: CancellationToken,
}

impl App {
    /// Whether the deployment lets anybody reach a URL that a user named, as far as can be told without
    /// resolving its name: what users name, daemons call from inside.
    fn lets_reach(&self, url: &Url) -> bool {
        let policy = Policy::on_behalf_of(url.as_str());
        self.0.fetch.check(policy, url).is_ok()
    }
}

/// Something written, and where in the feed it can be seen.
#[derive(Debug, Clone)]
pub struct Written<T> {
    /// What was written, as it stands now.
    pub value: T,
    /// Its place in the feed.
    pub revision: Revision,
}
