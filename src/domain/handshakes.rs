//! Handshakes: one attempt of one user to obtain a grant on one server.
//!
//! A handshake records everything the callback needs ([`Snapshot`]), so that the callback never
//! discovers again: a second discovery could name another token endpoint (mix-up attack).

use serde::{Deserialize, Serialize};

use super::authorization::{ClientAuthMethod, Issuer, Resource, Scopes};
use super::ids::{HandshakeId, RegistrationId, ServerId};
use super::secrets::{Sealed, SecretHash};
use super::tenants::TenantId;
use super::text::UserId;
use super::time::Timestamp;

/// What ties the browser that comes back to the user the grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Whoever opens the link confirms on a page of ours. An opt-in of the deployment.
    Link,
    /// The front end confirms for its signed-in user with a one-time code.
    Confirm,
    /// The user signs in at the tenant's identity provider first.
    Login,
}

impl Binding {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Confirm => "confirm",
            Self::Login => "login",
        }
    }

    /// The binding of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Link, Self::Confirm, Self::Login]
            .into_iter()
            .find(|b| b.as_str() == name)
    }
}

/// Why a handshake failed. Shown to whoever started it, never to the browser in this detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The user said no (RFC 6749, section 4.1.2.1: `access_denied`).
    AccessDenied,
    /// The authorization server answered the browser with another error.
    ProviderError,
    /// The answer came from another issuer, or named none although it must (RFC 9207).
    IssuerMismatch,
    /// The answer held neither a code nor an error.
    MalformedCallback,
    /// The token endpoint refused the code.
    ExchangeRefused,
    /// The token endpoint refused our client.
    ClientRefused,
    /// The token endpoint could not be reached or answered nonsense, or the authorization server told the
    /// browser that it is in trouble.
    ExchangeUnavailable,
    /// The exchange was sent and its answer never came; the code is spent.
    Interrupted,
    /// The server changed while the browser was away.
    ServerChanged,
    /// The upstream account is not the user's own, as the server demands.
    AccountMismatch,
}

/// Every failure, for reading stored names.
const FAILURES: [Failure; 10] = [
    Failure::AccessDenied,
    Failure::ProviderError,
    Failure::IssuerMismatch,
    Failure::MalformedCallback,
    Failure::ExchangeRefused,
    Failure::ClientRefused,
    Failure::ExchangeUnavailable,
    Failure::Interrupted,
    Failure::ServerChanged,
    Failure::AccountMismatch,
];

impl Failure {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ProviderError => "provider_error",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::MalformedCallback => "malformed_callback",
            Self::ExchangeRefused => "exchange_refused",
            Self::ClientRefused => "client_refused",
            Self::ExchangeUnavailable => "exchange_unavailable",
            Self::Interrupted => "interrupted",
            Self::ServerChanged => "server_changed",
            Self::AccountMismatch => "account_mismatch",
        }
    }

    /// The failure of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        FAILURES
            .into_iter()
            .find(|failure| failure.as_str() == name)
    }
}

/// Where a handshake is. Expiry is computed, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for the browser.
    Pending,
    /// The code is being exchanged; whoever does it must be done by `until`.
    Exchanging {
        /// After this the exchange counts as interrupted.
        until: Timestamp,
    },
    /// The grant is parked until the front end confirms.
    AwaitingConfirmation,
    /// The grant is stored.
    Completed {
        /// The connection's generation.
        generation: i64,
    },
    /// It came to nothing.
    Failed(Failure),
    /// Whoever started it ended it.
    Cancelled,
    /// Nobody came in time.
    Expired,
}

impl State {
    /// Whether nothing can change any more.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Exchanging { .. } | Self::AwaitingConfirmation => false,
            Self::Completed { .. } | Self::Failed(_) | Self::Cancelled | Self::Expired => true,
        }
    }
}

/// What the callback needs, recorded before the browser leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The issuer that must answer; `None` for endpoints written without one.
    pub issuer: Option<Issuer>,
    /// Whether the answer must carry `iss` (RFC 9207, section 2.4).
    pub iss_required: bool,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where the code is redeemed.
    pub token_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<String>,
    /// Where the account is asked for, where the server asks whose it is and the issuer has such a place.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// The claim that names the account, where the server asks whose it is.
    #[serde(default)]
    pub account_claim: Option<String>,
    /// Our client there.
    pub client_id: String,
    /// How it authenticates.
    pub auth_method: ClientAuthMethod,
    /// The redirect URI, identical in every request.
    pub redirect_uri: String,
    /// The resource, byte for byte; `None` where the server's configuration omits it.
    pub resource: Option<Resource>,
    /// The scopes asked for.
    pub scopes: Option<Scopes>,
    /// Extra parameters of the authorization request.
    pub extra_params: Vec<(String, String)>,
    /// The provider profile named on the server, by which the provider's protocol is spoken to the end.
    #[serde(default)]
    pub profile: Option<String>,
}

impl Snapshot {
    /// Whether these are the scopes asked for.
    pub fn asks_for(&self, scopes: Option<&Scopes>) -> bool {
        let none = Scopes::default();
        let asked = self.scopes.as_ref().unwrap_or(&none);
        asked.are_the_same_as(scopes.unwrap_or(&none))
    }
}

/// One attempt to obtain a grant.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Its id.
    pub id: HandshakeId,
    /// Whose it is.
    pub tenant: TenantId,
    /// For which user.
    pub user: UserId,
    /// On which server.
    pub server: ServerId,
    /// The principal that started it.
    pub created_by: String,
    /// What ties browser and user.
    pub binding: Binding,
    /// Where it is.
    pub state: State,
    /// The client used.
    pub registration: RegistrationId,
    /// The server's `auth_version` when it started.
    pub auth_version: i64,
    /// What the callback needs.
    pub snapshot: Snapshot,
    /// State and PKCE verifier, sealed. Gone once the code is redeemed.
    pub flow: Option<Sealed>,
    /// Hash of the connect link's secret part.
    pub link_hash: SecretHash,
    /// Hash of the `state` parameter.
    pub state_hash: SecretHash,
    /// Hash of the browser that opened the link.
    pub browser_hash: Option<SecretHash>,
    /// Where the result page leads back to.
    pub return_url: Option<String>,
    /// Which window the result page tells.
    pub opener_origin: Option<String>,
    /// Where the browser goes to be confirmed.
    pub completion_url: Option<String>,
    /// Hash of the one-time confirmation code.
    pub code_hash: Option<SecretHash>,
    /// The grant waiting for confirmation, sealed.
    pub parked: Option<Sealed>,
    /// The upstream account of the grant, if it is known.
    pub account: Option<String>,
    /// When it started.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it reached its end.
    pub finished_at: Option<Timestamp>,
}

impl Handshake {
    /// Where it is at this time: what is stored, with expiry and interruption applied.
    pub fn state_at(&self, now: Timestamp) -> State {
        if let State::Exchanging { until } = self.state {
            return if now >= until {
                State::Failed(Failure::Interrupted)
            } else {
                self.state
            };
        }
        let over = now >= self.expires_at && !self.state.is_final();
        if over { State::Expired } else { self.state }
    }
}

/// What the browser brought back (RFC 6749, sections 4.1.2 and 4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerVerdict {
    /// It came from the recorded issuer, as far as can be known.
    Accepted,
    /// It must not be looked at any further.
    Rejected,
}

/// Compares `iss` with the recorded issuer, exactly (RFC 9207, section 2.4). Made before anything
/// else in the answer is looked at, errors included.
pub fn judge_issuer(snapshot: &Snapshot, iss: Option<&str>) -> IssuerVerdict {
    let accepted = match (iss, &snapshot.issuer) {
        (Some(iss), Some(issuer)) => iss == issuer.as_str(),
        // Nothing is known to compare with: endpoints written by hand without an issuer.
        (Some(_), None) => true,
        (None, _) => !snapshot.iss_required,
    };
    if accepted {
        IssuerVerdict::Accepted
    } else {
        IssuerVerdict::Rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(issuer: Option<&str>, iss_required: bool) -> Snapshot {
        Snapshot {
            issuer: issuer.map(Issuer::new),
            iss_required,
            authorization_endpoint: String::new(),
            token_endpoint: String::new(),
            revocation_endpoint: None,
            userinfo_endpoint: None,
            account_claim: None,
            client_id: String::new(),
            auth_method: ClientAuthMethod::None,
            redirect_uri: String::new(),
            resource: None,
            scopes: None,
            extra_params: Vec::new(),
            profile: None,
        }
    }

    #[test]
    fn iss_is_compared_exactly_whenever_present_and_demanded_when_advertised() {
        use IssuerVerdict::{Accepted, Rejected};
        let known = Some("https://as.test");
        for (required, iss, verdict) in [
            (true, known, Accepted),
            (true, None, Rejected),
            (false, None, Accepted),
            (false, Some("https://evil.test"), Rejected),
            (true, Some("https://as.test/"), Rejected),
            (true, Some(""), Rejected),
        ] {
            assert_eq!(
                judge_issuer(&snapshot(known, required), iss),
                verdict,
                "{required} {iss:?}"
            );
        }
        assert_eq!(judge_issuer(&snapshot(None, false), known), Accepted);
    }

    #[test]
    fn every_failure_reads_back() {
        for failure in FAILURES {
            assert_eq!(Failure::parse(failure.as_str()), Some(failure));
        }
    }
}
