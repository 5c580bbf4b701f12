//! Resolving: what a daemon needs for each server right now, or the exact reason why not. One entry
//! per server; never fails as a whole because one server is broken or slow.

use std::cmp::Ordering;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::App;
use super::access::check_actor;
use super::error::{Error, Result};
use super::metrics::ResolveOutcome;
use super::own_grants::own_key;
use super::redeem::Key;
use super::rediscovery::awaits_approval;
use super::servers::{ServerRef, find, may_see};
use super::vault::Unopened;
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::connections::{Connection, Effect, Living, Status, Unusable};
use crate::domain::headers;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::resolution::{
    ConfigProblem, Outcome, Reconnect, Resolved, Trouble, Validity, Warning,
};
use crate::domain::secrets::{AccessToken, HeaderSecret};
use crate::domain::servers::{Auth, Server};
use crate::store::Read;

/// The longest a resolve may take, whatever the caller allows.
const LONGEST: Duration = Duration::from_secs(15);
/// What is kept back of the caller's time for the answer itself, at least.
const RESERVE: Duration = Duration::from_millis(50);
/// How many servers are resolved side by side.
const AT_ONCE: usize = 32;
/// When to ask again for what was not finished in time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The most servers of one call.
pub(super) const MAX_SERVERS: usize = 100;

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
}

/// What was found.
#[derive(Debug)]
pub struct ResolvedServers {
    /// One entry per server that exists for the actor, by display name, then id.
    pub entries: Vec<Resolved>,
    /// The revision at which it was looked at.
    pub revision: Revision,
    /// What was asked for and does not exist for the actor.
    pub unknown: Vec<String>,
}

/// How one credential is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) min_valid_for: Duration,
    pub(super) patience: Duration,
}

impl Wanted {
    /// The time a resolve takes at most: the caller's, less a reserve for the answer.
    pub(super) fn new(min_valid_for: Duration, deadline: Option<Duration>) -> Self {
        let patience = deadline.map_or(LONGEST, |deadline| {
            deadline
                .saturating_sub(RESERVE.max(deadline / 10))
                .min(LONGEST)
        });
        Self {
            min_valid_for,
            patience,
        }
    }
}

impl App {
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
        let (mut known, mut unknown) = (Vec::<Server>::new(), Vec::new());
        for name in ask.servers {
            match self.usable(&mut tx, caller, &ask.actor, &name).await? {
                Some(server) if known.iter().any(|other| other.id == server.id) => {}
                Some(server) => known.push(server),
                None if unknown.contains(&name) => {}
                None => unknown.push(name),
            }
        }
        drop(tx);
        known.sort_by(|a, b| (&a.spec.display_name, a.id).cmp(&(&b.spec.display_name, b.id)));
        let wanted = Wanted::new(ask.min_valid_for, ask.deadline);
        let entries = self.resolve_all(&ask.actor, known, wanted).await?;
        Ok(ResolvedServers {
            entries,
            revision,
            unknown,
        })
    }

    /// The revision at which the tenant stands, unless the caller has seen a later one.
    pub(super) async fn reached(
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

    /// The server of this name, if it exists for the actor.
    async fn usable(
        &self,
        tx: &mut Read,
        caller: &Caller,
        actor: &Actor,
        name: &str,
    ) -> Result<Option<Server>> {
        let Ok(name) = ServerRef::parse(name) else {
            return Ok(None);
        };
        let server = match find(tx, &caller.tenant, &name).await {
            // What is wrong with one server's row is nobody else's trouble.
            Err(error) if error.is_unreadable() => {
                let error = std::error::Error::source(&error);
                tracing::error!(error, "a server cannot be read");
                None
            }
            found => found?,
        };
        Ok(server.filter(|server| server.spec.enabled && may_see(caller, Some(actor), server)))
    }

    /// Resolves servers side by side.
    pub(super) async fn resolve_all(
        &self,
        actor: &Actor,
        servers: Vec<Server>,
        wanted: Wanted,
    ) -> Result<Vec<Resolved>> {
        let one = |server: Server| async move {
            let outcome = match self.resolve_one(actor, &server, wanted).await {
                // What is wrong with one server's rows is that server's state, nobody else's.
                Err(Error::Internal(error)) => {
                    tracing::error!(server.id = %server.id, %error, "a server could not be resolved");
                    Outcome::Unreadable
                }
                outcome => outcome?,
            };
            self.0.metrics.resolved(label(&outcome));
            Ok(Resolved { server, outcome })
        };
        stream::iter(servers)
            .map(one)
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn resolve_one(&self, actor: &Actor, server: &Server, wanted: Wanted) -> Result<Outcome> {
        if awaits_approval(server) {
            self.look_now_and_then(server);
            return Ok(Outcome::ConfigError(ConfigProblem::IssuerApprovalPending));
        }
        let found = match &server.spec.auth {
            Auth::None => return Ok(fixed(Vec::new())),
            Auth::ApiKey(api_key) if api_key.per_user => {
                return Ok(Outcome::MissingUserHeaders(vec![api_key.header.clone()]));
            }
            Auth::ApiKey(api_key) => self
                .open_api_key(server)
                .await
                .map(|value| value.map(|value| vec![(api_key.header.clone(), value)])),
            Auth::CustomHeaders(custom) if !custom.user_headers.is_empty() => {
                let names = custom.user_headers.iter().map(|header| header.name.clone());
                return Ok(Outcome::MissingUserHeaders(names.collect()));
            }
            Auth::CustomHeaders(_) => self.open_custom_headers(server).await.map(Some),
            Auth::OAuth2(_) => {
                let key = Key {
                    tenant: server.tenant.clone(),
                    user: actor.user.clone(),
                    server: server.id,
                };
                return self.resolve_grant(&key, server, wanted).await;
            }
            Auth::ClientCredentials(_) => return self.resolve_own(server, wanted).await,
            Auth::UserOidc(_) => return Ok(Outcome::NoUserIdentity),
            Auth::Enterprise(_) | Auth::Workload(_) => {
                return Ok(Outcome::ConfigError(ConfigProblem::AuthKindUnsupported));
            }
        };
        match found {
            Ok(Some(headers)) => Ok(fixed(headers)),
            Ok(None) => Ok(Outcome::ConfigError(ConfigProblem::SecretMissing)),
            Err(Unopened::Unreadable(_)) => Ok(Outcome::Unreadable),
            Err(error @ Unopened::Store(_)) => Err(error.into()),
        }
    }

    /// The state of the deployment's own grant. No user can mend what is wrong with it.
    async fn resolve_own(&self, server: &Server, wanted: Wanted) -> Result<Outcome> {
        if self.own_grant(server).await?.is_none() {
            return Ok(Outcome::ConfigError(ConfigProblem::RegistrationRefused));
        }
        let outcome = self.resolve_grant(&own_key(server), server, wanted).await?;
        // Changed, or gone, since it was looked at.
        let gone = matches!(
            &outcome,
            Outcome::NotConnected | Outcome::ReconnectRequired(Reconnect::ServerChanged)
        );
        if gone {
            return Ok(unavailable(Trouble::StillWorking, ASK_AGAIN));
        }
        if matches!(&outcome, Outcome::ReconnectRequired(_) | Outcome::Expired) {
            return Ok(Outcome::ConfigError(ConfigProblem::TokenRejected));
        }
        Ok(outcome)
    }

    /// The state of a grant, renewed first where that is needed and possible in time.
    async fn resolve_grant(&self, key: &Key, server: &Server, wanted: Wanted) -> Result<Outcome> {
        let Some(mut connection) = self.connection(key).await? else {
            return Ok(Outcome::NotConnected);
        };
        let mut effect = self.peek(&connection, wanted.min_valid_for);
        let renewable = matches!(effect, Effect::Redeem | Effect::Await { .. });
        if renewable && connection.auth_version == server.auth_version {
            let Some(renewed) = self.renewed(key, wanted).await? else {
                return Ok(Outcome::NotConnected);
            };
            connection = renewed;
            effect = self.peek(&connection, wanted.min_valid_for);
        }
        // The grant and the server were read one after the other: a grant of other settings than
        // those answered goes nowhere.
        match connection.auth_version.cmp(&server.auth_version) {
            Ordering::Equal => self.outcome(&connection, effect).await,
            Ordering::Less => Ok(match connection.life.status {
                Status::ReconnectRequired(why) => Outcome::ReconnectRequired(why),
                Status::Active | Status::Unreadable => {
                    Outcome::ReconnectRequired(Reconnect::ServerChanged)
                }
            }),
            Ordering::Greater => Ok(unavailable(Trouble::StillWorking, ASK_AGAIN)),
        }
    }

    /// What an effect means to the daemon, once all that could be done in time is done.
    async fn outcome(&self, connection: &Connection, effect: Effect) -> Result<Outcome> {
        let unfinished = || match self.0.places.wait(&connection.token_endpoint) {
            Some(wait) => unavailable(Trouble::LeftAlone, wait),
            None => unavailable(Trouble::StillWorking, ASK_AGAIN),
        };
        match effect {
            Effect::HandOut(living)
            | Effect::Await {
                meanwhile: Some(living),
                ..
            } => self.hand_out(connection, living).await,
            Effect::Redeem if self.still_lives(connection) => {
                self.hand_out(connection, Living::Short).await
            }
            Effect::Tell(Unusable::Reconnect(why)) => Ok(Outcome::ReconnectRequired(why)),
            Effect::Tell(Unusable::Expired) => Ok(Outcome::Expired),
            Effect::Tell(Unusable::Unreadable) => Ok(Outcome::Unreadable),
            Effect::Tell(
                Unusable::RetryAfter(retry_after) | Unusable::RefreshLimit(retry_after),
            ) => Ok(unavailable(Trouble::Failing, retry_after)),
            // There is a client to connect again with.
            Effect::Tell(Unusable::ClientRefused(_))
                if self.client_is_replaced(connection).await? =>
            {
                Ok(Outcome::ReconnectRequired(Reconnect::ServerChanged))
            }
            Effect::Tell(Unusable::ClientRefused(_)) => {
                let problem = self.client_problem(connection).await?;
                Ok(Outcome::ConfigError(problem))
            }
            Effect::Redeem
            | Effect::Await {
                meanwhile: None, ..
            }
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Ok(unfinished()),
        }
    }

    fn still_lives(&self, connection: &Connection) -> bool {
        let life = &connection.life;
        !life.rejected && life.expires_at.is_none_or(|end| self.0.clock.now() < end)
    }

    /// Opens the access token and makes its header.
    async fn hand_out(&self, connection: &Connection, living: Living) -> Result<Outcome> {
        let Some(sealed) = &connection.access_token else {
            return Ok(Outcome::Unreadable);
        };
        let row = connection.id.to_string();
        let place = Place {
            tenant: &connection.tenant,
            column: SealedColumn::ConnectionAccessToken,
            row: &row,
            owner: connection.user.as_str(),
        };
        let token: AccessToken = match self.0.vault.open(&place, sealed).await {
            Ok(token) => token,
            Err(Unopened::Unreadable(_)) => return Ok(Outcome::Unreadable),
            Err(error @ Unopened::Store(_)) => return Err(error.into()),
        };
        self.note_use(connection);
        let life = &connection.life;
        let mut warnings = match living {
            Living::Fresh => Vec::new(),
            Living::Short => vec![Warning::ShorterThanAsked],
            Living::LastBreath => vec![Warning::RenewalRefused],
        };
        if !life.renewable && life.expires_at.is_some() {
            warnings.push(Warning::NotRenewable);
        }
        Ok(Outcome::Ready {
            headers: vec![(
                "Authorization".to_owned(),
                headers::authorization(&connection.token_type, &token),
            )],
            validity: Validity {
                expires_at: life.expires_at,
                credential_version: life.generation,
            },
            warnings,
        })
    }
}

fn unavailable(why: Trouble, retry_after: Duration) -> Outcome {
    Outcome::UpstreamUnavailable { why, retry_after }
}

/// Headers that do not end.
fn fixed(headers: Vec<(String, HeaderSecret)>) -> Outcome {
    let validity = Validity {
        expires_at: None,
        credential_version: 0,
    };
    Outcome::Ready {
        headers,
        validity,
        warnings: Vec::new(),
    }
}

fn label(outcome: &Outcome) -> ResolveOutcome {
    match outcome {
        Outcome::Ready { .. } => ResolveOutcome::Ready,
        Outcome::NotConnected => ResolveOutcome::NotConnected,
        Outcome::ReconnectRequired(_) => ResolveOutcome::ReconnectRequired,
        Outcome::ScopeUpgradeRequired(_) => ResolveOutcome::ScopeUpgradeRequired,
        Outcome::Expired => ResolveOutcome::Expired,
        Outcome::NoUserIdentity => ResolveOutcome::NoUserIdentity,
        Outcome::MissingUserHeaders(_) => ResolveOutcome::MissingUserHeaders,
        Outcome::ConfigError(_) => ResolveOutcome::ConfigError,
        Outcome::UpstreamUnavailable { .. } => ResolveOutcome::UpstreamUnavailable,
        Outcome::Unreadable => ResolveOutcome::Unreadable,
    }
}
