//! `TokenService`: credentials handed out, reported on and taken back. One of the two files that
//! put secrets into an answer: the headers of resolved servers.

use std::time::Duration;

use futures_util::stream::BoxStream;
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status, async_trait};

use super::call::Call;
use super::convert::{actor, all, duration, revision, servers, span, timestamp};
use super::servers::{auth_kind, availability, transport};
use super::{connections, identities, imports, reports, resolve, user_headers};
use crate::app::{App, Entry, Resolve, ResolvedInline, Result as Done};
use crate::domain::access::Caller;
use crate::domain::forwarding::Signing;
use crate::domain::resolution::{Outcome, Resolved};
use crate::domain::servers::{AuthKind, Glimpse, ToolPolicy, Transport};
use crate::domain::text::Violations;
use crate::domain::tools::{inline_name_prefix, name_prefix};
use crate::pb::v1 as pb;
use crate::pb::v1::token_service_server::TokenService;

/// The longest that `min_valid_for` may ask for.
pub(super) const MAX_VALIDITY: Duration = Duration::from_hours(24);

/// The service.
#[derive(Debug)]
pub(super) struct Tokens(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl TokenService for Tokens {
    async fn resolve_credentials(
        &self,
        request: Request<pb::ResolveCredentialsRequest>,
    ) -> Answer<pb::ResolveCredentialsResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(credentials(&self.0, &call, ask).await)
    }

    async fn report_response(
        &self,
        request: Request<pb::ReportResponseRequest>,
    ) -> Answer<pb::ReportResponseResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        if let Some(options) = &ask.handshake_options {
            super::handshakes::name_options(&mut call, options.binding, options.flow);
        }
        call.answer(Box::pin(reports::report(&self.0, &call.caller, ask)).await)
    }

    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Answer<pb::GetConnectionResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(connections::get(&self.0, &call.caller, ask).await)
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Answer<pb::ListConnectionsResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(connections::list(&self.0, &call.caller, ask).await)
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Answer<pb::DisconnectResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(connections::disconnect(&self.0, &call.caller, ask).await)
    }

    type WatchConnectionsStream = BoxStream<'static, Result<pb::WatchConnectionsResponse, Status>>;

    async fn watch_connections(
        &self,
        request: Request<pb::WatchConnectionsRequest>,
    ) -> Answer<Self::WatchConnectionsStream> {
        let (mut call, ask) = Call::open(request)?;
        if let [server] = &*ask.servers {
            call.naming("server", server);
        }
        let watch = connections::watch(&self.0, &call.caller, ask).await;
        let watch = watch.map_err(|error| call.refuse(&error))?;
        let events = call.follow(watch.detached(), connections::event);
        Ok(Response::new(events))
    }

    async fn import_connection(
        &self,
        request: Request<pb::ImportConnectionRequest>,
    ) -> Answer<pb::ImportConnectionResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(imports::import(&self.0, &call, ask).await)
    }

    async fn purge_user(
        &self,
        request: Request<pb::PurgeUserRequest>,
    ) -> Answer<pb::PurgeUserResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(connections::purge(&self.0, &call.caller, &ask).await)
    }

    async fn put_user_identity(
        &self,
        request: Request<pb::PutUserIdentityRequest>,
    ) -> Answer<pb::PutUserIdentityResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(identities::put(&self.0, &call.caller, ask).await)
    }

    async fn delete_user_identity(
        &self,
        request: Request<pb::DeleteUserIdentityRequest>,
    ) -> Answer<pb::DeleteUserIdentityResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(identities::delete(&self.0, &call.caller, ask).await)
    }

    async fn set_user_headers(
        &self,
        request: Request<pb::SetUserHeadersRequest>,
    ) -> Answer<pb::SetUserHeadersResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(user_headers::set(&self.0, &call.caller, ask).await)
    }

    async fn get_user_headers(
        &self,
        request: Request<pb::GetUserHeadersRequest>,
    ) -> Answer<pb::GetUserHeadersResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(user_headers::get(&self.0, &call.caller, ask).await)
    }

    async fn delete_user_headers(
        &self,
        request: Request<pb::DeleteUserHeadersRequest>,
    ) -> Answer<pb::DeleteUserHeadersResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(user_headers::delete(&self.0, &call.caller, ask).await)
    }
}

async fn credentials(
    app: &App,
    call: &Call,
    ask: pb::ResolveCredentialsRequest,
) -> Done<pb::ResolveCredentialsResponse> {
    let ask = asked(&call.caller, call.deadline, ask)?;
    let resolved = app.resolve_credentials(&call.caller, ask).await?;
    Ok(pb::ResolveCredentialsResponse {
        servers: resolved.entries.into_iter().map(entry).collect(),
        revision: resolved.revision.0,
        unknown_servers: resolved.unknown,
    })
}

fn asked(
    caller: &Caller,
    deadline: Option<Duration>,
    ask: pb::ResolveCredentialsRequest,
) -> Done<Resolve> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let servers = servers(&mut found, "servers", &ask.servers);
    if servers.as_ref().is_some_and(Vec::is_empty) {
        found.add("servers", "must name at least one server");
    }
    resolve::check_target(&mut found, ask.target.as_ref());
    let identity = resolve::identity(&mut found, ask.identity.as_ref());
    let min_valid_for = span(&mut found, "min_valid_for", ask.min_valid_for, MAX_VALIDITY);
    let min_revision = revision(&mut found, "min_revision", ask.min_revision);
    let (actor, servers) = all(found, actor.zip(servers))?;
    Ok(Resolve {
        actor,
        servers,
        min_valid_for,
        min_revision,
        deadline,
        identity,
    })
}

/// One server of a resolve, its headers in the clear: the one thing this API answers secrets in.
fn configured(resolved: Resolved) -> pb::ResolvedServer {
    let Resolved {
        server,
        outcome,
        signing,
    } = resolved;
    let spec = server.spec;
    let answer = pb::ResolvedServer {
        server: server.id.to_string(),
        slug: spec.slug.to_string(),
        tool_name_prefix: name_prefix(&spec.slug),
        display_name: spec.display_name,
        url: spec.url,
        transport: transport(spec.transport).into(),
        status: resolve::status(&outcome).into(),
        reason: resolve::reason(&outcome).into(),
        tool_policy: tool_policy(spec.tools),
        model_intent: spec.model_intent,
        auth_kind: auth_kind(spec.auth.kind()).into(),
        extensions: Vec::from_iter(spec.auth.kind().extension().map(str::to_owned)),
        availability: availability(spec.availability).into(),
        allow_in_plan_mode: spec.allow_in_plan_mode,
        allow_in_subagents: spec.allow_in_subagents,
        signing_key: signing.map(signing_key),
        ..pb::ResolvedServer::default()
    };
    with_outcome(answer, outcome)
}

/// What a daemon signs identity headers by: the secret, for it alone.
fn signing_key(signing: Signing) -> pb::SigningKey {
    let [signature, timestamp] = signing.headers;
    let said = signing.said;
    pb::SigningKey {
        scheme: pb::SigningScheme::HmacSha256V1.into(),
        secret: signing.secret.expose_secret().to_owned(),
        signature_header: signature.to_owned(),
        timestamp_header: timestamp.to_owned(),
        owner: said.owner,
        chat: said.chat,
        subchat: said.subchat,
        workspace: said.workspace,
    }
}

/// One server of an answer.
pub(super) fn entry(entry: Entry) -> pb::ResolvedServer {
    match entry {
        Entry::Server(resolved) => configured(*resolved),
        Entry::Unread(glimpse) => unread(*glimpse),
        Entry::Inline(resolved) => inline(*resolved),
    }
}

/// A server that is attached to the chat.
fn inline(ResolvedInline { server, outcome }: ResolvedInline) -> pb::ResolvedServer {
    let kind = if server.headers.is_some() {
        AuthKind::CustomHeaders
    } else {
        AuthKind::None
    };
    let answer = pb::ResolvedServer {
        server: server.id.to_string(),
        slug: server.slug.to_string(),
        tool_name_prefix: inline_name_prefix(&server.slug),
        display_name: server.slug.to_string(),
        url: server.url,
        transport: transport(Transport::StreamableHttp).into(),
        status: resolve::status(&outcome).into(),
        reason: resolve::reason(&outcome).into(),
        tool_policy: tool_policy(server.tools),
        auth_kind: auth_kind(kind).into(),
        inline: true,
        allow_in_plan_mode: server.allowed.in_plan_mode,
        allow_in_subagents: server.allowed.in_subagents,
        ..pb::ResolvedServer::default()
    };
    with_outcome(answer, outcome)
}

/// A server whose row cannot be read: what is known of it, and that it cannot be used.
fn unread(glimpse: Glimpse) -> pb::ResolvedServer {
    pb::ResolvedServer {
        server: glimpse.id.to_string(),
        slug: glimpse.slug.to_string(),
        tool_name_prefix: name_prefix(&glimpse.slug),
        display_name: glimpse.display_name,
        status: pb::ServerStatus::Unreadable.into(),
        availability: availability(glimpse.availability).into(),
        allow_in_plan_mode: glimpse.allow_in_plan_mode,
        allow_in_subagents: glimpse.allow_in_subagents,
        ..pb::ResolvedServer::default()
    }
}

fn with_outcome(mut answer: pb::ResolvedServer, outcome: Outcome) -> pb::ResolvedServer {
    match outcome {
        Outcome::Ready {
            headers,
            validity,
            warnings,
        } => {
            let reuse = if headers.is_empty() {
                pb::HeaderReuse::Unspecified
            } else {
                pb::HeaderReuse::Reusable
            };
            let headers = headers.into_iter().map(|(name, value)| pb::Header {
                name,
                value: value.expose_secret().to_owned(),
            });
            answer.headers = headers.collect();
            answer.reuse = reuse.into();
            answer.expire_time = validity.expires_at.map(timestamp);
            answer.credential_version = validity.credential_version;
            answer.warnings = warnings.into_iter().map(resolve::warning).collect();
        }
        Outcome::ScopeUpgradeRequired(scopes) => answer.missing_scopes = scopes.to_vec(),
        Outcome::MissingUserHeaders(names) => answer.missing_headers = names,
        Outcome::UpstreamUnavailable { retry_after, .. } => {
            answer.retry_after = Some(duration(retry_after));
        }
        Outcome::NotConnected
        | Outcome::ReconnectRequired(_)
        | Outcome::Expired
        | Outcome::NoUserIdentity(_)
        | Outcome::ConfigError(_)
        | Outcome::Unreadable => {}
    }
    answer
}

/// Absent where every tool is allowed.
fn tool_policy(tools: ToolPolicy) -> Option<pb::ToolPolicy> {
    let ToolPolicy { allow, deny } = tools;
    (!allow.is_empty() || !deny.is_empty()).then_some(pb::ToolPolicy { allow, deny })
}
