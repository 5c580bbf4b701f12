//! Resolving: what a daemon needs for each server right now, or the exact reason why not. One entry
//! per server; never fails as a whole because one server is broken or slow.

mod candidates;
mod exchanged;
mod fixed;
mod grant;
mod identity;
mod login;

pub(super) use candidates::Candidate;
pub(super) use fixed::unending;

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::App;
use super::access::check_actor;
use super::chats::ResolvedInline;
use super::error::{Error, Result};
use super::metrics::ResolveOutcome;
use super::redeem::Key;
use super::rediscovery::awaits_approval;
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::forwarding::IdentityContext;
use crate::domain::resolution::{ConfigProblem, Outcome, Resolved};
use crate::domain::servers::{Auth, Glimpse, Server};
use crate::store::Read;

/// The longest a resolve may take, whatever the caller allows.
const LONGEST: Duration = Duration::from_secs(15);
/// What is kept back of the caller's time for the answer itself, at least.
const RESERVE: Duration = Duration::from_millis(50);
/// How many servers are resolved side by side.
const AT_ONCE: usize = 32;
/// The most servers of one call.
pub(in crate::app) const MAX_SERVERS: usize = 100;

/// What is asked for.
#[derive(Debug)]
pub struct Resolve {
    /// For whom.
    pub actor: Actor,
    /// Which servers, by id or slug.
    pub servers: Vec<String>,
    /// How long a credential must still live.
    pub min_valid_for: Duration,
    /// The revision that must be visible.
    pub min_revision: Revision,
    /// How much time the caller has.
    pub deadline: Option<Duration>,
    /// What the request belongs to.
    pub identity: IdentityContext,
}

/// One server of an answer.
#[derive(Debug)]
pub enum Entry {
    /// A configured one, with its state.
    Server(Box<Resolved>),
    /// A configured one whose row cannot be read.
    Unread(Box<Glimpse>),
    /// One that is attached to the chat.
    Inline(Box<ResolvedInline>),
}

/// What was found.
#[derive(Debug)]
pub struct ResolvedServers {
    /// One entry per server that exists for the actor, by display name, then id.
    pub entries: Vec<Entry>,
    /// The revision at which it was looked at.
    pub revision: Revision,
    /// What was asked for and does not exist for the actor.
    pub unknown: Vec<String>,
}

/// How one credential is wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::app) struct Wanted {
    pub(in crate::app) min_valid_for: Duration,
    /// Until when it is waited for, whatever it takes.
    pub(in crate::app) until: Instant,
}

impl App {
    /// What is wanted now, by whoever has so much time: of that a reserve is kept for the answer.
    pub(in crate::app) fn wanted(
        &self,
        min_valid_for: Duration,
        deadline: Option<Duration>,
    ) -> Wanted {
        let patience = deadline.map_or(LONGEST, |deadline| {
            deadline
                .saturating_sub(RESERVE.max(deadline / 10))
                .min(LONGEST)
        });
        let clock = &self.0.clock;
        Wanted {
            min_valid_for,
            until: clock.instant(clock.monotonic().saturating_add(patience)),
        }
    }

    /// Resolves named servers for a user.
    pub async fn resolve_credentials(
        &self,
        caller: &Caller,
        ask: Resolve,
    ) -> Result<ResolvedServers> {
        check_actor(caller, Some(&ask.actor))?;
        if ask.servers.len() > MAX_SERVERS {
            return Err(Error::invalid(
                "servers",
                "at most 100 servers may be named",
            ));
        }
        let mut tx = self.0.store.read().await?;
        let revision = self.reached(&mut tx, caller, ask.min_revision).await?;
        let (mut known, mut unknown) = (Vec::<Candidate>::new(), Vec::new());
        for name in ask.servers {
            let found = self.usable(&mut tx, (caller, &ask.actor), &name).await;
            let found = match found {
                // Its row does not even say whose it is.
                Err(error) if error.is_unreadable() => None,
                found => found?,
            };
            match found {
                Some(server) if known.iter().any(|other| other.id() == server.id()) => {}
                Some(server) => known.push(server),
                None if unknown.contains(&name) => {}
                None => unknown.push(name),
            }
        }
        drop(tx);
        known.sort_by(|one, other| one.place().cmp(&other.place()));
        let wanted = self.wanted(ask.min_valid_for, ask.deadline);
        let entries = self
            .resolve_all((&ask.actor, &ask.identity), known, wanted)
            .await?;
        Ok(ResolvedServers {
            entries,
            revision,
            unknown,
        })
    }

    /// The revision at which the tenant stands, unless the caller has seen a later one.
    pub(in crate::app) async fn reached(
        &self,
        tx: &mut Read,
        caller: &Caller,
        wanted: Revision,
    ) -> Result<Revision> {
        let head = tx.feed().head(&caller.tenant).await?;
        if head < wanted {
            Err(Error::RevisionNotReached(head))
        } else {
            Ok(head)
        }
    }

    /// Resolves servers side by side.
    pub(in crate::app) async fn resolve_all(
        &self,
        (actor, identity): (&Actor, &IdentityContext),
        servers: Vec<Candidate>,
        wanted: Wanted,
    ) -> Result<Vec<Entry>> {
        let one = |server: Candidate| async move {
            let server = match server {
                Candidate::Whole(server) => *server,
                Candidate::Glimpsed(glimpse) => {
                    self.count_resolved(&Outcome::Unreadable);
                    return Ok(Entry::Unread(glimpse));
                }
            };
            let resolving = async {
                let outcome = self.resolve_one(actor, &server, wanted).await?;
                let owner = (&actor.user, identity);
                self.identified(&server, owner, (outcome, wanted)).await
            };
            let (outcome, signing) = match resolving.await {
                // What is wrong with one server's rows is that server's state, nobody else's.
                Err(Error::Internal(error)) => {
                    tracing::error!(server.id = %server.id, %error, "a server could not be resolved");
                    (Outcome::Unreadable, None)
                }
                resolved => resolved?,
            };
            self.count_resolved(&outcome);
            Ok(Entry::Server(Box::new(Resolved {
                server,
                outcome,
                signing,
            })))
        };
        stream::iter(servers)
            .map(one)
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    pub(in crate::app) fn count_resolved(&self, outcome: &Outcome) {
        self.0.metrics.resolved(label(outcome));
    }

    async fn resolve_one(&self, actor: &Actor, server: &Server, wanted: Wanted) -> Result<Outcome> {
        if awaits_approval(server) {
            self.look_now_and_then(server);
            return Ok(Outcome::ConfigError(ConfigProblem::IssuerApprovalPending));
        }
        match &server.spec.auth {
            Auth::None => Ok(unending(Vec::new(), 0)),
            Auth::ApiKey(_) | Auth::CustomHeaders(_) => {
                self.resolve_headers(server, &actor.user).await
            }
            Auth::OAuth2(_) => {
                let key = Key {
                    tenant: server.tenant.clone(),
                    user: actor.user.clone(),
                    server: server.id,
                };
                self.resolve_grant(&key, server, wanted).await
            }
            Auth::ClientCredentials(_) => self.resolve_own(server, wanted).await,
            Auth::UserOidc(oidc) => {
                let whose = (&actor.user, oidc);
                self.resolve_login(server, whose, wanted).await
            }
            Auth::Enterprise(_) | Auth::Workload(_) => {
                Ok(Outcome::ConfigError(ConfigProblem::AuthKindUnsupported))
            }
        }
    }
}

fn label(outcome: &Outcome) -> ResolveOutcome {
    match outcome {
        Outcome::Ready { .. } => ResolveOutcome::Ready,
        Outcome::NotConnected => ResolveOutcome::NotConnected,
        Outcome::ReconnectRequired(_) => ResolveOutcome::ReconnectRequired,
        Outcome::ScopeUpgradeRequired(_) => ResolveOutcome::ScopeUpgradeRequired,
        Outcome::Expired => ResolveOutcome::Expired,
        Outcome::NoUserIdentity(_) => ResolveOutcome::NoUserIdentity,
        Outcome::MissingUserHeaders(_) => ResolveOutcome::MissingUserHeaders,
        Outcome::ConfigError(_) => ResolveOutcome::ConfigError,
        Outcome::UpstreamUnavailable { .. } => ResolveOutcome::UpstreamUnavailable,
        Outcome::Unreadable => ResolveOutcome::Unreadable,
    }
}
