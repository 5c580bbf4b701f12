//! Connections: one user's grant on one server, and everything that may happen to it.
//!
//! [`decide`] is the only place that knows what may be done with a grant in a given state; the
//! service executes it and so does its model. No other code matches on a connection's state.

mod decide;
mod due;
mod event;
mod freshness;
mod settle;

pub use decide::decide;
pub use due::AHEAD;
pub use event::{Decision, Effect, Event, Living, Redemption, Settled, Unusable};
pub use freshness::{Freshness, Policy};

use std::fmt;

use super::authorization::{Issuer, Resource, Scopes};
use super::ids::{ConnectionId, IdentityId, IntentId, RegistrationId, ReplicaId, ServerId};
use super::resolution::Reconnect;
use super::secrets::Sealed;
use super::tenants::TenantId;
use super::text::UserId;
use super::time::Timestamp;

/// Whether a grant can be used. Expiry is computed, never stored as a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It can be used and, where it is renewable, renewed.
    Active,
    /// Its user must connect again.
    ReconnectRequired(Reconnect),
    /// Its tokens cannot be opened with the keys present.
    Unreadable,
}

/// The kinds of [`Status`], whatever the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusKind {
    /// See [`Status::Active`].
    Active,
    /// See [`Status::ReconnectRequired`].
    ReconnectRequired,
    /// See [`Status::Unreadable`].
    Unreadable,
}

impl StatusKind {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReconnectRequired => "reconnect_required",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Status {
    /// Which kind it is.
    pub fn kind(self) -> StatusKind {
        match self {
            Self::Active => StatusKind::Active,
            Self::ReconnectRequired(_) => StatusKind::ReconnectRequired,
            Self::Unreadable => StatusKind::Unreadable,
        }
    }

    /// Why it is so, by the name that is stored.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::ReconnectRequired(reason) => Some(reason.as_str()),
            Self::Active | Self::Unreadable => None,
        }
    }
}

/// The declared attempt to redeem the refresh token of one generation: lease and intent in one.
///
/// Written before the request is, so that a crash leaves its trace: an attempt whose lease ended
/// without a verdict has an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Names the attempt; every later conditional write repeats it.
    pub intent: IntentId,
    /// Who holds the lease.
    pub owner: ReplicaId,
    /// When the lease ends, on the database's clock.
    pub until: Timestamp,
    /// Its number among the attempts of this connection, from one: an attempt declared later has a
    /// higher one.
    pub serial: i64,
}

/// How a connection came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its user connected in a handshake.
    Handshake,
    /// It was taken over from another system.
    Import,
    /// The deployment obtains it, anew whenever it ends: in its own name (RFC 6749, section 4.4), when no
    /// user has it, or for what a user's login is (RFC 8693).
    Automatic,
}

impl Origin {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Import => "import",
            Self::Automatic => "automatic",
        }
    }

    /// The origin of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Handshake, Self::Import, Self::Automatic]
            .into_iter()
            .find(|origin| origin.as_str() == name)
    }
}

/// How many renewals forced by rejections are remembered: so many are allowed in an hour.
pub const FORCED_LIMIT: usize = 3;

/// The part of a connection that [`decide`] works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one grant, as they are stored"
)]
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
    /// When generations came from rejections, the newest first.
    pub forced_at: [Option<Timestamp>; FORCED_LIMIT],
    /// The attempt under way or left behind by a crash.
    pub attempt: Option<Attempt>,
    /// How many attempts were declared since the user connected.
    pub attempts: i64,
    /// The number of the attempt this generation came from; zero for the first one.
    pub redeemed_by: i64,
    /// Whether the last renewal left the refresh token as it was.
    pub keeps: bool,
    /// How many redemptions of this generation had an unknown outcome.
    pub unknown_outcomes: i64,
    /// When the first of those was sent, at the earliest.
    pub unknown_since: Option<Timestamp>,
    /// How many refusals in a row meant nothing known.
    pub unclear_refusals: i64,
    /// Whether the last attempt failed because the provider refuses our client.
    pub client_refused: bool,
    /// How many attempts in a row failed for a passing reason.
    pub failures: i64,
    /// Not to be tried again before this.
    pub next_attempt_at: Option<Timestamp>,
}

impl Lifecycle {
    /// The beginning of a grant, before it has its first generation.
    pub fn granted(obtained_at: Timestamp, expires_at: Option<Timestamp>, renewable: bool) -> Self {
        Self {
            generation: 0,
            status: Status::Active,
            renewable,
            obtained_at,
            expires_at,
            rejected: false,
            forced: false,
            forced_at: [None; FORCED_LIMIT],
            attempt: None,
            attempts: 0,
            redeemed_by: 0,
            keeps: false,
            unknown_outcomes: 0,
            unknown_since: None,
            unclear_refusals: 0,
            client_refused: false,
            failures: 0,
            next_attempt_at: None,
        }
    }
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
    /// How it came to be.
    pub origin: Origin,
    /// The provider profile named on the server when its user connected.
    pub profile: Option<String>,
    /// The upstream account it speaks for, if that is known.
    pub account: Option<String>,
    /// Whether that is not the user's own, as the server wanted it to be.
    pub account_differs: bool,
    /// When its user connected.
    pub connected_at: Timestamp,
    /// When it was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// When it was last handed out, within a minute.
    pub used_at: Option<Timestamp>,
    /// When the provider ends the whole grant, if it said so.
    pub reconnect_before: Option<Timestamp>,
    /// What the last failed attempt said, as a short code; empty after a success.
    pub last_error: Option<String>,
    /// When an attempt last failed.
    pub failed_at: Option<Timestamp>,
    /// When it is next renewed without being asked for: [`Connection::next_due`], as it was when
    /// the row was written.
    pub due_at: Option<Timestamp>,
    /// When the row last changed, uses not counted.
    pub updated_at: Timestamp,
    /// Grows with every write; what a conditional write names, besides id and generation.
    pub version: i64,
}

/// What is handed out and renewed: whatever has a [`Lifecycle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantId {
    /// One user's grant on one server.
    Connection(ConnectionId),
    /// The tokens of a user's login.
    Identity(IdentityId),
}

impl GrantId {
    /// The sixteen bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Connection(id) => id.as_bytes(),
            Self::Identity(id) => id.as_bytes(),
        }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(id) => id.fmt(f),
            Self::Identity(id) => id.fmt(f),
        }
    }
}

/// A credential was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Whose.
    pub tenant: TenantId,
    /// Of which generation.
    pub generation: i64,
    /// When.
    pub at: Timestamp,
    /// When the generation is now to be renewed unasked.
    pub due_at: Option<Timestamp>,
}

impl Connection {
    /// Whether a user should see themselves as connected: judged from what is stored, without any
    /// network call.
    pub fn is_connected(&self, now: Timestamp) -> bool {
        let alive = self.life.renewable || self.life.expires_at.is_none_or(|end| now < end);
        self.life.status == Status::Active && alive
    }

    /// Whether it is a user's login token, exchanged for one that is for this server alone (RFC 8693). It is
    /// exchanged anew whenever it ends.
    pub fn is_exchanged(&self) -> bool {
        self.origin == Origin::Automatic && self.user != UserId::nobody()
    }

    /// Whether its server was followed to another issuer: it is kept for when the server comes back.
    pub fn is_set_aside(&self) -> bool {
        self.life.status == Status::ReconnectRequired(Reconnect::IssuerChanged)
    }
}
