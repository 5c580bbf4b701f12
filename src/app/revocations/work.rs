//! Working off the outbox: what is due is claimed under a lease, asked for at the provider without a
//! transaction, and written. Whoever crashes in between leaves a lease that ends; revoking
//! again does no harm (RFC 7009, section 2.2).

use std::collections::HashMap;
use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::insist::TRY;
use super::super::metrics::RevocationOutcome;
use super::ask::Unasked;
use super::siblings::Sibling;
use crate::domain::audit::{NewAuditEvent, Origin, Verdict};
use crate::domain::ids::RetiredClientId;
use crate::domain::revocations::{Heard, Job, Next, RetiredClient, Revocation, decide};
use crate::store::{self, Claim, Upkeep, within};

/// At most so many under way at one provider, over all replicas.
const PER_PLACE: i64 = 4;
/// What writing a result may take within the lease.
const WRITE: Duration = Duration::from_secs(30);
/// The code of an answer that asks to come back.
const LATER: &str = "later";

/// What was claimed.
#[derive(Debug)]
enum Taken {
    /// A grant, and the client that revokes it, if that can be read.
    Grant(Box<Revocation>, Option<Box<RetiredClient>>),
    /// A registration.
    Registration(Box<RetiredClient>),
}

impl App {
    /// Takes what is due, a few at each provider, as long as there are places for it, and begins to
    /// work it off: nobody waits for a provider that does not answer but its own revocations. What
    /// was begun is finished though the process be told to stop, and its end rings. Answers how much
    /// was begun. Any number of replicas may do so at the same time.
    pub async fn revoke_due(&self) -> Result<usize> {
        let places = self.0.outbox.free_places();
        if places.is_empty() {
            return Ok(0);
        }
        let limit = i64::try_from(places.len()).unwrap_or(i64::MAX);
        let taken = self.take_due(limit).await?;
        let begun = taken.len();
        for (one, place) in taken.into_iter().zip(places) {
            let app = self.clone();
            self.0.tasks.spawn(async move {
                if let Err(error) = Box::pin(app.work_off(&one)).await {
                    tracing::warn!(%error, "what came of a revocation is not written");
                }
                drop(place);
                app.ring_outbox();
            });
        }
        Ok(begun)
    }

    async fn take_due(&self, limit: i64) -> Result<Vec<Taken>> {
        let mut tx = self.0.store.upkeep().await?;
        let lease_now = tx.lease_now(&*self.0.clock).await?;
        // Both tokens may be asked for, one after the other.
        let lease = self.0.settings.request_timeout * 2 + WRITE;
        let mut claim = Claim {
            now: self.0.clock.now(),
            lease_now,
            until: lease_now.after(lease),
            per_place: PER_PLACE,
            limit,
        };
        let mut taken = Vec::new();
        let mut clients: HashMap<RetiredClientId, Option<RetiredClient>> = HashMap::new();
        for claimed in tx.revocation_claims().claim_due(&claim).await? {
            let Some(revocation) = legible(&mut tx, claimed).await? else {
                continue;
            };
            if let Some(id) = revocation.client
                && !clients.contains_key(&id)
            {
                let client = tx.retired_clients().get(&revocation.tenant, id).await;
                // Only a row that cannot be read is as good as none.
                let client = match client {
                    Err(error @ store::Error::Corrupt { .. }) => {
                        tracing::error!(%error, "a client of the outbox cannot be read");
                        None
                    }
                    client => client?,
                };
                clients.insert(id, client);
            }
            let client = revocation.client.and_then(|id| clients.get(&id).cloned());
            let client = client.flatten().map(Box::new);
            taken.push(Taken::Grant(Box::new(revocation), client));
        }
        claim.limit -= i64::try_from(taken.len()).unwrap_or(limit);
        for claimed in tx.retired_client_claims().claim_due(&claim).await? {
            if let Some(client) = legible(&mut tx, claimed).await? {
                taken.push(Taken::Registration(Box::new(client)));
            }
        }
        tx.commit().await?;
        Ok(taken)
    }

    async fn work_off(&self, taken: &Taken) -> Result<()> {
        match taken {
            Taken::Grant(revocation, client) => self.revoke(revocation, client.as_deref()).await,
            Taken::Registration(client) => self.unregister(client).await,
        }
    }

    async fn revoke(&self, revocation: &Revocation, client: Option<&RetiredClient>) -> Result<()> {
        let sibling = self.sibling(revocation, client).await?;
        if let Some(Sibling::Lives) = sibling {
            return self.leave_alone(revocation).await;
        }
        let mut event = self.service_event_of(revocation, "connection.revoke");
        event.detail = serde_json::json!({
            "issuer": revocation.issuer.as_str(),
            "reason": revocation.reason.as_str(),
        });
        let done = RevocationOutcome::Revoked;
        if let Some(Sibling::Coming) = sibling {
            // Asked now, the provider could end what the user is about to consent to.
            let later = Heard::Later { retry_after: None };
            return self.conclude(revocation, later, event, done).await;
        }
        let heard = match self.ask_to_revoke(revocation, client).await {
            Ok((heard, token)) => {
                event.detail["token"] = token.into();
                heard
            }
            Err(Unasked::Never(why)) => Heard::Never(why.to_owned()),
            Err(Unasked::Unreadable) => Heard::Later { retry_after: None },
            Err(Unasked::Store(error)) => return Err(error.into()),
        };
        self.conclude(revocation, heard, event, done).await
    }

    async fn unregister(&self, client: &RetiredClient) -> Result<()> {
        let (tenant, id) = (&client.tenant, &client.client_id);
        let mut event = self.event(tenant, Origin::service(), "registration.delete", id);
        event.detail = serde_json::json!({ "issuer": client.issuer.as_str() });
        let heard = match self.ask_to_unregister(client).await {
            Ok(heard) => heard,
            Err(Unasked::Never(why)) => Heard::Never(why.to_owned()),
            Err(Unasked::Unreadable) => Heard::Later { retry_after: None },
            Err(Unasked::Store(error)) => return Err(error.into()),
        };
        let done = RevocationOutcome::Unregistered;
        self.conclude(client, heard, event, done).await
    }

    /// Writes what becomes of a piece of work after what was heard: with the record given, where it
    /// ends.
    async fn conclude<J: Job>(
        &self,
        job: &J,
        heard: Heard,
        event: NewAuditEvent,
        done: RevocationOutcome,
    ) -> Result<()> {
        within(TRY, Box::pin(self.try_conclude(job, heard, event, done))).await
    }

    async fn try_conclude<J: Job>(
        &self,
        job: &J,
        heard: Heard,
        mut event: NewAuditEvent,
        done: RevocationOutcome,
    ) -> Result<()> {
        let attempts = job.work().attempts;
        event.detail["attempts"] = attempts.into();
        let work = J::KIND.choose("revocation", "deletion");
        match decide(job.work(), heard, self.0.clock.now(), self.spread()) {
            Next::Done => {
                let mut tx = self.0.store.write().await?;
                if tx.work_mut().delete(job).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(done);
                }
            }
            Next::Again { at } => {
                tracing::info!(work.id = job.id(), attempts, "a {work} is tried again");
                let mut tx = self.0.store.upkeep().await?;
                tx.work_claims().update_later(job, at, LATER).await?;
                tx.commit().await?;
                self.0.metrics.revoked(RevocationOutcome::Later);
            }
            Next::Dead(why) => {
                event.detail["error"] = why.as_str().into();
                event.verdict = Verdict::Refused;
                let mut tx = self.0.store.write().await?;
                if tx.work_mut().update_dead(job, &why).await? {
                    tx.commit(&event).await?;
                    self.0.metrics.revoked(RevocationOutcome::Dead);
                    tracing::warn!(work.id = job.id(), error = why, "a {work} is given up");
                }
            }
        }
        Ok(())
    }

    /// Somewhere between 0 and 1.
    fn spread(&self) -> f64 {
        let mut bytes = [0_u8; 2];
        self.0.random.fill(&mut bytes);
        f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
    }
}

/// A claimed row. One that cannot be read is given up in the same transaction, or it would be
/// claimed again and again.
async fn legible<J: Job>(tx: &mut Upkeep, claimed: store::Result<J>) -> Result<Option<J>> {
    match claimed {
        Ok(job) => Ok(Some(job)),
        Err(store::Error::Corrupt { table, column, id }) => {
            tracing::error!(work.id = id, table, column, "cannot be read: given up");
            tx.work_claims().bury(J::KIND, &id).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
