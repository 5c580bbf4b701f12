//! What a renewal brings for a grant that ended meanwhile: nobody gets it, and it is revoked.

use super::super::App;
use super::super::clients::client_issuer;
use super::super::error::Result;
use super::super::readable::readable;
use super::strays::Owner;
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::authorization::TokenSet;
use crate::domain::connections::{self, Connection};
use crate::domain::profiles::Profile;
use crate::domain::revocations::{Reason, Revocation, WorkState, revokes_superseded};

impl App {
    /// Queues tokens that a renewal obtained and that were not written, since their grant ended or
    /// is outranked; `true` when there is nothing left to do. They take the place of those that
    /// wait in the outbox, if those wait for this very renewal, which spent them. Otherwise what
    /// waits may be newer, and its place is not to be taken: these are queued beside it. A pair that is merely outranked is discarded and
    /// never revoked: that would end the newer one. So is one whose user connected again by the
    /// same client, unless the provider is known to keep grants apart.
    pub(in super::super) async fn queue_late(
        &self,
        ended: &Connection,
        tokens: &TokenSet,
    ) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        let (tenant, user, server) = (&ended.tenant, &ended.user, ended.server);
        let queued = tx.revocations().get(tenant, ended.id).await?;
        let current = tx.connections().get(tenant, user, server).await?;
        let server = tx.servers().get(tenant, ended.server).await?;
        let all = readable(tx.registrations().list(tenant, ended.server).await?);
        drop(tx);
        let attempt = ended.life.attempt;
        let spent = |one: &Revocation| {
            let waits = attempt.is_some_and(|attempt| one.waits_for(attempt));
            waits && one.work.state == WorkState::Pending
        };
        // What another attempt left in the outbox is to end as well, so revoking these, too, does
        // not end anything that somebody wants: rank decides what is kept, and nothing is.
        if let Some(waiting) = queued.filter(spent) {
            return self.replace(waiting, tokens).await;
        }
        let registration = |id| all.iter().find(|one| one.id == id);
        if let Some(current) = current {
            // Whoever ended a grant took both of its tokens; an imported one may have only one.
            let held = current.access_token.is_some() || current.refresh_token.is_some();
            if current.id == ended.id && held {
                return Ok(true);
            }
            let (old, new) = (
                registration(ended.registration),
                registration(current.registration),
            );
            // One that was imported may be this very grant, renewed elsewhere.
            let provider = match current.origin {
                connections::Origin::Import => Profile::default(),
                connections::Origin::Handshake | connections::Origin::Automatic => {
                    self.provider_of(server.as_ref(), &ended.issuer)
                }
            };
            let apart = old
                .zip(new)
                .is_some_and(|(old, new)| revokes_superseded(old, new, &provider));
            if current.id != ended.id && !apart {
                return Ok(true);
            }
        }
        let server = server.filter(|server| {
            // Where an issuer that was followed away from revokes, is known.
            let moved = client_issuer(server).as_ref() != Some(&ended.issuer);
            server.auth_version == ended.auth_version || moved
        });
        let (Some(server), Some(registration)) = (server, registration(ended.registration)) else {
            let id = ended.id;
            tracing::warn!(connection.id = %id, "late tokens cannot be revoked");
            return Ok(true);
        };
        let client = self.grant_client(&server, registration, &all).await?;
        let owner = Owner {
            tenant,
            user,
            server: ended.server,
        };
        let stray = self.stray(owner, tokens, client, Reason::Late).await?;
        if let Some(stray) = stray {
            let mut event = self.event(tenant, Origin::service(), "connection.discard", ended.id);
            event.user = Some(user.to_string());
            event.detail = serde_json::json!({
                "server": ended.server.to_string(),
                "revocation": "queued",
            });
            let mut tx = self.0.store.write().await?;
            stray.queue(&mut tx).await?;
            tx.commit(&event).await?;
            self.ring_outbox();
        }
        Ok(true)
    }

    /// Puts new tokens in the place of those that wait. `false` when they were taken or replaced
    /// meanwhile: look again.
    async fn replace(&self, mut waiting: Revocation, tokens: &TokenSet) -> Result<bool> {
        self.seal_into(&mut waiting, tokens).await?;
        let mut event = self.service_event_of(&waiting, "connection.discard");
        event.detail = serde_json::json!({ "revocation": "queued" });
        let mut tx = self.0.store.write().await?;
        if !tx.revocations_mut().update_tokens(&waiting).await? {
            return Ok(false);
        }
        tx.commit(&event).await?;
        self.ring_outbox();
        Ok(true)
    }

    /// A record about a revocation, by the service itself.
    pub(super) fn service_event_of(
        &self,
        revocation: &Revocation,
        action: &'static str,
    ) -> NewAuditEvent {
        let tenant = &revocation.tenant;
        let mut event = self.event(tenant, Origin::service(), action, revocation.id);
        event.user = Some(revocation.user.to_string());
        event
    }
}
