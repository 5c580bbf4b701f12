//! Ends grants at their providers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{BRIEF, LAST, jittered, turn};
use crate::app::{App, Result};
use crate::domain::random::Random;

/// How often what others queued, or what waits for its time, is looked for.
const EVERY: Duration = Duration::from_secs(5);
/// The least pause between two turns: providers are not to be flooded, and what ends in it is
/// followed up by one turn.
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

    /// Takes one turn; how much it began.
    pub async fn tick(&self) -> Result<usize> {
        self.app.revoke_due().await
    }

    /// Works until told to stop; what was begun is finished by the tracker. A failure is tried again
    /// at the next turn.
    pub async fn run(self, stopping: CancellationToken) {
        loop {
            let (idle, pace) = (self.pause(EVERY), self.pause(PACE));
            let wait = async {
                pace.await;
                tokio::select! {
                    () = idle => {}
                    () = self.app.outbox_rung() => {}
                }
            };
            if stopping.run_until_cancelled(wait).await.is_none() {
                return;
            }
            match turn(self.tick(), (Some(BRIEF), LAST), &stopping).await {
                Some(Ok(begun)) => debug!(work.count = begun, "began {begun} revocations"),
                Some(Err(error)) => warn!(%error, "could not revoke"),
                None => warn!("gave up looking for what is to be revoked"),
            }
        }
    }

    fn pause(&self, pause: Duration) -> Sleep {
        sleep(jittered(pause, &*self.random))
    }
}
