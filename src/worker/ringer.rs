//! Carries the bell of the feed between replicas.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::jittered;
use crate::app::App;
use crate::domain::random::Random;
use crate::domain::time::Clock;

/// How long after a failure to try again.
const AGAIN: Duration = Duration::from_secs(1);
/// What worked for so long and fails is a new trouble, and told.
const STEADY: Duration = Duration::from_mins(1);

/// The loop that carries. Without it everything is seen too, a little later.
#[derive(Debug)]
pub struct Ringer {
    app: App,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Ringer {
    /// A loop on these use cases.
    pub fn new(app: App, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { app, clock, random }
    }

    /// Carries until told to stop. What fails is tried again, and told once.
    pub async fn run(self, stopping: CancellationToken) {
        let mut troubled = false;
        loop {
            let began = self.clock.monotonic();
            let error = tokio::select! {
                () = stopping.cancelled() => return,
                error = self.app.relay_bell() => error,
            };
            let lasted = self.clock.monotonic().saturating_sub(began);
            if troubled && lasted < STEADY {
                debug!(%error, "still cannot hear other replicas");
            } else {
                warn!(%error, "cannot hear other replicas; the feed is read now and then");
            }
            troubled = true;
            let pause = jittered(AGAIN, &*self.random);
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
