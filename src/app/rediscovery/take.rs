//! What is stored of another look: the find itself, or that it waits for approval.

use super::super::App;
use super::super::error::Result;
use super::super::handshakes::no_client;
use super::super::provision::{Holds, Slot};
use super::super::refused_clients::is_ours;
use super::super::revocations::Unstored;
use super::Standing;
use crate::domain::audit::Origin;
use crate::domain::authorization::{Discovered, Issuer};
use crate::domain::registrations::Registration;
use crate::domain::servers::Server;
use crate::store;

/// What was stored of a discovery.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) server: Server,
    pub(super) registration: Option<Registration>,
    /// How many grants were set aside.
    pub(super) ended: usize,
}

impl App {
    /// Notes an issuer that waits for approval, or that none does. `false` when somebody else wrote
    /// meanwhile.
    pub(super) async fn note_pending(
        &self,
        origin: Origin,
        server: &Server,
        issuer: Option<Issuer>,
    ) -> Result<bool> {
        let mut next = server.clone();
        let Some(found) = &mut next.discovered else {
            return Ok(false);
        };
        let before = found.pending_issuer.take();
        found.pending_issuer.clone_from(&issuer);
        let mut event = self.event(&server.tenant, origin, "server.drift", server.id);
        event.detail = serde_json::json!({
            "issuer": found.authorization_server.issuer.as_str(),
            "before": { "pending_issuer": before.as_ref().map(Issuer::as_str) },
            "after": { "pending_issuer": issuer.as_ref().map(Issuer::as_str) },
        });
        next.updated_at = event.at;
        let mut tx = self.0.store.write().await?;
        let noted = tx.servers_mut().update(&next).await?;
        if noted {
            tx.commit(&event).await?;
            if let Some(issuer) = issuer {
                tracing::warn!(server.id = %server.id, %issuer, "a server's resource names another issuer: an administrator must approve it");
            }
        }
        Ok(noted)
    }

    /// Stores what was found of a server, with a client at its issuer. Under another issuer the
    /// grants there are are set aside. `None` when somebody else wrote meanwhile.
    pub(super) async fn take_over(
        &self,
        origin: Origin,
        current: Server,
        found: Discovered,
    ) -> Result<Option<Taken>> {
        let Some(Standing {
            found: before,
            by_hand,
            ..
        }) = Standing::of(&current)
        else {
            return Ok(None);
        };
        let (tenant, id) = (current.tenant.clone(), current.id);
        let (from, to) = (
            before.authorization_server.issuer.clone(),
            found.authorization_server.issuer.clone(),
        );
        if let Some(oauth2) = current.spec.auth.oauth2() {
            self.check_mix_up((&tenant, id), oauth2, Some(&found))
                .await?;
        }
        let mut tx = self.0.store.read().await?;
        let mut registrations = tx.registrations();
        let known = registrations.find_current(&tenant, id, &to).await?;
        let last = registrations.last_generation(&tenant, id).await?;
        drop(tx);
        // A client of one issuer is never shown to another; one that we had there before is used again.
        let known = known.filter(|known| by_hand || is_ours(known));
        let client = if known.is_some() {
            None
        } else {
            let oauth2 = current.spec.auth.oauth2().ok_or_else(no_client)?;
            let slot = Slot {
                tenant: tenant.clone(),
                server: id,
                generation: last + 1,
                holds: Holds::default(),
                stays: None,
                registered: false,
            };
            let client = self
                .own_client(&slot, &current.spec, oauth2, &found)
                .await?;
            Some(self.unstored(client))
        };
        let moved = from != to;
        let mut event = self.event(&tenant, origin, "server.rediscover", id);
        event.detail = serde_json::json!({
            "before": { "issuer": from.as_str() },
            "after": { "issuer": to.as_str() },
        });
        let mut next = Server {
            discovered: Some(before.followed_by(found)),
            ..current
        };
        next.auth_version += i64::from(moved);
        next.updated_at = event.at;
        let mut tx = self.0.store.write().await?;
        if !tx.servers_mut().update(&next).await? {
            return Ok(None);
        }
        if let Some(client) = &client {
            match tx.registrations_mut().insert(client.registration()).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        let mut ended = 0;
        if moved {
            let mut connections = tx.connections_mut();
            ended = connections.suspend_of_server(&tenant, id, event.at).await?;
            // What was set aside when the server left this issuer is good again.
            let back = (&to, next.auth_version);
            let resumed = connections
                .resume_of_server(&tenant, id, back, event.at)
                .await?;
            event.detail["connections"] = ended.into();
            event.detail["resumed"] = resumed.into();
        }
        let (_, mut stored) = Unstored::commit(client, tx, &event).await?;
        next.version += 1;
        Ok(Some(Taken {
            server: next,
            registration: stored.pop().or(known),
            ended,
        }))
    }
}
