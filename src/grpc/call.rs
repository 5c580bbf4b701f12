//! One call as a handler sees it: who asks, how long they wait, and how the answer is given.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::error::{self, Context};
use crate::app::{self, Error};
use crate::domain::access::Caller;

/// An authenticated call. Put into the request by the layer; without it no handler runs.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Who asks.
    pub(super) caller: Caller,
    /// The full path of the method.
    pub(super) path: String,
    /// How long the caller waits, if it said so.
    pub(super) deadline: Option<Duration>,
    /// What the request names, for the metadata of a failure.
    pub(super) named: Vec<(&'static str, String)>,
}

impl Call {
    /// The call and its message. A request that did not pass the layer is refused.
    pub(super) fn open<T>(request: Request<T>) -> Result<(Self, T), Status> {
        let (_, mut extensions, message) = request.into_parts();
        let Some(call) = extensions.remove::<Self>() else {
            let context = Context {
                request_id: "",
                method: "",
                named: &[],
            };
            return Err(error::defect("the call was not authenticated", context));
        };
        Ok((call, message))
    }

    /// Notes what the request names.
    pub(super) fn naming(&mut self, key: &'static str, value: &str) {
        self.named.push((key, value.to_owned()));
    }

    /// The status of a failure of this call.
    pub(super) fn refuse(&self, error: &Error) -> Status {
        let context = Context {
            request_id: &self.caller.request_id,
            method: &self.path,
            named: &self.named,
        };
        error::status(error, context)
    }

    /// The answer, or the status of the failure.
    pub(super) fn answer<T>(&self, result: app::Result<T>) -> Result<Response<T>, Status> {
        result
            .map(Response::new)
            .map_err(|error| self.refuse(&error))
    }
}

/// What a method answers that is part of the API but not of this release.
pub(super) fn later<T, A>(request: Request<T>) -> Result<Response<A>, Status> {
    let (call, _) = Call::open(request)?;
    call.answer(Err(Error::NotImplemented))
}
