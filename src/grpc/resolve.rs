//! Words of the two resolve calls that hold no secret: outcomes, reasons, and the parts of a
//! request that say what it belongs to.

use crate::domain::connections::Status;
use crate::domain::forwarding::{IdentityContext, MAX_WORKSPACE};
use crate::domain::resolution::{ConfigProblem, NoIdentity, Outcome, Reconnect, Trouble, Warning};
use crate::domain::text::{self, ChatId, InvalidText, UserId, Violations};
use crate::pb::v1 as pb;

/// The status of an outcome.
pub(super) fn status(outcome: &Outcome) -> pb::ServerStatus {
    match outcome {
        Outcome::Ready { .. } => pb::ServerStatus::Ready,
        Outcome::NotConnected => pb::ServerStatus::NotConnected,
        Outcome::ReconnectRequired(_) => pb::ServerStatus::ReconnectRequired,
        Outcome::ScopeUpgradeRequired(_) => pb::ServerStatus::ScopeUpgradeRequired,
        Outcome::Expired => pb::ServerStatus::Expired,
        Outcome::NoUserIdentity(_) => pb::ServerStatus::NoUserIdentity,
        Outcome::MissingUserHeaders(_) => pb::ServerStatus::MissingUserHeaders,
        Outcome::ConfigError(_) => pb::ServerStatus::ConfigError,
        Outcome::UpstreamUnavailable { .. } => pb::ServerStatus::UpstreamUnavailable,
        Outcome::Unreadable => pb::ServerStatus::Unreadable,
    }
}

/// The detail of an outcome's status.
pub(super) fn reason(outcome: &Outcome) -> pb::StatusReason {
    match outcome {
        Outcome::ReconnectRequired(why) => reconnect(*why),
        Outcome::ConfigError(problem) => match problem {
            ConfigProblem::AuthKindUnsupported => pb::StatusReason::AuthKindUnsupported,
            ConfigProblem::SecretMissing => pb::StatusReason::SecretMissing,
            ConfigProblem::RegistrationExpired => pb::StatusReason::RegistrationExpired,
            ConfigProblem::IssuerApprovalPending => pb::StatusReason::IssuerApprovalPending,
            ConfigProblem::TokenRejected => pb::StatusReason::TokenRejected,
            ConfigProblem::RegistrationRefused => pb::StatusReason::RegistrationRefused,
        },
        Outcome::UpstreamUnavailable { why, .. } => match why {
            Trouble::StillWorking => pb::StatusReason::StillWorking,
            Trouble::Failing => pb::StatusReason::UpstreamFailing,
            Trouble::LeftAlone => pb::StatusReason::BreakerOpen,
        },
        Outcome::Expired => pb::StatusReason::NotRenewable,
        Outcome::Unreadable => pb::StatusReason::KeyMissing,
        Outcome::NoUserIdentity(NoIdentity::Ended) => pb::StatusReason::IdentityExpired,
        Outcome::NoUserIdentity(NoIdentity::ExchangeRefused) => pb::StatusReason::ExchangeRefused,
        Outcome::Ready { .. }
        | Outcome::NotConnected
        | Outcome::ScopeUpgradeRequired(_)
        | Outcome::NoUserIdentity(NoIdentity::Missing)
        | Outcome::MissingUserHeaders(_) => pb::StatusReason::Unspecified,
    }
}

/// Why a user must connect again.
pub(super) fn reconnect(why: Reconnect) -> pb::StatusReason {
    match why {
        Reconnect::RefreshRefused => pb::StatusReason::RefreshRefused,
        Reconnect::OutcomeUnknown => pb::StatusReason::OutcomeUnknown,
        Reconnect::ServerChanged => pb::StatusReason::ServerChanged,
        Reconnect::IssuerChanged => pb::StatusReason::IssuerChanged,
        Reconnect::TokenRejected => pb::StatusReason::TokenRejected,
    }
}

/// What does not prevent use, as sent.
pub(super) fn warning(warning: Warning) -> pb::Warning {
    let reason = match warning {
        Warning::ShorterThanAsked => pb::StatusReason::ShorterThanAsked,
        Warning::RenewalRefused => pb::StatusReason::RenewalRefused,
        Warning::NotRenewable => pb::StatusReason::NotRenewable,
    };
    pb::Warning {
        reason: reason.into(),
        detail: String::new(),
    }
}

/// Where a connection is, and why.
pub(super) fn connection_state(status: Status) -> (pb::ConnectionState, pb::StatusReason) {
    match status {
        Status::Active => (pb::ConnectionState::Active, pb::StatusReason::Unspecified),
        Status::ReconnectRequired(why) => (pb::ConnectionState::ReconnectRequired, reconnect(why)),
        Status::Unreadable => (
            pb::ConnectionState::Unreadable,
            pb::StatusReason::KeyMissing,
        ),
    }
}

/// Checks the request that headers are for.
pub(super) fn check_target(found: &mut Violations, target: Option<&pb::RequestTarget>) {
    let Some(target) = target else {
        return;
    };
    let letters = target.method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !letters || !(1..=16).contains(&target.method.len()) {
        found.add("target.method", "must be 1 to 16 upper-case letters");
    }
    if target.url.len() > 2048 || !target.url.is_empty() && url::Url::parse(&target.url).is_err() {
        found.add(
            "target.url",
            "must be an absolute URL of at most 2048 bytes",
        );
    }
    if ![0, 32].contains(&target.body_sha256.len()) {
        found.add("target.body_sha256", "must be 32 bytes");
    }
}

/// Who and what a request belongs to.
pub(super) fn identity(
    found: &mut Violations,
    identity: Option<&pb::IdentityContext>,
) -> IdentityContext {
    let Some(identity) = identity else {
        return IdentityContext::default();
    };
    let workspace = text::line(&identity.workspace_id, MAX_WORKSPACE);
    let workspace = found.keep("identity.workspace_id", workspace);
    let mut part = Parts(found);
    IdentityContext {
        chat: part.read("identity.chat_id", &identity.chat_id, ChatId::parse),
        subchat: part.read("identity.subchat_id", &identity.subchat_id, ChatId::parse),
        workspace: workspace.filter(|workspace| !workspace.is_empty()),
        triggered_by: part.read(
            "identity.triggered_by",
            &identity.triggered_by,
            UserId::parse,
        ),
    }
}

/// Reads texts that may be absent.
struct Parts<'v>(&'v mut Violations);

impl Parts<'_> {
    fn read<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidText>,
    ) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        self.0.keep(field, parse(text))
    }
}
