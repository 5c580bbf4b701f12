//! The outbox of revocations: a grant is gone here at once, and ended at its provider when that can
//! be reached.
//!
//! What ends a grant queues its revocation in the same transaction, with everything needed to make
//! it: tokens, endpoint, and our client with its secret, sealed anew beforehand, since sealing may
//! begin a transaction of its own ([`clients`], [`plan`], [`strays`]). [`work`] takes what is due under a
//! lease, asks the provider ([`ask`]), and writes what became of it; replicas share the work by leases
//! alone. [`unstored`] is for
//! clients that were registered for nothing. [`shred`] destroys the keys of a deleted tenant when nothing of it waits any more.

mod ask;
mod clients;
mod late;
mod plan;
mod replaced;
mod shred;
mod siblings;
mod strays;
mod unstored;
mod work;

pub(super) use clients::GrantClient;
pub(super) use plan::ServerPlan;
pub(super) use strays::{Stray, fate};
pub(super) use unstored::{Unstored, stays_registered};

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::App;
use super::error::Result;

/// At most so many under way in this process.
const PLACES: usize = 64;

/// What this process has under way, and the bell of its worker.
#[derive(Debug)]
pub(super) struct Outbox {
    bell: Notify,
    places: Arc<Semaphore>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            bell: Notify::new(),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }
}

impl Outbox {
    /// Takes every place that is free; what is dropped is free again.
    fn free_places(&self) -> Vec<OwnedSemaphorePermit> {
        let place = || Arc::clone(&self.places).try_acquire_owned().ok();
        std::iter::from_fn(place).collect()
    }
}

impl App {
    /// Tells the worker that there is something to do.
    pub(super) fn ring_outbox(&self) {
        self.0.outbox.bell.notify_one();
    }

    /// Waits until something is queued in this process, or something that it began is over. What
    /// others queue is seen by looking.
    pub async fn outbox_rung(&self) {
        self.0.outbox.bell.notified().await;
    }

    /// Clears up after the work: clients that nothing is revoked by any more go, and the keys of
    /// deleted tenants that wait for nothing. Counts what is left, for the metrics. Answers how many
    /// clients went.
    pub async fn tidy_outbox(&self) -> Result<u64> {
        let mut tx = self.0.store.upkeep().await?;
        let idle = tx.retired_client_claims().delete_idle().await?;
        tx.commit().await?;
        self.shred_tenants().await?;
        let mut tx = self.0.store.read().await?;
        let (pending, dead) = tx.revocations().count().await?;
        self.0.metrics.set_revocations(pending, dead);
        Ok(idle)
    }
}
