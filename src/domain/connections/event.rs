//! What may happen to a grant, and what is decided about it.

use std::time::Duration;

use super::super::resolution::Reconnect;
use super::super::time::Timestamp;
use super::{Attempt, Lifecycle};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants a credential, and would redeem as `attempt` if that is needed.
    Asked {
        /// Now, by the wall clock that tokens expire by.
        now: Timestamp,
        /// Now, on the clock that leases are measured by.
        lease_now: Timestamp,
        /// How long the credential must still live.
        min_valid_for: Duration,
        /// The attempt to declare.
        attempt: Attempt,
    },
    /// An attempt reached its end.
    Settled {
        /// Now.
        now: Timestamp,
        /// The attempt, as it was declared.
        attempt: Attempt,
        /// The generation it tried to redeem.
        generation: i64,
        /// How it ended.
        outcome: Settled,
    },
    /// The upstream rejected the credential of this generation.
    Rejected {
        /// The service's clock.
        now: Timestamp,
        /// The generation used.
        generation: i64,
    },
    /// The upstream accepted the credential of this generation.
    Worked {
        /// The generation used.
        generation: i64,
    },
}

/// How a redemption ended, as the token endpoint's answer or its absence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was sent: free to try again.
    NotSent,
    /// New tokens.
    Success(Redemption),
    /// Refused for good: `invalid_grant` and its aliases.
    Refused,
    /// Refused without a word that is known: for good only if it is said again and again.
    Unclear,
    /// Our client was refused: the server's trouble, not the grant's.
    ClientRefused,
    /// A complete answer that asks to come back later.
    Transient {
        /// When, if it said so.
        retry_after: Option<Duration>,
    },
    /// Sent, and no answer: it may have been redeemed.
    Unknown {
        /// When it was sent, or a little before, by the wall clock.
        sent: Timestamp,
    },
    /// Nothing was sent, because what is stored cannot be opened.
    Unreadable,
}

/// What is known of new tokens without opening them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redemption {
    /// When they were obtained.
    pub obtained_at: Timestamp,
    /// When the access token ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Whether the refresh token stays the one it was.
    pub kept: bool,
}

/// What the executor does next, once the new state is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Hand out the access token stored.
    HandOut(Living),
    /// Redeem the refresh token of this generation under the attempt written.
    Redeem,
    /// Somebody else is redeeming: look again when they are done, at the latest then.
    Await {
        /// When their lease ends.
        until: Timestamp,
        /// Whether the token stored may be handed out meanwhile.
        meanwhile: Option<Living>,
    },
    /// There is nothing to hand out.
    Tell(Unusable),
    /// Write the new tokens with the new state.
    Persist,
    /// The state written says it all.
    Note,
    /// What stands outranks it: forget it.
    Discard,
}

/// How good a credential is that is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Living {
    /// As asked for.
    Fresh,
    /// Shorter than asked for.
    Short,
    /// It lives, but its renewal was refused for good.
    LastBreath,
}

/// Why there is nothing to hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The user must connect again.
    Reconnect(Reconnect),
    /// It ended and cannot be renewed.
    Expired,
    /// It cannot be opened.
    Unreadable,
    /// The provider is to be left alone for a while.
    RetryAfter(Duration),
    /// The provider refuses our client: an administrator's matter, tried again after a while.
    ClientRefused(Duration),
    /// Too many of its credentials were rejected right after they were made: it is not renewed on
    /// demand for a while.
    RefreshLimit(Duration),
}

/// The new state and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The state to write; equal to the old one where nothing is to be written.
    pub next: Lifecycle,
    /// What to do once it is written.
    pub effect: Effect,
}
