//! How far a watch is: what it has told, what it tells next, and where it may begin.

use std::collections::VecDeque;
use std::time::Duration;

use crate::app::error::{Error, Result};
use crate::domain::changes::{Head, Revision};

/// How long nothing may happen before a watcher is told that nothing happened; the API promises
/// 30 s.
pub(super) const BEAT: Duration = Duration::from_secs(20);

/// An event, and where to resume after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<E> {
    /// What happened.
    pub event: E,
    /// Its place in the feed. Zero before everything that existed was told.
    pub revision: Revision,
}

/// Refuses a place that cannot be resumed after: what followed is forgotten, or never was.
pub(super) fn resumable(head: Head, after: Revision) -> Result<()> {
    if (head.floor..=head.last).contains(&after) {
        return Ok(());
    }
    Err(Error::RevisionCompacted(head.floor))
}

/// The course of one watch. Revisions never go back.
#[derive(Debug)]
pub(super) struct Course<E> {
    /// Everything up to here was told, or is ready.
    position: Revision,
    ready: VecDeque<Told<E>>,
    /// Everything up to here was told; no less.
    told: Revision,
}

impl<E> Course<E> {
    /// One that begins after a place.
    pub(super) fn after(position: Revision) -> Self {
        Self {
            position,
            ready: VecDeque::new(),
            told: position,
        }
    }

    /// Everything up to here was told, or is ready.
    pub(super) fn position(&self) -> Revision {
        self.position
    }

    /// Everything up to there is ready.
    pub(super) fn reach(&mut self, position: Revision) {
        self.position = self.position.max(position);
    }

    /// Has an event ready.
    pub(super) fn tell(&mut self, event: E, revision: Revision) {
        self.ready.push_back(Told { event, revision });
    }

    /// Tells the next event that is ready.
    pub(super) fn next(&mut self) -> Option<Told<E>> {
        let told = self.ready.pop_front()?;
        self.told = told.revision;
        Some(told)
    }

    /// Where to resume after what was told.
    pub(super) fn seen(&self) -> Revision {
        if self.ready.is_empty() {
            self.position
        } else {
            self.told
        }
    }
}
