//! What may happen next: all that the executor does, one operation a step, and all that may befall it.

use std::time::Duration;

use stationmaster::domain::connections::{
    AHEAD, Attempt, Effect, Event, Redemption, Settled, decide,
};
use stationmaster::domain::ids::{IntentId, ReplicaId};

use crate::faults::{busy, crash, disconnect, reconnect, reject, time_out};
use crate::properties;
use crate::state::{
    Claim, End, Flight, GENERATIONS, Guard, LEASE, Message, REQUEST, Rotation, Setting, State,
    TICK, Token, ZERO,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Tick,
    /// A replica reads the row for a caller, and decides.
    Ask(usize),
    /// The same without a caller, ahead of the end of the access token.
    AskAhead(usize),
    /// It writes what it decided: the attempt, or what a crash left behind.
    Claim(usize),
    Send(usize),
    Handle(usize),
    /// It says that it has no time.
    Busy(usize),
    Receive(usize),
    /// No answer comes.
    TimeOut(usize),
    /// A replica reads the row again to write how its attempt ended.
    Look(usize),
    Write(usize),
    Crash(usize),
    Reject,
    Disconnect,
    Reconnect,
}

impl Step {
    /// Whether it is the system's own, neither a user's nor a fault.
    pub(crate) fn is_progress(self) -> bool {
        match self {
            Self::Tick
            | Self::Ask(_)
            | Self::AskAhead(_)
            | Self::Claim(_)
            | Self::Send(_)
            | Self::Handle(_)
            | Self::Receive(_)
            | Self::Look(_)
            | Self::Write(_) => true,
            Self::Busy(_)
            | Self::TimeOut(_)
            | Self::Crash(_)
            | Self::Reject
            | Self::Disconnect
            | Self::Reconnect => false,
        }
    }
}

/// Every step possible, with the state it leads to.
pub(crate) fn steps(state: &State, setting: &Setting) -> Vec<(Step, State)> {
    let mut found = Vec::with_capacity(16);
    let mut add = |step, next: Option<State>| {
        if let Some(mut next) = next {
            next.settle(setting);
            found.push((step, next));
        }
    };
    for replica in 0..2 {
        match &state.flights[replica] {
            Flight::Idle => {
                let asked = ask(state, setting, replica, Duration::ZERO);
                add(Step::Ask(replica), asked);
                if setting.lifetime > 1 {
                    add(Step::AskAhead(replica), ask(state, setting, replica, AHEAD));
                }
            }
            Flight::Claiming { .. } => add(Step::Claim(replica), claim(state, setting, replica)),
            Flight::Sending(claim) => {
                add(
                    Step::Send(replica),
                    Some(send(state, setting, replica, claim)),
                );
            }
            Flight::Waiting(claim) => {
                add(Step::Receive(replica), receive(state, replica, claim));
                add(Step::TimeOut(replica), time_out(state, replica, claim));
            }
            Flight::Ending(claim, end) => {
                add(
                    Step::Look(replica),
                    Some(look(state, setting, replica, claim, *end)),
                );
            }
            Flight::Writing { .. } => {
                add(Step::Write(replica), Some(write(state, setting, replica)));
            }
        }
        add(Step::Crash(replica), crash(state, replica));
    }
    for at in 0..state.wire.len() {
        let message = state.wire[at];
        if message.answer.is_none() {
            add(Step::Handle(at), Some(handle(state, setting, at)));
            add(Step::Busy(at), busy(state, at));
        }
    }
    add(Step::Reject, reject(state, setting));
    add(Step::Disconnect, disconnect(state));
    add(Step::Reconnect, reconnect(state, setting));
    let mut later = state.clone();
    later.tick();
    later.settle(setting);
    add(Step::Tick, (later != *state).then_some(later));
    found
}

fn ask(state: &State, setting: &Setting, replica: usize, min_valid_for: Duration) -> Option<State> {
    let row = state.row.as_ref()?;
    if row.life.generation >= GENERATIONS {
        return None;
    }
    let serial = row.life.attempts + 1;
    let name = |nonce: u8| {
        let mut bytes = [0; 16];
        bytes[..3].copy_from_slice(&[row.id, u8::try_from(serial).unwrap(), nonce]);
        bytes
    };
    // Two replicas may read the same number; their attempts have different names.
    let taken = |flight: &Flight| {
        let intent = IntentId::from_bytes(name(0));
        flight
            .clone()
            .claim_mut()
            .is_some_and(|claim| claim.attempt.intent == intent)
    };
    let nonce = u8::from(taken(&state.flights[1 - replica]));
    let attempt = Attempt {
        intent: IntentId::from_bytes(name(nonce)),
        owner: ReplicaId::from_bytes([0; 16]),
        until: ZERO.after(TICK * LEASE),
        serial,
    };
    let now = setting.wall(replica);
    let event = Event::Asked {
        now,
        lease_now: ZERO,
        min_valid_for,
        attempt,
    };
    let decision = decide(&row.life, &event, &Setting::policy());
    let redeems = decision.effect == Effect::Redeem;
    if decision.next == row.life || redeems && state.left.claims == 0 {
        return None;
    }
    let mut next = state.clone();
    next.left.claims -= u8::from(redeems);
    next.flights[replica] = Flight::Claiming {
        claim: Claim {
            id: row.id,
            generation: row.life.generation,
            token: row.refresh,
            attempt,
            started: ZERO,
            unknown: decision.next.unknown_outcomes,
            alive: !row.life.rejected && row.life.expires_at.is_none_or(|end| now < end),
        },
        next: decision.next,
        redeems,
        current: true,
    };
    Some(next)
}

fn claim(state: &State, setting: &Setting, replica: usize) -> Option<State> {
    let mut next = state.clone();
    let Flight::Claiming {
        claim,
        next: life,
        redeems,
        current,
    } = next.flights[replica].clone()
    else {
        return None;
    };
    next.flights[replica] = Flight::Idle;
    if redeems && setting.lacks(Guard::Intent) {
        next.flights[replica] = Flight::Sending(claim);
        return Some(next);
    }
    let stands = current || setting.lacks(Guard::Reread);
    match &mut next.row {
        Some(row) if row.id == claim.id && stands => row.life = life,
        // It reads again when it is asked again; the claim was not used.
        Some(_) | None => {
            next.left.claims += u8::from(redeems);
            return Some(next);
        }
    }
    next.stale();
    if redeems {
        next.flights[replica] = Flight::Sending(claim);
    }
    Some(next)
}

fn send(state: &State, setting: &Setting, replica: usize, claim: &Claim) -> State {
    let mut next = state.clone();
    let held = ZERO.since(claim.started);
    let fits = held + TICK * REQUEST <= TICK * LEASE;
    if !fits && !setting.lacks(Guard::LeaseCheck) {
        next.flights[replica] = Flight::Ending(*claim, End::NotSent);
        return next;
    }
    next.broken = properties::sending(state, setting, replica, claim);
    let grant = &mut next.grants[usize::from(claim.token.grant)];
    let sent = &mut grant.sent[usize::from(claim.token.number)];
    *sent = (*sent + 1).min(3);
    next.wire.push(Message {
        to: Some(replica),
        token: claim.token,
        answer: None,
    });
    next.flights[replica] = Flight::Waiting(*claim);
    next
}

fn handle(state: &State, setting: &Setting, at: usize) -> State {
    let mut next = state.clone();
    let Token { grant, number } = next.wire[at].token;
    let record = &mut next.grants[usize::from(grant)];
    let answer = match setting.rotation {
        _ if !record.alive => End::Refused,
        Rotation::None => End::Success(Token { grant, number }),
        Rotation::ReuseKills if number == record.current => {
            record.current += 1;
            End::Success(Token {
                grant,
                number: record.current,
            })
        }
        Rotation::ReuseKills => {
            record.alive = false;
            End::Refused
        }
    };
    answered(&mut next, at, answer);
    next
}

pub(crate) fn answered(next: &mut State, at: usize, answer: End) {
    if next.wire[at].to.is_some() {
        next.wire[at].answer = Some(answer);
    } else {
        next.wire.remove(at);
    }
}

fn receive(state: &State, replica: usize, claim: &Claim) -> Option<State> {
    let at = state
        .wire
        .iter()
        .position(|message| message.to == Some(replica))?;
    let end = state.wire[at].answer?;
    let mut next = state.clone();
    next.wire.remove(at);
    next.flights[replica] = Flight::Ending(*claim, end);
    Some(next)
}

fn look(state: &State, setting: &Setting, replica: usize, claim: &Claim, end: End) -> State {
    let mut next = state.clone();
    next.flights[replica] = Flight::Idle;
    let fenced = !setting.lacks(Guard::Fence);
    let Some(row) = &state.row else { return next };
    if row.id != claim.id && fenced {
        return next;
    }
    let sent_at = claim
        .started
        .after(setting.wall(replica).since(ZERO))
        .before(ZERO.since(setting.wall(replica)));
    let outcome = match end {
        End::Success(token) => Settled::Success(Redemption {
            obtained_at: sent_at,
            expires_at: Some(sent_at.after(TICK * setting.lifetime)),
            kept: token == claim.token,
        }),
        End::Refused => Settled::Refused,
        End::Transient => Settled::Transient { retry_after: None },
        End::Unknown => Settled::Unknown { sent: sent_at },
        End::NotSent => Settled::NotSent,
    };
    let mut life = row.life;
    let (mut attempt, mut generation) = (claim.attempt, claim.generation);
    if !fenced {
        generation = life.generation;
        attempt.intent = life.attempt.map_or(attempt.intent, |held| held.intent);
        life.attempt = life.attempt.or(Some(attempt));
        attempt.serial = attempt.serial.max(life.redeemed_by + 1);
    }
    if setting.lacks(Guard::Rank) && matches!(end, End::Success(_)) {
        life.redeemed_by = -1;
    }
    let event = Event::Settled {
        now: setting.wall(replica),
        attempt,
        generation,
        outcome,
    };
    let decision = decide(&life, &event, &Setting::policy());
    if decision.effect == Effect::Discard {
        next.broken = properties::discarding(row, claim, end);
    } else {
        next.flights[replica] = Flight::Writing {
            claim: *claim,
            end,
            next: decision.next,
            current: true,
        };
    }
    next
}

fn write(state: &State, setting: &Setting, replica: usize) -> State {
    let mut next = state.clone();
    let Flight::Writing {
        claim,
        end,
        next: life,
        current,
    } = next.flights[replica].clone()
    else {
        return next;
    };
    if !current && !setting.lacks(Guard::Reread) {
        // It reads again, as often as it takes.
        next.flights[replica] = Flight::Ending(claim, end);
        return next;
    }
    next.flights[replica] = Flight::Idle;
    let Some(row) = &mut next.row else {
        return next;
    };
    next.broken = properties::writing(row, &claim, end);
    row.life = life;
    if let End::Success(token) = end {
        row.refresh = token;
        row.newest = row.newest.max(claim.attempt.serial);
    }
    next.broken = next.broken.or(properties::stored(row));
    next.stale();
    next
}
