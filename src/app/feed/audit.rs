//! Following the audit trail: every event from a place on, in the order of the commits.
//!
//! Events are their own entries of the feed, so the database is the queue: whenever the follower has
//! gone on in the tenant's shard, the watch reads the trail after what it has told.

use std::pin::Pin;

use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::{BEAT, Course, Events, Guard, Told, Watch, resumable};
use crate::app::App;
use crate::app::audit::check_reach;
use crate::app::error::Result;
use crate::app::readable::readable;
use crate::domain::access::Caller;
use crate::domain::audit::{AuditEvent, Filter};
use crate::domain::changes::Revision;

/// Events read at a time.
const PAGE: i64 = 100;

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrailEvent {
    /// An event of the trail.
    Put(Box<AuditEvent>),
    /// The watch has begun.
    Synced,
    /// Nothing happened for a while.
    Heartbeat,
}

/// Follows the trail of a tenant.
#[derive(Debug)]
pub struct AuditWatch {
    app: App,
    caller: Caller,
    filter: Filter,
    guard: Guard,
    moved: watch::Receiver<()>,
    /// Whether there may be something to read.
    behind: bool,
    course: Course<TrailEvent>,
    beat: Pin<Box<Sleep>>,
}

impl App {
    /// Follows the audit trail: what is committed from now on, or after a place. Needs
    /// [`App::follow_feed`] to be called now and then. A key narrowed to servers may not.
    pub async fn watch_audit_events(
        &self,
        caller: &Caller,
        filter: Filter,
        after: Option<Revision>,
    ) -> Result<AuditWatch> {
        check_reach(caller)?;
        let guard = Guard::new(self, caller)?;
        // What is committed after this reading is heard of.
        let moved = self.0.feed.moved();
        let mut tx = self.0.store.read().await?;
        let head = tx.feed().head_of(&caller.tenant).await?;
        drop(tx);
        if let Some(after) = after {
            resumable(head, after)?;
        }
        let begun = after.unwrap_or(head.last);
        let mut course = Course::after(begun);
        course.tell(TrailEvent::Synced, begun);
        Ok(AuditWatch {
            app: self.clone(),
            caller: caller.clone(),
            filter,
            guard,
            moved,
            behind: after.is_some(),
            course,
            beat: Box::pin(sleep(BEAT)),
        })
    }
}

impl AuditWatch {
    /// The next event; waits for it. Ends as [`super::ConnectionWatch::next`] does.
    pub async fn next(&mut self) -> Result<Told<TrailEvent>> {
        loop {
            self.guard.check().await?;
            if let Some(told) = self.course.next() {
                return Ok(told);
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            tokio::select! {
                biased;
                () = self.guard.rung() => {}
                moved = self.moved.changed() => {
                    // The feed lives as long as the watch.
                    let standing = self.app.0.feed.standing(&self.caller.tenant);
                    self.behind = moved.is_ok() && standing.position != self.course.position();
                }
                () = self.beat.as_mut() => {
                    self.tell(TrailEvent::Heartbeat, self.course.position());
                }
            }
        }
    }

    /// The events, told by a task of their own. Fails with [`crate::app::Error::WatchTooSlow`] besides,
    /// when events wait for a minute and none is taken.
    pub fn detached(self) -> Events<Told<TrailEvent>> {
        self.app.clone().detach(self)
    }

    fn tell(&mut self, event: TrailEvent, revision: Revision) {
        self.course.tell(event, revision);
        self.beat = Box::pin(sleep(BEAT));
    }

    /// One page of the trail.
    async fn read(&mut self) -> Result<()> {
        let (tenant, after) = (&self.caller.tenant, self.course.position());
        let mut tx = self.app.0.store.read().await?;
        let head = tx.feed().head_of(tenant).await?;
        resumable(head, after)?;
        let found = tx
            .audit()
            .list_after(tenant, &self.filter, after, PAGE)
            .await?;
        drop(tx);
        for event in readable(found.entries) {
            let revision = event.revision;
            self.tell(TrailEvent::Put(Box::new(event)), revision);
        }
        self.behind = found.next.is_some();
        self.course.reach(found.next.unwrap_or(head.last));
        Ok(())
    }
}

impl Watch for AuditWatch {
    type Event = Told<TrailEvent>;

    async fn next(&mut self) -> Result<Option<Self::Event>> {
        Self::next(self).await.map(Some)
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn seen(&self) -> Revision {
        self.course.seen()
    }
}
