//! What surrounds every call: its id, its span, its caller, its count, and a net for panics.
//!
//! Health and reflection pass without a caller; everything else is refused unless
//! `App::authenticate` knows the caller and lets it in.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service, ServiceExt as _};
use tracing::{Instrument as _, Span};

use super::call::Call;
use super::error::{self, Context};
use super::{MESSAGE_LIMIT, auth, trace};
use crate::app::{App, Error, Refusal};
use crate::domain::access::{Caller, Method, method};
use crate::domain::random::{Random, token};
use crate::domain::time::Clock;
use crate::pb::v1::ErrorReason;

/// The metadata that names a request, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name a caller may give its request.
const MAX_REQUEST_ID: usize = 128;
/// What needs no caller.
const OPEN: [&str; 2] = ["/grpc.health.v1.", "/grpc.reflection."];

/// The layer around every call; see [`layer`].
#[derive(Debug, Clone)]
pub struct CallLayer(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    app: App,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Names, traces, authenticates, counts and catches every call of the services inside it.
pub fn layer(app: App, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> CallLayer {
    CallLayer(Arc::new(Gate { app, clock, random }))
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            gate: Arc::clone(&self.0),
            inner,
        }
    }
}

/// The services inside a [`CallLayer`].
#[derive(Debug, Clone)]
pub struct Calls<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        let fresh = self.inner.clone();
        // The one that was polled ready is the one to be called.
        let inner = std::mem::replace(&mut self.inner, fresh);
        let request_id = gate.request_id(request.headers());
        let row = method(request.uri().path());
        let (service, name) = row.map_or(("unknown", "unknown"), |row| (row.service, row.name));
        let span = trace::span(service, name, &request_id, request.headers());
        Box::pin(gate.serve(inner, request, request_id, row).instrument(span))
    }
}

impl Gate {
    /// The caller's name for its request, or a new one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let given = given.filter(|id| {
            (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        });
        given.map_or_else(|| token(&*self.random), str::to_owned)
    }

    async fn serve<S>(
        self: Arc<Self>,
        inner: S,
        request: Request<Body>,
        request_id: String,
        row: Option<&'static Method>,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>> + Send,
        S::Future: Send,
        S::Error: Send,
    {
        let path = request.uri().path().to_owned();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(named(inner.oneshot(request).await?, &request_id));
        }
        let mut record = Record::start(&self, row);
        let context = Context {
            request_id: &request_id,
            method: &path,
            named: &[],
        };
        let (mut parts, body) = request.into_parts();
        let response = match self.admit(&parts, &request_id, row).await {
            Ok(call) => {
                let caller = call.caller.clone();
                parts.extensions.insert(call);
                let request = Request::from_parts(parts, body);
                let served = AssertUnwindSafe(inner.oneshot(request))
                    .catch_unwind()
                    .await;
                let response = match served {
                    Ok(response) => retold(response?, context),
                    Err(_) => error::defect("the handler panicked", context).into_http(),
                };
                self.remember_refusal(&caller, &path, response.headers())
                    .await;
                response
            }
            Err(error) => error::status(&error, context).into_http(),
        };
        record.finish(code(&response));
        Ok(named(response, &request_id))
    }

    /// A refusal inside a use case is audited like one at the door. The caller is answered either
    /// way.
    async fn remember_refusal(&self, caller: &Caller, path: &str, answer: &HeaderMap) {
        let status = Status::from_header_map(answer);
        let Some(refusal) = status.filter(|status| status.code() != Code::Ok) else {
            return;
        };
        let info = refusal.get_details_error_info();
        let reason = info.as_ref().map_or("", |info| info.reason.as_str());
        // Who is known and lacks something has no token of the user's.
        let denied = matches!(
            refusal.code(),
            Code::PermissionDenied | Code::Unauthenticated
        );
        if !denied && reason != error::name(ErrorReason::ChatOwnedByAnotherUser) {
            return;
        }
        let why = Refusal {
            reason,
            message: refusal.message(),
        };
        let recorded = self.app.record_refusal(caller, path, why);
        if let Err(error) = recorded.await {
            tracing::warn!(%error, "a refusal is not in the audit trail");
        }
    }

    /// The call, when its caller may make it. Only who is known learns that a method is not there.
    async fn admit(
        &self,
        parts: &Parts,
        request_id: &str,
        row: Option<&'static Method>,
    ) -> Result<Call, Error> {
        let caller = auth::authenticate(&self.app, parts, request_id).await;
        let caller = match (caller, row) {
            (Err(Error::RoleNotAllowed { .. }) | Ok(_), None) => Err(Error::NotImplemented),
            (known, _) => known,
        }?;
        let deadline = auth::deadline(&parts.headers);
        Ok(Call {
            caller,
            path: parts.uri.path().to_owned(),
            deadline,
            named: Vec::new(),
        })
    }
}

/// The answer under the request's id.
fn named(mut response: Response<Body>, request_id: &str) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The code an answer begins with. A stream that fails later began well.
fn code(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// An answer in our words where tonic spoke in its own, which it does about messages it cannot
/// read. What we said carries details.
fn retold(response: Response<Body>, context: Context<'_>) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    if !status.details().is_empty() {
        return response;
    }
    let code = status.code();
    if matches!(code, Code::OutOfRange | Code::ResourceExhausted) {
        error::too_large(MESSAGE_LIMIT, context).into_http()
    } else if code == Code::Unimplemented {
        error::status(&Error::NotImplemented, context).into_http()
    } else if code == Code::Ok {
        response
    } else {
        error::malformed(context).into_http()
    }
}

/// Counts a call when it ends, however it ends: a caller that goes away drops it.
struct Record<'a> {
    gate: &'a Gate,
    row: Option<&'static Method>,
    started: Duration,
    code: Code,
    span: Span,
}

impl<'a> Record<'a> {
    fn start(gate: &'a Gate, row: Option<&'static Method>) -> Self {
        let started = gate.clock.monotonic();
        Self {
            gate,
            row,
            started,
            code: Code::Cancelled,
            span: Span::current(),
        }
    }

    fn finish(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let (service, name) = self
            .row
            .map_or(("unknown", "unknown"), |row| (row.service, row.name));
        let took = self.gate.clock.monotonic().saturating_sub(self.started);
        self.span
            .record("rpc.grpc.status_code", i32::from(self.code));
        self.gate
            .app
            .metrics()
            .rpc(service, name, code_name(self.code), took);
    }
}

/// The name of a code, as the gRPC documentation spells it.
pub(super) fn code_name(code: Code) -> &'static str {
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
