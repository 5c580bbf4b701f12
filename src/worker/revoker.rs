//! Ends grants at their providers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::jittered;
use crate::app::{App, Result};
use crate::domain::random::Random;

/// How often what others queued, or what waits for its time, is looked for.
const EVERY: Duration = Duration::from_secs(5);
/// The pause between two turns while there is something to do: providers are not to be flooded.
const PACE: Duration = Duration::from_millis(250);

/// The loop that revokes. Replicas share the work by leases.
#[derive(Debug)]
pub struct Revoker {
    app: App,
    random: Arc<dyn Random>,
}

impl Revoker {
    /// A loop on these use cases.
    pub fn new(app: App, random: Arc<dyn Random>) -> Self {
        Self { app, random }
    }

    /// Takes one turn; how much it took on.
    pub async fn tick(&self) -> Result<usize> {
        self.app.revoke_due().await
    }

    /// Works until told to stop; what was begun is finished. A failure is tried again at the next
    /// turn.
    pub async fn run(self, stopping: CancellationToken) {
        let mut busy = false;
        loop {
            let pause = jittered(if busy { PACE } else { EVERY }, &*self.random);
            let idle = async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.app.revocation_queued(), if !busy => {}
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = idle => {}
            }
            match self.tick().await {
                Ok(taken) => {
                    busy = taken > 0;
                    debug!(work.count = taken, "took on {taken} revocations");
                }
                Err(error) => {
                    busy = false;
                    warn!(%error, "could not revoke");
                }
            }
        }
    }
}
