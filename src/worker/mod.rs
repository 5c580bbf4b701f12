//! The door of time: what is done without anybody asking. Each worker does one thing in a tick and
//! repeats it, with jitter, until the process stops; what is due, `app` knows. Every replica has
//! all of them: what must be done once is shared through leases.

mod follower;
mod revoker;
mod ringer;

pub use follower::Follower;
pub use revoker::Revoker;
pub use ringer::Ringer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::app::{App, Result};
use crate::domain::random::Random;

/// One thing that is done again and again.
#[derive(Debug, Clone, Copy)]
pub struct Worker {
    /// Its name.
    pub name: &'static str,
    every: Duration,
    /// How long one turn may take; `None` where it holds what must not be cut off, and bounds itself.
    patience: Option<Duration>,
    tick: Tick,
    /// What is done at the end, for what is gathered in memory.
    at_the_end: Option<Tick>,
}

/// One turn.
type Tick = fn(App) -> BoxFuture<'static, Result<u64>>;

/// How long a turn may take that only looks what is due.
const BRIEF: Duration = Duration::from_secs(10);
/// How long a turn may still take when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// All of them.
pub const WORKERS: [Worker; 6] = [
    // Deletes what nobody can use any more.
    Worker {
        name: "sweeper",
        every: Duration::from_mins(10),
        patience: Some(Duration::from_mins(5)),
        tick: |app| Box::pin(async move { app.sweep().await }),
        at_the_end: None,
    },
    // Renews tokens ahead of time.
    Worker {
        name: "renewer",
        every: Duration::from_secs(1),
        patience: Some(BRIEF),
        tick: |app| Box::pin(async move { app.renew_due().await }),
        at_the_end: None,
    },
    // Renews our clients before their secrets end.
    Worker {
        name: "registrar",
        every: Duration::from_mins(1),
        patience: None,
        tick: |app| Box::pin(async move { app.renew_clients().await }),
        at_the_end: None,
    },
    // Clears up after revoking, and counts what is left.
    Worker {
        name: "outbox",
        every: Duration::from_secs(5),
        patience: Some(Duration::from_mins(1)),
        tick: |app| Box::pin(async move { app.tidy_outbox().await }),
        at_the_end: None,
    },
    // Writes down which credentials were handed out.
    Worker {
        name: "uses",
        every: Duration::from_secs(20),
        patience: Some(Duration::from_mins(1)),
        tick: |app| Box::pin(async move { app.write_uses().await }),
        at_the_end: Some(|app| Box::pin(async move { app.write_uses().await })),
    },
    // Writes down how often strangers were refused.
    Worker {
        name: "refusals",
        every: Duration::from_secs(15),
        patience: Some(Duration::from_mins(1)),
        tick: |app| Box::pin(async move { app.write_refusals().await }),
        at_the_end: Some(|app| Box::pin(async move { app.write_all_refusals().await })),
    },
];

impl Worker {
    /// Works until told to stop. A failure is tried again at the next turn.
    pub async fn run(self, app: App, random: Arc<dyn Random>, stopping: CancellationToken) {
        loop {
            let pause = jittered(self.every, &*random);
            let stopped = tokio::select! {
                () = stopping.cancelled() => true,
                () = sleep(pause) => false,
            };
            let tick = if stopped {
                self.at_the_end
            } else {
                Some(self.tick)
            };
            if let Some(tick) = tick {
                match turn(tick(app.clone()), (self.patience, LAST), &stopping).await {
                    Some(Ok(count)) => debug!(worker = self.name, count, "did {count}"),
                    Some(Err(error)) => warn!(worker = self.name, %error, "could not work"),
                    None => warn!(worker = self.name, "gave up a turn that took too long"),
                }
            }
            if stopped {
                return;
            }
        }
    }
}

/// One turn, but not for ever: a database whose other end is gone does not say so for many minutes, and
/// neither the next turn nor the end of the process may wait for it. `None` when it was given up; what it
/// had begun in the database is undone there, unless it was about to be committed.
async fn turn<T>(
    tick: impl Future<Output = T>,
    (patience, last): (Option<Duration>, Duration),
    stopping: &CancellationToken,
) -> Option<T> {
    let Some(patience) = patience else {
        return Some(tick.await);
    };
    let at_the_end = async {
        stopping.cancelled().await;
        sleep(last).await;
    };
    tokio::select! {
        biased;
        done = tick => Some(done),
        () = sleep(patience) => None,
        () = at_the_end => None,
    }
}

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
    use std::future::{pending, ready};

    use super::*;
    use crate::domain::random::SeededRandom;

    const SOON: Duration = Duration::from_millis(10);
    const NEVER: Duration = Duration::MAX;

    #[tokio::test]
    async fn a_turn_that_hangs_is_given_up() {
        let going = CancellationToken::new();

        let hung = turn(pending::<()>(), (Some(SOON), NEVER), &going).await;
        let quick = turn(ready(1), (Some(SOON), NEVER), &going).await;

        assert_eq!((hung, quick), (None, Some(1)));
    }

    #[tokio::test]
    async fn a_turn_that_hangs_does_not_hold_up_the_end() {
        let stopping = CancellationToken::new();
        stopping.cancel();

        let hung = turn(pending::<()>(), (Some(NEVER), SOON), &stopping).await;
        let quick = turn(ready(1), (Some(NEVER), SOON), &stopping).await;

        assert_eq!((hung, quick), (None, Some(1)));
    }

    #[tokio::test]
    async fn what_must_not_be_cut_off_is_not() {
        let stopping = CancellationToken::new();
        stopping.cancel();

        let long = turn(sleep(SOON), (None, Duration::ZERO), &stopping).await;

        assert_eq!(long, Some(()));
    }

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
