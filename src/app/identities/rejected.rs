//! Rejected login tokens. An identity serves many servers: what one of them says has it renewed at most, and
//! never ends it for the others. There is nobody to ask for consent.

use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::redeem::Grant as _;
use super::super::reports::{Answer, Denial};
use crate::domain::authorization::Issuer;
use crate::domain::connections::{Effect, Event, Status, Unusable, decide};
use crate::domain::identities::Identity;
use crate::domain::servers::{Server, UserOidc};
use crate::domain::text::UserId;

impl App {
    /// A 401 to a login token of this version.
    pub(in crate::app) async fn login_rejected(
        &self,
        server: &Server,
        (user, oidc): (&UserId, &UserOidc),
        version: i64,
    ) -> Result<Answer> {
        let ended = Answer::Denied(Denial::IdentityEnded);
        let identity = loop {
            let issuer = oidc.issuer.as_ref();
            let found = self.identity_for(&server.tenant, user, issuer).await?;
            let Some(mut identity) = found else {
                return Ok(ended);
            };
            let life = &identity.life;
            if life.generation != version {
                return Ok(self.retry_login(&identity, oidc).unwrap_or(ended));
            }
            // What came from a rejection and was not seen to work is not renewed again; and what cannot be
            // renewed may be good for others.
            let active = life.status == Status::Active;
            if active && (life.forced || !life.renewable) {
                return Ok(Answer::Denied(Denial::TokenRejected));
            }
            let rejected = Event::Rejected {
                now: self.0.clock.now(),
                generation: version,
            };
            let decision = decide(life, &rejected, &self.policy(&identity));
            if let Effect::Tell(Unusable::RefreshLimit(retry_after)) = decision.effect {
                return Ok(Answer::Denied(Denial::RefreshLimit { retry_after }));
            }
            let noted = decision.effect == Effect::Discard || decision.next == *life;
            if noted || self.save(&mut identity, &decision, None).await? {
                break identity;
            }
        };
        let wanted = self.wanted(Duration::ZERO, None);
        let renewed = match self.peek(&identity, Duration::ZERO) {
            Effect::Redeem | Effect::Await { .. } => {
                self.renewed::<Identity>(&identity.key(), wanted).await?
            }
            Effect::HandOut(_)
            | Effect::Tell(_)
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Some(identity),
        };
        let Some(identity) = renewed else {
            return Ok(ended);
        };
        if identity.life.generation > version
            && let Some(retry) = self.retry_login(&identity, oidc)
        {
            return Ok(retry);
        }
        Ok(Answer::Denied(match self.peek(&identity, Duration::ZERO) {
            Effect::Tell(
                Unusable::RetryAfter(retry_after) | Unusable::RefreshLimit(retry_after),
            ) => Denial::UpstreamUnavailable { retry_after },
            Effect::Tell(Unusable::ClientRefused(_)) => Denial::RegistrationRefused,
            Effect::Redeem | Effect::Await { .. } => {
                let wait = self.0.places.wait(&identity.place());
                let retry_after = wait.unwrap_or(Duration::from_secs(1));
                Denial::UpstreamUnavailable { retry_after }
            }
            Effect::Tell(Unusable::Reconnect(_) | Unusable::Expired | Unusable::Unreadable)
            | Effect::HandOut(_)
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Denial::IdentityEnded,
        }))
    }

    /// To retry with what there is now, if that can be had.
    fn retry_login(&self, identity: &Identity, oidc: &UserOidc) -> Option<Answer> {
        let credential_version = identity.life.generation;
        let usable = identity.is_usable(oidc.token, self.0.clock.now());
        usable.then_some(Answer::Retry { credential_version })
    }

    /// A login token of this version was seen to work.
    pub(in crate::app) async fn login_worked(
        &self,
        server: &Server,
        (user, issuer): (&UserId, Option<&Issuer>),
        generation: i64,
    ) -> Result<()> {
        let found = self.identity_for(&server.tenant, user, issuer).await?;
        if let Some(identity) = found {
            let worked = Event::Worked { generation };
            self.note::<Identity>(&identity.key(), worked).await?;
        }
        Ok(())
    }
}
