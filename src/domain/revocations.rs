//! Revocations: grants that are gone here and are to be revoked at their provider (RFC 7009), and
//! the clients that do it, some of which are to be deleted themselves when they are done (RFC 7592).
//!
//! Everything needed is kept with them, as it was when the grant ended: a secret of today is not for
//! an endpoint of then. Nothing here refers to a server, a registration or a connection.

use std::time::Duration;

use super::authorization::{ClientAuthMethod, Issuer};
use super::connections::{Attempt, Connection};
use super::ids::{ConnectionId, RetiredClientId, ServerId};
use super::profiles::Profile;
use super::registrations::Registration;
use super::secrets::Sealed;
use super::tenants::TenantId;
use super::text::UserId;
use super::time::Timestamp;

/// How long after a lease an entry still waits for what its holder may bring.
pub const MARGIN: Duration = Duration::from_mins(1);
/// How long revoking is tried. After that it is given up.
pub const DEADLINE: Duration = Duration::from_hours(7 * 24);
/// How long what is left of a tenant is kept for its revocations.
pub const TENANT_DEADLINE: Duration = Duration::from_hours(24);
/// How long after it was queued what was given up stays visible.
pub const DEAD_KEPT: Duration = Duration::from_hours(30 * 24);
/// The pauses between tries: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));
/// The longest wish of a provider that is honoured.
const DAY: Duration = Duration::from_hours(24);

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name it is stored under.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What a stored name means.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

names! {
    /// Why a grant is to be revoked.
    Reason {
        /// Its user, or somebody for them, ended it.
        Disconnect = "disconnect",
        /// Its server was deleted.
        ServerDeleted = "server_deleted",
        /// Its server changed.
        ServerChanged = "server_changed",
        /// Its user was purged.
        Purge = "purge",
        /// Its tenant was deleted.
        TenantDeleted = "tenant_deleted",
        /// Another grant took its place.
        Superseded = "superseded",
        /// It was obtained and could not be stored.
        NotStored = "not_stored",
        /// Nobody confirmed it.
        Unconfirmed = "unconfirmed",
        /// It came of a renewal of a grant that had ended.
        Late = "late",
    }
}

names! {
    /// Where a piece of work is. What is done is not kept.
    WorkState {
        /// To be done.
        Pending = "pending",
        /// Given up; its secrets are gone.
        Dead = "dead",
    }
}

/// What a piece of work went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Whether it is to be done.
    pub state: WorkState,
    /// Not before this, on the clock that leases are measured by.
    pub not_before: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
    /// Not before this, on the service's clock.
    pub next_attempt_at: Timestamp,
    /// Until when whoever took it has it, on the clock that leases are measured by.
    pub lease_until: Option<Timestamp>,
    /// What the last try said, as a short code.
    pub last_error: Option<String>,
    /// When it became due.
    pub created_at: Timestamp,
    /// Grows with every write; what a conditional write names.
    pub version: i64,
}

impl Work {
    /// Work that begins at this time, though not before that.
    pub fn from(now: Timestamp, not_before: Timestamp) -> Self {
        Self {
            state: WorkState::Pending,
            not_before,
            attempts: 0,
            next_attempt_at: now,
            lease_until: None,
            last_error: None,
            created_at: now,
            version: 1,
        }
    }
}

/// A registration that is to be deleted (RFC 7592).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Management {
    /// Where it is managed.
    pub uri: String,
    /// The token that proves we may.
    pub token: Sealed,
}

/// Our client at an authorization server, as it was when it was needed no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredClient {
    /// Its id.
    pub id: RetiredClientId,
    /// Whose it is.
    pub tenant: TenantId,
    /// At which authorization server; empty where endpoints were written without an issuer.
    pub issuer: Issuer,
    /// The client id.
    pub client_id: String,
    /// How it authenticates.
    pub auth_method: ClientAuthMethod,
    /// Its secret.
    pub client_secret: Option<Sealed>,
    /// What is to be deleted once no grant of this client waits any more.
    pub management: Option<Management>,
    /// The work of deleting it.
    pub work: Work,
}

/// A grant to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The id of the connection it was, or would have been.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which user's.
    pub user: UserId,
    /// On which server.
    pub server: ServerId,
    /// The client that revokes it; none once it is given up.
    pub client: Option<RetiredClientId>,
    /// Who issued it.
    pub issuer: Issuer,
    /// Where it is revoked.
    pub endpoint: String,
    /// Why.
    pub reason: Reason,
    /// The refresh token, revoked first.
    pub refresh_token: Option<Sealed>,
    /// The access token, revoked where there is no refresh token or the provider takes none.
    pub access_token: Option<Sealed>,
    /// The work of revoking it.
    pub work: Work,
}

/// Which work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A grant is to be revoked.
    Revocation,
    /// A registration is to be deleted.
    Deletion,
}

impl Kind {
    /// One of two.
    pub fn choose<T>(self, revocation: T, deletion: T) -> T {
        match self {
            Self::Revocation => revocation,
            Self::Deletion => deletion,
        }
    }
}

/// A piece of work, of either kind.
pub trait Job: Sync {
    /// Which.
    const KIND: Kind;

    /// Whose it is.
    fn tenant(&self) -> &TenantId;

    /// Its id.
    fn id(&self) -> String;

    /// How it goes.
    fn work(&self) -> &Work;
}

impl Job for Revocation {
    const KIND: Kind = Kind::Revocation;

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn work(&self) -> &Work {
        &self.work
    }
}

impl Job for RetiredClient {
    const KIND: Kind = Kind::Deletion;

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn work(&self) -> &Work {
        &self.work
    }
}

impl Revocation {
    /// The revocation of a connection with the tokens it has, by a client at an endpoint. It waits
    /// out an attempt to redeem that is still open.
    pub fn of(
        connection: &Connection,
        client: &RetiredClient,
        endpoint: String,
        reason: Reason,
        now: Timestamp,
    ) -> Self {
        let not_before = connection.life.attempt.map(waited_for);
        Self {
            id: connection.id,
            tenant: connection.tenant.clone(),
            user: connection.user.clone(),
            server: connection.server,
            client: Some(client.id),
            issuer: connection.issuer.clone(),
            endpoint,
            reason,
            refresh_token: connection.refresh_token.clone(),
            access_token: connection.access_token.clone(),
            work: Work::from(now, not_before.unwrap_or_default()),
        }
    }

    /// Whether its tokens are those that this attempt presented when the grant ended. What another
    /// attempt left behind, or presented after it, is another matter.
    pub fn waits_for(&self, attempt: Attempt) -> bool {
        self.work.not_before == waited_for(attempt)
    }
}

/// Until when an attempt is waited for.
fn waited_for(attempt: Attempt) -> Timestamp {
    attempt.until.after(MARGIN)
}

/// What a provider said, or did not, about what it was asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is ended, or was already.
    Ended,
    /// Perhaps later.
    Later {
        /// When, if it said so.
        retry_after: Option<Duration>,
    },
    /// Never: why, as a short code.
    Never(String),
}

/// What becomes of a piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// It is tried again.
    Again {
        /// When.
        at: Timestamp,
    },
    /// It is given up: why, as a short code.
    Dead(String),
}

/// Decides what becomes of a piece of work. `spread` lies between 0 and 1 and moves the next try by
/// a quarter of the pause in either direction, so that a bulk does not come back as one. The
/// provider's own wish is honoured up to a day.
pub fn decide(work: &Work, heard: Heard, now: Timestamp, spread: f64) -> Next {
    let retry_after = match heard {
        Heard::Ended => return Next::Done,
        Heard::Never(why) => return Next::Dead(why),
        Heard::Later { retry_after } => retry_after.unwrap_or_default().min(DAY),
    };
    if now.since(work.created_at) >= DEADLINE {
        return Next::Dead("too_old".to_owned());
    }
    let doublings = u32::try_from(work.attempts.clamp(1, 20) - 1).unwrap_or(0);
    let pause = PAUSE.0.saturating_mul(2_u32.saturating_pow(doublings));
    let pause = pause
        .min(PAUSE.1)
        .mul_f64(0.75 + spread.clamp(0.0, 1.0) / 2.0);
    Next::Again {
        at: now.after(pause.max(retry_after)),
    }
}

/// Whether a grant is revoked when its user connects again: judged by the clients that obtained the
/// old one and the new one. At many providers revoking one grant of a client ends the others.
pub fn revokes_superseded(old: &Registration, new: &Registration, provider: &Profile) -> bool {
    let same = old.issuer == new.issuer && old.client_id == new.client_id;
    !same || provider.independent_grants
}

#[cfg(test)]
#[path = "revocations_tests.rs"]
mod tests;
