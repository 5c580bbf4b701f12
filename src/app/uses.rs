//! When credentials were handed out: gathered in memory, written in batches, so that a resolve
//! writes nothing. What a crash loses is at most a minute of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::App;
use super::error::Result;
use super::redeem::Grant;
use crate::domain::connections::{GrantId, Use};

/// A use is noted again after so long.
const EACH: Duration = Duration::from_mins(1);
/// How many are written in one transaction where one process has the database.
const BATCH: usize = 200;
/// How many transactions are under way at a time elsewhere.
const WRITERS: usize = 4;
/// The most that is gathered between two batches; further uses are not noted.
const MOST: usize = 100_000;

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<GrantId, Use>>);

impl Uses {
    fn note(&self, grant: GrantId, seen: Use) {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.len() < MOST || gathered.contains_key(&grant) {
            gathered.insert(grant, seen);
        }
    }

    fn take(&self) -> Vec<(GrantId, Use)> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *gathered).into_iter().collect()
    }
}

impl App {
    /// Notes that a credential is handed out.
    pub(super) fn note_use<G: Grant>(&self, grant: &G) {
        let at = self.0.clock.now();
        let life = grant.life();
        let known = grant
            .used_at()
            .is_some_and(|used| used >= life.obtained_at && at < used.after(EACH));
        if known {
            return;
        }
        let id = grant.id();
        let policy = self.policy(grant);
        let seen = Use {
            tenant: grant.owner().0.clone(),
            generation: life.generation,
            at,
            due_at: life.next_due(id.as_bytes(), Some(at), &policy),
        };
        self.0.uses.note(id, seen);
    }

    /// Writes the uses gathered since the last time. Answers how many. What cannot be written is
    /// forgotten: the next use is noted again.
    pub async fn write_uses(&self) -> Result<u64> {
        let mut uses = self.0.uses.take();
        uses.sort_unstable_by_key(|(grant, _)| *grant);
        // Where others write too, one row a transaction: one that held several could wait for another in
        // a circle. Some are under way side by side, and none waits for the disk.
        let (batch, writers) = if self.0.store.is_exclusive() {
            (BATCH, 1)
        } else {
            (1, WRITERS)
        };
        stream::iter(uses.chunks(batch))
            .map(Ok)
            .try_for_each_concurrent(writers, |seen| self.write_together(seen))
            .await?;
        Ok(u64::try_from(uses.len()).unwrap_or(u64::MAX))
    }

    async fn write_together(&self, uses: &[(GrantId, Use)]) -> Result<()> {
        let mut tx = self.0.store.lazy_upkeep().await?;
        for (grant, seen) in uses {
            match *grant {
                GrantId::Connection(id) => tx.connection_leases().note_use(id, seen).await?,
                GrantId::Identity(id) => tx.identity_leases().note_use(id, seen).await?,
            }
        }
        Ok(tx.commit().await?)
    }
}
