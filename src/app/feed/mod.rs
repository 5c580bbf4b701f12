//! The feed within a process: one follower reads what every tenant's commits tell, in order, and
//! tells whoever subscribed.
//!
//! The follower begins at the head, polls now and then and at once when the bell rings, and is the
//! only one who asks the database in vain. [`Feed::standing`] says how far it is, for what may answer
//! only while nothing newer can have been missed. Whatever begins to follow subscribes first and reads
//! the database then: what is committed later than that reading is heard.

mod audit;
mod board;
mod connections;
mod course;
mod events;
mod guard;

pub use audit::{AuditWatch, TrailEvent};
use board::{Heard, Scope, Which};
pub(super) use board::{Subscription, Topic};
pub use connections::{ConnectionEvent, ConnectionWatch, WatchConnections};
pub use course::Told;
use course::{BEAT, Course, resumable};
pub use events::Events;
pub(super) use events::Watch;
pub(super) use guard::Guard;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::App;
use super::error::{Error, Result};
use crate::domain::changes::{Change, Head, Revision, SHARDS, shard_of};
use crate::domain::tenants::TenantId;
use crate::domain::time::Clock;
use crate::store::Store;
use board::Board;
use guard::Seats;

/// How long an entry of the feed can be resumed after.
const KEPT: Duration = Duration::from_hours(24);
/// Entries read, or forgotten, at a time.
const PAGE: i64 = 500;
/// How often a shard is swept in one go; the rest is for the next.
const SWEEPS: usize = 200;
/// A feed that was read longer ago than this lags.
const LAGGING: Duration = Duration::from_secs(3);

/// How far the follower is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// When the last successful poll started, on the monotonic clock.
    pub(super) started: Duration,
    /// Everything up to here was told, in the tenant asked about.
    pub(super) position: Revision,
}

/// The follower's place, and who listens to it.
#[derive(Debug)]
pub(super) struct Feed {
    board: Board,
    seats: Seats,
    standing: Mutex<Standings>,
    /// Told whenever the follower has gone on, in whatever shard.
    moved: watch::Sender<()>,
    /// Held by whoever polls.
    polling: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Standings {
    started: Duration,
    positions: HashMap<i64, Revision>,
}

impl Feed {
    /// A follower that stands at the head of every shard.
    pub(super) async fn start(store: &Store, clock: &dyn Clock) -> Result<Self> {
        let started = clock.monotonic();
        let heads = store.read().await?.feed().heads().await?;
        let positions = heads.iter().map(|head| (head.shard, head.last)).collect();
        Ok(Self {
            board: Board::default(),
            seats: Seats::default(),
            standing: Mutex::new(Standings { started, positions }),
            moved: watch::Sender::default(),
            polling: tokio::sync::Mutex::default(),
        })
    }

    fn standings(&self) -> std::sync::MutexGuard<'_, Standings> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the follower is, for one tenant.
    pub(super) fn standing(&self, tenant: &TenantId) -> Standing {
        let standings = self.standings();
        Standing {
            started: standings.started,
            position: position(&standings, shard_of(tenant)),
        }
    }

    /// Subscribes to some topics; `bound` is how many things may have changed before the rest is
    /// [`Heard::Missed`].
    pub(super) fn subscribe(&self, topics: Vec<Topic>, scope: Scope, bound: usize) -> Subscription {
        self.board.subscribe(topics, scope, bound)
    }

    /// An alarm that goes off when one thing changes.
    pub(super) fn alarm(&self, topic: Topic) -> Subscription {
        self.subscribe(vec![topic], Scope::default(), 1)
    }

    /// Sets off the alarms on one thing that took a step too small for the feed.
    pub(super) fn wake(&self, topic: &Topic) {
        self.board.wake(topic);
    }

    /// Wakes whoever reads for itself what has no entry in the feed but a place there.
    fn moved(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Tells changes and notes that everything up to `upto` was told. In this order: who sees the
    /// position has heard what is before it.
    fn tell(&self, shard: i64, changes: Vec<Change>, upto: Revision) {
        for change in changes {
            self.board.tell(change);
        }
        self.standings().positions.insert(shard, upto);
        self.moved.send_replace(());
    }

    async fn poll(&self, store: &Store, clock: &dyn Clock) -> Result<()> {
        let _polling = self.polling.lock().await;
        let started = clock.monotonic();
        let mut tx = store.read().await?;
        let heads = tx.feed().heads().await?;
        for Head { shard, last, floor } in heads {
            let mut at = position(&self.standings(), shard);
            if last < at || floor > at {
                // The database was put back, or this process slept for a day.
                self.board.tell_lost(|tenant| shard_of(tenant) == shard);
                self.tell(shard, Vec::new(), last);
                continue;
            }
            while at < last {
                let stretch = tx.feed().list_of_shard(shard, at, PAGE).await?;
                for error in stretch.unreadable {
                    tracing::error!(%error, "an entry of the feed is passed over");
                }
                at = stretch.next.unwrap_or(last);
                self.tell(shard, stretch.changes, at);
            }
        }
        self.standings().started = started;
        Ok(())
    }
}

fn position(standings: &Standings, shard: i64) -> Revision {
    let positions = &standings.positions;
    positions.get(&shard).copied().unwrap_or_default()
}

impl App {
    /// Reads what was committed since, and tells those who subscribed. Dropped before its end, it
    /// has told what it has told, and the next one goes on there.
    pub async fn follow_feed(&self) -> Result<()> {
        self.0.feed.poll(&self.0.store, &*self.0.clock).await
    }

    /// Until something was committed here, or elsewhere while [`App::relay_bell`] runs.
    pub async fn bell_rung(&self) {
        self.0.store.bell().rung().await;
    }

    /// Carries the bell between replicas until that fails; answers why.
    pub async fn relay_bell(&self) -> Error {
        match self.0.store.relay().await {
            Ok(never) => match never {},
            Err(error) => error.into(),
        }
    }

    /// How long ago the last successful look at the feed began.
    pub fn feed_lag(&self) -> Duration {
        let started = self.0.feed.standings().started;
        self.0.clock.monotonic().saturating_sub(started)
    }

    /// Whether others' changes arrive late, or not at all.
    pub fn feed_lags(&self) -> bool {
        self.feed_lag() > LAGGING
    }

    /// Forgets what nobody can resume after any more, in batches that hold up no commit for long.
    pub(super) async fn sweep_feed(&self) -> Result<()> {
        let before = self.0.clock.now().before(KEPT);
        for shard in 0..SHARDS {
            for _ in 0..SWEEPS {
                let mut tx = self.0.store.upkeep().await?;
                let count = tx.old_changes().delete_old(shard, before, PAGE).await?;
                tx.commit().await?;
                if i64::try_from(count) != Ok(PAGE) {
                    break;
                }
            }
        }
        Ok(())
    }
}
