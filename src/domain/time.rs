//! Time: a [`Timestamp`] in microseconds and the [`Clock`] seam every layer reads it from.
//!
//! Nothing else in the project asks the system for the time (held by `.clippy.toml`).

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since the Unix epoch. What was written is what is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point so many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The point so many whole seconds after the Unix epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This point moved later, saturating.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// This point moved earlier, saturating.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// Whole microseconds of a duration, saturating.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Numbers with units (`ms`, `s`, `m`, `h`, `d`), added up.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    loop {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = after.find(|c: char| c.is_ascii_digit());
        let (unit, next) = after.split_at(end.unwrap_or(after.len()));
        let number: u64 = digits.parse().ok()?;
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "s" => seconds(1)?,
            "m" => seconds(60)?,
            "h" => seconds(3_600)?,
            "d" => seconds(86_400)?,
            _ => return None,
        };
        sum = sum.checked_add(part)?;
        rest = next;
        if rest.is_empty() {
            return Some(sum);
        }
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. May jump in either direction.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point in this process. Never goes backwards; used where a lease must
    /// not be outlived.
    fn monotonic(&self) -> Duration;

    /// The point of the process's own monotonic time at which [`Self::monotonic`] reads this; for
    /// what must stop by itself, far from any clock. A clock that stands still is taken to run from
    /// now on.
    fn instant(&self, monotonic: Duration) -> Instant;
}

/// Whether this point is over. Asks the process's monotonic clock, whatever [`Clock`] made the point.
pub fn has_passed(point: Instant) -> bool {
    !point.elapsed().is_zero()
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place the system clock is read"
    )]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place the system clock is read"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(micros(since_epoch))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn instant(&self, monotonic: Duration) -> Instant {
        self.started + monotonic
    }
}

/// A clock that moves only when told to; the clock of tests and of the model.
#[derive(Debug)]
pub struct FixedClock {
    state: Mutex<(Timestamp, Duration)>,
}

impl FixedClock {
    /// A clock that stands at this point.
    pub fn at(now: Timestamp) -> Self {
        Self {
            state: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Moves wall clock and monotonic clock forward together.
    pub fn advance(&self, by: Duration) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 = state.0.after(by);
        state.1 = state.1.saturating_add(by);
    }
}

impl Default for FixedClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_secs(1_767_225_600))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0
    }

    fn monotonic(&self) -> Duration {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place the system clock is read"
    )]
    fn instant(&self, monotonic: Duration) -> Instant {
        let (now, at) = (Instant::now(), self.monotonic());
        let later = now + monotonic.saturating_sub(at);
        later
            .checked_sub(at.saturating_sub(monotonic))
            .unwrap_or(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let late = Timestamp::from_micros(i64::MAX);

        assert_eq!(late.after(Duration::from_secs(1)), late);
        assert_eq!(
            late.since(Timestamp::from_micros(i64::MIN)),
            Duration::from_micros(i64::MAX.unsigned_abs())
        );
        assert_eq!(
            Timestamp::from_secs(1).since(Timestamp::from_secs(2)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::default();
        let start = clock.now();

        clock.advance(Duration::from_secs(3));

        assert_eq!(clock.now().since(start), Duration::from_secs(3));
        assert_eq!(clock.monotonic(), Duration::from_secs(3));
    }

    #[test]
    fn a_point_of_the_past_has_passed_and_one_of_the_future_has_not() {
        let fixed = FixedClock::default();
        fixed.advance(Duration::from_mins(1));
        let clocks: [&dyn Clock; 2] = [&SystemClock::new(), &fixed];

        for clock in clocks {
            assert!(has_passed(clock.instant(Duration::ZERO)), "{clock:?}");
            assert!(
                !has_passed(clock.instant(Duration::from_hours(1))),
                "{clock:?}"
            );
        }
    }
}
