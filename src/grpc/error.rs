//! Failures on the wire: one match over what the use cases say, to code, reason, message and
//! details. Failures are logged here, once, since every answer that is one passes through here.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::{debug, error, warn};

use crate::app::Error;
use crate::domain::text::Violation;
use crate::pb::v1::ErrorReason as Reason;

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "stationmaster";
/// What every name of a reason starts with in the proto, and not on the wire.
const PREFIX: &str = "ERROR_REASON_";
/// The most violations told at once: a status travels in headers, which clients limit to 16 KiB.
const MAX_VIOLATIONS: usize = 32;
/// The longest part of a status that a caller can make longer, in characters.
const MAX_TOLD: usize = 160;
/// When to ask again while the database is away.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// When to ask again while too many watch.
const WATCH_RETRY: Duration = Duration::from_secs(5);
/// When to ask again while a replica catches up.
const REVISION_RETRY: Duration = Duration::from_millis(200);

/// What the call was about, for the metadata of its failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// The request's id.
    pub(super) request_id: &'a str,
    /// The full path of the method.
    pub(super) method: &'a str,
    /// What the request named, by the keys of `errors.proto`.
    pub(super) named: &'a [(&'static str, String)],
}

/// What accompanies a reason.
#[derive(Default)]
struct Details<'a> {
    /// Keys of the metadata that come from the request.
    keys: &'static [&'static str],
    /// Metadata that the failure itself knows.
    said: Vec<(&'static str, String)>,
    /// Every offending field.
    fields: &'a [Violation],
    /// When to try again.
    retry_after: Option<Duration>,
}

fn about(keys: &'static [&'static str]) -> Details<'static> {
    Details {
        keys,
        ..Details::default()
    }
}

fn saying(key: &'static str, value: String) -> Details<'static> {
    Details {
        said: vec![(key, value)],
        ..Details::default()
    }
}

fn retry(after: Duration) -> Details<'static> {
    Details {
        retry_after: Some(after),
        ..Details::default()
    }
}

/// Code, reason and details of a failure, as the comments of `errors.proto` have them.
#[expect(clippy::too_many_lines, reason = "one match over every error")]
fn translate(error: &Error) -> (Code, Reason, Details<'_>) {
    use Code::{
        Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfRange,
        PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented,
    };
    match error {
        Error::CredentialsMissing => (Unauthenticated, Reason::CredentialsMissing, about(&[])),
        Error::CredentialsInvalid => (Unauthenticated, Reason::CredentialsInvalid, about(&[])),
        Error::UserTokenRequired => (Unauthenticated, Reason::UserTokenRequired, about(&[])),
        Error::RoleNotAllowed { role } => {
            let said = vec![("role", (*role).to_owned())];
            let details = Details {
                said,
                ..about(&["method"])
            };
            (PermissionDenied, Reason::RoleNotAllowed, details)
        }
        Error::KeyNarrowed { by } => (
            PermissionDenied,
            Reason::KeyNarrowed,
            saying("narrowing", (*by).to_owned()),
        ),
        Error::UserNotAllowed => (PermissionDenied, Reason::UserNotAllowed, about(&[])),
        Error::TenantNotFound => (NotFound, Reason::TenantNotFound, about(&["tenant"])),
        Error::TenantExists => (AlreadyExists, Reason::TenantExists, about(&["tenant"])),
        Error::ServerNotFound => (NotFound, Reason::ServerNotFound, about(&["server"])),
        Error::ServerDisabled => (
            FailedPrecondition,
            Reason::ServerDisabled,
            about(&["server"]),
        ),
        Error::SlugTaken => (AlreadyExists, Reason::SlugTaken, about(&["slug"])),
        Error::ServerIdTaken => (AlreadyExists, Reason::ServerIdTaken, about(&["server"])),
        Error::EtagMismatch { current } => (
            Aborted,
            Reason::EtagMismatch,
            saying("etag", current.clone()),
        ),
        Error::Invalid(fields) => {
            let details = Details {
                fields,
                ..Details::default()
            };
            (InvalidArgument, Reason::InvalidArgument, details)
        }
        Error::RequestIdReused => (AlreadyExists, Reason::RequestIdReused, about(&[])),
        Error::DiscoveryFailed { .. } => (
            FailedPrecondition,
            Reason::DiscoveryFailed,
            about(&["slug"]),
        ),
        Error::RegistrationFailed { .. } => (
            FailedPrecondition,
            Reason::RegistrationFailed,
            about(&["slug"]),
        ),
        Error::UrlNotAllowed { field } => (
            FailedPrecondition,
            Reason::UrlNotAllowed,
            saying("field", (*field).to_owned()),
        ),
        Error::AuthNotInteractive => (
            FailedPrecondition,
            Reason::AuthNotInteractive,
            about(&["server"]),
        ),
        Error::IssuerApprovalPending => (
            FailedPrecondition,
            Reason::IssuerApprovalPending,
            about(&["server"]),
        ),
        Error::FlowNotSupported => (
            FailedPrecondition,
            Reason::FlowNotSupported,
            about(&["flow"]),
        ),
        Error::BindingNotAllowed => (
            FailedPrecondition,
            Reason::BindingNotAllowed,
            about(&["binding"]),
        ),
        Error::HandshakeNotFound => (NotFound, Reason::HandshakeNotFound, about(&["handshake"])),
        Error::HandshakeNotPending => (
            FailedPrecondition,
            Reason::HandshakeNotPending,
            about(&["handshake"]),
        ),
        Error::HandshakeCodeInvalid => (PermissionDenied, Reason::HandshakeCodeInvalid, about(&[])),
        Error::ConnectionExists { connection } => (
            AlreadyExists,
            Reason::ConnectionExists,
            saying("connection", connection.to_string()),
        ),
        Error::ConnectionNotFound => (NotFound, Reason::ConnectionNotFound, about(&["server"])),
        Error::ChatNotFound => (NotFound, Reason::ChatNotFound, about(&[])),
        Error::ChatOwnedByAnother => (
            FailedPrecondition,
            Reason::ChatOwnedByAnotherUser,
            about(&[]),
        ),
        Error::InlineServersDisabled => (
            FailedPrecondition,
            Reason::InlineServersDisabled,
            about(&[]),
        ),
        Error::QuotaExceeded { quota, limit } => {
            let said = vec![("quota", (*quota).to_owned()), ("limit", limit.to_string())];
            let details = Details {
                said,
                ..Details::default()
            };
            (ResourceExhausted, Reason::QuotaExceeded, details)
        }
        Error::ApiKeyNotFound => (NotFound, Reason::ApiKeyNotFound, about(&["api_key"])),
        Error::RevisionNotReached(revision) => {
            let said = vec![("revision", revision.0.to_string())];
            let details = Details {
                said,
                ..retry(REVISION_RETRY)
            };
            (Unavailable, Reason::RevisionNotReached, details)
        }
        Error::RevisionCompacted(floor) => (
            OutOfRange,
            Reason::RevisionCompacted,
            saying("revision", floor.0.to_string()),
        ),
        Error::WatchTooSlow(seen) => (
            Aborted,
            Reason::WatchTooSlow,
            saying("revision", seen.0.to_string()),
        ),
        Error::TooManyWatches => (ResourceExhausted, Reason::RateLimited, retry(WATCH_RETRY)),
        Error::AuthNotDiscovered { auth_kind } => {
            let said = vec![("auth_kind", auth_kind.as_str().to_owned())];
            let details = Details {
                said,
                ..about(&["server"])
            };
            (FailedPrecondition, Reason::AuthNotDiscovered, details)
        }
        Error::NotImplemented => (Unimplemented, Reason::NotImplemented, about(&["method"])),
        Error::StoreUnavailable(_) => (Unavailable, Reason::StoreUnavailable, retry(STORE_RETRY)),
        Error::ShuttingDown => (Unavailable, Reason::ShuttingDown, retry(STORE_RETRY)),
        Error::UpstreamUnavailable { retry_after } => (
            Unavailable,
            Reason::UpstreamUnavailable,
            retry(*retry_after),
        ),
        Error::Internal(_) => (Code::Internal, Reason::Internal, about(&[])),
    }
}

/// The name of a reason on the wire.
pub(super) fn name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// The status of a failure, which is logged.
pub(super) fn status(error: &Error, context: Context<'_>) -> Status {
    let (code, reason, details) = translate(error);
    if matches!(error, Error::Internal(_)) {
        error!(error = %chain(error), "a call failed for a reason of ours");
        return assemble((code, reason), &internal(context), details, context);
    }
    if matches!(error, Error::StoreUnavailable(_)) {
        warn!(error = %chain(error), "the store is unavailable");
    } else {
        debug!(reason = name(reason), "a call was refused: {error}");
    }
    assemble((code, reason), &error.to_string(), details, context)
}

/// What is said of a message that is no message of the method.
pub(super) fn malformed(context: Context<'_>) -> Status {
    debug!("a call was refused: its message cannot be read");
    let message = "the request is not a message of this method";
    let kind = (Code::InvalidArgument, Reason::InvalidArgument);
    assemble(kind, message, Details::default(), context)
}

/// What is said of a message that is too large.
pub(super) fn too_large(limit: usize, context: Context<'_>) -> Status {
    debug!("a call was refused: its message is too large");
    let details = Details {
        said: vec![("limit", limit.to_string())],
        ..Details::default()
    };
    let kind = (Code::ResourceExhausted, Reason::MessageTooLarge);
    assemble(kind, "the request is too large", details, context)
}

/// The status of a defect that no use case reported.
pub(super) fn defect(what: &str, context: Context<'_>) -> Status {
    error!("a call failed for a reason of ours: {what}");
    let kind = (Code::Internal, Reason::Internal);
    assemble(kind, &internal(context), Details::default(), context)
}

/// All that is said of a defect.
fn internal(context: Context<'_>) -> String {
    format!("internal error in request {}", context.request_id)
}

fn assemble(
    (code, reason): (Code, Reason),
    message: &str,
    details: Details<'_>,
    context: Context<'_>,
) -> Status {
    let mut metadata = HashMap::from([("request_id".to_owned(), context.request_id.to_owned())]);
    for key in details.keys {
        let named = context.named.iter().find(|(name, _)| name == key);
        if let Some((_, value)) = named {
            metadata.insert((*key).to_owned(), cut(value));
        } else if *key == "method" {
            metadata.insert((*key).to_owned(), context.method.to_owned());
        }
    }
    for (key, value) in details.said {
        metadata.insert(key.to_owned(), value);
    }
    let mut told = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata);
    if !details.fields.is_empty() {
        let fields = details.fields.iter().take(MAX_VIOLATIONS);
        let fields =
            fields.map(|found| FieldViolation::new(cut(&found.field), cut(&found.description)));
        told.set_bad_request(fields.collect::<Vec<_>>());
    }
    if details.retry_after.is_some() {
        told.set_retry_info(details.retry_after);
    }
    Status::with_error_details(code, message, told)
}

/// A text of the caller's, short enough for the headers that a status travels in.
fn cut(text: &str) -> String {
    text.chars().take(MAX_TOLD).collect()
}

/// A failure with everything that caused it, in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
