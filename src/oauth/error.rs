//! How discovery, registration and the preparation of requests can fail. What a token endpoint
//! answers is not an error but an [`super::Outcome`].

use std::time::Duration;

use http::StatusCode;

use crate::domain::authorization::{ClientAuthMethod, Issuer, Resource};
use crate::fetch;

/// What kept us from going on. No variant carries text of a foreign body beyond identifiers and
/// error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server's address is not a usable URL.
    #[error("server address is not a URL")]
    Address,
    /// No protected resource metadata at any of the places of RFC 9728, section 3.
    #[error("no protected resource metadata found")]
    NoResourceMetadata,
    /// The metadata describes another resource (RFC 9728, section 3.3).
    #[error("metadata is for resource {found}")]
    ResourceMismatch {
        /// What it describes.
        found: Resource,
    },
    /// The metadata names no authorization server.
    #[error("metadata names no authorization server")]
    NoAuthorizationServer,
    /// The metadata no longer names the issuer of the client given.
    #[error("metadata does not name issuer {wanted}")]
    IssuerNotListed {
        /// The client's issuer.
        wanted: Issuer,
    },
    /// No authorization server metadata at any of the places of RFC 8414, section 3.1.
    #[error("no metadata found for issuer {issuer}")]
    NoServerMetadata {
        /// The issuer asked for.
        issuer: Issuer,
    },
    /// The only metadata found names another issuer (RFC 8414, section 3.3).
    #[error("metadata for issuer {issuer} names issuer {found}")]
    IssuerMismatch {
        /// The issuer asked for.
        issuer: Issuer,
        /// The issuer named.
        found: Issuer,
    },
    /// Metadata was found but a member is missing or unusable.
    #[error("metadata member {member} is missing or unusable")]
    Metadata {
        /// The member's name.
        member: &'static str,
    },
    /// An endpoint that nobody but the server vouches for is on another origin than the server's.
    #[error("{member} is on another origin than the server's")]
    ForeignEndpoint {
        /// The member's name.
        member: &'static str,
    },
    /// PKCE with S256 is not advertised, and no override was given.
    #[error("issuer {issuer} does not advertise PKCE with S256")]
    PkceUnsupported {
        /// The issuer.
        issuer: Issuer,
    },
    /// The client authentication method is not spoken here.
    #[error("client authentication method not supported")]
    Unsupported {
        /// The method, when it is one we know by name.
        method: Option<ClientAuthMethod>,
    },
    /// The client authentication method needs a secret and there is none.
    #[error("client secret missing")]
    SecretMissing,
    /// Registration was refused (RFC 7591, section 3.2.2).
    #[error("registration refused with status {status}{}", and_code(.code.as_deref()))]
    RegistrationRefused {
        /// The status.
        status: StatusCode,
        /// The error code, when a well-formed one was given.
        code: Option<String>,
    },
    /// Registration was answered with something that is no registration.
    #[error("registration answer is malformed")]
    RegistrationMalformed,
    /// The other side is in trouble and may be better later.
    #[error("temporarily unavailable with status {status}")]
    Unavailable {
        /// The status.
        status: StatusCode,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// What was said to be an endpoint does not do what it is for (404, 405, 410, 501).
    #[error("no such endpoint: status {status}")]
    NoEndpoint {
        /// The status.
        status: StatusCode,
    },
    /// The `UserInfo` endpoint did not say whose grant it is.
    #[error("userinfo says nothing usable: status {status}")]
    UserInfo {
        /// The status.
        status: StatusCode,
    },
    /// A URL that must be sent to or redirected to cannot be.
    #[error("{name} is not a usable URL")]
    Endpoint {
        /// Which one.
        name: &'static str,
    },
    /// An extra parameter has the name of one of the protocol's own.
    #[error("parameter {name} is reserved")]
    ReservedParameter {
        /// Its name.
        name: String,
    },
    /// It could not be contacted, or gave no complete answer.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
}

/// A code after what else is said; nothing where there is none.
fn and_code(code: Option<&str>) -> String {
    code.map(|code| format!(" and {code}")).unwrap_or_default()
}

impl Error {
    /// Whether a request was not made for reasons of ours, which say nothing about the place: its time
    /// was over, it could not be formed, or our rules forbid it.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(
                error,
                fetch::Error::Blocked { .. }
                    | fetch::Error::Setup
                    | fetch::Error::NotSent {
                        cause: fetch::Cause::TooLate | fetch::Cause::Request,
                        ..
                    }
            ),
            Self::Endpoint { .. } | Self::Unsupported { .. } | Self::SecretMissing => true,
            Self::Address
            | Self::NoResourceMetadata
            | Self::ResourceMismatch { .. }
            | Self::NoAuthorizationServer
            | Self::IssuerNotListed { .. }
            | Self::NoServerMetadata { .. }
            | Self::IssuerMismatch { .. }
            | Self::Metadata { .. }
            | Self::ForeignEndpoint { .. }
            | Self::PkceUnsupported { .. }
            | Self::RegistrationRefused { .. }
            | Self::RegistrationMalformed
            | Self::Unavailable { .. }
            | Self::NoEndpoint { .. }
            | Self::UserInfo { .. }
            | Self::ReservedParameter { .. } => false,
        }
    }
}
