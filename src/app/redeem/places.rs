//! What this process remembers of the places where refresh tokens are redeemed: whether they are
//! in trouble, and how many renewals that nobody waits for are under way there. Each replica
//! remembers for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::breaker::{Breaker, Errand};
use crate::domain::time::Clock;

/// Renewals ahead of time that run side by side at one place.
pub(super) const AHEAD_AT_ONCE: usize = 4;
/// The same at all places together.
const AHEAD_IN_ALL: usize = 64;
/// For how long a place that has enough to do is spared renewals that nobody waits for: where it does
/// not say, and at the longest.
const SPARED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));
/// So many places are remembered before those without trouble are forgotten, and those whose trouble
/// is so old.
const REMEMBERED: usize = 4096;
const FORGOTTEN: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Place {
    breaker: Breaker,
    ahead: Arc<Semaphore>,
    /// Until when it is spared renewals that nobody waits for, on the monotonic clock.
    spared_until: Duration,
    /// When it was last asked about, on the monotonic clock.
    touched: Duration,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            ahead: Arc::new(Semaphore::new(AHEAD_AT_ONCE)),
            spared_until: Duration::ZERO,
            touched: Duration::ZERO,
        }
    }
}

/// The places, by token endpoint: an issuer's name is anybody's to claim.
#[derive(Debug, Clone)]
pub(in crate::app) struct Places {
    known: Arc<Mutex<HashMap<String, Place>>>,
    ahead: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl Places {
    pub(in crate::app) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            known: Arc::default(),
            ahead: Arc::new(Semaphore::new(AHEAD_IN_ALL)),
            clock,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at<T>(&self, endpoint: &str, act: impl FnOnce(&mut Place) -> T) -> T {
        let now = self.clock.monotonic();
        let mut known = self.known();
        if known.len() >= REMEMBERED && !known.contains_key(endpoint) {
            known.retain(|_, place| {
                let troubled = !place.breaker.is_idle() && now < place.touched + FORGOTTEN;
                troubled
                    || now < place.spared_until
                    || place.ahead.available_permits() < AHEAD_AT_ONCE
            });
        }
        let place = known.entry(endpoint.to_owned()).or_default();
        place.touched = now;
        act(place)
    }

    /// The right to send one request, unless the place is to be left alone.
    pub(super) fn admit(&self, endpoint: &str) -> Result<Passage, Duration> {
        let now = self.clock.monotonic();
        let errand = self.at(endpoint, |place| place.breaker.admit(now))?;
        Ok(Passage {
            places: self.clone(),
            endpoint: endpoint.to_owned(),
            errand,
            reported: false,
        })
    }

    /// How long a place is left alone, if it is.
    pub(in crate::app) fn wait(&self, endpoint: &str) -> Option<Duration> {
        let now = self.clock.monotonic();
        self.known()
            .get(endpoint)
            .and_then(|place| place.breaker.wait(now))
    }

    /// How long a place is left alone, or spared what nobody waits for.
    pub(super) fn wait_ahead(&self, endpoint: &str) -> Option<Duration> {
        let now = self.clock.monotonic();
        let known = self.known();
        let place = known.get(endpoint)?;
        let spared = place
            .spared_until
            .checked_sub(now)
            .filter(|wait| !wait.is_zero());
        place.breaker.wait(now).max(spared)
    }

    /// How many places are left alone.
    pub(super) fn left_alone(&self) -> usize {
        let now = self.clock.monotonic();
        let known = self.known();
        let waits = |place: &&Place| place.breaker.wait(now).is_some();
        known.values().filter(waits).count()
    }

    /// A place among the renewals that nobody waits for; `None` when there are enough.
    pub(super) fn ahead(&self, endpoint: &str) -> Option<Ahead> {
        let here = self.at(endpoint, |place| Arc::clone(&place.ahead));
        Some(Ahead {
            _here: here.try_acquire_owned().ok()?,
            _in_all: Arc::clone(&self.ahead).try_acquire_owned().ok()?,
        })
    }
}

/// A place among the renewals that nobody waits for.
#[derive(Debug)]
pub(super) struct Ahead {
    _here: OwnedSemaphorePermit,
    _in_all: OwnedSemaphorePermit,
}

/// The right to send one request. Dropped without a word, nothing was sent.
#[derive(Debug)]
pub(super) struct Passage {
    places: Places,
    endpoint: String,
    errand: Errand,
    reported: bool,
}

/// How a place behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaved {
    /// It answered, whatever it said.
    Well,
    /// It could not be reached, did not answer, or is in trouble.
    Badly,
    /// It is asked too often (429), and may have said when to come back. That is a matter of whom it
    /// was asked for as well: only what nobody waits for is kept from it.
    Busy(Option<Duration>),
}

impl Passage {
    /// Says how the place behaved.
    pub(super) fn report(mut self, behaved: Behaved) {
        self.reported = true;
        let (now, errand) = (self.places.clock.monotonic(), self.errand);
        self.places.at(&self.endpoint, |place| match behaved {
            Behaved::Well => place.breaker.succeeded(),
            Behaved::Badly => place.breaker.failed(errand, now),
            Behaved::Busy(wished) => {
                place.breaker.abandoned(errand, now);
                let spared = now + wished.unwrap_or(SPARED.0).min(SPARED.1);
                place.spared_until = place.spared_until.max(spared);
            }
        });
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if !self.reported {
            let (now, errand) = (self.places.clock.monotonic(), self.errand);
            self.places.at(&self.endpoint, |place| {
                place.breaker.abandoned(errand, now);
            });
        }
    }
}
