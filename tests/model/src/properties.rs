//! What must hold, whatever happens.

use stationmaster::domain::connections::Status;

use crate::state::{Claim, End, Flight, Rotation, Row, Setting, State, ZERO};

/// What must hold when a request is about to be sent.
pub(crate) fn sending(
    state: &State,
    setting: &Setting,
    replica: usize,
    claim: &Claim,
) -> Option<&'static str> {
    if claim.attempt.until <= ZERO {
        return Some("a request was sent although its lease had ended");
    }
    let other = match &state.flights[1 - replica] {
        Flight::Sending(other)
        | Flight::Waiting(other)
        | Flight::Ending(other, End::Success(_) | End::Refused | End::Unknown)
        | Flight::Writing { claim: other, .. } => Some(other),
        Flight::Idle
        | Flight::Claiming { .. }
        | Flight::Ending(_, End::Transient | End::NotSent) => None,
    };
    let same = |other: &&Claim| (other.id, other.generation) == (claim.id, claim.generation);
    if other
        .filter(same)
        .is_some_and(|other| other.attempt.until > ZERO)
    {
        return Some("one generation was redeemed by two at the same time");
    }
    let sent = state.grants[usize::from(claim.token.grant)].sent[usize::from(claim.token.number)];
    if setting.rotation == Rotation::None || sent == 0 {
        return None;
    }
    if claim.unknown == 0 {
        Some("a refresh token was redeemed again although its outcome was known")
    } else if sent >= 2 {
        Some("a refresh token was redeemed a third time")
    } else if claim.alive {
        Some("a refresh token was redeemed again although its access token still lived")
    } else {
        None
    }
}

/// What must hold when the end of an attempt is about to be written to the row.
pub(crate) fn writing(row: &Row, claim: &Claim, end: End) -> Option<&'static str> {
    if row.id != claim.id {
        return Some("a flight of an old connection touched a new one");
    }
    let success = matches!(end, End::Success(_));
    if !success && row.life.generation != claim.generation {
        return Some("a failure was written over a newer success");
    }
    let stands = row.life.attempt.map(|held| held.intent) == Some(claim.attempt.intent);
    if !success && !stands {
        return Some("a failure was written that belongs to no attempt that stands");
    }
    None
}

/// What must hold when the end of an attempt is not written.
pub(crate) fn discarding(row: &Row, claim: &Claim, end: End) -> Option<&'static str> {
    let received = matches!(end, End::Success(_)) && row.id == claim.id;
    let outranked = row.life.redeemed_by >= claim.attempt.serial;
    (received && !outranked).then_some("a success was thrown away that nothing outranks")
}

/// What must hold of every row written.
pub(crate) fn stored(row: &Row) -> Option<&'static str> {
    if row.refresh.grant != row.id {
        Some("a connection holds a token of another grant")
    } else if row.life.redeemed_by < row.newest {
        Some("an earlier success was written over a later one")
    } else {
        None
    }
}

/// Whether nothing is left to be done: the token is good for use, the user was told to connect
/// again, or there is nothing; or the bounds of the search end here.
pub(crate) fn is_settled(state: &State, setting: &Setting) -> bool {
    let Some(row) = &state.row else { return true };
    let told = row.life.status != Status::Active;
    let fresh = !row.life.rejected
        && row
            .life
            .expires_at
            .is_none_or(|end| (0..2).all(|replica| setting.wall(replica) < end));
    let over = row.life.generation >= crate::state::GENERATIONS || state.left.claims == 0;
    told || fresh || over
}
