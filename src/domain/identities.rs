//! Identities: the tokens of a user's own login at one identity provider, deposited to be sent on or
//! exchanged, and renewed as connections are: by [`super::connections::decide`].
//!
//! An identity serves many servers, which distinguishes it from a connection: what one of them says of it
//! is no verdict for the others. So a rejection has it renewed at most, and never ends it.

use std::time::Duration;

use super::authorization::Issuer;
use super::connections::{Lifecycle, Policy, Status};
use super::ids::IdentityId;
use super::secrets::{Sealed, SecretHash};
use super::servers::{IdentityToken, Rules, server_url};
use super::tenants::TenantId;
use super::text::{UserId, Violations};
use super::time::Timestamp;

/// A login token that ends sooner than this is renewed before it is sent.
pub const MARGIN: Duration = Duration::from_mins(10);

/// The tokens of one user's login at one identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id; every deposit has a new one, so that what is late for one cannot touch the next.
    pub id: IdentityId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which user's.
    pub user: UserId,
    /// The identity provider.
    pub issuer: Issuer,
    /// What may happen to it. Its `expires_at` is when the first of the tokens ends that lived when they
    /// came.
    pub life: Lifecycle,
    /// The access token.
    pub access_token: Option<Sealed>,
    /// When that ends, if it is known.
    pub access_token_ends: Option<Timestamp>,
    /// The ID token.
    pub id_token: Option<Sealed>,
    /// When that ends, if it is known.
    pub id_token_ends: Option<Timestamp>,
    /// The refresh token.
    pub refresh_token: Option<Sealed>,
    /// The hash of everything that was deposited: the same again is recognised by it.
    pub deposit_hash: SecretHash,
    /// The hashes of the refresh tokens deposited so far, the last one first; as many as are remembered.
    pub refresh_hashes: Vec<SecretHash>,
    /// When it was deposited.
    pub deposited_at: Timestamp,
    /// When it was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// When it was last handed out, within a minute.
    pub used_at: Option<Timestamp>,
    /// What the last failed attempt said, as a short code; empty after a success.
    pub last_error: Option<String>,
    /// When an attempt last failed.
    pub failed_at: Option<Timestamp>,
    /// When it is next renewed without being asked for, as it was when the row was written.
    pub due_at: Option<Timestamp>,
    /// When the row last changed, uses not counted.
    pub updated_at: Timestamp,
    /// Grows with every write; what a conditional write names, besides id and generation.
    pub version: i64,
}

/// When the first of two tokens ends, as far as that is known.
pub fn first_end(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Notes an issuer that is none: an absolute URL, as a server's is.
pub fn check_issuer(found: &mut Violations, issuer: &Issuer, rules: Rules) {
    if let Err(why) = server_url(issuer.as_str(), rules) {
        found.add("issuer", why);
    } else if issuer.as_str().contains(char::is_whitespace) {
        found.add("issuer", "must not hold white space");
    }
}

/// What a user's identity at an identity provider is called in the feed: whatever its id is by now.
pub fn subject(user: &UserId, issuer: &Issuer) -> String {
    // No issuer holds a space.
    format!("{issuer} {user}")
}

impl Identity {
    /// What it is called in the feed.
    pub fn subject(&self) -> String {
        subject(&self.user, &self.issuer)
    }

    /// The token of this kind and its end, if there is one and it did not end.
    pub fn living(
        &self,
        kind: IdentityToken,
        now: Timestamp,
    ) -> Option<(&Sealed, Option<Timestamp>)> {
        let (token, ends) = match kind {
            IdentityToken::Access => (&self.access_token, self.access_token_ends),
            IdentityToken::Id => (&self.id_token, self.id_token_ends),
        };
        let lives = ends.is_none_or(|end| now < end);
        token.as_ref().filter(|_| lives).map(|token| (token, ends))
    }

    /// Whether a token of this kind was ever there.
    pub fn holds(&self, kind: IdentityToken) -> bool {
        match kind {
            IdentityToken::Access => self.access_token.is_some() || self.refresh_token.is_some(),
            IdentityToken::Id => self.id_token.is_some(),
        }
    }

    /// Whether it is over: its identity provider refuses to renew it, and a server rejects what is left.
    pub fn is_over(&self) -> bool {
        self.life.rejected && matches!(self.life.status, Status::ReconnectRequired(_))
    }

    /// Whether a token of this kind can be had: judged from what is stored, without any network call.
    pub fn is_usable(&self, kind: IdentityToken, now: Timestamp) -> bool {
        let renewable = self.life.renewable && self.life.status == Status::Active;
        let lives = self.living(kind, now).is_some() && !self.is_over();
        lives || renewable && self.holds(kind)
    }

    /// When it is next to be renewed without being asked for: [`Lifecycle::next_due`].
    pub fn next_due(&self, used_at: Option<Timestamp>, policy: &Policy) -> Option<Timestamp> {
        self.life.next_due(self.id.as_bytes(), used_at, policy)
    }
}

#[cfg(test)]
#[path = "identities_tests.rs"]
mod tests;
