//! Registrations: our OAuth client at one authorization server, for one MCP server.
//!
//! Keyed by (tenant, server, issuer, generation). Every grant remembers the registration that
//! issued it and is refreshed with that one, whatever came later.

use std::time::Duration;

use super::authorization::{ClientAuthMethod, Issuer, Scopes};
use super::ids::{RegistrationId, ServerId};
use super::secrets::Sealed;
use super::tenants::TenantId;
use super::time::Timestamp;

/// So long before its end, at most, a client's secret is renewed.
const AHEAD: Duration = Duration::from_hours(24);
/// A secret is not renewed again before so long.
const PACE: Duration = Duration::from_mins(1);

/// How we came by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationKind {
    /// An administrator made it; its secret is the server's.
    Preregistered,
    /// It is named by the URL of its metadata document (CIMD).
    MetadataDocument,
    /// We registered it (RFC 7591).
    Dynamic,
    /// It came with a grant of another system, and serves such grants only: no user is connected
    /// with it, and it is never a server's present client.
    Imported,
}

impl RegistrationKind {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preregistered => "preregistered",
            Self::MetadataDocument => "metadata_document",
            Self::Dynamic => "dynamic",
            Self::Imported => "imported",
        }
    }

    /// The kind of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Preregistered,
            Self::MetadataDocument,
            Self::Dynamic,
            Self::Imported,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

/// Our OAuth client at an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// For which MCP server.
    pub server: ServerId,
    /// At which authorization server; empty when endpoints were written without an issuer.
    pub issuer: Issuer,
    /// Grows with each new client for the same server and issuer.
    pub generation: i64,
    /// How we came by it.
    pub kind: RegistrationKind,
    /// The client id.
    pub client_id: String,
    /// The secret, for dynamic and imported confidential clients.
    pub client_secret: Option<Sealed>,
    /// When that secret ends, if it does.
    pub secret_expires_at: Option<Timestamp>,
    /// When its secret is to be renewed; `None` where that was not planned yet.
    pub renew_at: Option<Timestamp>,
    /// How it authenticates at the token endpoint.
    pub auth_method: ClientAuthMethod,
    /// Whether that was said by nobody and has not been seen to work.
    pub method_assumed: bool,
    /// The redirect URI it was registered with; empty for imported ones, which need none here.
    pub redirect_uri: String,
    /// The scopes it was registered with, where some were named and that is known.
    pub scopes: Option<Scopes>,
    /// The token that manages the registration (RFC 7592).
    pub management_token: Option<Sealed>,
    /// Where the registration is managed.
    pub management_uri: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// When a secret obtained at one time and ending at another is to be renewed: when a fifth of its life
/// or a day is left, whichever is shorter.
pub fn renewal(obtained: Timestamp, ends: Timestamp) -> Timestamp {
    let planned = ends.before((ends.since(obtained) / 5).min(AHEAD));
    planned.max(obtained.after(PACE))
}

impl Registration {
    /// When the secret that it authenticates with ends, if it has one that does.
    pub fn secret_ends(&self) -> Option<Timestamp> {
        use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, None, PrivateKeyJwt};
        match self.auth_method {
            ClientSecretBasic | ClientSecretPost => self.secret_expires_at,
            None | PrivateKeyJwt => Option::None,
        }
    }

    /// Whether the secret that it authenticates with has ended.
    pub fn secret_has_ended(&self, now: Timestamp) -> bool {
        self.secret_ends().is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_renewed_a_fifth_of_its_life_or_a_day_before_it_ends() {
        let minutes = |minutes| Timestamp::default().after(Duration::from_mins(minutes));
        let hour = 60;

        for (life, before) in [
            (hour, 12),
            (5 * 24 * hour, 24 * hour),
            (365 * 24 * hour, 24 * hour),
        ] {
            assert_eq!(
                renewal(minutes(7), minutes(7 + life)),
                minutes(7 + life - before)
            );
        }
        assert_eq!(
            renewal(minutes(7), minutes(7)),
            minutes(8),
            "not at once again"
        );
    }
}
