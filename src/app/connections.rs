//! Connections: what is known of a user's grants, and how a user ends one.

use super::App;
use super::access::check_actor;
use super::error::{Error, Result};
use super::readable::readable;
use super::redeem::Key;
use super::revocations::fate;
use super::servers::{ServerRef, find, find_touchable, may_see};
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::connections::{Connection, StatusKind};
use crate::domain::ids::ServerId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::revocations::Reason;
use crate::domain::tenants::TenantId;
use crate::domain::text::{Slug, UserId};
use crate::store::{self, Read};

/// How often an end is tried again when the connection is renewed at the same time.
const TRIES: usize = 8;

impl App {
    /// One connection's metadata: a user's, or the deployment's own for who sees all.
    pub async fn get_connection(
        &self,
        caller: &Caller,
        actor: Option<&Actor>,
        server: &ServerRef,
    ) -> Result<(Connection, Slug)> {
        check_actor(caller, actor)?;
        let user = actor.map(|actor| &actor.user).or(caller.user.as_ref());
        if user.is_none() && !caller.sees_configuration() {
            return Err(Error::invalid("actor", "is required"));
        }
        let user = user.cloned().unwrap_or_else(UserId::nobody);
        let mut tx = self.0.store.read().await?;
        let server = find(&mut tx, &caller.tenant, server).await?;
        let server = server.filter(|server| caller.narrowing.admits_server(server.id));
        let Some(server) = server else {
            return Err(Error::ServerNotFound);
        };
        let found = tx
            .connections()
            .get(&caller.tenant, &user, server.id)
            .await?;
        match found {
            Some(connection) => Ok((connection, server.spec.slug)),
            // Whoever lost access still sees their connection, and nothing else of the server.
            None if may_see(caller, actor, &server) => Err(Error::ConnectionNotFound),
            None => Err(Error::ServerNotFound),
        }
    }

    /// A page of connections by id: a user's, or, for who may see them all, the tenant's; in one
    /// status, or in any. A page may hold fewer than asked for although more follow.
    pub async fn list_connections(
        &self,
        caller: &Caller,
        actor: Option<&Actor>,
        status: Option<StatusKind>,
        page: &PageRequest,
    ) -> Result<Page<(Connection, Slug)>> {
        check_actor(caller, actor)?;
        let user: Option<&UserId> = actor.map(|actor| &actor.user).or(caller.user.as_ref());
        if user.is_none() && !caller.sees_configuration() {
            return Err(Error::invalid("actor", "is required"));
        }
        let mut tx = self.0.store.read().await?;
        let found = tx
            .connections()
            .list_in(&caller.tenant, user, status, page)
            .await?;
        let mut entries = Vec::with_capacity(found.entries.len());
        for connection in readable(found.entries) {
            if !caller.narrowing.admits_server(connection.server) {
                continue;
            }
            let slug = slug_of(&mut tx, &caller.tenant, connection.server).await?;
            entries.extend(slug.map(|slug| (connection, slug)));
        }
        Ok(Page {
            entries,
            next: found.next,
        })
    }

    /// A page of who is connected to a server, by user; in one status, or in any. A page may hold fewer
    /// than asked for although more follow.
    pub async fn list_server_connections(
        &self,
        caller: &Caller,
        server: &ServerRef,
        status: Option<StatusKind>,
        page: &PageRequest,
    ) -> Result<Page<(Connection, Slug)>> {
        let mut tx = self.0.store.read().await?;
        let server = find(&mut tx, &caller.tenant, server).await?;
        let server = server.filter(|server| may_see(caller, None, server));
        let server = server.ok_or(Error::ServerNotFound)?;
        let found = tx
            .connections()
            .list_of_server(&caller.tenant, server.id, status, page)
            .await?;
        let of_server = |connection| (connection, server.spec.slug.clone());
        Ok(Page {
            entries: readable(found.entries).into_iter().map(of_server).collect(),
            next: found.next,
        })
    }

    /// Ends a user's connection: it is gone here at once, and its revocation at the provider is
    /// queued with that. Idempotent, works after access was lost, and answers the same whether
    /// there was a connection, a server, or neither.
    pub async fn disconnect(
        &self,
        caller: &Caller,
        actor: &Actor,
        server: &str,
    ) -> Result<Revision> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        let found = find_touchable(&mut tx, caller, server).await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        drop(tx);
        let Some(server) = found else {
            return Ok(revision);
        };
        let key = Key {
            tenant: caller.tenant.clone(),
            user: actor.user.clone(),
            server: server.id,
        };
        for _ in 0..TRIES {
            let connection = match self.connection(&key).await {
                Ok(Some(connection)) => connection,
                Ok(None) => return Ok(revision),
                // What cannot be read cannot be revoked either, but it can go.
                Err(error) if error.is_unreadable() => {
                    return self.drop_unread(caller, &key).await;
                }
                Err(error) => return Err(error),
            };
            let stray = self
                .stray_of_connection(&connection, Reason::Disconnect)
                .await?;
            let (tenant, id) = (&caller.tenant, connection.id);
            let mut event = self.event(tenant, caller.origin(), "connection.disconnect", id);
            event.user = Some(actor.user.to_string());
            event.detail = serde_json::json!({
                "server": server.id.to_string(),
                "revocation": fate(stray.as_ref()),
            });
            let mut tx = self.0.store.write().await?;
            if !tx.connections_mut().take(&connection).await? {
                continue;
            }
            if let Some(stray) = &stray {
                stray.queue(&mut tx).await?;
            }
            let revision = tx.commit(&event).await?;
            self.ring_outbox();
            return Ok(revision);
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Takes a connection away whose row cannot be read.
    async fn drop_unread(&self, caller: &Caller, key: &Key) -> Result<Revision> {
        let mut tx = self.0.store.write().await?;
        let mut connections = tx.connections_mut();
        let gone = connections.delete(&key.tenant, &key.user, key.server);
        let Some(id) = gone.await? else {
            return Ok(tx.feed().head(&key.tenant).await?);
        };
        let mut event = self.event(&key.tenant, caller.origin(), "connection.disconnect", id);
        event.user = Some(key.user.to_string());
        event.detail = serde_json::json!({
            "server": key.server.to_string(),
            "revocation": fate(None),
        });
        Ok(tx.commit(&event).await?)
    }
}

/// The slug of a server; none where it cannot be read.
pub(super) async fn slug_of(
    tx: &mut Read,
    tenant: &TenantId,
    server: ServerId,
) -> Result<Option<Slug>> {
    let found = tx.servers().find_slug(tenant, server).await;
    if let Err(error @ store::Error::Corrupt { .. }) = &found {
        tracing::error!(server.id = %server, %error, "connections to a server are passed over");
        return Ok(None);
    }
    Ok(found?)
}
