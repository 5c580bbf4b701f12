//! Resolution: what a daemon needs to talk to one server right now, or the exact reason why not.

use std::time::Duration;

use super::authorization::Scopes;
use super::forwarding::Signing;
use super::secrets::HeaderSecret;
use super::servers::Server;
use super::time::Timestamp;

/// Why a connection cannot be used until its user connects again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconnect {
    /// The provider refused the refresh token for good.
    RefreshRefused,
    /// A redemption's answer was lost, twice or with nothing left to try.
    OutcomeUnknown,
    /// The server's configuration changed under the grant.
    ServerChanged,
    /// The resource names another issuer now. The grant is kept, unsent.
    IssuerChanged,
    /// The upstream rejected the credential and it cannot be renewed.
    TokenRejected,
}

/// Every reason, for reading stored names.
const RECONNECTS: [Reconnect; 5] = [
    Reconnect::RefreshRefused,
    Reconnect::OutcomeUnknown,
    Reconnect::ServerChanged,
    Reconnect::IssuerChanged,
    Reconnect::TokenRejected,
];

impl Reconnect {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RefreshRefused => "refresh_refused",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::ServerChanged => "server_changed",
            Self::IssuerChanged => "issuer_changed",
            Self::TokenRejected => "token_rejected",
        }
    }

    /// The reason of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        RECONNECTS
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

/// What is wrong with a server's configuration, from a daemon's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigProblem {
    /// This kind of authorisation is stored but not served by this version.
    AuthKindUnsupported,
    /// A secret that the configuration needs is missing.
    SecretMissing,
    /// The resource names another issuer, which an administrator must approve.
    IssuerApprovalPending,
    /// The upstream rejects what the deployment itself obtains.
    TokenRejected,
    /// The authorization server refuses our client.
    RegistrationRefused,
    /// The secret of our client ended, and no other is to be had.
    RegistrationExpired,
}

/// Why a user's login is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoIdentity {
    /// No such token was deposited.
    Missing,
    /// It ended, or its identity provider refuses to renew it.
    Ended,
    /// The authorization server refuses to exchange it.
    ExchangeRefused,
}

/// Why a credential cannot be renewed right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The work goes on.
    StillWorking,
    /// The provider had trouble, and is asked again after a pause.
    Failing,
    /// The provider is in trouble with everybody's grants, and left alone for a while.
    LeftAlone,
}

/// How long a credential is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Its generation; zero where there are none.
    pub credential_version: i64,
}

/// What may be said besides a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// It lives shorter than asked for and could not be renewed in time.
    ShorterThanAsked,
    /// It still lives, but its renewal was refused: the user must connect again soon.
    RenewalRefused,
    /// It cannot be renewed when it ends.
    NotRenewable,
}

/// The state of one server for one user.
#[derive(Debug)]
pub enum Outcome {
    /// Everything needed.
    Ready {
        /// In order, exact.
        headers: Vec<(String, HeaderSecret)>,
        /// How long.
        validity: Validity,
        /// What else should be known.
        warnings: Vec<Warning>,
    },
    /// The user never connected, or disconnected.
    NotConnected,
    /// The user must connect again.
    ReconnectRequired(Reconnect),
    /// The user must consent to more.
    ScopeUpgradeRequired(Scopes),
    /// The credential ended and cannot be renewed.
    Expired,
    /// There is no login token of the user's that could be sent.
    NoUserIdentity(NoIdentity),
    /// The user has not supplied these headers.
    MissingUserHeaders(Vec<String>),
    /// An administrator must act.
    ConfigError(ConfigProblem),
    /// The provider does not answer; try again.
    UpstreamUnavailable {
        /// What is the matter.
        why: Trouble,
        /// After this long.
        retry_after: Duration,
    },
    /// What is stored cannot be opened with the keys present.
    Unreadable,
}

/// One server's entry in the answer.
#[derive(Debug)]
pub struct Resolved {
    /// The configuration, for its URL, transport and policy.
    pub server: Server,
    /// Its state.
    pub outcome: Outcome,
    /// What identity headers are signed by, where they are.
    pub signing: Option<Signing>,
}
