//! The end of the process: drain, finish, abort, and the task that dies. Nobody
//! sleeps: requests to stop come from a channel, and delays are none or endless.

use std::convert::Infallible;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use stationmaster::config::Lifecycle;
use stationmaster::runtime::lifecycle::{Outcome, StopRequest, Supervisor, Tasks, stop_requests};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;

const ENDLESS: Duration = Duration::from_hours(24);

fn timings(drain_delay: Duration, shutdown_timeout: Duration) -> Lifecycle {
    Lifecycle {
        drain_delay,
        shutdown_timeout,
    }
}

/// A process under way, and how to ask it to stop.
struct Running {
    stop: mpsc::UnboundedSender<StopRequest>,
    outcome: JoinHandle<Outcome>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process under test has no tracker of its own"
)]
fn run(supervisor: Supervisor, timings: Lifecycle) -> Running {
    let (stop, stops) = mpsc::unbounded_channel();
    let stops = UnboundedReceiverStream::new(stops);
    let outcome = tokio::spawn(async move { supervisor.run(stops, &timings).await });
    Running { stop, outcome }
}

impl Running {
    fn ask(&self) {
        self.stop.send(StopRequest::Terminate).unwrap();
    }

    async fn outcome(self) -> Outcome {
        self.outcome.await.unwrap()
    }
}

/// A loop that ends when it is told to.
fn obedient(tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.serve("loop", async move {
        stopping.cancelled().await;
        Ok::<_, Infallible>(())
    });
}

#[tokio::test]
async fn work_that_runs_is_finished() {
    let (tasks, supervisor) = Tasks::new();
    obedient(&tasks);
    let (finish, finished) = oneshot::channel::<()>();
    let work = tasks.tracker().spawn(async move { finished.await.is_ok() });
    let running = run(supervisor, timings(Duration::ZERO, ENDLESS));

    running.ask();
    tasks.stopping().cancelled().await;
    assert!(tasks.draining().is_cancelled());
    finish.send(()).unwrap();

    assert_eq!(running.outcome().await, Outcome::Finished);
    assert!(work.await.unwrap());
    assert!(!tasks.aborted().is_cancelled());
}

#[tokio::test]
async fn doors_stay_open_while_draining() {
    let (tasks, supervisor) = Tasks::new();
    obedient(&tasks);
    let running = run(supervisor, timings(ENDLESS, ENDLESS));

    running.ask();
    tasks.draining().cancelled().await;

    assert!(!tasks.stopping().is_cancelled());
    running.ask();
    assert_eq!(running.outcome().await, Outcome::Aborted);
}

#[tokio::test]
async fn a_second_request_aborts() {
    let (tasks, supervisor) = Tasks::new();
    tasks.tracker().spawn(std::future::pending::<()>());
    let running = run(supervisor, timings(Duration::ZERO, ENDLESS));

    running.ask();
    tasks.stopping().cancelled().await;
    running.ask();

    assert_eq!(running.outcome().await, Outcome::Aborted);
    assert!(tasks.aborted().is_cancelled());
}

#[tokio::test]
async fn work_that_does_not_finish_in_time_is_cut_off() {
    let (tasks, supervisor) = Tasks::new();
    tasks.tracker().spawn(std::future::pending::<()>());
    let running = run(supervisor, timings(Duration::ZERO, Duration::ZERO));

    running.ask();

    assert_eq!(running.outcome().await, Outcome::Aborted);
}

#[tokio::test]
async fn a_task_that_fails_panics_or_ends_stops_the_process() {
    let ways: [fn(&Tasks); 3] = [
        |tasks| tasks.serve("bad", async { Err("no more") }),
        |tasks| tasks.serve("bad", async { Ok::<_, Infallible>(()) }),
        |tasks| {
            tasks.serve("bad", async {
                assert!(!std::hint::black_box(true), "as told");
                Ok::<_, Infallible>(())
            });
        },
    ];
    for fails in ways {
        let (tasks, supervisor) = Tasks::new();
        obedient(&tasks);
        let running = run(supervisor, timings(ENDLESS, ENDLESS));

        fails(&tasks);

        assert_eq!(running.outcome().await, Outcome::Failed { task: "bad" });
        assert!(tasks.stopping().is_cancelled());
    }
}

#[tokio::test]
async fn a_task_that_fails_while_stopping_fails_the_process() {
    let (tasks, supervisor) = Tasks::new();
    let stopping = tasks.stopping().clone();
    tasks.serve("bad", async move {
        stopping.cancelled().await;
        Err("cannot close")
    });
    let running = run(supervisor, timings(Duration::ZERO, ENDLESS));

    running.ask();

    assert_eq!(running.outcome().await, Outcome::Failed { task: "bad" });
}

#[tokio::test]
async fn the_end_of_requests_is_no_request() {
    let (tasks, supervisor) = Tasks::new();
    tasks.serve("bad", async { Err("no more") });
    let none = stream::empty().boxed();

    let outcome = supervisor
        .run(none, &timings(Duration::ZERO, ENDLESS))
        .await;

    assert_eq!(outcome, Outcome::Failed { task: "bad" });
}

#[tokio::test]
async fn signals_are_requests() {
    let mut requests = std::pin::pin!(stop_requests().unwrap());

    for (signal, request) in [
        ("-TERM", StopRequest::Terminate),
        ("-INT", StopRequest::Interrupt),
    ] {
        let us = std::process::id().to_string();
        let sent = Command::new("kill").args([signal, &us]).status().unwrap();

        assert!(sent.success());
        assert_eq!(requests.next().await, Some(request));
    }
}

#[test]
fn outcomes_have_codes_of_their_own() {
    let failed = Outcome::Failed { task: "bad" };

    let codes = [Outcome::Finished, failed, Outcome::Aborted].map(|outcome| outcome.code());

    assert_eq!(codes, [0, 1, 3]);
}
