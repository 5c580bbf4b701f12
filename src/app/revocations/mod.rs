//! The outbox of revocations: a grant is gone here at once, and ended at its provider when that can
//! be reached.
//!
//! What ends a grant queues its revocation in the same transaction, with everything needed to make
//! it: tokens, endpoint, and our client with its secret, sealed anew beforehand, since sealing may
//! begin a transaction of its own ([`clients`], [`plan`], [`strays`]). [`work`] takes what is due under a
//! lease, asks the provider, and writes what became of it; replicas share the work by leases
//! alone. [`shred`] destroys the keys of a deleted tenant when nothing of it waits any more.

mod ask;
mod clients;
mod late;
mod plan;
mod replaced;
mod shred;
mod siblings;
mod strays;
mod work;

pub(super) use clients::GrantClient;
pub(super) use plan::ServerPlan;
pub(super) use strays::{Stray, fate};

use tokio::sync::Notify;

use super::App;

/// Rings when something was queued in this process.
#[derive(Debug, Default)]
pub(super) struct Outbox(Notify);

impl App {
    /// Tells the worker that there is something to do.
    pub(super) fn ring_outbox(&self) {
        self.0.outbox.0.notify_one();
    }

    /// Waits until something is queued in this process. What others queue is seen by looking.
    pub async fn revocation_queued(&self) {
        self.0.outbox.0.notified().await;
    }
}
