//! Writing what came of a renewal, whatever it was: secret and token of before may be void.

use super::super::App;
use super::super::error::Result;
use super::super::insist::{Insist, TRY};
use super::{Claimed, REFUSED, Renewal, WRITE, place};
use crate::domain::audit::{Origin, Verdict};
use crate::domain::keys::SealedColumn;
use crate::domain::registrations::{Registration, renewal};
use crate::oauth::{RenewedClient, SecretEnd};
use crate::store::within;

impl App {
    /// Writes what came of an update, and tries again while the store does not answer: the old secret
    /// may be void.
    pub(super) async fn keep_renewed(
        &self,
        claimed: &Claimed,
        answer: &RenewedClient,
    ) -> Result<Renewal> {
        let mut again = Insist::for_at_most(WRITE);
        loop {
            match within(TRY, Box::pin(self.try_keep_renewed(claimed, answer))).await {
                Err(error) => again.after(error).await?,
                kept => return kept,
            }
        }
    }

    async fn try_keep_renewed(&self, claimed: &Claimed, answer: &RenewedClient) -> Result<Renewal> {
        let old = &claimed.registration;
        let now = self.0.clock.now();
        let ends = match answer.secret_end {
            SecretEnd::AsBefore => old.secret_expires_at,
            SecretEnd::Never => None,
            SecretEnd::At(end) => Some(end),
        };
        let later = ends.is_none_or(|end| old.secret_expires_at.is_some_and(|old| old < end));
        let mut renewed = Registration {
            client_secret: None,
            secret_expires_at: ends,
            renew_at: ends.map(|end| {
                if later {
                    renewal(now, end)
                } else {
                    now.after(REFUSED)
                }
            }),
            auth_method: answer.auth_method,
            management_token: None,
            ..old.clone()
        };
        let row = old.id.to_string();
        if let Some(secret) = &answer.client_secret {
            let place = place(old, &row, SealedColumn::RegistrationClientSecret);
            renewed.client_secret = Some(self.0.vault.seal(&place, secret).await?);
        }
        if let Some(token) = &answer.registration_access_token {
            let place = place(old, &row, SealedColumn::RegistrationManagementToken);
            renewed.management_token = Some(self.0.vault.seal(&place, token).await?);
        }
        let uri = answer.registration_client_uri.as_ref();
        renewed.management_uri = uri.or(old.management_uri.as_ref()).cloned();
        let origin = Origin::service();
        let mut event = self.event(&old.tenant, origin, "registration.renew", old.id);
        event.detail = serde_json::json!({
            "server": old.server.to_string(),
            "issuer": old.issuer.as_str(),
            "client_id": old.client_id,
            "new_secret": answer.client_secret.is_some(),
        });
        if !later {
            event.verdict = Verdict::Refused;
        }
        let mut tx = self.0.store.write().await?;
        let mut registrations = tx.registrations_mut();
        if !registrations.renew(&renewed, claimed.until).await? {
            tracing::warn!(registration.id = %old.id, "a client was renewed too late: what came of it is lost");
            return Ok(Renewal::Not);
        }
        if later {
            tx.connections_mut().retry_of_registration(old).await?;
        }
        tx.commit(&event).await?;
        Ok(if later {
            Renewal::Renewed
        } else {
            Renewal::Not
        })
    }
}
