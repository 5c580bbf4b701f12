//! `ConfigService`: server configurations.

mod access;
mod apply;
mod auth_from_proto;
mod auth_to_proto;
mod discovery;
mod fingerprint;
mod forwarding;
mod from_proto;
mod mask;
mod to_proto;

pub(super) use from_proto::entries;
pub(super) use to_proto::{auth_kind, availability, transport};

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, async_trait};

use super::call::{Call, later};
use super::connections;
use super::convert::{all, count, fingerprinted, id, next_token, page, server, viewer};
use crate::app::{App, ListServers, NewServer, Result as Done, ServerRef};
use crate::domain::access::Caller;
use crate::domain::servers::{Draft, SealedSecrets, Server};
use crate::domain::text::{UserId, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::config_service_server::ConfigService;

/// The service.
#[derive(Debug)]
pub(super) struct Servers(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

#[async_trait]
impl ConfigService for Servers {
    async fn create_server(
        &self,
        request: Request<pb::CreateServerRequest>,
    ) -> Answer<pb::CreateServerResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server_id);
        let answer = match new_server(ask) {
            Ok(new) => {
                call.naming("slug", new.draft.spec.slug.as_str());
                create(&self.0, &call.caller, new).await
            }
            Err(error) => Err(error),
        };
        call.answer(answer)
    }

    async fn get_server(
        &self,
        request: Request<pb::GetServerRequest>,
    ) -> Answer<pb::GetServerResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(get(&self.0, &call.caller, ask).await)
    }

    async fn list_servers(
        &self,
        request: Request<pb::ListServersRequest>,
    ) -> Answer<pb::ListServersResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(list(&self.0, &call.caller, ask).await)
    }

    async fn update_server(
        &self,
        request: Request<pb::UpdateServerRequest>,
    ) -> Answer<pb::UpdateServerResponse> {
        let (mut call, ask) = Call::open(request)?;
        if let Some(server) = &ask.server {
            call.naming("server", &server.id);
            call.naming("slug", &server.slug);
        }
        call.answer(Box::pin(update(&self.0, &call.caller, ask)).await)
    }

    async fn delete_server(
        &self,
        request: Request<pb::DeleteServerRequest>,
    ) -> Answer<pb::DeleteServerResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(delete(&self.0, &call.caller, ask).await)
    }

    async fn modify_server_access(
        &self,
        request: Request<pb::ModifyServerAccessRequest>,
    ) -> Answer<pb::ModifyServerAccessResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(Box::pin(access::modify(&self.0, &call.caller, ask)).await)
    }

    type WatchServersStream = Stream<pb::WatchServersResponse>;

    async fn watch_servers(
        &self,
        request: Request<pb::WatchServersRequest>,
    ) -> Answer<Self::WatchServersStream> {
        later(request)
    }

    async fn discover_server(
        &self,
        request: Request<pb::DiscoverServerRequest>,
    ) -> Answer<pb::DiscoverServerResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(Box::pin(discovery::discover(&self.0, ask)).await)
    }

    async fn rediscover_server(
        &self,
        request: Request<pb::RediscoverServerRequest>,
    ) -> Answer<pb::RediscoverServerResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(Box::pin(discovery::rediscover(&self.0, &call.caller, ask)).await)
    }

    async fn check_server(
        &self,
        request: Request<pb::CheckServerRequest>,
    ) -> Answer<pb::CheckServerResponse> {
        later(request)
    }

    async fn apply_servers(
        &self,
        request: Request<pb::ApplyServersRequest>,
    ) -> Answer<pb::ApplyServersResponse> {
        let (mut call, ask) = Call::open(request)?;
        let applied = Box::pin(apply::apply(&self.0, &mut call, ask)).await;
        call.answer(applied)
    }

    async fn list_server_connections(
        &self,
        request: Request<pb::ListServerConnectionsRequest>,
    ) -> Answer<pb::ListServerConnectionsResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("server", &ask.server);
        call.answer(connections::list_of_server(&self.0, &call.caller, ask).await)
    }
}

/// A creation as asked for.
fn new_server(ask: pb::CreateServerRequest) -> Done<NewServer> {
    let mut found = Violations::new();
    let once = fingerprinted(&mut found, &ask.request_id, &fingerprint::canonical(&ask));
    let given = !ask.server_id.is_empty();
    let id = given
        .then(|| id(&mut found, "server_id", &ask.server_id))
        .flatten();
    let server = ask.server.unwrap_or_default();
    let owner = (!server.owner.is_empty()).then(|| UserId::parse(&server.owner));
    let owner = owner.and_then(|owner| found.keep("server.owner", owner));
    let draft = from_proto::draft(server, &SealedSecrets::default());
    let draft = draft.map_err(|more| {
        for violation in more.into_vec() {
            found.add(violation.field, violation.description);
        }
    });
    let draft = all(found, draft.ok())?;
    Ok(NewServer {
        id,
        owner,
        draft,
        once,
    })
}

async fn create(app: &App, caller: &Caller, new: NewServer) -> Done<pb::CreateServerResponse> {
    let written = app.create_server(caller, new).await?;
    Ok(pb::CreateServerResponse {
        server: Some(to_proto::view(&written.value)),
        revision: written.revision.0,
    })
}

async fn get(app: &App, caller: &Caller, ask: pb::GetServerRequest) -> Done<pb::GetServerResponse> {
    let mut found = Violations::new();
    let actor = viewer(&mut found, caller, ask.actor);
    let server = all_named(found, &ask.server)?;
    let view = app.get_server(caller, &server, actor.as_ref()).await?;
    Ok(pb::GetServerResponse {
        server: Some(to_proto::view(&view)),
    })
}

/// The server that a request's field `server` names, unless the request has offences.
fn all_named(mut found: Violations, text: &str) -> Done<ServerRef> {
    let named = server(&mut found, "server", text);
    all(found, named)?
}

async fn list(
    app: &App,
    caller: &Caller,
    ask: pb::ListServersRequest,
) -> Done<pb::ListServersResponse> {
    let mut found = Violations::new();
    let actor = viewer(&mut found, caller, ask.actor);
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let page = all(found, page)?;
    let list = ListServers {
        actor,
        managed_by: ask.managed_by,
        enabled: ask.enabled,
        page,
    };
    let page = app.list_servers(caller, &list).await?;
    Ok(pb::ListServersResponse {
        servers: page.entries.iter().map(to_proto::view).collect(),
        next_page_token: next_token(page.next.as_ref()),
    })
}

async fn update(
    app: &App,
    caller: &Caller,
    ask: pb::UpdateServerRequest,
) -> Done<pb::UpdateServerResponse> {
    let patch = ask.server.unwrap_or_default();
    let paths = ask.update_mask.map(|mask| mask.paths);
    let mut found = mask::check(paths.as_deref());
    let named = server(&mut found, "server.id", &patch.id);
    let named = all(found, named)??;
    let etag = (!patch.etag.is_empty()).then_some(patch.etag.as_str());
    let edit = |stored: &Server| merged(stored, &patch, paths.as_deref());
    let written = Box::pin(app.update_server(caller, &named, etag, edit)).await?;
    Ok(pb::UpdateServerResponse {
        server: Some(to_proto::view(&written.value.view)),
        revision: written.revision.0,
        ended_connections: count(written.value.ended.connections),
        ended_header_values: count(written.value.ended.header_values),
    })
}

/// What is stored with the fields named by the mask taken from the update.
fn merged(
    stored: &Server,
    patch: &pb::Server,
    paths: Option<&[String]>,
) -> Result<Draft, Violations> {
    let mut merged = to_proto::document(&stored.spec);
    let owner = stored.owner.as_ref().map(ToString::to_string);
    merged.owner = owner.unwrap_or_default();
    let given = merged.owner.clone();
    let before = merged.auth.as_ref().map(std::mem::discriminant);
    mask::apply(&mut merged, patch, paths)?;
    let moved = merged.owner != given;
    let same_kind = merged.auth.as_ref().map(std::mem::discriminant) == before;
    let secrets = if same_kind {
        stored.secrets.clone()
    } else {
        SealedSecrets::default()
    };
    let draft = from_proto::draft(merged, &secrets);
    if !moved {
        return draft;
    }
    let mut found = draft.err().unwrap_or_default();
    found.add("server.owner", "is given on creation only");
    Err(found)
}

async fn delete(
    app: &App,
    caller: &Caller,
    ask: pb::DeleteServerRequest,
) -> Done<pb::DeleteServerResponse> {
    let server = all_named(Violations::new(), &ask.server)?;
    let etag = (!ask.etag.is_empty()).then_some(ask.etag.as_str());
    let written = app.delete_server(caller, &server, etag).await?;
    Ok(pb::DeleteServerResponse {
        revision: written.revision.0,
        ended_connections: count(written.value.connections),
        ended_header_values: count(written.value.header_values),
    })
}

#[cfg(test)]
mod tests;
