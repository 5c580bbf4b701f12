//! What may befall the system: faults, and what users and upstreams do.

use stationmaster::domain::connections::{Event, decide};

use crate::state::{Claim, End, Flight, GENERATIONS, Setting, State, Token};
use crate::steps::answered;

pub(crate) fn busy(state: &State, at: usize) -> Option<State> {
    let mut next = state.clone();
    next.left.transients = next.left.transients.checked_sub(1)?;
    let Token { grant, number } = next.wire[at].token;
    next.grants[usize::from(grant)].sent[usize::from(number)] -= 1;
    answered(&mut next, at, End::Transient);
    Some(next)
}

/// Nobody waits for the answer any more; the request may still arrive.
fn leave(next: &mut State, replica: usize) {
    for message in &mut next.wire {
        if message.to == Some(replica) {
            message.to = None;
        }
    }
    next.wire
        .retain(|message| message.to.is_some() || message.answer.is_none());
}

/// The request is lost or late, or its answer. What is on the wire may still arrive, or never.
pub(crate) fn time_out(state: &State, replica: usize, claim: &Claim) -> Option<State> {
    let mut next = state.clone();
    next.left.losses = next.left.losses.checked_sub(1)?;
    leave(&mut next, replica);
    next.flights[replica] = Flight::Ending(*claim, End::Unknown);
    Some(next)
}

pub(crate) fn crash(state: &State, replica: usize) -> Option<State> {
    // What was read only leaves no trace.
    if let Flight::Idle | Flight::Claiming { .. } = state.flights[replica] {
        return None;
    }
    let mut next = state.clone();
    next.left.crashes = next.left.crashes.checked_sub(1)?;
    leave(&mut next, replica);
    next.flights[replica] = Flight::Idle;
    Some(next)
}

pub(crate) fn reject(state: &State, setting: &Setting) -> Option<State> {
    let mut next = state.clone();
    next.left.rejections = next.left.rejections.checked_sub(1)?;
    let row = next.row.as_mut()?;
    let event = Event::Rejected {
        now: setting.wall(0),
        generation: row.life.generation,
    };
    let decision = decide(&row.life, &event, &Setting::policy());
    if decision.next == row.life {
        return None;
    }
    row.life = decision.next;
    next.stale();
    Some(next)
}

pub(crate) fn disconnect(state: &State) -> Option<State> {
    let mut next = state.clone();
    next.left.disconnects = next.left.disconnects.checked_sub(1)?;
    next.buried = next.row.take()?.life.generation;
    next.stale();
    Some(next)
}

pub(crate) fn reconnect(state: &State, setting: &Setting) -> Option<State> {
    let mut next = state.clone();
    next.left.reconnects = next.left.reconnects.checked_sub(1)?;
    let generation = next.row.as_ref().map(|row| row.life.generation);
    next.buried = generation.unwrap_or(next.buried);
    (next.buried < GENERATIONS).then(|| {
        next.connect(1, setting);
        next
    })
}
