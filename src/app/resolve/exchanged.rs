//! Servers that get no login token but one that was exchanged for it, for them alone (RFC 8693).

use super::super::App;
use super::super::error::Result;
use super::super::redeem::Key;
use super::Wanted;
use super::grant::{ASK_AGAIN, unavailable};
use crate::domain::connections::Effect;
use crate::domain::identities::Identity;
use crate::domain::resolution::{ConfigProblem, NoIdentity, Outcome, Reconnect, Trouble};
use crate::domain::servers::{Auth, Server};

impl App {
    /// The token that this login is exchanged for, exchanged first where that is needed and possible in time.
    /// Without a login that could be exchanged nothing is handed out, whatever there is of before.
    pub(super) async fn resolve_exchanged(
        &self,
        server: &Server,
        mut identity: Identity,
        wanted: Wanted,
    ) -> Result<Outcome> {
        let Auth::UserOidc(oidc) = &server.spec.auth else {
            return Ok(Outcome::ConfigError(ConfigProblem::AuthKindUnsupported));
        };
        let now = self.0.clock.now();
        if !identity.is_usable(oidc.token, now) {
            let effect = self.peek(&identity, wanted.min_valid_for);
            return Ok(self.no_login(&identity, effect));
        }
        let key = Key {
            tenant: server.tenant.clone(),
            user: identity.user.clone(),
            server: server.id,
        };
        let held = self.automatic_grant(&key, server, Some(&identity)).await?;
        let Some(held) = held else {
            return Ok(Outcome::ConfigError(ConfigProblem::RegistrationRefused));
        };
        let effect = self.peek(&held, wanted.min_valid_for);
        let is_stale = identity.living(oidc.token, now).is_none();
        if is_stale || matches!(effect, Effect::Redeem | Effect::Await { .. }) {
            let fresh = self.fresh_identity(identity, wanted).await?;
            let Some((fresh, effect)) = fresh else {
                return Ok(Outcome::NoUserIdentity(NoIdentity::Missing));
            };
            identity = fresh;
            let now = self.0.clock.now();
            let lives = identity.living(oidc.token, now).is_some() && !identity.is_over();
            if !lives {
                return Ok(self.no_login(&identity, effect));
            }
        }
        self.note_use(&identity);
        let outcome = self.resolve_grant(&key, server, wanted).await?;
        // Changed, or gone, since it was looked at.
        let gone = matches!(
            &outcome,
            Outcome::NotConnected | Outcome::ReconnectRequired(Reconnect::ServerChanged)
        );
        if gone {
            return Ok(unavailable(Trouble::StillWorking, ASK_AGAIN));
        }
        // What the server rejects was made for it: no login of the user's mends that.
        if matches!(
            &outcome,
            Outcome::ReconnectRequired(Reconnect::TokenRejected)
        ) {
            return Ok(Outcome::ConfigError(ConfigProblem::TokenRejected));
        }
        if matches!(&outcome, Outcome::ReconnectRequired(_) | Outcome::Expired) {
            return Ok(Outcome::NoUserIdentity(NoIdentity::ExchangeRefused));
        }
        Ok(outcome)
    }
}
