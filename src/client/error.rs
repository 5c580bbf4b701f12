//! Why a call came to nothing: what the service said, unpacked, or why nothing was heard of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tonic_types::StatusExt as _;

pub use tonic::Code;

/// What the client can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is no URL to call.
    #[error("endpoint {endpoint}: {why}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificates to trust cannot be used.
    #[error("certificates: {0}")]
    Certificates(String),
    /// The key or token cannot stand in a header.
    #[error("the credential is empty or holds characters that no key has")]
    Credential,
    /// The tenant's name cannot stand in a header.
    #[error("the tenant's name holds characters that no name has")]
    Tenant,
    /// No connection could be made.
    #[error("cannot reach {endpoint}: {why}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the system said.
        why: String,
    },
    /// The connection broke, or no answer came in time. Whether the call had an effect is unknown.
    #[error("{message}")]
    Interrupted {
        /// What kind of failure it is.
        code: Code,
        /// What happened.
        message: String,
    },
    /// The service refused the call. It had no effect.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// What the service said when it refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// The name of an `ErrorReason` without its prefix, such as `SLUG_TAKEN`; empty when something
    /// in between answered in the service's place.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Every field that does not hold what it may.
    pub field_violations: Vec<FieldViolation>,
    /// How long to wait before the same call may succeed.
    pub retry_after: Option<Duration>,
    /// Names the call in the service's logs and audit.
    pub request_id: Option<String>,
    /// What else was said; the keys of each reason are in `errors.proto`.
    pub metadata: BTreeMap<String, String>,
}

/// One field that does not hold what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field in the request.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

impl Error {
    /// The gRPC code, where there is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Interrupted { code, .. } => Some(*code),
            Self::Refused(refusal) => Some(refusal.code),
            Self::Unreachable { .. } => Some(Code::Unavailable),
            Self::Endpoint { .. } | Self::Certificates(_) | Self::Credential | Self::Tenant => None,
        }
    }

    /// What the service said, if it said something.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Endpoint { .. }
            | Self::Certificates(_)
            | Self::Credential
            | Self::Tenant
            | Self::Unreachable { .. }
            | Self::Interrupted { .. } => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Interrupted { .. })
            || self.code() == Some(Code::Unavailable)
            || self
                .refusal()
                .is_some_and(|refusal| refusal.retry_after.is_some())
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        if info.is_none()
            && let Some(source) = std::error::Error::source(&status)
        {
            return Self::Interrupted {
                code: status.code(),
                message: format!("{}: {}", status.message(), innermost(source)),
            };
        }
        let metadata: BTreeMap<String, String> = info
            .map(|info| info.metadata.clone().into_iter().collect())
            .unwrap_or_default();
        let header = status.metadata().get("x-request-id");
        let header = header.and_then(|id| id.to_str().ok()).map(str::to_owned);
        let violations = details.bad_request().map(|bad| bad.field_violations.iter());
        Self::Refused(Box::new(Refusal {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            field_violations: violations
                .into_iter()
                .flatten()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            request_id: metadata.get("request_id").cloned().or(header),
            metadata,
        }))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.message.is_empty() {
            self.code.description()
        } else {
            &self.message
        };
        f.write_str(message)?;
        for violation in &self.field_violations {
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

/// The cause of all causes: transport errors say little more than that there is one.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A code's name as the gRPC specification spells it, such as `NOT_FOUND`.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_unpacked_whole() {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "INVALID_ARGUMENT",
            "stationmaster",
            [("request_id".to_owned(), "r1".to_owned())],
        );
        details.add_bad_request_violation("server.slug", "too long");
        details.add_bad_request_violation("server.url", "is required");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let code = Code::InvalidArgument;
        let status = tonic::Status::with_error_details(code, "two fields are wrong", details);

        let error = Error::from(status);

        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.code, code);
        assert_eq!(refusal.reason, "INVALID_ARGUMENT");
        assert_eq!(refusal.request_id.as_deref(), Some("r1"));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(
            error.to_string(),
            "two fields are wrong\n  server.slug: too long\n  server.url: is required"
        );
    }

    #[test]
    fn a_status_without_details_is_a_refusal_without_reason() {
        let mut status = tonic::Status::permission_denied("by a proxy");
        let id = "r2".parse().unwrap();
        status.metadata_mut().insert("x-request-id", id);

        let error = Error::from(status);

        let refusal = error.refusal().unwrap();
        assert_eq!(
            (refusal.reason.as_str(), refusal.message.as_str()),
            ("", "by a proxy")
        );
        assert_eq!(refusal.request_id.as_deref(), Some("r2"));
        assert!(!error.is_passing());
    }

    #[test]
    fn a_broken_connection_is_no_refusal() {
        let broken = std::io::Error::other("connection reset");
        let status = tonic::Status::from_error(Box::new(broken));

        let error = Error::from(status);

        assert!(matches!(&error, Error::Interrupted { .. }), "{error:?}");
        assert!(error.to_string().contains("connection reset"));
    }
}
