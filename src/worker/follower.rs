//! Follows the feed: reads it when the bell rings, and otherwise now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::jittered;
use crate::app::{App, Result};
use crate::domain::random::Random;

/// How often the feed is read when no bell rings.
const EVERY: Duration = Duration::from_millis(300);
/// How long the bell is left alone after a reading, so that many commits are read at once.
const BREATH: Duration = Duration::from_millis(10);
/// How long one reading may take; a database that does not answer must not hold up the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The loop that follows. Each replica has one; it changes nothing.
#[derive(Debug)]
pub struct Follower {
    app: App,
    random: Arc<dyn Random>,
}

impl Follower {
    /// A loop on these use cases.
    pub fn new(app: App, random: Arc<dyn Random>) -> Self {
        Self { app, random }
    }

    /// Reads the feed once.
    pub async fn tick(&self) -> Result<()> {
        self.app.follow_feed().await
    }

    /// Follows until told to stop. What fails is tried again, and told once.
    pub async fn run(self, stopping: CancellationToken) {
        let mut troubled = false;
        loop {
            let pause = jittered(EVERY, &*self.random);
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.app.bell_rung() => {}
                () = sleep(pause) => {}
            }
            let cause = match timeout(PATIENCE, self.tick()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the database is too slow".to_owned()),
            };
            match &cause {
                Some(error) if troubled => debug!(error, "still cannot follow the feed"),
                Some(error) => warn!(error, "cannot follow the feed"),
                None if troubled => info!("follows the feed again"),
                None => {}
            }
            troubled = cause.is_some();
            sleep(BREATH).await;
        }
    }
}
