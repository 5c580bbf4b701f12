//! Renewing what nobody asks for right now: ahead of time what is in use, and now and then what is
//! idle and would be forgotten. Replicas share the work through the leases alone.

use std::time::Duration;

use super::super::App;
use super::super::error::{Error, Result};
use super::super::insist::TRY;
use super::places::AHEAD_AT_ONCE;
use super::{Claim, Grant};
use crate::domain::connections::{AHEAD, Connection};
use crate::domain::identities::Identity;
use crate::domain::time::Timestamp;
use crate::store::{self, within};

/// How many grants of a kind one round looks at, at most.
const ROUND: i64 = 500;
/// For how long what was due and needed nothing is left alone, at least.
const PUT_OFF: Duration = Duration::from_mins(10);

impl App {
    /// Renews what is due, as many at a time as each place allows. Answers how many were begun; what
    /// was left is due still.
    pub async fn renew_due(&self) -> Result<u64> {
        let left_alone = i64::try_from(self.0.places.left_alone()).unwrap_or(i64::MAX);
        self.0.metrics.set_left_alone(left_alone);
        let connections = self.renew_due_of::<Connection>().await?;
        Ok(connections + self.renew_due_of::<Identity>().await?)
    }

    async fn renew_due_of<G: Grant>(&self) -> Result<u64> {
        let now = self.0.clock.now();
        let each = i64::try_from(AHEAD_AT_ONCE).unwrap_or(i64::MAX);
        let mut tx = self.0.store.read().await?;
        let due = G::list_due(&mut tx, now, (each, ROUND)).await?;
        drop(tx);
        // There is more than a round looks at: what cannot be done now must not come up again at once.
        let crowded = i64::try_from(due.len()) == Ok(ROUND);
        let mut begun = 0;
        for grant in due {
            let grant = match grant {
                Ok(grant) => grant,
                Err(error) => {
                    self.pass_over::<G>(error).await?;
                    continue;
                }
            };
            let wait = self.0.places.wait_ahead(&grant.place());
            match wait {
                None => begun += u64::from(self.begin_ahead(grant)),
                Some(wait) if crowded => self.plan(&grant, Some(now.after(wait))).await?,
                Some(_) => {}
            }
        }
        Ok(begun)
    }

    /// Begins a renewal that nobody waits for, unless its place is busy.
    fn begin_ahead<G: Grant>(&self, grant: G) -> bool {
        let Some(permit) = self.0.places.ahead(&grant.place()) else {
            return false;
        };
        let mut begun = false;
        let key = grant.key();
        let _flight = G::flights(self).join(&key, |landing| {
            begun = true;
            let app = self.clone();
            self.0.tasks.spawn(async move {
                if let Err(error) = Box::pin(app.try_ahead(&grant)).await {
                    let id = grant.id();
                    tracing::warn!(grant.id = %id, %error, "renewal ahead of time did not run");
                }
                drop((permit, landing));
            });
        });
        begun
    }

    /// What is wrong with one row holds up no other.
    async fn pass_over<G: Grant>(&self, error: store::Error) -> Result<()> {
        let store::Error::Corrupt { id, .. } = &error else {
            return Err(error.into());
        };
        tracing::error!(grant.id = id, %error, "a grant cannot be renewed ahead of time");
        let mut tx = self.0.store.upkeep().await?;
        G::forget_due(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    /// Renews a grant, or puts it off where something it needs cannot be read: it would come up again
    /// and again, in the place of others.
    async fn try_ahead<G: Grant>(&self, grant: &G) -> Result<()> {
        match self.renew_ahead(grant).await {
            Err(error @ Error::Internal(_)) => {
                self.put_off(grant).await?;
                Err(error)
            }
            renewed => renewed,
        }
    }

    async fn renew_ahead<G: Grant>(&self, grant: &G) -> Result<()> {
        // What is known of providers may have changed since this was planned.
        let next = self.next_due(grant);
        if next.is_none_or(|next| next > self.0.clock.now()) {
            return self.plan(grant, next).await;
        }
        if !grant.is_wanted(self).await? {
            return self.put_off(grant).await;
        }
        let started = self.0.clock.monotonic();
        match self.claim::<G>(&grant.key(), AHEAD).await? {
            Claim::Ours(tried, passage) => self.redeem(*tried, passage, started).await,
            // Another replica is at it, or somebody was faster.
            Claim::Theirs | Claim::LookAgain => Ok(()),
            Claim::Nothing => self.put_off(grant).await,
        }
    }

    /// What was due and needs nothing must not come up again at once.
    async fn put_off<G: Grant>(&self, grant: &G) -> Result<()> {
        let now = self.0.clock.now();
        let due = self.next_due(grant).map(|due| due.max(now.after(PUT_OFF)));
        self.plan(grant, due).await
    }

    /// Writes when a grant is next due, unless its row changed since it was read: whoever changed it
    /// has planned it.
    pub(super) async fn plan<G: Grant>(&self, grant: &G, due: Option<Timestamp>) -> Result<()> {
        let mut planned = grant.clone();
        *planned.kept().due_at = due;
        let write = async {
            let mut tx = self.0.store.upkeep().await?;
            planned.save_quietly(&mut tx).await?;
            tx.commit().await
        };
        Ok(within(TRY, write).await?)
    }
}
