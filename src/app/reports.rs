//! Reports: what an upstream answered to a credential, and what to do about it.
//!
//! A challenge that arrives here is untrusted: it may steer the scopes of this user's next
//! handshake, nothing that users share.

use std::time::Duration;

use super::access::check_actor;
use super::error::{Error, Result};
use super::handshakes::{InVain, NewHandshake, Options, Started};
use super::own_grants::own_key;
use super::redeem::Key;
use super::rediscovery::awaits_approval;
use super::rejections::Verdict;
use super::servers::{ServerRef, find, may_see};
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::Scopes;
use crate::domain::connections::{Connection, Effect, Event, Unusable};
use crate::domain::resolution::Outcome;
use crate::domain::servers::{Auth, Server};
use crate::mcp::{BearerChallenge, Challenge};

/// How an upstream answered.
#[derive(Debug, Clone)]
pub enum Response {
    /// With a status.
    Http {
        /// The status.
        status: u16,
        /// Every `WWW-Authenticate` line.
        challenges: Vec<String>,
        /// The credential version used; zero for none.
        credential_version: i64,
    },
    /// Not in time.
    Timeout,
    /// It could not be reached.
    ConnectError,
}

/// A report about one request to one server.
#[derive(Debug)]
pub struct Report {
    /// For whom the request was made.
    pub actor: Actor,
    /// To which server.
    pub server: ServerRef,
    /// How it was answered.
    pub response: Response,
    /// How a handshake is to be run, should one be needed.
    pub options: Options,
}

/// Why nothing can be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The upstream forbids it to this user.
    Forbidden,
    /// The upstream rejects the credential, and it cannot be renewed.
    TokenRejected,
    /// Everything asked for was granted already.
    ScopesAlreadyGranted,
    /// The user was asked for the same twice within the hour, in vain: they declined, the provider
    /// answered with an error, or what came of it did not do.
    ScopeRetryLimit,
    /// This release does not serve the server's kind of authorisation.
    AuthKindUnsupported,
    /// The provider refuses our client: an administrator must act.
    RegistrationRefused,
    /// The secret of our client ended, and no other is to be had.
    RegistrationExpired,
    /// The user's login ended, or its identity provider refuses to renew it.
    IdentityEnded,
    /// The resource names another issuer, which an administrator must approve.
    IssuerApprovalPending,
    /// Too many of its credentials were rejected right after they were made.
    RefreshLimit {
        /// When a report can cause a renewal again.
        retry_after: Duration,
    },
    /// The provider does not answer.
    UpstreamUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Answer {
    /// Resolve again and repeat the request: there is a newer credential.
    Retry {
        /// Its version.
        credential_version: i64,
    },
    /// The user must consent.
    Authorize(Box<Started>),
    /// Do not repeat.
    Denied(Denial),
    /// It has nothing to do with authorisation.
    NotAuth,
}

/// What an answer to headers means that cannot be renewed.
fn of_fixed_headers(status: u16) -> Answer {
    match status {
        401 => Answer::Denied(Denial::TokenRejected),
        403 => Answer::Denied(Denial::Forbidden),
        _ => Answer::NotAuth,
    }
}

impl App {
    /// Decides what a report means. A report about an old generation redeems nothing; many reports
    /// about one generation redeem once.
    pub async fn report_response(
        &self,
        caller: &Caller,
        report: Report,
    ) -> Result<Written<Answer>> {
        check_actor(caller, Some(&report.actor))?;
        let mut tx = self.0.store.read().await?;
        let server = find(&mut tx, &caller.tenant, &report.server).await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        drop(tx);
        let visible =
            |server: &Server| server.spec.enabled && may_see(caller, Some(&report.actor), server);
        let Some(server) = server.filter(visible) else {
            let value = self.of_inline(caller, &report).await?;
            return Ok(Written { value, revision });
        };
        let Response::Http {
            status,
            challenges,
            credential_version,
        } = &report.response
        else {
            return Ok(Written {
                value: Answer::NotAuth,
                revision,
            });
        };
        let version = *credential_version;
        if report.options.is_said() {
            self.check_options(caller, &report.options)?;
        }
        let value = match (*status, &server.spec.auth) {
            (401, Auth::OAuth2(_)) => self.unauthorized(caller, &report, &server, version).await?,
            (403, Auth::OAuth2(_)) => {
                let said = (challenges.as_slice(), version);
                self.forbidden(caller, &report, &server, said).await?
            }
            (401, Auth::ClientCredentials(_)) => self.own_rejected(&server, version).await?,
            (401, Auth::UserOidc(oidc)) if oidc.exchange_token_endpoint.is_some() => {
                self.exchanged_rejected(&report, &server, version).await?
            }
            (401, Auth::UserOidc(oidc)) => {
                let whose = (&report.actor.user, oidc);
                self.login_rejected(&server, whose, version).await?
            }
            (200..=299, Auth::UserOidc(oidc)) if oidc.exchange_token_endpoint.is_some() => {
                let worked = Event::Worked {
                    generation: version,
                };
                self.note::<Connection>(&Self::key(&report, &server), worked)
                    .await?;
                Answer::NotAuth
            }
            (200..=299, Auth::UserOidc(oidc)) => {
                let whose = (&report.actor.user, oidc.issuer.as_ref());
                self.login_worked(&server, whose, version).await?;
                Answer::NotAuth
            }
            (401 | 403, Auth::Enterprise(_) | Auth::Workload(_)) => {
                Answer::Denied(Denial::AuthKindUnsupported)
            }
            (401 | 403, Auth::ApiKey(_) | Auth::CustomHeaders(_)) => {
                let others = self.other_headers(&report, &server, version).await?;
                others.unwrap_or_else(|| of_fixed_headers(*status))
            }
            (401 | 403, _) => of_fixed_headers(*status),
            (200..=299, Auth::OAuth2(_)) => {
                let generation = version;
                let worked = Event::Worked { generation };
                self.note::<Connection>(&Self::key(&report, &server), worked)
                    .await?;
                Answer::NotAuth
            }
            (200..=299, Auth::ClientCredentials(_)) => {
                let generation = version;
                self.note::<Connection>(&own_key(&server), Event::Worked { generation })
                    .await?;
                Answer::NotAuth
            }
            _ => Answer::NotAuth,
        };
        Ok(Written { value, revision })
    }

    /// What a report of a server means that is attached to a chat of this user.
    async fn of_inline(&self, caller: &Caller, report: &Report) -> Result<Answer> {
        let ServerRef::Id(id) = report.server else {
            return Err(Error::ServerNotFound);
        };
        let wanted = self.0.settings.allow_inline_servers && caller.narrowing.admits_server(id);
        let mut tx = self.0.store.read().await?;
        let owner = tx.chats().find_inline_owner(&caller.tenant, id).await?;
        if !wanted || owner.as_ref() != Some(&report.actor.user) {
            return Err(Error::ServerNotFound);
        }
        Ok(match report.response {
            Response::Http { status, .. } => of_fixed_headers(status),
            Response::Timeout | Response::ConnectError => Answer::NotAuth,
        })
    }

    pub(super) fn key(report: &Report, server: &Server) -> Key {
        Key {
            tenant: server.tenant.clone(),
            user: report.actor.user.clone(),
            server: server.id,
        }
    }

    async fn unauthorized(
        &self,
        caller: &Caller,
        report: &Report,
        server: &Server,
        version: i64,
    ) -> Result<Answer> {
        let rejected = Event::Rejected {
            now: self.0.clock.now(),
            generation: version,
        };
        let key = Self::key(report, server);
        let noted = self.note::<Connection>(&key, rejected).await?;
        let Some((connection, noted)) = noted else {
            return self.begin_anew(caller, report, server).await;
        };
        if let Effect::Tell(Unusable::RefreshLimit(retry_after)) = noted {
            return Ok(Answer::Denied(Denial::RefreshLimit { retry_after }));
        }
        if let Some(retry) = self.retry_with(&connection, version) {
            return Ok(retry);
        }
        // Where the resource names another issuer now, a new token of the old one is of no use.
        let looked = self.look_again(server).await?;
        if looked.auth_version != server.auth_version {
            return self
                .authorize(
                    caller,
                    report,
                    &looked,
                    (Scopes::default(), InVain::Declined),
                )
                .await;
        }
        if awaits_approval(&looked) {
            return Ok(Answer::Denied(Denial::IssuerApprovalPending));
        }
        let key = Self::key(report, &looked);
        let of_before = connection.auth_version < looked.auth_version;
        match self.after_rejection(&key, connection, version).await? {
            Verdict::Retry(credential_version) => Ok(Answer::Retry { credential_version }),
            Verdict::Denied(denial) => Ok(Answer::Denied(denial)),
            // A user who connected is asked again when that did not help, but not for ever.
            Verdict::Consent(granted) => {
                // What another issuer granted is not to be asked of this one.
                let granted = if of_before {
                    Scopes::default()
                } else {
                    granted
                };
                self.authorize(caller, report, &looked, (granted, InVain::OrRejected))
                    .await
            }
        }
    }

    /// To retry, where what was answered is not what there is: older, or of another database than this.
    fn retry_with(&self, connection: &Connection, version: i64) -> Option<Answer> {
        let credential_version = connection.life.generation;
        let differs = version != credential_version;
        (differs && connection.is_connected(self.0.clock.now()))
            .then_some(Answer::Retry { credential_version })
    }

    /// To retry, where the headers that an administrator or the user wrote are not those that were
    /// answered; nothing else helps.
    async fn other_headers(
        &self,
        report: &Report,
        server: &Server,
        version: i64,
    ) -> Result<Option<Answer>> {
        match self.resolve_headers(server, &report.actor.user).await {
            Ok(Outcome::Ready { validity, .. }) => {
                let credential_version = validity.credential_version;
                let retry = Answer::Retry { credential_version };
                Ok((credential_version != version).then_some(retry))
            }
            Err(error) if !error.is_unreadable() => Err(error),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// A 401 to who has no grant: a handshake, with the issuer that the resource names now.
    async fn begin_anew(
        &self,
        caller: &Caller,
        report: &Report,
        server: &Server,
    ) -> Result<Answer> {
        let server = self.look_again(server).await?;
        self.authorize(
            caller,
            report,
            &server,
            (Scopes::default(), InVain::Declined),
        )
        .await
    }

    /// A 403: more scopes help only where a challenge says so and they were not granted yet, perhaps
    /// to a report that was faster.
    async fn forbidden(
        &self,
        caller: &Caller,
        report: &Report,
        server: &Server,
        (challenges, version): (&[String], i64),
    ) -> Result<Answer> {
        let connection = self.connection(&Self::key(report, server)).await?;
        let newer = connection.as_ref();
        if let Some(retry) = newer.and_then(|newer| self.retry_with(newer, version)) {
            return Ok(retry);
        }
        let wanted = BearerChallenge::all(&Challenge::parse_all(challenges));
        let mut insufficient = wanted
            .into_iter()
            .filter(|one| one.error.as_deref() == Some("insufficient_scope"));
        let Some(asked) = insufficient.find_map(|one| one.scope) else {
            return Ok(Answer::Denied(Denial::Forbidden));
        };
        let granted = connection
            .filter(|connection| connection.auth_version >= server.auth_version)
            .map(|connection| connection.scopes)
            .unwrap_or_default();
        if asked.missing_from(&granted).is_empty() {
            return Ok(Answer::Denied(Denial::ScopesAlreadyGranted));
        }
        let more = granted.union(&asked);
        self.authorize(caller, report, server, (more, InVain::OrNotEnough))
            .await
    }

    /// Starts a handshake, or answers the one that is open already. Nobody is sent to an issuer whose
    /// place another one may take.
    async fn authorize(
        &self,
        caller: &Caller,
        report: &Report,
        server: &Server,
        (extra_scopes, in_vain): (Scopes, InVain),
    ) -> Result<Answer> {
        if awaits_approval(server) {
            return Ok(Answer::Denied(Denial::IssuerApprovalPending));
        }
        // Without options and without links a daemon has no way to connect anybody: that is no fault
        // of the report.
        if !report.options.is_said() && self.check_options(caller, &report.options).is_err() {
            return Ok(Answer::Denied(Denial::TokenRejected));
        }
        let challenges = match &report.response {
            Response::Http { challenges, .. } => challenges.clone(),
            Response::Timeout | Response::ConnectError => Vec::new(),
        };
        let new = NewHandshake {
            actor: report.actor.clone(),
            server: ServerRef::Id(server.id),
            options: report.options.clone(),
            challenges,
            extra_scopes,
        };
        if let Some(open) = self.pending_handshake(caller, &new, server).await? {
            return Ok(Answer::Authorize(Box::new(open)));
        }
        if self.asked_in_vain(caller, &new, server, in_vain).await? {
            return Ok(Answer::Denied(Denial::ScopeRetryLimit));
        }
        match self.start_handshake(caller, new).await {
            // Noted since we looked.
            Err(Error::IssuerApprovalPending) => Ok(Answer::Denied(Denial::IssuerApprovalPending)),
            started => Ok(Answer::Authorize(Box::new(started?))),
        }
    }
}
