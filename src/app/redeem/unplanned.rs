//! Grants that nobody planned for: written by a release that made no plans, or before the deployment
//! was told of their provider. A walk over all of them, a stretch at each sweep, plans those for which
//! today's rules know a time.

use std::sync::{Mutex, PoisonError};

use super::super::App;
use super::super::error::Result;
use super::super::readable::readable;
use crate::domain::page::{Cursor, PageRequest};

/// How many grants a stretch looks at.
const STRETCH: i64 = 1_000;

/// Where the walk is. Each replica has its own; what one has planned the others do not find.
#[derive(Debug, Default)]
pub(in super::super) struct Walk(Mutex<Option<Cursor>>);

impl App {
    /// Plans the next stretch; after the last one, the first again.
    pub(in super::super) async fn plan_unplanned(&self) -> Result<()> {
        let at = || self.0.walk.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = PageRequest {
            size: STRETCH,
            after: at().clone(),
        };
        let mut tx = self.0.store.read().await?;
        let found = tx.connections().list_unplanned(&page).await?;
        drop(tx);
        for connection in readable(found.entries) {
            let due = connection.next_due(connection.used_at, &self.policy(&connection));
            if due.is_some() {
                self.plan(&connection, due).await?;
            }
        }
        *at() = found.next;
        Ok(())
    }
}
