//! What went wrong, in the caller's words. The doors translate these one by one; nothing here holds
//! a secret or another system's text.

use std::time::Duration;

use crate::domain::changes::Revision;
use crate::domain::ids::ConnectionId;
use crate::domain::servers::AuthKind;
use crate::domain::text::{Violation, Violations};
use crate::{crypto, store};

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credentials were presented.
    #[error("credentials are missing")]
    CredentialsMissing,
    /// The credentials are unknown, revoked, expired or malformed; which, is not said.
    #[error("credentials are not valid")]
    CredentialsInvalid,
    /// The user's own token must accompany the call, and there is none that is valid.
    #[error("the user's own token is missing or not valid")]
    UserTokenRequired,
    /// The caller's role may not call this method.
    #[error("role {role} may not do this")]
    RoleNotAllowed {
        /// The caller's role.
        role: &'static str,
    },
    /// The key is narrowed to other methods, servers or addresses.
    #[error("the key may not be used for this: its {by} are narrowed")]
    KeyNarrowed {
        /// What keeps it out: `methods` or `source_cidrs`.
        by: &'static str,
    },
    /// The caller acts for another user only.
    #[error("the caller may not act for this user")]
    UserNotAllowed,
    /// There is no tenant of this name in use.
    #[error("tenant not found")]
    TenantNotFound,
    /// The name is or was another tenant's.
    #[error("the name is taken")]
    TenantExists,
    /// There is no such server, or the caller may not know of it.
    #[error("server not found")]
    ServerNotFound,
    /// The server is switched off.
    #[error("server is disabled")]
    ServerDisabled,
    /// Another server of the tenant has this slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// Another server has this id.
    #[error("the id is taken")]
    ServerIdTaken,
    /// It changed since the caller read it.
    #[error("the etag is not the current one")]
    EtagMismatch {
        /// The current one.
        current: String,
    },
    /// Fields do not hold what they may.
    #[error("invalid argument")]
    Invalid(Vec<Violation>),
    /// The request id was used for something else before.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Discovery did not find how to authorise requests to the server.
    #[error("discovery failed: {detail}")]
    DiscoveryFailed {
        /// What was tried and what it said, in a line for people.
        detail: String,
    },
    /// The authorization server did not register us.
    #[error("registration failed: {detail}")]
    RegistrationFailed {
        /// Why, in a line for people.
        detail: String,
    },
    /// A URL is not on the deployment's list.
    #[error("{field} is not allowed by this deployment")]
    UrlNotAllowed {
        /// Which field.
        field: &'static str,
    },
    /// The server's kind of authorisation has no handshake.
    #[error("the server's authorisation needs no handshake")]
    AuthNotInteractive,
    /// The server's resource names another issuer, which an administrator must approve.
    #[error("another issuer of the server waits for approval")]
    IssuerApprovalPending,
    /// This way to run a handshake is not offered.
    #[error("this flow is not offered")]
    FlowNotSupported,
    /// This binding is not offered to this caller.
    #[error("this binding is not allowed")]
    BindingNotAllowed,
    /// There is no such handshake, or it is another caller's.
    #[error("handshake not found")]
    HandshakeNotFound,
    /// The handshake is past this step.
    #[error("the handshake is past this step")]
    HandshakeNotPending,
    /// The confirmation code is not this handshake's.
    #[error("the code is not valid")]
    HandshakeCodeInvalid,
    /// The user has no connection to the server.
    #[error("connection not found")]
    ConnectionNotFound,
    /// The user has a connection to the server, which is not to be replaced.
    #[error("the user has a connection to the server")]
    ConnectionExists {
        /// Which one.
        connection: ConnectionId,
    },
    /// There is no such chat.
    #[error("chat not found")]
    ChatNotFound,
    /// The chat belongs to another user.
    #[error("the chat belongs to another user")]
    ChatOwnedByAnother,
    /// Servers attached to chats by callers are switched off.
    #[error("this deployment wants no inline servers")]
    InlineServersDisabled,
    /// There are as many as the deployment allows.
    #[error("the quota of {quota} is used up")]
    QuotaExceeded {
        /// Of what.
        quota: &'static str,
        /// How many there may be.
        limit: u32,
    },
    /// There is no such key.
    #[error("API key not found")]
    ApiKeyNotFound,
    /// This replica has not seen the revision asked for yet.
    #[error("the revision is not reached yet")]
    RevisionNotReached(Revision),
    /// The feed cannot be resumed after the revision asked for: it was forgotten, or never was.
    #[error("the revision is not kept any more; begin without one")]
    RevisionCompacted(Revision),
    /// The watcher does not read as fast as things change.
    #[error("the watch is too slow; resume after the revision given")]
    WatchTooSlow(Revision),
    /// More watches are open than this process bears.
    #[error("too many watches are open")]
    TooManyWatches,
    /// The method is part of the API but not of this release.
    #[error("not implemented in this release")]
    NotImplemented,
    /// There is nothing to discover: endpoints written by hand, or a kind without any.
    #[error("the server's authorization is not discovered")]
    AuthNotDiscovered {
        /// What it is.
        auth_kind: AuthKind,
    },
    /// The database does not answer.
    #[error("the store is unavailable")]
    StoreUnavailable(#[source] store::Error),
    /// This process ends; what watches goes on elsewhere.
    #[error("the replica is shutting down")]
    ShuttingDown,
    /// An upstream does not answer.
    #[error("the upstream is unavailable")]
    UpstreamUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// A defect of ours or of what is stored. Told to nobody but the log.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::Unavailable(_)) {
            return Self::StoreUnavailable(error);
        }
        Self::Internal(Box::new(error))
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<Violations> for Error {
    fn from(found: Violations) -> Self {
        Self::Invalid(found.into_vec())
    }
}

impl Error {
    /// The name in the API of a refusal of who asks, not of what is asked; `None` for everything else.
    /// The door translates it to the same, which a test there holds.
    pub fn refusal(&self) -> Option<&'static str> {
        let refusals = [
            (
                matches!(self, Self::CredentialsMissing),
                "CREDENTIALS_MISSING",
            ),
            (
                matches!(self, Self::CredentialsInvalid),
                "CREDENTIALS_INVALID",
            ),
            (
                matches!(self, Self::UserTokenRequired),
                "USER_TOKEN_REQUIRED",
            ),
            (
                matches!(self, Self::RoleNotAllowed { .. }),
                "ROLE_NOT_ALLOWED",
            ),
            (matches!(self, Self::KeyNarrowed { .. }), "KEY_NARROWED"),
            (matches!(self, Self::UserNotAllowed), "USER_NOT_ALLOWED"),
            (
                matches!(self, Self::ChatOwnedByAnother),
                "CHAT_OWNED_BY_ANOTHER_USER",
            ),
            (matches!(self, Self::TenantNotFound), "TENANT_NOT_FOUND"),
        ];
        let mut named = refusals.into_iter().filter(|(is_it, _)| *is_it);
        named.next().map(|(_, name)| name)
    }

    /// Whether a row holds what this service never writes.
    pub(super) fn is_unreadable(&self) -> bool {
        let Self::Internal(error) = self else {
            return false;
        };
        let error = error.downcast_ref();
        matches!(error, Some(store::Error::Corrupt { .. }))
    }

    /// What the store said of a row that holds what this service never writes; any other error as it is.
    pub(super) fn into_unreadable(self) -> std::result::Result<store::Error, Self> {
        if !self.is_unreadable() {
            return Err(self);
        }
        let Self::Internal(error) = self else {
            return Err(self);
        };
        match error.downcast::<store::Error>() {
            Ok(error) => Ok(*error),
            Err(error) => Err(Self::Internal(error)),
        }
    }

    /// One offending field.
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        let mut found = Violations::new();
        found.add(field, description);
        found.into()
    }
}
