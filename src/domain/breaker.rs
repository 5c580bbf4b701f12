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

/// What a request that passes is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// For itself.
    Ordinary,
    /// To find out for all others.
    Probe,
}

impl Breaker {
    /// Whether a request may pass now; otherwise how long to wait before asking again. Who passes
    /// must say how it went: [`Self::succeeded`], [`Self::failed`] or [`Self::abandoned`].
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&mut self, now: Duration) -> Result<Errand, Duration> {
        match self.state {
            State::Closed => Ok(Errand::Ordinary),
            State::Open { until, .. } if now < until => Err(until.saturating_sub(now)),
            State::Open { pause, .. } => {
                self.state = State::HalfOpen { pause };
                Ok(Errand::Probe)
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
    pub fn failed(&mut self, errand: Errand, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let pause = match (self.state, errand) {
            (State::Closed, _) if self.failures < THRESHOLD => return,
            (State::Closed, _) => PAUSES.0,
            (State::HalfOpen { pause }, Errand::Probe) => pause.saturating_mul(2).min(PAUSES.1),
            // Those that passed before it opened tell nothing new.
            (State::Open { .. } | State::HalfOpen { .. }, _) => return,
        };
        let until = now.saturating_add(pause);
        self.state = State::Open { until, pause };
    }

    /// A request that passed was not made: if it was to find out, the next one may.
    pub fn abandoned(&mut self, errand: Errand, now: Duration) {
        if let (State::HalfOpen { pause }, Errand::Probe) = (self.state, errand) {
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
            assert_eq!(breaker.admit(now), Ok(Errand::Ordinary));
            breaker.failed(Errand::Ordinary, now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..THRESHOLD {
                breaker.failed(Errand::Ordinary, Duration::ZERO);
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

        assert_eq!(breaker.admit(PAUSES.0), Ok(Errand::Probe));
        assert!(breaker.admit(PAUSES.0).is_err());
        breaker.succeeded();
        assert_eq!(breaker.admit(PAUSES.0), Ok(Errand::Ordinary));
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
            assert_eq!(breaker.admit(now), Ok(Errand::Probe));
            breaker.failed(Errand::Probe, now);
        }

        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_probe_that_was_not_made_leaves_its_place_to_the_next() {
        let mut breaker = opened_at(Duration::ZERO);
        breaker.admit(PAUSES.0).unwrap();

        breaker.abandoned(Errand::Probe, PAUSES.0);

        assert_eq!(breaker.admit(PAUSES.0), Ok(Errand::Probe));
    }

    #[test]
    fn failures_of_what_passed_before_do_not_prolong_the_pause() {
        let mut breaker = opened_at(Duration::ZERO);

        breaker.failed(Errand::Ordinary, Duration::from_secs(4));

        assert_eq!(breaker.wait(PAUSES.0), None);
    }

    #[test]
    fn what_passed_before_does_not_take_the_place_of_the_probe() {
        let mut breaker = opened_at(Duration::ZERO);
        breaker.admit(PAUSES.0).unwrap();

        breaker.abandoned(Errand::Ordinary, PAUSES.0);
        breaker.failed(Errand::Ordinary, PAUSES.0);

        assert!(breaker.admit(PAUSES.0).is_err());
    }
}
