//! Each failure against what the proto promises of its reason.

use super::*;
use crate::domain::changes::Revision;
use crate::domain::ids::ConnectionId;

const CONTEXT: Context<'_> = Context {
    request_id: "req-1",
    method: "/s/M",
    named: &[],
};

/// Every failure the use cases know, but those that need another layer's error.
fn failures() -> Vec<Error> {
    vec![
        Error::CredentialsMissing,
        Error::CredentialsInvalid,
        Error::UserTokenRequired,
        Error::RoleNotAllowed { role: "user" },
        Error::KeyNarrowed { by: "methods" },
        Error::UserNotAllowed,
        Error::TenantNotFound,
        Error::TenantExists,
        Error::ServerNotFound,
        Error::ServerDisabled,
        Error::SlugTaken,
        Error::ServerIdTaken,
        Error::EtagMismatch {
            current: "v2".to_owned(),
        },
        Error::invalid("a", "b"),
        Error::RequestIdReused,
        Error::DiscoveryFailed { detail: "x".into() },
        Error::RegistrationFailed { detail: "x".into() },
        Error::UrlNotAllowed { field: "f" },
        Error::AuthNotInteractive,
        Error::IssuerApprovalPending,
        Error::FlowNotSupported,
        Error::BindingNotAllowed,
        Error::HandshakeNotFound,
        Error::HandshakeNotPending,
        Error::HandshakeCodeInvalid,
        Error::ConnectionExists {
            connection: ConnectionId::from_bytes([7; 16]),
        },
        Error::ConnectionNotFound,
        Error::ChatNotFound,
        Error::ChatOwnedByAnother,
        Error::ApiKeyNotFound,
        Error::RevisionNotReached(Revision(7)),
        Error::RevisionCompacted(Revision(7)),
        Error::WatchTooSlow(Revision(7)),
        Error::TooManyWatches,
        Error::NotImplemented,
        Error::UpstreamUnavailable {
            retry_after: Duration::from_secs(3),
        },
        Error::Internal("the secret cause".into()),
    ]
}

/// What the proto promises of a reason: the comment above its value.
fn promise(reason: Reason) -> String {
    let proto = include_str!("../../proto/stationmaster/v1/errors.proto");
    let line = format!("  {} = {};", reason.as_str_name(), i32::from(reason));
    let before = proto.split(&line).next().unwrap();
    let comments = before
        .lines()
        .rev()
        .take_while(|line| line.starts_with("  //"));
    comments.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_failure_has_the_code_and_the_metadata_that_the_proto_promises() {
    for error in failures() {
        let (_, reason, details) = translate(&error);
        let promise = promise(reason);
        let status = status(&error, CONTEXT);

        let code = format!("Code {}.", code_of(status.code()));
        assert!(promise.contains(&code), "{reason:?}: {code} in {promise}");
        for key in details.keys {
            assert!(promise.contains(&format!("`{key}`")), "{reason:?}: {key}");
        }
        let info = status.get_error_details().error_info().cloned().unwrap();
        assert_eq!(info.reason, name(reason));
        assert_eq!(info.domain, "stationmaster");
        assert_eq!(info.metadata["request_id"], "req-1");
    }
}

fn code_of(code: Code) -> &'static str {
    crate::grpc::layer::code_name(code)
}

#[test]
fn an_internal_failure_says_the_request_id_and_nothing_else() {
    let status = status(&Error::Internal("the secret cause".into()), CONTEXT);

    assert_eq!(status.message(), "internal error in request req-1");
    let info = status.get_error_details().error_info().cloned().unwrap();
    assert_eq!(info.metadata.len(), 1);
}

#[test]
fn all_offending_fields_are_named() {
    let fields = ["a", "b"].map(|field| Violation {
        field: field.to_owned(),
        description: "is required".to_owned(),
    });

    let status = status(&Error::Invalid(fields.to_vec()), CONTEXT);

    let details = status.get_error_details();
    let named = details.bad_request().unwrap().field_violations.iter();
    assert_eq!(
        named.map(|v| v.field.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn metadata_names_what_the_request_named() {
    let named = [("server", "github".to_owned())];

    let status = status(
        &Error::ServerNotFound,
        Context {
            named: &named,
            ..CONTEXT
        },
    );

    let info = status.get_error_details().error_info().cloned().unwrap();
    assert_eq!(info.metadata["server"], "github");
}

#[test]
fn a_retry_says_when() {
    let error = Error::UpstreamUnavailable {
        retry_after: Duration::from_secs(3),
    };

    let details = status(&error, CONTEXT).get_error_details();

    let retry = details.retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(3)));
}

#[test]
fn what_a_caller_sent_cannot_outgrow_the_headers_of_the_answer() {
    let named = [("server", "x".repeat(1 << 20))];
    let fields = vec![
        Violation {
            field: "f".repeat(1 << 10),
            description: "d".repeat(1 << 10),
        };
        1000
    ];

    let not_found = status(
        &Error::ServerNotFound,
        Context {
            named: &named,
            ..CONTEXT
        },
    );
    let invalid = status(&Error::Invalid(fields), CONTEXT);

    assert!(not_found.details().len() < 1 << 10);
    // Base64 makes four of three, and the message and the other headers want their place too.
    assert!(invalid.details().len() < 11 << 10);
}

#[test]
fn a_refusal_of_who_asks_is_recorded_under_the_name_that_is_answered() {
    for refusal in [
        Error::CredentialsMissing,
        Error::CredentialsInvalid,
        Error::UserTokenRequired,
        Error::RoleNotAllowed { role: "user" },
        Error::KeyNarrowed { by: "methods" },
        Error::UserNotAllowed,
        Error::ChatOwnedByAnother,
        Error::TenantNotFound,
    ] {
        let (_, reason, _) = translate(&refusal);

        assert_eq!(refusal.refusal(), Some(name(reason)));
    }
    assert_eq!(Error::ServerNotFound.refusal(), None);
}
