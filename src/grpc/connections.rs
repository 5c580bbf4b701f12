//! Connections as they are answered, without their tokens, and the calls that read and end them,
//! one by one or all of a user.

use super::convert::{
    actor, all, next_token, optional_actor, page, refuse_later, server, timestamp,
};
use super::resolve::connection_state;
use crate::app::{App, Result};
use crate::domain::access::{Caller, Role};
use crate::domain::connections::Connection;
use crate::domain::text::{self, Slug, UserId, Violations};
use crate::pb::v1 as pb;

/// A connection on the server of this slug.
pub(super) fn connection(connection: &Connection, slug: &Slug) -> pb::Connection {
    let life = &connection.life;
    let (state, reason) = connection_state(life.status);
    let resource = connection.resource.as_ref();
    pb::Connection {
        id: connection.id.to_string(),
        server: connection.server.to_string(),
        server_slug: slug.to_string(),
        user: connection.user.to_string(),
        state: state.into(),
        reason: reason.into(),
        granted_scopes: connection.scopes.to_vec(),
        issuer: connection.issuer.to_string(),
        resource: resource.map(ToString::to_string).unwrap_or_default(),
        generation: life.generation,
        origin: pb::ConnectionOrigin::Handshake.into(),
        obtain_time: Some(timestamp(connection.connected_at)),
        refresh_time: connection.refreshed_at.map(timestamp),
        expire_time: life.expires_at.map(timestamp),
        renewable: life.renewable,
        failures: i32::try_from(life.failures).unwrap_or(i32::MAX),
        next_attempt_time: life.next_attempt_at.map(timestamp),
        last_error_code: connection.last_error.clone().unwrap_or_default(),
        registration_id: connection.registration.to_string(),
        create_time: Some(timestamp(connection.connected_at)),
        ..pb::Connection::default()
    }
}

/// Reads one.
pub(super) async fn get(
    app: &App,
    caller: &Caller,
    ask: pb::GetConnectionRequest,
) -> Result<pb::GetConnectionResponse> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let server = server(&mut found, "server", &ask.server);
    let (actor, server) = all(found, actor.zip(server))?;
    let (read, slug) = app.get_connection(caller, &actor, &server?).await?;
    Ok(pb::GetConnectionResponse {
        connection: Some(connection(&read, &slug)),
    })
}

/// Lists those of one user or, for who sees all, of all.
pub(super) async fn list(
    app: &App,
    caller: &Caller,
    ask: pb::ListConnectionsRequest,
) -> Result<pb::ListConnectionsResponse> {
    let mut found = Violations::new();
    let actor = match caller.role {
        Role::Daemon | Role::User => actor(&mut found, caller, ask.actor),
        Role::Admin | Role::Operator | Role::Auditor => {
            optional_actor(&mut found, caller, ask.actor)
        }
    };
    refuse_later(&mut found, "state", ask.state != 0);
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let page = all(found, page)?;
    let page = app.list_connections(caller, actor.as_ref(), &page).await?;
    let connections = page
        .entries
        .iter()
        .map(|(read, slug)| connection(read, slug));
    Ok(pb::ListConnectionsResponse {
        connections: connections.collect(),
        next_page_token: next_token(page.next.as_ref()),
    })
}

/// Ends one.
pub(super) async fn disconnect(
    app: &App,
    caller: &Caller,
    ask: pb::DisconnectRequest,
) -> Result<pb::DisconnectResponse> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    // Any text: the answer is the same whether or not it names a server.
    let server = found.keep("server", text::required(&ask.server, 255));
    let (actor, server) = all(found, actor.zip(server))?;
    let revision = app.disconnect(caller, &actor, &server).await?;
    Ok(pb::DisconnectResponse {
        revision: revision.0,
    })
}

/// Forgets a user. Identities, header values and personal servers are not part of this release.
pub(super) async fn purge(
    app: &App,
    caller: &Caller,
    ask: &pb::PurgeUserRequest,
) -> Result<pb::PurgeUserResponse> {
    let mut found = Violations::new();
    let user = found.keep("user", UserId::parse(&ask.user));
    let purged = app.purge_user(caller, &all(found, user)?).await?;
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Ok(pb::PurgeUserResponse {
        connections: count(purged.connections),
        chats: count(purged.chats),
        revision: purged.revision.0,
        ..pb::PurgeUserResponse::default()
    })
}
