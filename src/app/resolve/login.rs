//! What a user's own login means to a daemon: the token it may send, or why there is none.

use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::redeem::Grant as _;
use super::super::vault::Unopened;
use super::Wanted;
use super::grant::{ASK_AGAIN, unavailable};
use crate::domain::connections::{Effect, Living, Unusable};
use crate::domain::headers;
use crate::domain::identities::{Identity, MARGIN};
use crate::domain::keys::SealedColumn;
use crate::domain::resolution::{ConfigProblem, NoIdentity, Outcome, Trouble, Validity, Warning};
use crate::domain::secrets::{AccessToken, Sealed};
use crate::domain::servers::{IdentityToken, Server, UserOidc};
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

impl App {
    /// The login token that a server is given, renewed first where that is needed and possible in time.
    pub(super) async fn resolve_login(
        &self,
        server: &Server,
        (user, oidc): (&UserId, &UserOidc),
        wanted: Wanted,
    ) -> Result<Outcome> {
        const MISSING: Outcome = Outcome::NoUserIdentity(NoIdentity::Missing);
        let issuer = oidc.issuer.as_ref();
        let found = self.identity_for(&server.tenant, user, issuer).await?;
        let Some(identity) = found.filter(|identity| identity.holds(oidc.token)) else {
            return Ok(MISSING);
        };
        // The login token itself is not for a server that is to get another.
        if oidc.exchange_token_endpoint.is_some() {
            return self.resolve_exchanged(server, identity, wanted).await;
        }
        let Some((identity, effect)) = self.fresh_identity(identity, wanted).await? else {
            return Ok(MISSING);
        };
        self.send_login(&identity, (oidc.token, effect), wanted.min_valid_for)
            .await
    }

    /// Opens a token of an identity.
    pub(in crate::app) async fn open_login(
        &self,
        identity: &Identity,
        (kind, sealed): (IdentityToken, &Sealed),
    ) -> std::result::Result<AccessToken, Unopened> {
        let row = identity.id.to_string();
        let column = match kind {
            IdentityToken::Access => SealedColumn::IdentityAccessToken,
            IdentityToken::Id => SealedColumn::IdentityIdToken,
        };
        let place = identity.place_of(column, &row);
        self.0.vault.open(&place, sealed).await
    }

    /// An identity and what is to be done about it, once all that could be done in time is done; `None` when
    /// it is gone by then.
    pub(super) async fn fresh_identity(
        &self,
        mut identity: Identity,
        wanted: Wanted,
    ) -> Result<Option<(Identity, Effect)>> {
        let mut effect = self.peek(&identity, wanted.min_valid_for);
        if matches!(effect, Effect::Redeem | Effect::Await { .. }) {
            let Some(renewed) = self.renewed(&identity.key(), wanted).await? else {
                return Ok(None);
            };
            identity = renewed;
            effect = self.peek(&identity, wanted.min_valid_for);
        }
        Ok(Some((identity, effect)))
    }

    /// The token, while it lives, whatever became of its renewal; else why there is none.
    async fn send_login(
        &self,
        identity: &Identity,
        (kind, effect): (IdentityToken, Effect),
        min_valid_for: Duration,
    ) -> Result<Outcome> {
        let now = self.0.clock.now();
        let living = identity.living(kind, now).filter(|_| !identity.is_over());
        let Some((sealed, ends)) = living else {
            return Ok(self.no_login(identity, effect));
        };
        let token = match self.open_login(identity, (kind, sealed)).await {
            Ok(token) => token,
            Err(Unopened::Unreadable(_)) => return Ok(Outcome::Unreadable),
            Err(error @ Unopened::Store(_)) => return Err(error.into()),
        };
        self.note_use(identity);
        let asked = min_valid_for.max(MARGIN);
        let short = |end: Timestamp| end.since(now) < asked;
        let mut warnings = Vec::new();
        match effect {
            Effect::HandOut(Living::Fresh) => {}
            Effect::HandOut(Living::LastBreath) | Effect::Tell(Unusable::Reconnect(_)) => {
                warnings.push(Warning::RenewalRefused);
            }
            Effect::HandOut(Living::Short)
            | Effect::Tell(_)
            | Effect::Redeem
            | Effect::Await { .. }
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => {
                if ends.is_some_and(short) {
                    warnings.push(Warning::ShorterThanAsked);
                }
            }
        }
        if !identity.life.renewable && ends.is_some() {
            warnings.push(Warning::NotRenewable);
        }
        Ok(Outcome::Ready {
            headers: vec![(
                "Authorization".to_owned(),
                headers::authorization("Bearer", &token),
            )],
            validity: Validity {
                expires_at: ends,
                credential_version: identity.life.generation,
            },
            warnings,
        })
    }

    /// Why there is no token that lives.
    pub(super) fn no_login(&self, identity: &Identity, effect: Effect) -> Outcome {
        match effect {
            Effect::Tell(
                Unusable::RetryAfter(retry_after) | Unusable::RefreshLimit(retry_after),
            ) => unavailable(Trouble::Failing, retry_after),
            Effect::Tell(Unusable::ClientRefused(_)) => {
                Outcome::ConfigError(ConfigProblem::RegistrationRefused)
            }
            Effect::Tell(Unusable::Unreadable) => Outcome::Unreadable,
            Effect::HandOut(_) | Effect::Tell(Unusable::Reconnect(_) | Unusable::Expired) => {
                Outcome::NoUserIdentity(NoIdentity::Ended)
            }
            Effect::Redeem
            | Effect::Await { .. }
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => match self.0.places.wait(&identity.place()) {
                Some(wait) => unavailable(Trouble::LeftAlone, wait),
                None => unavailable(Trouble::StillWorking, ASK_AGAIN),
            },
        }
    }
}
