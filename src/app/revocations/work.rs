//! Working off the outbox: what is due is claimed under a lease, asked for at the provider without a
//! transaction, and written. Whoever crashes in between leaves a lease that ends; revoking
//! again does no harm (RFC 7009, section 2.2).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::App;
use super::super::error::Result;
use super::super::metrics::RevocationOutcome;
use super::super::vault::Unopened;
use crate::domain::audit::{Origin, Verdict};
use crate::domain::authorization::Issuer;
use crate::domain::ids::RetiredClientId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::revocations::{Heard, Management, Next, RetiredClient, Revocation, decide};
use crate::domain::secrets::{AccessToken, RefreshToken};
use crate::oauth::{self, About, ClientAuth, Endpoint, Refused, Revoked};
use crate::store::{self, Claim};

/// At most so many under way at one endpoint, over all replicas.
const PER_ENDPOINT: i64 = 4;
/// At most so many under way in one turn.
const BATCH: i64 = 32;
/// What writing a result may take within the lease.
const WRITE: Duration = Duration::from_secs(30);
/// The code of an answer that asks to come back.
const LATER: &str = "later";

/// What one turn took on.
#[derive(Debug, Default)]
struct Taken {
    revocations: Vec<(Revocation, Option<RetiredClient>)>,
    registrations: Vec<RetiredClient>,
}

/// What was not asked at all.
enum Unasked {
    /// It is written so.
    Never(&'static str),
    /// The store did not answer: the lease will end.
    Store(store::Error),
}

impl From<Unopened> for Unasked {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Unreadable(_) => Self::Never("unreadable"),
            Unopened::Store(error) => Self::Store(error),
        }
    }
}

impl App {
    /// Takes what is due, a few at each provider, and asks for it; then looks after tenants that
    /// wait for their end. Answers how much it took: when that is nothing, nothing is due. Any
    /// number of replicas may do so at the same time.
    pub async fn revoke_due(&self) -> Result<usize> {
        let taken = self.take_due().await?;
        let count = taken.revocations.len() + taken.registrations.len();
        let revocations = taken.revocations.iter();
        let revocations = revocations.map(|(one, client)| self.revoke_one(one, client.as_ref()));
        let registrations = taken.registrations.iter();
        let registrations = registrations.map(|client| self.unregister_one(client));
        let (revoked, unregistered) = tokio::join!(join_all(revocations), join_all(registrations));
        for error in revoked
            .into_iter()
            .chain(unregistered)
            .filter_map(Result::err)
        {
            tracing::warn!(%error, "what came of a revocation is not written");
        }
        let mut tx = self.0.store.upkeep().await?;
        tx.retired_client_claims().delete_idle().await?;
        tx.commit().await?;
        self.shred_tenants().await?;
        let (pending, dead) = self.0.store.read().await?.revocations().count().await?;
        self.0.metrics.set_revocations(pending, dead);
        Ok(count)
    }

    async fn take_due(&self) -> Result<Taken> {
        let mut tx = self.0.store.upkeep().await?;
        let lease_now = tx.lease_now(&*self.0.clock).await?;
        // Both tokens may be asked for, one after the other.
        let lease = self.0.settings.request_timeout * 2 + WRITE;
        let claim = Claim {
            now: self.0.clock.now(),
            lease_now,
            until: lease_now.after(lease),
            per_endpoint: PER_ENDPOINT,
            limit: BATCH,
        };
        let mut taken = Taken::default();
        let mut clients: HashMap<RetiredClientId, Option<RetiredClient>> = HashMap::new();
        for claimed in tx.revocation_claims().claim_due(&claim).await? {
            let revocation = match claimed {
                Ok(revocation) => revocation,
                Err(store::Error::Corrupt { table, column, id }) => {
                    tracing::error!(
                        revocation.id = id,
                        table,
                        column,
                        "cannot be read: given up"
                    );
                    tx.revocation_claims().bury(&id).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(id) = revocation.client
                && !clients.contains_key(&id)
            {
                let client = tx.retired_clients().get(&revocation.tenant, id).await;
                // Only a row that cannot be read is as good as none.
                let client = match client {
                    Err(store::Error::Corrupt { .. }) => readable(client).flatten(),
                    client => client?,
                };
                clients.insert(id, client);
            }
            let client = revocation.client.and_then(|id| clients.get(&id).cloned());
            taken.revocations.push((revocation, client.flatten()));
        }
        let registrations = tx.retired_client_claims().claim_due(&claim).await?;
        taken.registrations = registrations.into_iter().filter_map(readable).collect();
        tx.commit().await?;
        Ok(taken)
    }

    async fn revoke_one(
        &self,
        revocation: &Revocation,
        client: Option<&RetiredClient>,
    ) -> Result<()> {
        if self.has_sibling(revocation, client).await? {
            return self.leave_alone(revocation).await;
        }
        let (heard, token) = match self.ask(revocation, client).await {
            Ok(heard) => heard,
            Err(Unasked::Never(why)) => (Heard::Never(why.to_owned()), ""),
            Err(Unasked::Store(error)) => return Err(error.into()),
        };
        let next = decide(&revocation.work, heard, self.0.clock.now(), self.spread());
        let (id, attempts) = (revocation.id, revocation.work.attempts);
        let mut event = self.service_event_of(revocation, "connection.revoke");
        let mut detail = serde_json::json!({
            "issuer": revocation.issuer.as_str(),
            "reason": revocation.reason.as_str(),
            "attempts": attempts,
        });
        match next {
            Next::Done => {
                detail["token"] = token.into();
                event.detail = detail;
                let mut tx = self.0.store.write().await?;
                if tx.revocations_mut().delete(revocation).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(RevocationOutcome::Revoked);
                }
            }
            Next::Again { at } => {
                tracing::info!(revocation.id = %id, attempts, "revocation is tried again");
                let mut tx = self.0.store.upkeep().await?;
                tx.revocation_claims()
                    .update_later(revocation, at, LATER)
                    .await?;
                tx.commit().await?;
                self.0.metrics.revoked(RevocationOutcome::Later);
            }
            Next::Dead(why) => {
                detail["error"] = why.as_str().into();
                event.verdict = Verdict::Refused;
                event.detail = detail;
                let mut tx = self.0.store.write().await?;
                if tx.revocations_mut().update_dead(revocation, &why).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(RevocationOutcome::Dead);
                    tracing::warn!(revocation.id = %id, error = why, "revocation is given up");
                }
            }
        }
        Ok(())
    }

    /// Asks the provider to end a grant: by its refresh token, and by its access token only where
    /// there is no other or the provider takes no other (RFC 7009, section 2.2.1).
    async fn ask(
        &self,
        revocation: &Revocation,
        client: Option<&RetiredClient>,
    ) -> std::result::Result<(Heard, &'static str), Unasked> {
        let client = client.ok_or(Unasked::Never("unreadable"))?;
        let secret = self.open_retired_secret(client).await?;
        let auth = ClientAuth::new(client.auth_method, secret)
            .map_err(|_| Unasked::Never("client_secret_missing"))?;
        let endpoint = Endpoint {
            url: &revocation.endpoint,
            on_behalf_of: namer(&client.issuer, &revocation.endpoint),
            client_id: &client.client_id,
            auth: &auth,
            deadline: self.0.settings.request_timeout,
            // Revoking twice does no harm.
            send_before: None,
            now: self.0.clock.now(),
        };
        let row = revocation.id.to_string();
        let place = |column| Place {
            tenant: &revocation.tenant,
            column,
            row: &row,
            owner: revocation.user.as_str(),
        };
        let mut heard = Heard::Never("no_token".to_owned());
        if let Some(sealed) = &revocation.refresh_token {
            let place = place(SealedColumn::RevocationRefreshToken);
            let token: RefreshToken = self.0.vault.open(&place, sealed).await?;
            let asked = oauth::revoke(&self.0.fetch, &endpoint, Revoked::Refresh(&token)).await;
            heard = said(asked);
            let other = Heard::Never("unsupported_token_type".to_owned());
            if heard != other {
                return Ok((heard, "refresh_token"));
            }
        }
        if let Some(sealed) = &revocation.access_token {
            let place = place(SealedColumn::RevocationAccessToken);
            let token: AccessToken = self.0.vault.open(&place, sealed).await?;
            let asked = oauth::revoke(&self.0.fetch, &endpoint, Revoked::Access(&token)).await;
            heard = said(asked);
        }
        Ok((heard, "access_token"))
    }

    async fn unregister_one(&self, client: &RetiredClient) -> Result<()> {
        let heard = match &client.management {
            None => Heard::Never("unreadable".to_owned()),
            Some(management) => match self.ask_to_unregister(client, management).await {
                Ok(heard) => heard,
                Err(Unasked::Never(why)) => Heard::Never(why.to_owned()),
                Err(Unasked::Store(error)) => return Err(error.into()),
            },
        };
        let next = decide(&client.work, heard, self.0.clock.now(), self.spread());
        let (id, attempts) = (client.id, client.work.attempts);
        let mut event = self.event(
            &client.tenant,
            Origin::service(),
            "registration.delete",
            &client.client_id,
        );
        let mut detail = serde_json::json!({
            "issuer": client.issuer.as_str(),
            "attempts": attempts,
        });
        match next {
            Next::Done => {
                event.detail = detail;
                let mut tx = self.0.store.write().await?;
                if tx.retired_clients_mut().delete(client).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(RevocationOutcome::Unregistered);
                }
            }
            Next::Again { at } => {
                tracing::info!(retired_client.id = %id, attempts, "deletion is tried again");
                let mut tx = self.0.store.upkeep().await?;
                tx.retired_client_claims()
                    .update_later(client, at, LATER)
                    .await?;
                tx.commit().await?;
                self.0.metrics.revoked(RevocationOutcome::Later);
            }
            Next::Dead(why) => {
                detail["error"] = why.as_str().into();
                event.verdict = Verdict::Refused;
                event.detail = detail;
                let mut tx = self.0.store.write().await?;
                if tx.retired_clients_mut().update_dead(client, &why).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(RevocationOutcome::Dead);
                    tracing::warn!(retired_client.id = %id, error = why, "deletion is given up");
                }
            }
        }
        Ok(())
    }

    async fn ask_to_unregister(
        &self,
        client: &RetiredClient,
        management: &Management,
    ) -> std::result::Result<Heard, Unasked> {
        let token = self.open_management(client, management).await?;
        let deadline = self.0.settings.request_timeout;
        let uri = &management.uri;
        let namer = namer(&client.issuer, uri);
        let asked = oauth::unregister(&self.0.fetch, uri, namer, &token, deadline).await;
        Ok(said(asked))
    }

    /// Somewhere between 0 and 1.
    fn spread(&self) -> f64 {
        let mut bytes = [0_u8; 2];
        self.0.random.fill(&mut bytes);
        f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
    }
}

/// Who named an endpoint: the issuer, which outlives the server here and which a server elsewhere
/// cannot have had on loopback. Without an issuer an administrator wrote the endpoint itself.
fn namer<'a>(issuer: &'a Issuer, endpoint: &'a str) -> &'a str {
    match issuer.as_str() {
        "" => endpoint,
        issuer => issuer,
    }
}

/// What an answer means. That a token is not valid is what was wanted.
fn said(asked: oauth::Revocation) -> Heard {
    match asked {
        oauth::Revocation::Done => Heard::Ended,
        oauth::Revocation::Later { retry_after } => Heard::Later { retry_after },
        // Answers of something in front of the provider, or of one that is being changed.
        oauth::Revocation::Impossible(oauth::Error::NoEndpoint { .. })
        | oauth::Revocation::Refused(Refused { code: None, .. }) => {
            Heard::Later { retry_after: None }
        }
        oauth::Revocation::Refused(refused) => match (refused.about, refused.code) {
            (About::Grant, _) => Heard::Ended,
            (About::Client | About::Other, Some(code)) if code == "invalid_token" => Heard::Ended,
            (About::Client | About::Other, code) => {
                Heard::Never(code.unwrap_or_else(|| "refused".to_owned()))
            }
        },
        oauth::Revocation::Impossible(error) => {
            tracing::debug!(%error, "an endpoint cannot be used");
            Heard::Never("endpoint_unusable".to_owned())
        }
    }
}

/// A row, unless it cannot be read, which is said.
fn readable<T>(row: store::Result<T>) -> Option<T> {
    row.inspect_err(|error| tracing::error!(%error, "a row of the outbox cannot be read"))
        .ok()
}
