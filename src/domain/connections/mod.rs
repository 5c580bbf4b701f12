//! Connections: one user's grant on one server, and everything that may happen to it.
//!
//! [`decide`] is the only place that knows what may be done with a grant in a given state; the
//! service executes it and so does its model. No other code matches on a connection's state.

mod decide;
mod freshness;

pub use decide::{Decision, Effect, Event, Living, Redemption, Settled, Unusable, decide};
pub use freshness::{Freshness, Policy, backoff};

use super::authorization::{Issuer, Resource, Scopes};
use super::ids::{ConnectionId, IntentId, RegistrationId, ReplicaId, ServerId};
use super::resolution::Reconnect;
use super::secrets::Sealed;
use super::tenants::TenantId;
use super::text::UserId;
use super::time::Timestamp;

/// Whether a grant can be used. Expiry is computed, never stored as a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can be used and, where it is renewable, renewed.
    Active,
    /// Its user must connect again.
    ReconnectRequired(Reconnect),
    /// Its tokens cannot be opened with the keys present.
    Unreadable,
}

/// The declared attempt to redeem the refresh token of one generation: lease and intent in one.
///
/// Written before the request is, so that a crash leaves its trace: an attempt whose lease ended
/// without a verdict has an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Names the attempt; every later conditional write repeats it.
    pub intent: IntentId,
    /// Who holds the lease.
    pub owner: ReplicaId,
    /// When the lease ends, on the database's clock.
    pub until: Timestamp,
}

/// The part of a connection that [`decide`] works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// Grows with every new pair of tokens; never used again for this tenant, user and server.
    pub generation: i64,
    /// Whether the grant can be used.
    pub status: Status,
    /// Whether it holds a refresh token.
    pub renewable: bool,
    /// When the access token was obtained.
    pub obtained_at: Timestamp,
    /// When the access token ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Whether the upstream rejected this generation's access token.
    pub rejected: bool,
    /// Whether this generation came from a rejection and has not been seen to work yet.
    pub forced: bool,
    /// The attempt under way or left behind by a crash.
    pub attempt: Option<Attempt>,
    /// How many redemptions of this generation had an unknown outcome.
    pub unknown_outcomes: i64,
    /// How many attempts in a row failed for a passing reason.
    pub failures: i64,
    /// Not to be tried again before this.
    pub next_attempt_at: Option<Timestamp>,
}

/// One user's grant on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id; a user who connects again after disconnecting gets a new one.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which user's.
    pub user: UserId,
    /// On which server.
    pub server: ServerId,
    /// The client that obtained it, and that alone may renew it.
    pub registration: RegistrationId,
    /// Who issued it; empty where endpoints were written without an issuer.
    pub issuer: Issuer,
    /// The resource it is for.
    pub resource: Option<Resource>,
    /// The scopes granted.
    pub scopes: Scopes,
    /// The token type, `Bearer` as a rule.
    pub token_type: String,
    /// Where its refresh token is redeemed, as recorded when it was obtained.
    pub token_endpoint: String,
    /// The server's `auth_version` it was obtained under.
    pub auth_version: i64,
    /// What may happen to it.
    pub life: Lifecycle,
    /// The access token.
    pub access_token: Option<Sealed>,
    /// The refresh token.
    pub refresh_token: Option<Sealed>,
    /// When its user connected.
    pub connected_at: Timestamp,
    /// When it was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// What the last failed attempt said, as a short code.
    pub last_error: Option<String>,
    /// Grows with every write; what a conditional write names, besides id and generation.
    pub version: i64,
}

impl Connection {
    /// Whether a user should see themselves as connected: judged from what is stored, without any
    /// network call.
    pub fn is_connected(&self, now: Timestamp) -> bool {
        let alive = self.life.renewable || self.life.expires_at.is_none_or(|end| now < end);
        self.life.status == Status::Active && alive
    }
}
