//! The keys of trusted issuers as they publish them: fetched when they are first needed, kept for a
//! while, fetched again at once where a token names a key that is not among them.
//!
//! For each issuer at most one fetch is under way, whatever arrives. Strangers cannot have us ask more
//! often than [`SEEK`] says: an unknown key is sought once in so long. Keys that are old are fetched
//! again behind the call that finds them so, which goes by those held, unless they are much older: a slow
//! issuer slows nobody whose key is known. Keys that are no longer published stop working with that fetch. One that fails leaves
//! the keys of before in use for [`KEPT`]: an outage of the issuer locks out nobody at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::app::error::{Error, Result};
use crate::app::flights::Flights;
use crate::crypto::KeySet;
use crate::domain::authorization::Issuer;
use crate::domain::issuers::TrustedIssuer;
use crate::domain::jws::Jws;
use crate::oauth::{IssuerKeys, issuer_keys};

/// How long keys are kept without asking again where their owner does not say.
const FRESH: Duration = Duration::from_mins(10);
/// Between these is what their owner may say.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// How long a known key is gone by, beyond the age of its set, while that is fetched again.
const LATE: Duration = Duration::from_mins(10);
/// How long keys are gone by that could not be fetched again.
const KEPT: Duration = Duration::from_hours(24);
/// How often a key is sought that is not among those published, and keys that could not be fetched again.
const SEEK: Duration = Duration::from_secs(30);
/// How often keys are asked for while there are none.
const RETRY: Duration = Duration::from_secs(5);
/// How long a fetch may take, with all its requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sets held, and the requests under way.
#[derive(Debug, Default)]
pub(in crate::app) struct KeySets {
    held: Mutex<HashMap<Issuer, Held>>,
    flights: Flights<Issuer>,
}

/// What is held of one issuer. Times are monotonic.
#[derive(Debug, Default)]
struct Held {
    set: Option<Set>,
    /// When the last request failed, if none succeeded since.
    failed: Option<Duration>,
    /// When a key was last sought that was not among the set.
    sought: Option<Duration>,
}

#[derive(Debug)]
struct Set {
    keys: Arc<KeySet>,
    got: Duration,
    fresh_until: Duration,
}

/// Why keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// There are none, or they are old.
    Age,
    /// One is not among them.
    Unknown,
}

impl Held {
    fn keys(&self, now: Duration) -> Option<&Arc<KeySet>> {
        let set = self.set.as_ref()?;
        (now.saturating_sub(set.got) < KEPT).then_some(&set.keys)
    }

    /// Whether to ask now, for a token that names one of the keys held or does not.
    fn need(&self, now: Duration, is_known: bool) -> Option<Need> {
        let within =
            |at: Option<Duration>, pause| at.is_some_and(|at| now.saturating_sub(at) < pause);
        let pause = if self.keys(now).is_some() {
            SEEK
        } else {
            RETRY
        };
        if within(self.failed, pause) {
            return None;
        }
        let set = self.set.as_ref();
        if set.is_none_or(|set| now >= set.fresh_until) {
            return Some(Need::Age);
        }
        (!is_known && !within(self.sought, SEEK)).then_some(Need::Unknown)
    }

    fn keep(&mut self, keys: KeySet, max_age: Option<Duration>, now: Duration) {
        let fresh = max_age.unwrap_or(FRESH).clamp(SHORTEST, LONGEST);
        self.failed = None;
        self.set = Some(Set {
            keys: Arc::new(keys),
            got: now,
            fresh_until: now.saturating_add(fresh),
        });
    }
}

/// What is held for a token.
struct Look {
    keys: Option<Arc<KeySet>>,
    /// Whether the key that the token names is among them, and they are not much too old.
    does: bool,
    need: Option<Need>,
}

impl KeySets {
    fn look(&self, issuer: &Issuer, token: &Jws<'_>, now: Duration) -> Look {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(issuer.clone()).or_default();
        let keys = held.keys(now).cloned();
        let is_known = keys.as_ref().is_some_and(|keys| keys.knows(token));
        let late = |set: &Set| now >= set.fresh_until.saturating_add(LATE);
        Look {
            need: held.need(now, is_known),
            keys,
            does: is_known && !held.set.as_ref().is_some_and(late),
        }
    }

    fn note(&self, issuer: &Issuer, note: impl FnOnce(&mut Held)) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        note(all.entry(issuer.clone()).or_default());
    }
}

impl App {
    /// The keys that an issuer's token is to be verified with.
    ///
    /// [`Error::UpstreamUnavailable`] while there are none to go by.
    pub(super) async fn keys_for(
        &self,
        trusted: &TrustedIssuer,
        token: &Jws<'_>,
    ) -> Result<Arc<KeySet>> {
        let sets = &self.0.key_sets;
        let look = || sets.look(&trusted.issuer, token, self.0.clock.monotonic());
        let Look {
            mut keys,
            does,
            need,
        } = look();
        if let Some(need) = need {
            let mut flight = sets.flights.join(&trusted.issuer, |landing| {
                let (app, trusted) = (self.clone(), trusted.clone());
                // Others wait for it, whatever becomes of this caller.
                self.0.tasks.spawn(async move {
                    app.fetch_keys(&trusted, need).await;
                    drop(landing);
                });
            });
            if !does {
                // Nothing is sent; it closes when the flight is over.
                let _ = flight.changed().await;
                keys = look().keys;
            }
        }
        keys.ok_or(Error::UpstreamUnavailable { retry_after: RETRY })
    }

    async fn fetch_keys(&self, trusted: &TrustedIssuer, need: Need) {
        let ask = IssuerKeys {
            issuer: &trusted.issuer,
            jwks_uri: trusted.jwks_uri.as_ref(),
            deadline: PATIENCE,
        };
        let published = timeout(PATIENCE, issuer_keys(&self.0.fetch, ask)).await;
        let read = published.map_err(|_elapsed| "deadline exceeded".to_owned());
        let read = read.and_then(|read| read.map_err(|error| error.to_string()));
        let read = read.and_then(|published| {
            let keys = KeySet::parse(&published.document).map_err(|error| error.to_string())?;
            Ok((keys, published.max_age))
        });
        let now = self.0.clock.monotonic();
        let issuer = trusted.issuer.as_str();
        match read {
            Ok((keys, max_age)) => {
                tracing::debug!(issuer, ?keys, "fetched the keys of {issuer}");
                self.0.key_sets.note(&trusted.issuer, |held| {
                    held.keep(keys, max_age, now);
                });
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "the keys of {issuer} cannot be had");
                self.0.key_sets.note(&trusted.issuer, |held| {
                    held.failed = Some(now);
                });
            }
        }
        if need == Need::Unknown {
            self.0.key_sets.note(&trusted.issuer, |held| {
                held.sought = Some(now);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn set() -> KeySet {
        KeySet::parse(b"{\"keys\":[]}").unwrap()
    }

    fn held(max_age: Option<Duration>) -> Held {
        let mut held = Held::default();
        held.keep(set(), max_age, secs(0));
        held
    }

    #[test]
    fn keys_are_asked_for_when_there_are_none_and_when_they_are_old() {
        assert_eq!(Held::default().need(secs(0), false), Some(Need::Age));
        assert_eq!(held(None).need(secs(599), true), None);
        assert_eq!(held(None).need(secs(600), true), Some(Need::Age));
    }

    #[test]
    fn their_owner_says_within_bounds_how_long_they_are_kept() {
        for (said, kept) in [(0, 60), (90, 90), (86_400, 3_600)] {
            let held = held(Some(secs(said)));

            assert_eq!(held.need(secs(kept - 1), true), None, "{said}");
            assert_eq!(held.need(secs(kept), true), Some(Need::Age), "{said}");
        }
    }

    #[test]
    fn an_unknown_key_is_sought_at_once_and_then_once_in_a_while() {
        let mut held = held(None);

        assert_eq!(held.need(secs(1), false), Some(Need::Unknown));
        held.keep(set(), None, secs(1));
        held.sought = Some(secs(1));
        assert_eq!(held.need(secs(30), false), None);
        assert_eq!(held.need(secs(31), false), Some(Need::Unknown));
    }

    #[test]
    fn a_failure_is_followed_by_a_pause_and_by_the_keys_of_before_for_a_day() {
        let mut none = Held {
            failed: Some(secs(0)),
            ..Held::default()
        };
        assert_eq!(none.need(secs(4), false), None);
        assert_eq!(none.need(secs(5), false), Some(Need::Age));
        none.keep(set(), None, secs(5));
        assert_eq!(none.need(secs(6), true), None);

        let mut old = held(None);
        old.failed = Some(secs(600));
        assert_eq!(old.need(secs(629), true), None);
        assert_eq!(old.need(secs(630), true), Some(Need::Age));
        assert!(old.keys(secs(86_399)).is_some());
        assert!(old.keys(secs(86_400)).is_none());
    }
}
