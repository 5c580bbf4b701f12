//! One call as a handler sees it: who asks, how long they wait, and how the answer is given.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span};

use super::error::{self, Context};
use crate::app::{self, Error, Events};
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

    /// The events of a watch as they come, each as it is answered, until the failure that ends them.
    pub(super) fn follow<T, A>(
        self,
        events: Events<T>,
        answer: fn(T) -> A,
    ) -> BoxStream<'static, Result<A, Status>>
    where
        T: Send + 'static,
        A: Send + 'static,
    {
        let span = Span::current();
        let answers = stream::unfold(Some((self, events)), move |going| {
            let span = span.clone();
            async move {
                let (call, mut events) = going?;
                match events.next().await? {
                    Ok(told) => Some((Ok(answer(told)), Some((call, events)))),
                    Err(error) => Some((Err(call.refuse(&error)), None)),
                }
            }
            .instrument(span)
        });
        answers.boxed()
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
