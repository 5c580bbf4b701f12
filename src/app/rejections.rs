//! Rejected credentials: what an upstream's word does to a grant, and what can be done then.

use std::time::Duration;

use super::App;
use super::error::Result;
use super::own_grants::own_key;
use super::redeem::{Grant, Key};
use super::rediscovery::awaits_approval;
use super::reports::{Answer, Denial, Report};
use crate::domain::authorization::Scopes;
use crate::domain::connections::{Connection, Decision, Effect, Event, Status, Unusable, decide};
use crate::domain::resolution::{ConfigProblem, Reconnect};
use crate::domain::servers::Server;

/// What can be done about a rejected credential.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is a newer one, of this version.
    Retry(i64),
    /// Nothing now.
    Denied(Denial),
    /// Its user must consent again; to what was granted, at least.
    Consent(Scopes),
}

impl App {
    /// Applies an event to a grant, and answers the grant as it is then and what was said of it.
    pub(super) async fn note<G: Grant>(
        &self,
        key: &G::Key,
        event: Event,
    ) -> Result<Option<(G, Effect)>> {
        loop {
            let Some(mut grant) = self.held_grant::<G>(key).await? else {
                return Ok(None);
            };
            let decision = decide(grant.life(), &event, &self.policy(&grant));
            if decision.effect == Effect::Discard
                || decision.next == *grant.life()
                || self
                    .save(&mut grant, &decision, rejection(&decision))
                    .await?
            {
                return Ok(Some((grant, decision.effect)));
            }
        }
    }

    /// A 401 to a token that a login was exchanged for: it is exchanged anew, once.
    pub(super) async fn exchanged_rejected(
        &self,
        report: &Report,
        server: &Server,
        version: i64,
    ) -> Result<Answer> {
        let key = Self::key(report, server);
        let now = self.0.clock.now();
        let generation = version;
        let rejected = Event::Rejected { now, generation };
        let Some((connection, noted)) = self.note::<Connection>(&key, rejected).await? else {
            return Ok(Answer::Denied(Denial::IdentityEnded));
        };
        self.replaced(&key, (connection, noted), version).await
    }

    /// Renews a grant whose credential of this version was rejected, where that may help.
    pub(super) async fn after_rejection(
        &self,
        key: &Key,
        connection: Connection,
        version: i64,
    ) -> Result<Verdict> {
        let wanted = self.wanted(Duration::ZERO, None);
        let renewed = match self.peek(&connection, Duration::ZERO) {
            Effect::Redeem | Effect::Await { .. } => self.renewed(key, wanted).await?,
            Effect::HandOut(_)
            | Effect::Tell(_)
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Some(connection),
        };
        let Some(connection) = renewed else {
            return Ok(Verdict::Consent(Scopes::default()));
        };
        Ok(match self.peek(&connection, Duration::ZERO) {
            Effect::HandOut(_) if connection.life.generation > version => {
                Verdict::Retry(connection.life.generation)
            }
            Effect::Tell(
                Unusable::RetryAfter(retry_after) | Unusable::RefreshLimit(retry_after),
            ) => Verdict::Denied(Denial::UpstreamUnavailable { retry_after }),
            Effect::Tell(Unusable::ClientRefused(_))
                if !self.client_is_replaced(&connection).await? =>
            {
                let problem = self.client_problem(&connection).await?;
                let ended = problem == ConfigProblem::RegistrationExpired;
                Verdict::Denied(if ended {
                    Denial::RegistrationExpired
                } else {
                    Denial::RegistrationRefused
                })
            }
            Effect::Redeem | Effect::Await { .. } => {
                let wait = self.0.places.wait(&connection.token_endpoint);
                let retry_after = wait.unwrap_or(Duration::from_secs(1));
                Verdict::Denied(Denial::UpstreamUnavailable { retry_after })
            }
            Effect::HandOut(_)
            | Effect::Tell(
                Unusable::Reconnect(_)
                | Unusable::Expired
                | Unusable::Unreadable
                | Unusable::ClientRefused(_),
            )
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Verdict::Consent(connection.scopes),
        })
    }

    /// A 401 to the deployment's own credential. There is nobody to ask for consent.
    pub(super) async fn own_rejected(&self, server: &Server, version: i64) -> Result<Answer> {
        if self.own_grant(server).await?.is_none() {
            return Ok(Answer::Denied(Denial::RegistrationRefused));
        }
        let key = own_key(server);
        let now = self.0.clock.now();
        let generation = version;
        let rejected = Event::Rejected { now, generation };
        let Some((connection, noted)) = self.note::<Connection>(&key, rejected).await? else {
            return Ok(Answer::Denied(Denial::TokenRejected));
        };
        // A client made at one issuer is never shown to another.
        let limited = matches!(noted, Effect::Tell(Unusable::RefreshLimit(_)));
        if !limited
            && version == connection.life.generation
            && awaits_approval(&self.look_again(server).await?)
        {
            return Ok(Answer::Denied(Denial::IssuerApprovalPending));
        }
        self.replaced(&key, (connection, noted), version).await
    }

    /// What there is in the place of a rejected credential that no user consents to.
    pub(super) async fn replaced(
        &self,
        key: &Key,
        (connection, noted): (Connection, Effect),
        version: i64,
    ) -> Result<Answer> {
        if let Effect::Tell(Unusable::RefreshLimit(retry_after)) = noted {
            return Ok(Answer::Denied(Denial::RefreshLimit { retry_after }));
        }
        Ok(
            match self.after_rejection(key, connection, version).await? {
                Verdict::Retry(credential_version) => Answer::Retry { credential_version },
                Verdict::Denied(denial) => Answer::Denied(denial),
                Verdict::Consent(_) => Answer::Denied(Denial::TokenRejected),
            },
        )
    }
}

/// What is remembered of a rejection that ends a grant.
fn rejection(decision: &Decision) -> Option<&'static str> {
    let ended = Status::ReconnectRequired(Reconnect::TokenRejected);
    (decision.next.status == ended).then_some("token_rejected")
}
