//! Connections as they are answered, without their tokens, and the calls that read, follow and end
//! them, one by one or all of a user.

use super::convert::{
    actor, all, choice, next_token, optional_actor, page, revision, server, servers, timestamp,
};
use super::resolve::connection_state;
use crate::app::{
    App, ConnectionEvent, ConnectionWatch, Result, ServerRef, Told, WatchConnections,
};
use crate::domain::access::{Actor, Caller, Role};
use crate::domain::connections::{Connection, Origin, StatusKind};
use crate::domain::text::{self, Slug, UserId, Violations};
use crate::pb::v1 as pb;

/// A connection on the server of this slug.
pub(super) fn connection(connection: &Connection, slug: &Slug) -> pb::Connection {
    let life = &connection.life;
    let (state, mut reason) = connection_state(life.status);
    if life.client_refused && reason == pb::StatusReason::Unspecified {
        reason = pb::StatusReason::RegistrationRefused;
    }
    let holds = connection.access_token.is_some() || connection.refresh_token.is_some();
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
        origin: origin(connection.origin).into(),
        obtain_time: Some(timestamp(connection.connected_at)),
        refresh_time: connection.refreshed_at.map(timestamp),
        last_use_time: connection.used_at.map(timestamp),
        // The deployment's own grant is there before it holds anything.
        expire_time: life.expires_at.filter(|_| holds).map(timestamp),
        renewable: life.renewable,
        failures: i32::try_from(life.failures).unwrap_or(i32::MAX),
        next_attempt_time: connection.next_attempt().map(timestamp),
        reconnect_before_time: connection.reconnect_before.map(timestamp),
        account: connection.account.clone().unwrap_or_default(),
        warnings: warnings(connection),
        last_error_code: connection.last_error.clone().unwrap_or_default(),
        last_failure_time: connection.failed_at.map(timestamp),
        registration_id: connection.registration.to_string(),
        create_time: Some(timestamp(connection.connected_at)),
        update_time: Some(timestamp(connection.updated_at)),
        ..pb::Connection::default()
    }
}

fn warnings(connection: &Connection) -> Vec<pb::Warning> {
    let mut warnings = Vec::new();
    if connection.account_differs {
        let detail = match &connection.account {
            Some(account) => format!("{account} was connected, which is not the user"),
            None => "whose account was connected is not known".to_owned(),
        };
        warnings.push(pb::Warning {
            reason: pb::StatusReason::AccountMismatch.into(),
            detail,
        });
    }
    warnings
}

fn origin(origin: Origin) -> pb::ConnectionOrigin {
    match origin {
        Origin::Handshake => pb::ConnectionOrigin::Handshake,
        Origin::Import => pb::ConnectionOrigin::Import,
        Origin::Automatic => pb::ConnectionOrigin::Automatic,
    }
}

/// Whose connections are meant: a user's, or, by who sees all, anybody's.
fn whose(found: &mut Violations, caller: &Caller, given: Option<pb::Actor>) -> Option<Actor> {
    match caller.role {
        Role::Daemon | Role::User => actor(found, caller, given),
        Role::Admin | Role::Operator | Role::Auditor => optional_actor(found, caller, given),
    }
}

/// Reads one.
pub(super) async fn get(
    app: &App,
    caller: &Caller,
    ask: pb::GetConnectionRequest,
) -> Result<pb::GetConnectionResponse> {
    let mut found = Violations::new();
    let actor = whose(&mut found, caller, ask.actor);
    let server = server(&mut found, "server", &ask.server);
    let server = all(found, server)?;
    let (read, slug) = app.get_connection(caller, actor.as_ref(), &server?).await?;
    Ok(pb::GetConnectionResponse {
        connection: Some(connection(&read, &slug)),
    })
}

/// The status to look for; any when not said.
fn status(state: pb::ConnectionState) -> Option<StatusKind> {
    match state {
        pb::ConnectionState::Unspecified => None,
        pb::ConnectionState::Active => Some(StatusKind::Active),
        pb::ConnectionState::ReconnectRequired => Some(StatusKind::ReconnectRequired),
        pb::ConnectionState::Unreadable => Some(StatusKind::Unreadable),
    }
}

/// Lists those of one user or, for who sees all, of all.
pub(super) async fn list(
    app: &App,
    caller: &Caller,
    ask: pb::ListConnectionsRequest,
) -> Result<pb::ListConnectionsResponse> {
    let mut found = Violations::new();
    let actor = whose(&mut found, caller, ask.actor);
    let state = choice(&mut found, "state", ask.state);
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let (state, page) = all(found, state.zip(page))?;
    let page = app
        .list_connections(caller, actor.as_ref(), status(state), &page)
        .await?;
    let connections = page
        .entries
        .iter()
        .map(|(read, slug)| connection(read, slug));
    Ok(pb::ListConnectionsResponse {
        connections: connections.collect(),
        next_page_token: next_token(page.next.as_ref()),
    })
}

/// Lists those of a server.
pub(super) async fn list_of_server(
    app: &App,
    caller: &Caller,
    ask: pb::ListServerConnectionsRequest,
) -> Result<pb::ListServerConnectionsResponse> {
    let mut found = Violations::new();
    let server = server(&mut found, "server", &ask.server);
    let state = choice(&mut found, "state", ask.state);
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let (server, (state, page)) = all(found, server.zip(state.zip(page)))?;
    let page = app
        .list_server_connections(caller, &server?, status(state), &page)
        .await?;
    let connections = page
        .entries
        .iter()
        .map(|(read, slug)| connection(read, slug));
    Ok(pb::ListServerConnectionsResponse {
        connections: connections.collect(),
        next_page_token: next_token(page.next.as_ref()),
    })
}

/// Begins to follow those of one user, or of all whom the caller may act for.
pub(super) async fn watch(
    app: &App,
    caller: &Caller,
    ask: pb::WatchConnectionsRequest,
) -> Result<ConnectionWatch> {
    let mut found = Violations::new();
    let actor = optional_actor(&mut found, caller, ask.actor);
    let servers = servers(&mut found, "servers", &ask.servers);
    let after = ask.after_revision;
    let after = after.map(|after| revision(&mut found, "after_revision", after));
    let servers = all(found, servers)?;
    let servers = servers.iter().map(|server| ServerRef::parse(server));
    let ask = WatchConnections {
        actor,
        servers: servers.collect::<Result<_>>()?,
        after,
    };
    app.watch_connections(caller, ask).await
}

/// One event, as it is answered.
pub(super) fn event(told: Told<ConnectionEvent>) -> pb::WatchConnectionsResponse {
    let answer = |kind: pb::ChangeKind| pb::WatchConnectionsResponse {
        kind: kind.into(),
        revision: told.revision.0,
        ..pb::WatchConnectionsResponse::default()
    };
    match told.event {
        ConnectionEvent::Put(put, slug) => pb::WatchConnectionsResponse {
            connection_id: put.id.to_string(),
            connection: Some(connection(&put, &slug)),
            ..answer(pb::ChangeKind::Put)
        },
        ConnectionEvent::Delete(connection_id) => pb::WatchConnectionsResponse {
            connection_id,
            ..answer(pb::ChangeKind::Delete)
        },
        ConnectionEvent::Synced => answer(pb::ChangeKind::Synced),
        ConnectionEvent::Heartbeat => answer(pb::ChangeKind::Heartbeat),
    }
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

/// Forgets a user. Identities and personal servers are not part of this release.
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
        header_values: count(purged.header_values),
        identities: count(purged.identities),
        chats: count(purged.chats),
        servers: count(purged.servers),
        revision: purged.revision.0,
    })
}
