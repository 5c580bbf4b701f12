//! Calls without valid credentials: one audit event for each source and minute, written when the minute
//! is over. What is counted is bounded, whoever calls from how many places.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::App;
use super::access::default_tenant;
use super::error::{Error, Result};
use crate::domain::audit::{NewAuditEvent, Origin, Verdict, Who};
use crate::domain::time::Timestamp;

/// Sources told apart within a minute. The others are counted together, as from nowhere.
const SOURCES: usize = 1024;
/// Minutes kept while they cannot be written; the oldest is given up for another.
const MINUTES: usize = 10;
/// Events written in one transaction: whoever commits in the default tenant's shard waits for it.
const BATCH: usize = 50;

/// What was refused and is not written yet, by minutes since the epoch.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<BTreeMap<i64, HashMap<Option<IpAddr>, Refused>>>);

/// How often, and why.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Refused {
    missing: i64,
    invalid: i64,
}

impl Refused {
    fn add(&mut self, other: Self) {
        self.missing = self.missing.saturating_add(other.missing);
        self.invalid = self.invalid.saturating_add(other.invalid);
    }
}

/// The refusals of one source in one minute.
type Counted = (i64, Option<IpAddr>, Refused);

impl Strangers {
    fn minutes(&self) -> MutexGuard<'_, BTreeMap<i64, HashMap<Option<IpAddr>, Refused>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, (minute, source, refused): Counted) {
        let mut minutes = self.minutes();
        let sources = minutes.entry(minute).or_default();
        let known = sources.len() < SOURCES || sources.contains_key(&source);
        let source = source.filter(|_| known);
        sources.entry(source).or_default().add(refused);
        if minutes.len() > MINUTES && minutes.pop_first().is_some() {
            tracing::warn!(
                "refusals of a minute are not in the audit trail: it could not be written"
            );
        }
    }

    /// Takes what was counted before a minute.
    fn take(&self, before: i64) -> Vec<Counted> {
        let mut minutes = self.minutes();
        let later = minutes.split_off(&before);
        let over = std::mem::replace(&mut *minutes, later);
        drop(minutes);
        let of = |(minute, sources): (i64, HashMap<_, _>)| {
            sources
                .into_iter()
                .map(move |(source, refused)| (minute, source, refused))
        };
        over.into_iter().flat_map(of).collect()
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(60)
}

impl App {
    /// Counts a call whose credentials are none of ours.
    pub(super) fn note_stranger(&self, refusal: &Error, source: Option<IpAddr>) {
        let refused = Refused {
            missing: i64::from(matches!(refusal, Error::CredentialsMissing)),
            invalid: i64::from(matches!(refusal, Error::CredentialsInvalid)),
        };
        if refused != Refused::default() {
            let now = minute(self.0.clock.now());
            self.0.strangers.note((now, source, refused));
        }
    }

    /// Writes the refusals of minutes that are over. Answers how many events that makes. What cannot be
    /// written is for the next time.
    pub async fn write_refusals(&self) -> Result<u64> {
        self.write_counted(minute(self.0.clock.now())).await
    }

    /// Writes all refusals, those of this minute too: for the end of the process.
    pub async fn write_all_refusals(&self) -> Result<u64> {
        self.write_counted(i64::MAX).await
    }

    async fn write_counted(&self, before: i64) -> Result<u64> {
        let counted = self.0.strangers.take(before);
        let mut written = 0;
        for (number, batch) in counted.chunks(BATCH).enumerate() {
            let done = self.write_refused(batch).await;
            if let Err(error) = done {
                for left in counted.iter().skip(number * BATCH) {
                    self.0.strangers.note(*left);
                }
                return Err(error);
            }
            written += batch.len();
        }
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    async fn write_refused(&self, counted: &[Counted]) -> Result<()> {
        let mut events = Vec::with_capacity(counted.len());
        for counted in counted {
            events.push(self.event_of(*counted)?);
        }
        let Some(last) = events.pop() else {
            return Ok(());
        };
        let mut tx = self.0.store.write().await?;
        for event in events {
            tx.record(event);
        }
        tx.commit(&last).await?;
        Ok(())
    }

    /// Strangers belong to no tenant; the deployment's own trail is that of the default one.
    fn event_of(&self, (minute, source, refused): Counted) -> Result<NewAuditEvent> {
        let origin = Origin {
            who: Who::Unknown,
            request_id: None,
            address: source,
        };
        let subject = source.map(|source| source.to_string());
        let subject = subject.unwrap_or_default();
        let mut event = self.event(
            &default_tenant()?,
            origin,
            "access.refuse_stranger",
            subject,
        );
        event.at = Timestamp::from_secs(minute.saturating_mul(60));
        event.verdict = Verdict::Refused;
        let reason = if refused.invalid > 0 {
            Error::CredentialsInvalid
        } else {
            Error::CredentialsMissing
        };
        event.reason = reason.refusal().map(str::to_owned);
        event.count = refused.missing.saturating_add(refused.invalid);
        event.detail = serde_json::json!({
            "missing": refused.missing,
            "invalid": refused.invalid,
        });
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Refused = Refused {
        missing: 0,
        invalid: 1,
    };

    fn address(number: usize) -> IpAddr {
        let number = u32::try_from(number).unwrap();
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn beyond_so_many_sources_of_a_minute_the_rest_is_counted_together() {
        let strangers = Strangers::default();
        for number in 0..SOURCES + 10 {
            strangers.note((7, Some(address(number)), ONE));
        }
        strangers.note((7, Some(address(0)), ONE));

        let counted = strangers.take(8);

        let of = |source| counted.iter().find(|(_, at, _)| *at == source);
        assert_eq!(counted.len(), SOURCES + 1);
        assert_eq!(of(None).unwrap().2.invalid, 10);
        assert_eq!(of(Some(address(0))).unwrap().2.invalid, 2);
    }

    #[test]
    fn minutes_that_cannot_be_written_do_not_add_up_for_ever() {
        let strangers = Strangers::default();
        for minute in 0..100 {
            strangers.note((minute, None, ONE));
        }

        let counted = strangers.take(i64::MAX);

        let kept: Vec<_> = counted.iter().map(|(minute, ..)| *minute).collect();
        assert_eq!(kept, (90..100).collect::<Vec<_>>());
        assert!(strangers.take(i64::MAX).is_empty());
    }

    #[test]
    fn the_minute_that_is_under_way_is_left() {
        let strangers = Strangers::default();
        for minute in [5, 6] {
            strangers.note((minute, None, ONE));
        }

        assert_eq!(strangers.take(6), [(5, None, ONE)]);
        assert_eq!(strangers.take(7), [(6, None, ONE)]);
    }
}
