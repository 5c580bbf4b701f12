//! `HandshakeService`: attempts of users to connect.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status, async_trait};
use tracing::{Instrument as _, Span};

use super::call::{Call, later};
use super::connections::connection;
use super::convert::{
    actor, all, challenges, choice, id, optional_line, refuse_later, server, timestamp,
};
use crate::app::{
    App, Error, Events, HandshakeWatch, NewHandshake, Options, Result as Done, SecretText, Started,
    Written,
};
use crate::domain::access::Caller;
use crate::domain::authorization::Scopes;
use crate::domain::changes::Revision;
use crate::domain::handshakes::{Binding, Failure, Handshake, State};
use crate::domain::ids::HandshakeId;
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::handshake_service_server::HandshakeService;

const MAX_URL: usize = 2048;
/// How often a watch says that it lives; the API promises 30 s.
const REPEAT: Duration = Duration::from_secs(20);

/// The service.
#[derive(Debug)]
pub(super) struct Handshakes(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl HandshakeService for Handshakes {
    async fn start_handshake(
        &self,
        request: Request<pb::StartHandshakeRequest>,
    ) -> Answer<pb::StartHandshakeResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        name_options(&mut call, ask.binding, ask.flow);
        call.answer(start(&self.0, &call.caller, ask).await)
    }

    async fn get_handshake(
        &self,
        request: Request<pb::GetHandshakeRequest>,
    ) -> Answer<pb::GetHandshakeResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("handshake", &ask.handshake);
        call.answer(get(&self.0, &call.caller, &ask.handshake).await)
    }

    type WatchHandshakeStream = BoxStream<'static, Result<pb::WatchHandshakeResponse, Status>>;

    async fn watch_handshake(
        &self,
        request: Request<pb::WatchHandshakeRequest>,
    ) -> Answer<Self::WatchHandshakeStream> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("handshake", &ask.handshake);
        let watch = match named(&ask.handshake) {
            Ok(id) => self.0.watch_handshake(&call.caller, id).await,
            Err(error) => Err(error),
        };
        let watch = watch.map_err(|error| call.refuse(&error))?;
        Ok(Response::new(follow(call, watch)))
    }

    async fn cancel_handshake(
        &self,
        request: Request<pb::CancelHandshakeRequest>,
    ) -> Answer<pb::CancelHandshakeResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("handshake", &ask.handshake);
        call.answer(cancel(&self.0, &call.caller, &ask.handshake).await)
    }

    async fn complete_handshake(
        &self,
        request: Request<pb::CompleteHandshakeRequest>,
    ) -> Answer<pb::CompleteHandshakeResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("handshake", &ask.handshake);
        call.answer(complete(&self.0, &call.caller, ask).await)
    }

    async fn submit_callback(
        &self,
        request: Request<pb::SubmitCallbackRequest>,
    ) -> Answer<pb::SubmitCallbackResponse> {
        later(request)
    }
}

/// Notes binding and flow as asked for, for the metadata of their refusal.
pub(super) fn name_options(call: &mut Call, binding: i32, flow: i32) {
    if let Ok(binding) = pb::HandshakeBinding::try_from(binding) {
        let name = binding.as_str_name();
        call.naming("binding", name.trim_start_matches("HANDSHAKE_BINDING_"));
    }
    if let Ok(flow) = pb::HandshakeFlow::try_from(flow) {
        call.naming(
            "flow",
            flow.as_str_name().trim_start_matches("HANDSHAKE_FLOW_"),
        );
    }
}

/// How a handshake is started. `None` notes an offence; the inner error is a flow of a later
/// release.
pub(super) fn options(
    found: &mut Violations,
    prefix: &str,
    ask: &pb::HandshakeOptions,
) -> Option<Done<Options>> {
    let mut line =
        |field: &str, text: &str| optional_line(found, &format!("{prefix}{field}"), text, MAX_URL);
    let return_url = line("return_url", &ask.return_url);
    let opener_origin = line("opener_origin", &ask.opener_origin);
    let completion_url = line("completion_url", &ask.completion_url);
    let binding = choice(found, &format!("{prefix}binding"), ask.binding);
    let flow = choice(found, &format!("{prefix}flow"), ask.flow);
    let binding = match binding? {
        pb::HandshakeBinding::Unspecified => None,
        pb::HandshakeBinding::Link => Some(Binding::Link),
        pb::HandshakeBinding::Confirm => Some(Binding::Confirm),
        pb::HandshakeBinding::Login => Some(Binding::Login),
    };
    Some(match flow? {
        pb::HandshakeFlow::Unspecified | pb::HandshakeFlow::Browser => Ok(Options {
            binding,
            return_url,
            opener_origin,
            completion_url,
        }),
        pb::HandshakeFlow::Device => Err(Error::FlowNotSupported),
    })
}

/// A handshake, at a place in the feed where one is known.
fn handshake(handshake: &Handshake, revision: Option<Revision>) -> pb::Handshake {
    let (state, failure, generation) = state(handshake.state);
    let binding = match handshake.binding {
        Binding::Link => pb::HandshakeBinding::Link,
        Binding::Confirm => pb::HandshakeBinding::Confirm,
        Binding::Login => pb::HandshakeBinding::Login,
    };
    pb::Handshake {
        id: handshake.id.to_string(),
        server: handshake.server.to_string(),
        user: handshake.user.to_string(),
        state: state.into(),
        failure: failure.into(),
        binding: binding.into(),
        flow: pb::HandshakeFlow::Browser.into(),
        scopes: handshake
            .snapshot
            .scopes
            .clone()
            .unwrap_or_default()
            .to_vec(),
        create_time: Some(timestamp(handshake.created_at)),
        expire_time: Some(timestamp(handshake.expires_at)),
        complete_time: handshake.finished_at.map(timestamp),
        connection_generation: generation,
        connection_id: String::new(),
        account: handshake.account.clone().unwrap_or_default(),
        revision: revision.unwrap_or_default().0,
        created_by: handshake.created_by.clone(),
    }
}

fn state(state: State) -> (pb::HandshakeState, pb::HandshakeFailure, i64) {
    use pb::HandshakeState as To;
    let none = pb::HandshakeFailure::Unspecified;
    match state {
        State::Pending => (To::Pending, none, 0),
        State::Exchanging { .. } => (To::Exchanging, none, 0),
        State::AwaitingConfirmation => (To::AwaitingConfirmation, none, 0),
        State::Completed { generation } => (To::Completed, none, generation),
        State::Failed(why) => (To::Failed, failure(why), 0),
        State::Cancelled => (To::Cancelled, none, 0),
        State::Expired => (To::Expired, none, 0),
    }
}

fn failure(failure: Failure) -> pb::HandshakeFailure {
    use pb::HandshakeFailure as To;
    match failure {
        Failure::AccessDenied => To::AccessDenied,
        Failure::ProviderError => To::ProviderError,
        Failure::IssuerMismatch => To::IssMismatch,
        Failure::MalformedCallback => To::MalformedCallback,
        Failure::ExchangeRefused => To::ExchangeRefused,
        Failure::ClientRefused => To::ClientRefused,
        Failure::ExchangeUnavailable => To::ExchangeUnavailable,
        Failure::Interrupted => To::Interrupted,
        Failure::ServerChanged => To::ServerChanged,
        Failure::AccountMismatch => To::AccountMismatch,
    }
}

fn named(text: &str) -> Done<HandshakeId> {
    let mut found = Violations::new();
    let named = id(&mut found, "handshake", text);
    all(found, named)
}

async fn start(
    app: &App,
    caller: &Caller,
    ask: pb::StartHandshakeRequest,
) -> Done<pb::StartHandshakeResponse> {
    let new = new_handshake(caller, ask)?;
    let Started {
        handshake: started,
        connect_url,
        revision,
    } = app.start_handshake(caller, new).await?;
    Ok(pb::StartHandshakeResponse {
        handshake: Some(handshake(&started, Some(revision))),
        connect_url: connect_url.show(),
        device: None,
        revision: revision.0,
    })
}

fn new_handshake(caller: &Caller, ask: pb::StartHandshakeRequest) -> Done<NewHandshake> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let server = server(&mut found, "server", &ask.server);
    challenges(&mut found, "www_authenticate", &ask.www_authenticate);
    let scopes = found.keep("extra_scopes", text::list(&ask.extra_scopes, 100, 256));
    let owner = choice(&mut found, "redirect_owner", ask.redirect_owner);
    let by_caller = owner == Some(pb::RedirectOwner::Caller);
    if !by_caller && !ask.redirect_uri.is_empty() {
        found.add("redirect_uri", "belongs to the redirect owner CALLER only");
    }
    refuse_later(&mut found, "request_id", !ask.request_id.is_empty());
    let asked = pb::HandshakeOptions {
        binding: ask.binding,
        return_url: ask.return_url,
        opener_origin: ask.opener_origin,
        completion_url: ask.completion_url,
        flow: ask.flow,
    };
    let options = options(&mut found, "", &asked);
    let parts = actor.zip(server).zip(scopes).zip(options);
    let (((actor, server), scopes), options) = all(found, parts)?;
    if by_caller {
        return Err(Error::FlowNotSupported);
    }
    Ok(NewHandshake {
        actor,
        server: server?,
        options: options?,
        challenges: ask.www_authenticate,
        extra_scopes: scopes.into_iter().collect::<Scopes>(),
    })
}

async fn get(app: &App, caller: &Caller, id: &str) -> Done<pb::GetHandshakeResponse> {
    let read = app.get_handshake(caller, named(id)?).await?;
    Ok(pb::GetHandshakeResponse {
        handshake: Some(handshake(&read.value, Some(read.revision))),
    })
}

/// A handshake that somebody follows.
struct Following {
    call: Call,
    states: Events<Written<Handshake>>,
    /// What was sent last.
    last: Option<pb::Handshake>,
}

/// The states as they come, the last one again when nothing comes for long. Ends after the final
/// one, or with the failure that ended it.
fn follow(
    call: Call,
    watch: HandshakeWatch,
) -> BoxStream<'static, Result<pb::WatchHandshakeResponse, Status>> {
    let span = Span::current();
    let following = Following {
        call,
        states: watch.detached(),
        last: None,
    };
    let states = stream::unfold(Some(following), move |going| {
        let span = span.clone();
        async move { going?.next().await }.instrument(span)
    });
    states.boxed()
}

impl Following {
    /// The next event, and whoever goes on after it.
    async fn next(mut self) -> Option<(Result<pb::WatchHandshakeResponse, Status>, Option<Self>)> {
        let now = loop {
            match tokio::time::timeout(REPEAT, self.states.next()).await {
                Ok(Some(Ok(now))) => break handshake(&now.value, Some(now.revision)),
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(self.call.refuse(&error)), None)),
                Err(_) => {
                    if let Some(last) = self.last.take() {
                        break last;
                    }
                }
            }
        };
        self.last = Some(now.clone());
        let handshake = Some(now);
        let event = pb::WatchHandshakeResponse { handshake };
        Some((Ok(event), Some(self)))
    }
}

async fn cancel(app: &App, caller: &Caller, id: &str) -> Done<pb::CancelHandshakeResponse> {
    let written = app.cancel_handshake(caller, named(id)?).await?;
    Ok(pb::CancelHandshakeResponse {
        handshake: Some(handshake(&written.value, Some(written.revision))),
        revision: written.revision.0,
    })
}

async fn complete(
    app: &App,
    caller: &Caller,
    ask: pb::CompleteHandshakeRequest,
) -> Done<pb::CompleteHandshakeResponse> {
    let mut found = Violations::new();
    let id = id(&mut found, "handshake", &ask.handshake);
    let actor = actor(&mut found, caller, ask.actor);
    if ask.code.is_empty() || ask.code.len() > 512 {
        found.add("code", "must be 1 to 512 bytes");
    }
    let (id, actor) = all(found, id.zip(actor))?;
    let code = SecretText(&ask.code);
    let completing = app.complete_handshake(caller, id, &code, &actor);
    let written = Box::pin(completing).await?;
    let (ended, made, slug) = &written.value;
    let ended = pb::Handshake {
        connection_id: made.id.to_string(),
        ..handshake(ended, Some(written.revision))
    };
    Ok(pb::CompleteHandshakeResponse {
        handshake: Some(ended),
        connection: Some(connection(made, slug)),
        revision: written.revision.0,
    })
}
