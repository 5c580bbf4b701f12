//! The model of renewal: callers, two replicas, a provider and everything that may go wrong, in all
//! interleavings. It decides with the very [`decide`] of the service; only the executor around it
//! (read, ask, write under the condition that nothing changed, send, settle) is told again here, step
//! by step, so that a crash or a pause can come between any two of them.
//!
//! Two replicas, the callers of each sharing one flight as they do in a process; three generations;
//! four attempts. [`Bounds`] say how much may go wrong: once two crashes, a lost or late answer, a
//! disconnect and a reconnect, once a crash, two lost answers, a transient one and a rejection, and
//! once a crash, a lost answer, a transient one and a rejection where tokens are renewed ahead of
//! their end as well.
//! Pauses have any length, since nothing forces a replica to move while time passes, and the clocks
//! of the replicas may differ by more than a token's life.
//!
//! Then each guard is taken away, and the search must find what it guards against.
//!
//! Assumed, and held by the executor: a request is written directly after the holder has looked at
//! its monotonic clock. A pause between the two, longer than what is left of the lease, is not
//! modelled; the check is made once the connection stands, so that nothing else lies between.
//!
//! [`decide`]: stationmaster::domain::connections::decide

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people; wrong about its own bounds, it had better stop"
)]

mod faults;
mod properties;
mod search;
mod state;
mod steps;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use search::{Found, search};
use state::{Bounds, Guard, Rotation, Setting};

/// The clocks of the replicas, in ticks ahead of the database's.
const TOGETHER: [i8; 2] = [0, 0];
const APART: [i8; 2] = [1, -1];

/// Whether the properties hold, said aloud.
fn holds(name: &str, rotation: Rotation, skew: [i8; 2], bounds: Bounds) -> bool {
    let setting = Setting {
        rotation,
        lifetime: if bounds == Bounds::AHEAD { 2 } else { 1 },
        skew,
        without: None,
        bounds,
    };
    match search(&setting) {
        Found::Nothing { states, steps } => {
            println!("holds: {name}: {states} states, {steps} steps");
            true
        }
        Found::Violation { what, trace } => {
            println!("BROKEN: {name}: {what}: {}", trace.join(" "));
            false
        }
    }
}

/// Whether the search misses a guard that is taken away, said aloud.
fn is_missed(guard: Guard, rotation: Rotation) -> bool {
    let setting = Setting {
        rotation,
        lifetime: 1,
        skew: TOGETHER,
        without: Some(guard),
        bounds: Bounds::HARSH,
    };
    match search(&setting) {
        Found::Nothing { states, .. } => {
            println!("NOT MISSED: {guard:?}, in {states} states");
            false
        }
        Found::Violation { what, trace } => {
            println!("missed: {guard:?}: {what}: {}", trace.join(" "));
            true
        }
    }
}

/// One search, and whether it ends as it should.
type Trial = Box<dyn Fn() -> bool + Send>;

fn trials() -> Vec<Trial> {
    let missed = |guard, rotation| -> Trial { Box::new(move || is_missed(guard, rotation)) };
    let hold = |name, rotation, skew, bounds| -> Trial {
        Box::new(move || holds(name, rotation, skew, bounds))
    };
    let (kills, stays) = (Rotation::ReuseKills, Rotation::None);
    let (harsh, all, ahead) = (Bounds::HARSH, Bounds::TALKATIVE, Bounds::AHEAD);
    vec![
        missed(Guard::Fence, kills),
        missed(Guard::Intent, kills),
        missed(Guard::Rank, stays),
        missed(Guard::Reread, kills),
        missed(Guard::LeaseCheck, kills),
        hold("rotating, clocks apart", kills, APART, harsh),
        hold("rotating", kills, TOGETHER, harsh),
        hold("rotating, all answers", kills, TOGETHER, all),
        hold("rotating, ahead of time", kills, TOGETHER, ahead),
        hold("not rotating, clocks apart", stays, APART, harsh),
        hold("not rotating", stays, TOGETHER, harsh),
        hold("not rotating, all answers", stays, TOGETHER, all),
        hold("not rotating, ahead of time", stays, TOGETHER, ahead),
    ]
}

fn main() -> ExitCode {
    let trials = trials();
    let count = trials.len();
    let waiting = Mutex::new(trials.into_iter());
    let failed = AtomicUsize::new(0);
    let work = || loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next();
        let Some(trial) = next else { return };
        failed.fetch_add(usize::from(!trial()), Ordering::Relaxed);
    };
    // Each search remembers a gigabyte or more: two at a time.
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let failed = failed.into_inner();
    println!("{} passed, {failed} failed", count - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
