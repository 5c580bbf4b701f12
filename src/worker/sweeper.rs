//! Deletes what nobody can use any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::jittered;
use crate::app::{App, Result};
use crate::domain::random::Random;

const EVERY: Duration = Duration::from_mins(10);

/// The loop that sweeps. Replicas may sweep at the same time; each row is deleted once.
#[derive(Debug)]
pub struct Sweeper {
    app: App,
    random: Arc<dyn Random>,
}

impl Sweeper {
    /// A loop on these use cases.
    pub fn new(app: App, random: Arc<dyn Random>) -> Self {
        Self { app, random }
    }

    /// Sweeps once; how many rows went.
    pub async fn tick(&self) -> Result<u64> {
        self.app.sweep().await
    }

    /// Sweeps until told to stop. A failure is tried again at the next turn.
    pub async fn run(self, stopping: CancellationToken) {
        loop {
            let pause = jittered(EVERY, &*self.random);
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.tick().await {
                Ok(rows) => debug!(row.count = rows, "swept {rows} rows"),
                Err(error) => warn!(%error, "could not sweep"),
            }
        }
    }
}
