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

mod properties;
mod search;
mod state;
mod steps;

use std::process::ExitCode;

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

fn main() -> ExitCode {
    let (kills, stays) = (Rotation::ReuseKills, Rotation::None);
    let outcomes = [
        is_missed(Guard::Fence, kills),
        is_missed(Guard::Intent, kills),
        is_missed(Guard::Rank, stays),
        is_missed(Guard::Reread, kills),
        is_missed(Guard::LeaseCheck, kills),
        holds("rotating", kills, TOGETHER, Bounds::HARSH),
        holds("rotating, clocks apart", kills, APART, Bounds::HARSH),
        holds("rotating, all answers", kills, TOGETHER, Bounds::TALKATIVE),
        holds("rotating, ahead of time", kills, TOGETHER, Bounds::AHEAD),
        holds("not rotating", stays, TOGETHER, Bounds::HARSH),
        holds("not rotating, clocks apart", stays, APART, Bounds::HARSH),
        holds(
            "not rotating, all answers",
            stays,
            TOGETHER,
            Bounds::TALKATIVE,
        ),
        holds(
            "not rotating, ahead of time",
            stays,
            TOGETHER,
            Bounds::AHEAD,
        ),
    ];
    let failed = outcomes.iter().filter(|passed| !**passed).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
