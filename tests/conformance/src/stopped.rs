//! How a run ends before its conversation does.

use stationmaster::client::Refusal;
use stationmaster::client::v1::{Handshake, HandshakeState, ServerStatus, StatusReason};

/// Why the service says that there is no going on. Shown as `word:WHY`, in the API's own names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The administrator's server was not created.
    Refused(String),
    /// A report was answered with DENIED.
    Denied(StatusReason),
    /// A handshake came to nothing: why, or the state it was left in.
    Failed(&'static str),
    /// The server cannot be used, and sending without headers would not help.
    Unusable(ServerStatus, StatusReason),
    /// One request was tried as often as any may be.
    Undecided,
}

impl Stopped {
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::Refused(refusal.reason.clone())
    }

    pub(crate) fn failed(handshake: &Handshake) -> Self {
        Self::Failed(if handshake.state() == HandshakeState::Failed {
            bare(handshake.failure().as_str_name(), "HANDSHAKE_FAILURE_")
        } else {
            bare(handshake.state().as_str_name(), "HANDSHAKE_STATE_")
        })
    }
}

impl std::error::Error for Stopped {}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = |reason: &StatusReason| bare(reason.as_str_name(), "STATUS_REASON_");
        match self {
            Self::Refused(why) => write!(f, "refused:{why}"),
            Self::Denied(why) => write!(f, "denied:{}", reason(why)),
            Self::Failed(why) => write!(f, "failed:{why}"),
            Self::Unusable(status, why) => {
                let status = bare(status.as_str_name(), "SERVER_STATUS_");
                write!(f, "unusable:{status}:{}", reason(why))
            }
            Self::Undecided => f.write_str("undecided"),
        }
    }
}

/// The name of an enum's value without that of the enum.
fn bare(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use stationmaster::client::v1::HandshakeFailure;

    use super::*;

    #[test]
    fn endings_are_named_as_in_the_api() {
        let mismatch = Handshake {
            state: HandshakeState::Failed.into(),
            failure: HandshakeFailure::IssMismatch.into(),
            ..Handshake::default()
        };
        let waiting = Handshake {
            state: HandshakeState::Pending.into(),
            ..Handshake::default()
        };
        let unusable = Stopped::Unusable(ServerStatus::ConfigError, StatusReason::SecretMissing);

        let denied = Stopped::Denied(StatusReason::Forbidden).to_string();
        assert_eq!(denied, "denied:FORBIDDEN");
        assert_eq!(
            Stopped::failed(&mismatch).to_string(),
            "failed:ISS_MISMATCH"
        );
        assert_eq!(Stopped::failed(&waiting).to_string(), "failed:PENDING");
        assert_eq!(unusable.to_string(), "unusable:CONFIG_ERROR:SECRET_MISSING");
    }
}
