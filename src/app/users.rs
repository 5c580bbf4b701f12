//! Users: they are the tenant's, and known here by what they leave. One who is gone leaves nothing.

use std::collections::BTreeSet;

use super::App;
use super::access::check_actor;
use super::error::{Error, Result};
use super::revocations::Stray;
use super::servers::Ended;
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::connections::Connection;
use crate::domain::page::PageRequest;
use crate::domain::revocations::Reason;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::store::{self, Read, Which};

/// How often a purge starts over when the user's grants change at the same time.
const TRIES: usize = 8;

/// What was forgotten of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// How many connections.
    pub connections: usize,
    /// How many identities.
    pub identities: usize,
    /// How many handshakes.
    pub handshakes: usize,
    /// How many header values.
    pub header_values: usize,
    /// How many chats.
    pub chats: usize,
    /// How many personal servers.
    pub servers: usize,
    /// Where in the feed it can be seen.
    pub revision: Revision,
}

/// The personal servers of a user.
#[derive(Default)]
struct Owned {
    /// How many were deleted, and what ended with them.
    deleted: usize,
    ended: Ended,
    /// Those whose rows cannot be read. They go in the end; nothing of theirs is revoked at a provider.
    unread: Vec<String>,
}

/// What a user has here, and what of it is to be revoked.
struct Held {
    connections: Vec<Connection>,
    /// Connections that cannot be read, by what their rows call them. They go without revocation.
    unread: Vec<String>,
    /// The handshakes whose grants wait to be confirmed.
    parked: Vec<String>,
    strays: Vec<Stray>,
}

impl App {
    /// Forgets everything about a user: connections and grants that wait to be confirmed, whose
    /// revocation is queued with that, identities, handshakes, header values and chats. Atomic and idempotent,
    /// but for personal servers, which go one by one before that. What is kept of the past stays: the audit
    /// trail, and the generations of connections.
    pub async fn purge_user(&self, caller: &Caller, user: &UserId) -> Result<Purged> {
        let actor = Actor {
            user: user.clone(),
            groups: Vec::new(),
        };
        check_actor(caller, Some(&actor))?;
        if !caller.narrowing.servers.is_empty() {
            return Err(Error::KeyNarrowed { by: "servers" });
        }
        let mut owned = Owned::default();
        for _ in 0..TRIES {
            self.delete_owned(caller, user, &mut owned).await?;
            let held = self.held_by(&caller.tenant, user).await?;
            if let Some(purged) = self.try_purge(caller, user, (&held, &owned)).await? {
                let ended = owned.ended;
                self.ring_outbox();
                return Ok(Purged {
                    connections: purged.connections + ended.connections,
                    header_values: purged.header_values + ended.header_values,
                    ..purged
                });
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Deletes a user's personal servers that can be read, and adds up what ended with them.
    async fn delete_owned(&self, caller: &Caller, user: &UserId, owned: &mut Owned) -> Result<()> {
        let page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            let which = Which::Owned(user);
            let found = tx.servers().list(&caller.tenant, which, &page).await?;
            drop(tx);
            let (servers, unread) = parted(found.entries)?;
            owned.unread = unread;
            if servers.is_empty() {
                break;
            }
            for server in servers {
                let deleted = Box::pin(self.try_delete(caller, server, Reason::Purge));
                if let Some(written) = deleted.await? {
                    owned.deleted += 1;
                    owned.ended.connections += written.value.connections;
                    owned.ended.header_values += written.value.header_values;
                }
            }
        }
        Ok(())
    }

    async fn held_by(&self, tenant: &TenantId, user: &UserId) -> Result<Held> {
        let mut tx = self.0.store.read().await?;
        let (mut connections, unread) = parted(connections_of(&mut tx, tenant, user).await?)?;
        // Whoever takes connections of several servers takes them in this order.
        connections.sort_by_key(|connection| connection.server);
        let parked = tx.handshakes().list_parked_of_user(tenant, user).await?;
        drop(tx);
        let (parked, sealed) = parted(parked)?;
        let mut strays = Vec::new();
        for connection in &connections {
            strays.extend(self.stray_of_connection(connection, Reason::Purge).await?);
        }
        for handshake in &parked {
            strays.extend(self.stray_of_parked(handshake, Reason::Purge).await?);
        }
        let ids = parked.iter().map(|handshake| handshake.id.to_string());
        let mut parked: Vec<_> = ids.chain(sealed).collect();
        parked.sort();
        Ok(Held {
            connections,
            unread,
            parked,
            strays,
        })
    }

    /// One try; `None` when the user has something else by now.
    async fn try_purge(
        &self,
        caller: &Caller,
        user: &UserId,
        (held, owned): (&Held, &Owned),
    ) -> Result<Option<Purged>> {
        let tenant = &caller.tenant;
        let mut tx = self.0.store.write().await?;
        // Before anything else of them: whoever changes a server takes the server first.
        let values = tx.user_headers().list_names_of_user(tenant, user).await?;
        let holding: BTreeSet<_> = values.into_iter().map(|(server, _)| server).collect();
        for server in holding {
            tx.servers_mut().hold(tenant, server).await?;
        }
        for connection in &held.connections {
            if !tx.connections_mut().take(connection).await? {
                return Ok(None);
            }
        }
        for id in &held.unread {
            if !tx.connections_mut().take_unread(tenant, user, id).await? {
                return Ok(None);
            }
        }
        let one = PageRequest {
            size: 1,
            after: None,
        };
        // In this order: what a handshake stores meanwhile is there once the handshake is gone.
        let gone = tx.handshakes_mut().delete_of_user(tenant, user).await?;
        let more = tx.connections().list(tenant, Some(user), &one).await?;
        let mut parked: Vec<_> = gone.iter().filter(|(_, held)| *held).collect();
        parked.sort();
        let same = parked.into_iter().map(|(id, _)| id).eq(&held.parked);
        if !more.entries.is_empty() || !same {
            return Ok(None);
        }
        let mut unread = 0;
        for id in &owned.unread {
            unread += usize::from(tx.servers_mut().delete_unread(tenant, user, id).await?);
        }
        // Made since they were deleted.
        if tx.servers().count_of_owner(tenant, user).await? > 0 {
            return Ok(None);
        }
        let mut values = tx.user_headers_mut();
        let header_values = values.delete_of_user(tenant, user).await?;
        let identities = tx.identities_mut().delete(tenant, user, None).await?;
        let chats = tx.chats_mut().delete_of_owner(tenant, user).await?;
        for stray in &held.strays {
            stray.queue(&mut tx).await?;
        }
        let servers = owned.deleted + unread;
        let mut purged = Purged {
            connections: held.connections.len() + held.unread.len(),
            identities,
            handshakes: gone.len(),
            header_values,
            chats,
            servers,
            revision: tx.feed().head(tenant).await?,
        };
        let found = purged.connections + identities + purged.handshakes + header_values;
        if found + chats + servers == 0 {
            return Ok(Some(purged));
        }
        let mut event = self.event(tenant, caller.origin(), "user.purge", user);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "connections": purged.connections,
            "identities": purged.identities,
            "handshakes": purged.handshakes,
            "header_values": header_values,
            "chats": purged.chats,
            "servers": servers,
            "revocations": held.strays.len(),
        });
        purged.revision = tx.commit(&event).await?;
        Ok(Some(purged))
    }
}

/// All connections of a user.
async fn connections_of(
    tx: &mut Read,
    tenant: &TenantId,
    user: &UserId,
) -> Result<Vec<store::Result<Connection>>> {
    let mut all = Vec::new();
    let mut page = PageRequest {
        size: PageRequest::MAX,
        after: None,
    };
    loop {
        let found = tx.connections().list(tenant, Some(user), &page).await?;
        all.extend(found.entries);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(all);
        }
    }
}

/// What can be read, and the ids of what cannot.
fn parted<T>(rows: Vec<store::Result<T>>) -> Result<(Vec<T>, Vec<String>)> {
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => read.push(row),
            Err(error) => {
                tracing::error!(%error, "a row goes unread");
                let store::Error::Corrupt { id, .. } = error else {
                    return Err(error.into());
                };
                unread.push(id);
            }
        }
    }
    Ok((read, unread))
}
