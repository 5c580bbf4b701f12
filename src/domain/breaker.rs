//! The breaker: after so many failures in a row a place is left alone for a while, then tried by
//! one request, whose outcome says how it goes on. Pure; times are a process's monotonic clock.

use std::time::Duration;

/// Failures in a row that open it.
const THRESHOLD: u32 = 5;
/// How long it stays open first, and at the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// The state of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Everything passes.
    #[default]
    Closed,
    /// Nothing passes until then.
    Open { until: Duration, pause: Duration },
    /// One request is on its way to find out.
    HalfOpen { pause: Duration },
}

impl Breaker {
    /// Whether a request may pass now; otherwise how long to wait before asking again. Who passes
    /// must say how it went: [`Self::succeeded`], [`Self::failed`] or [`Self::abandoned`].
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open { until, .. } if now < until => Err(until.saturating_sub(now)),
            State::Open { pause, .. } => {
                self.state = State::HalfOpen { pause };
                Ok(())
            }
            State::HalfOpen { .. } => Err(PAUSES.0),
        }
    }

    /// How long to wait before a request may pass; `None` when one may.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let mut copy = *self;
        copy.admit(now).err()
    }

    /// A request that passed was answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A request that passed was not answered, or with trouble.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.state {
            State::Closed if self.failures < THRESHOLD => return,
            // Those that passed before it opened tell nothing new.
            State::Open { .. } => return,
            State::Closed => PAUSES.0,
            State::HalfOpen { pause } => pause.saturating_mul(2).min(PAUSES.1),
        };
        let until = now.saturating_add(pause);
        self.state = State::Open { until, pause };
    }

    /// A request that passed was not made: the next one may find out.
    pub fn abandoned(&mut self, now: Duration) {
        if let State::HalfOpen { pause } = self.state {
            self.state = State::Open { until: now, pause };
        }
    }

    /// Whether nothing is remembered.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened_at(now: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..THRESHOLD {
                breaker.failed(Duration::ZERO);
            }
            breaker.succeeded();
        }

        assert_eq!(breaker.wait(Duration::ZERO), None);
        assert_eq!(
            opened_at(Duration::ZERO).wait(Duration::ZERO),
            Some(PAUSES.0)
        );
    }

    #[test]
    fn one_request_finds_out_and_the_others_wait() {
        let mut breaker = opened_at(Duration::ZERO);

        assert_eq!(breaker.admit(PAUSES.0), Ok(()));
        assert!(breaker.admit(PAUSES.0).is_err());
        breaker.succeeded();
        assert_eq!(breaker.admit(PAUSES.0), Ok(()));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut breaker = opened_at(Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();

        for _ in 0..6 {
            let pause = breaker.wait(now).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }

        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_probe_that_was_not_made_leaves_its_place_to_the_next() {
        let mut breaker = opened_at(Duration::ZERO);
        breaker.admit(PAUSES.0).unwrap();

        breaker.abandoned(PAUSES.0);

        assert_eq!(breaker.admit(PAUSES.0), Ok(()));
    }

    #[test]
    fn failures_of_what_passed_before_do_not_prolong_the_pause() {
        let mut breaker = opened_at(Duration::ZERO);

        breaker.failed(Duration::from_secs(4));

        assert_eq!(breaker.wait(PAUSES.0), None);
    }
}
