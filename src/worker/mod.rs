//! The door of time: what is done without anybody asking. Each loop does one thing in `tick` and
//! repeats it, with jitter, until the process stops; what is due, `app` knows.

mod revoker;
mod sweeper;

pub use revoker::Revoker;
pub use sweeper::Sweeper;

use std::time::Duration;

use crate::domain::random::Random;

/// Somewhere between three quarters and five quarters of the time, so that replicas that started
/// together do not work together.
fn jittered(every: Duration, random: &dyn Random) -> Duration {
    let mut bytes = [0_u8; 2];
    random.fill(&mut bytes);
    let share = f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX);
    every.mul_f64(0.75 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::random::SeededRandom;

    #[test]
    fn pauses_differ_but_stay_near() {
        let every = Duration::from_secs(100);
        let random = SeededRandom::new(1);

        let pauses: Vec<Duration> = (0..100).map(|_| jittered(every, &random)).collect();

        let near = Duration::from_secs(75)..=Duration::from_secs(125);
        assert!(pauses.iter().all(|pause| near.contains(pause)));
        assert!(pauses.iter().any(|pause| pause != &pauses[0]));
    }
}
