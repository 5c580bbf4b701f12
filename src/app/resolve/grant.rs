//! What a grant means to a daemon: the token it may send, or why there is none.

use std::cmp::Ordering;
use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::own_grants::own_key;
use super::super::redeem::Key;
use super::super::vault::Unopened;
use super::Wanted;
use crate::domain::connections::{Connection, Effect, Living, Status, Unusable};
use crate::domain::headers;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::resolution::{ConfigProblem, Outcome, Reconnect, Trouble, Validity, Warning};
use crate::domain::secrets::AccessToken;
use crate::domain::servers::Server;

/// When to ask again for what was not finished in time.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);

impl App {
    /// The state of the deployment's own grant. No user can mend what is wrong with it.
    pub(super) async fn resolve_own(&self, server: &Server, wanted: Wanted) -> Result<Outcome> {
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
    pub(super) async fn resolve_grant(
        &self,
        key: &Key,
        server: &Server,
        wanted: Wanted,
    ) -> Result<Outcome> {
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

pub(super) fn unavailable(why: Trouble, retry_after: Duration) -> Outcome {
    Outcome::UpstreamUnavailable { why, retry_after }
}
