//! From the first signal to the exit code.
//!
//! Three steps, each a token: *draining* (health says `NOT_SERVING`, work is still taken, so that
//! load balancers notice), *stopping* (doors and loops end, what runs finishes) and *aborted*
//! (nothing is waited for any more). A second request to stop goes to the last at once. A service
//! task that ends by itself, in whatever way, stops the process with failure.

use std::fmt::{self, Display};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::Error;
use crate::config::Lifecycle;

/// Somebody wants the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// `SIGTERM`: an orchestrator.
    Terminate,
    /// `SIGINT`: a person at a terminal.
    Interrupt,
}

/// How the process came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Asked to stop, and all work was finished.
    Finished,
    /// Asked to stop, but work was cut off: by a second request or by the timeout.
    Aborted,
    /// A service task ended by itself.
    Failed {
        /// The task's name.
        task: &'static str,
    },
}

impl Outcome {
    /// 0 finished, 1 failed, 3 aborted; 2 is the command line's for wrong usage.
    pub fn code(&self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::Failed { .. } => 1,
            Self::Aborted => 3,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// The tasks of the process and the tokens they watch. Clones are the same.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    draining: CancellationToken,
    stopping: CancellationToken,
    aborted: CancellationToken,
    ended: mpsc::UnboundedSender<&'static str>,
}

/// Waits for the end of [`Tasks`]; see [`Supervisor::run`].
#[derive(Debug)]
pub struct Supervisor {
    tasks: Tasks,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Tasks {
    /// No tasks yet, and who will wait for them.
    pub fn new() -> (Self, Supervisor) {
        // At most one message for each service task.
        let (sender, ended) = mpsc::unbounded_channel();
        let tasks = Self {
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            aborted: CancellationToken::new(),
            ended: sender,
        };
        let supervisor = Supervisor {
            tasks: tasks.clone(),
            ended,
        };
        (tasks, supervisor)
    }

    /// Cancelled at the first request: health says `NOT_SERVING`.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when doors and loops must end. Always after `draining`.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when nothing is waited for any more. Always after `stopping`.
    pub fn aborted(&self) -> &CancellationToken {
        &self.aborted
    }

    /// For work that is finished before the process ends, such as redemptions.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Runs a door or a loop until `stopping`. If it ends before, by whatever way, the process
    /// ends with [`Outcome::Failed`]; if it fails or panics while stopping as well.
    pub fn serve<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            let end = AssertUnwindSafe(task).catch_unwind().await;
            match end {
                Ok(Ok(())) if tasks.stopping.is_cancelled() => return,
                Ok(Ok(())) => error!(task.name = name, "task {name} ended by itself"),
                Ok(Err(cause)) => error!(task.name = name, error = %cause, "task {name} failed"),
                Err(_) => error!(task.name = name, "task {name} panicked"),
            }
            // Nobody listens once the supervisor has given up.
            let _ = tasks.ended.send(name);
        });
    }
}

impl Supervisor {
    /// Waits until the process must end and everything has ended, or is aborted.
    ///
    /// `stops` are requests to stop; its end is not one. After the first, work is taken for
    /// `drain_delay` and what runs may finish for `shutdown_timeout` more. After a failure there
    /// is no delay. Tasks that are still there on return end with the runtime.
    pub async fn run(
        mut self,
        stops: impl Stream<Item = StopRequest>,
        settings: &Lifecycle,
    ) -> Outcome {
        let mut stops = std::pin::pin!(stops.chain(stream::pending()));
        let mut failed = None;
        tokio::select! {
            Some(task) = self.ended.recv() => failed = Some(task),
            Some(request) = stops.next() => info!("{request}: draining"),
        }
        self.tasks.draining.cancel();
        let ending = async {
            if failed.is_none() {
                tokio::select! {
                    Some(task) = self.ended.recv() => failed = Some(task),
                    () = sleep(settings.drain_delay) => {}
                }
            }
            info!("stopping");
            self.tasks.stopping.cancel();
            self.tasks.tracker.close();
            tokio::select! {
                () = self.tasks.tracker.wait() => true,
                () = sleep(settings.shutdown_timeout) => false,
            }
        };
        let finished = tokio::select! {
            finished = ending => finished,
            Some(request) = stops.next() => {
                warn!("{request} again: aborting");
                false
            }
        };
        let failed = failed.or_else(|| self.ended.try_recv().ok());
        if !finished {
            warn!(task.count = self.tasks.tracker.len(), "work was cut off");
            self.tasks.stopping.cancel();
            self.tasks.aborted.cancel();
        }
        match failed {
            Some(task) => Outcome::Failed { task },
            None if finished => Outcome::Finished,
            None => Outcome::Aborted,
        }
    }
}

impl Display for StopRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "asked to terminate",
            Self::Interrupt => "interrupted",
        })
    }
}

/// The signals that ask this process to stop. From here on they no longer end it by themselves.
pub fn stop_requests() -> Result<impl Stream<Item = StopRequest>, Error> {
    let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let signals = (terminate, interrupt);
    Ok(stream::unfold(signals, |mut signals| async move {
        let request = tokio::select! {
            Some(()) = signals.0.recv() => StopRequest::Terminate,
            Some(()) = signals.1.recv() => StopRequest::Interrupt,
            else => return None,
        };
        Some((request, signals))
    }))
}
