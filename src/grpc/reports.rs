//! Reports of what became of a request, and what is answered to them.

use std::time::Duration;

use super::convert::{actor, all, challenges, duration, server, span, timestamp};
use super::{handshakes, resolve};
use crate::app::{Answer, App, Denial, Report, Response, Result};
use crate::domain::access::Caller;
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::report_response_request::Outcome;

/// How long anything that is reported can have taken.
const MAX_LATENCY: Duration = Duration::from_hours(24);

/// Passes a report on.
pub(super) async fn report(
    app: &App,
    caller: &Caller,
    ask: pb::ReportResponseRequest,
) -> Result<pb::ReportResponseResponse> {
    let report = reported(caller, ask)?;
    let written = Box::pin(app.report_response(caller, report)).await?;
    Ok(pb::ReportResponseResponse {
        revision: written.revision.0,
        ..answered(written.value)
    })
}

fn reported(caller: &Caller, ask: pb::ReportResponseRequest) -> Result<Report> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let server = server(&mut found, "server", &ask.server);
    let response = response(&mut found, ask.outcome);
    resolve::check_target(&mut found, ask.target.as_ref());
    let options = handshakes::options(
        &mut found,
        "handshake_options.",
        &ask.handshake_options.unwrap_or_default(),
    );
    let parts = actor.zip(server).zip(response).zip(options);
    let (((actor, server), response), options) = all(found, parts)?;
    Ok(Report {
        actor,
        server: server?,
        response,
        options: options?,
    })
}

fn response(found: &mut Violations, outcome: Option<Outcome>) -> Option<Response> {
    match outcome {
        None => {
            found.add("outcome", "is required");
            None
        }
        Some(Outcome::HttpResponse(response)) => http_response(found, response),
        Some(Outcome::Timeout(timeout)) => {
            span(found, "timeout.waited", timeout.waited, MAX_LATENCY);
            Some(Response::Timeout)
        }
        Some(Outcome::ConnectError(error)) => {
            found.keep("connect_error.detail", text::paragraph(&error.detail, 512));
            Some(Response::ConnectError)
        }
    }
}

fn http_response(found: &mut Violations, response: pb::HttpResponse) -> Option<Response> {
    let status = u16::try_from(response.status).ok();
    let status = status.filter(|status| (100..=599).contains(status));
    if status.is_none() {
        found.add("http_response.status", "must be 100 to 599");
    }
    challenges(
        found,
        "http_response.www_authenticate",
        &response.www_authenticate,
    );
    if response.dpop_nonce.len() > 1024 {
        found.add("http_response.dpop_nonce", "must be at most 1024 bytes");
    }
    if response.credential_version < 0 {
        found.add("http_response.credential_version", "must not be negative");
    }
    span(
        found,
        "http_response.latency",
        response.latency,
        MAX_LATENCY,
    );
    Some(Response::Http {
        status: status?,
        challenges: response.www_authenticate,
        credential_version: response.credential_version,
    })
}

fn answered(answer: Answer) -> pb::ReportResponseResponse {
    let blank = pb::ReportResponseResponse::default();
    match answer {
        Answer::Retry { credential_version } => pb::ReportResponseResponse {
            action: pb::ReportAction::Retry.into(),
            credential_version,
            ..blank
        },
        Answer::Authorize(started) => {
            let handshake = &started.handshake;
            let step = pb::AuthorizeStep {
                handshake: handshake.id.to_string(),
                expire_time: Some(timestamp(handshake.expires_at)),
                scopes: handshake
                    .snapshot
                    .scopes
                    .clone()
                    .unwrap_or_default()
                    .to_vec(),
                connect_url: started.connect_url.show(),
            };
            let action = pb::ReportAction::Authorize.into();
            pb::ReportResponseResponse {
                action,
                authorize: Some(step),
                ..blank
            }
        }
        Answer::Denied(denial) => {
            let (reason, retry_after) = denied(&denial);
            pb::ReportResponseResponse {
                action: pb::ReportAction::Denied.into(),
                reason: reason.into(),
                retry_after: retry_after.map(duration),
                ..blank
            }
        }
        Answer::NotAuth => pb::ReportResponseResponse {
            action: pb::ReportAction::NotAuth.into(),
            ..blank
        },
    }
}

fn denied(denial: &Denial) -> (pb::StatusReason, Option<Duration>) {
    match denial {
        Denial::Forbidden => (pb::StatusReason::Forbidden, None),
        Denial::TokenRejected => (pb::StatusReason::TokenRejected, None),
        Denial::ScopeRetryLimit => (pb::StatusReason::ScopeRetryLimit, None),
        Denial::ScopesAlreadyGranted => (pb::StatusReason::ScopesAlreadyGranted, None),
        Denial::AuthKindUnsupported => (pb::StatusReason::AuthKindUnsupported, None),
        Denial::IdentityEnded => (pb::StatusReason::IdentityExpired, None),
        Denial::IssuerApprovalPending => (pb::StatusReason::IssuerApprovalPending, None),
        Denial::RegistrationExpired => (pb::StatusReason::RegistrationExpired, None),
        Denial::RegistrationRefused => (pb::StatusReason::RegistrationRefused, None),
        Denial::RefreshLimit { retry_after } => {
            (pb::StatusReason::RefreshLimit, Some(*retry_after))
        }
        Denial::UpstreamUnavailable { retry_after } => {
            (pb::StatusReason::UpstreamUnreachable, Some(*retry_after))
        }
    }
}
