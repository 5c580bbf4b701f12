//! The one clock of all processes of a storm, and chance that repeats.

use std::ops::Range;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Microseconds of `CLOCK_MONOTONIC`, which is the same in every process of this machine.
pub(crate) fn now() -> u64 {
    let at = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(at.tv_sec).expect("the clock is past its start");
    let nanos = u64::try_from(at.tv_nsec).expect("nanoseconds are not negative");
    seconds * 1_000_000 + nanos / 1_000
}

/// A duration in the clock's unit.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A count, where a number of the clock's kind is wanted.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Chance that repeats: the same seed gives the same numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// For one purpose, told apart from others by numbers.
    pub(crate) fn new(seed: u64, purpose: &[u64]) -> Self {
        let mut chance = Self(seed);
        for part in purpose {
            let mixed = chance.next() ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93);
            chance = Self(mixed);
        }
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("limits are small").max(1);
        usize::try_from(self.next() % limit).expect("below a limit that was a usize")
    }

    /// So many times in a thousand.
    pub(crate) fn in_thousand(&mut self, times: u64) -> bool {
        self.next() % 1_000 < times
    }

    /// A duration within milliseconds.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        let span = range.end.saturating_sub(range.start).max(1);
        Duration::from_millis(range.start + self.next() % span)
    }
}
