//! The bell of the feed: rings when something was committed, carries nothing, and may be missed.
//! Whoever hears it reads the feed; whoever does not reads it a little later.
//!
//! A process rings for itself at once. On PostgreSQL, where others share the database, [`Store::relay`]
//! tells them by NOTIFY and hears theirs by LISTEN, on a connection of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;

use super::Store;
use super::engine::{ACQUIRE_TIMEOUT, Engine};
use super::error::Result;

/// What replicas listen on. Deployments in schemas of one database share it, and do no harm.
const CHANNEL: &str = "stationmaster_feed";
const NOTIFY: &str = "SELECT pg_notify('stationmaster_feed', '')";
/// Others are rung at most once in this time: NOTIFY serialises the commits of those who use it.
const PAUSE: Duration = Duration::from_millis(25);

/// Rings. Clones are the same bell; one task may wait for it.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    here: Arc<Notify>,
    elsewhere: Arc<Notify>,
}

impl Bell {
    /// Rings here, and for others as soon as somebody relays.
    pub(super) fn ring(&self) {
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Until it has rung since it was waited for last.
    pub async fn rung(&self) {
        self.here.notified().await;
    }
}

impl Store {
    /// The bell that rings after commits: ours, and while [`Store::relay`] runs those of others.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Carries the bell between the processes that share a database, until that fails. Where one
    /// process has the database, there is nothing to carry and no end.
    pub async fn relay(&self) -> Result<Infallible> {
        match &self.pool {
            Engine::Sqlite(_) => std::future::pending().await,
            Engine::Postgres(pool) => {
                let (never, _) = tokio::try_join!(self.hear(pool), self.tell(pool))?;
                Ok(never)
            }
        }
    }

    async fn hear(&self, pool: &PgPool) -> Result<Infallible> {
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(pool.connect_options().as_ref().clone())
            .await?;
        let mut listener = PgListener::connect_with(&own).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(CHANNEL).await?;
        loop {
            // What was rung before we listened, or while the connection was lost, is heard now.
            self.bell.here.notify_one();
            listener.try_recv().await?;
        }
    }

    async fn tell(&self, pool: &PgPool) -> Result<Infallible> {
        loop {
            self.bell.elsewhere.notified().await;
            sqlx::query(NOTIFY).execute(pool).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
