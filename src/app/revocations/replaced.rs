//! What ends by itself: grants that nobody confirmed in time, and clients that newer ones replaced
//! and that no grant needs any more.

use super::super::App;
use super::super::error::Result;
use super::super::handshakes::KEPT;
use super::super::readable::readable;
use super::strays::fate;
use crate::domain::audit::Origin;
use crate::domain::handshakes::Handshake;
use crate::domain::registrations::Registration;
use crate::domain::revocations::{DEAD_KEPT, Reason};

/// How many of each kind are looked at in one turn; the rest comes with the next.
const BATCH: i64 = 200;

impl App {
    /// Queues what ended by itself, and forgets what was given up long ago. Trouble with one is
    /// nobody else's.
    pub(in super::super) async fn sweep_grants(&self) -> Result<()> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.read().await?;
        let unconfirmed = tx.handshakes().list_unconfirmed(now, BATCH).await?;
        let replaced = tx
            .registrations()
            .list_replaced(now.before(KEPT), BATCH)
            .await?;
        drop(tx);
        for handshake in &readable(unconfirmed) {
            if let Err(error) = self.retire_parked(handshake).await {
                tracing::warn!(handshake.id = %handshake.id, %error, "a parked grant stays");
            }
        }
        for registration in &readable(replaced) {
            if let Err(error) = self.retire_registration(registration).await {
                let id = registration.id;
                tracing::warn!(registration.id = %id, %error, "a replaced client stays");
            }
        }
        let before = now.before(DEAD_KEPT);
        let mut tx = self.0.store.upkeep().await?;
        tx.work_claims().delete_dead(before).await?;
        tx.commit().await?;
        self.ring_outbox();
        Ok(())
    }

    async fn retire_parked(&self, handshake: &Handshake) -> Result<()> {
        let stray = self.stray_of_parked(handshake, Reason::Unconfirmed).await?;
        let (tenant, id) = (&handshake.tenant, handshake.id);
        let mut event = self.event(tenant, Origin::service(), "handshake.expire", id);
        event.user = Some(handshake.user.to_string());
        event.detail = serde_json::json!({
            "server": handshake.server.to_string(),
            "revocation": fate(stray.as_ref()),
        });
        let mut tx = self.0.store.write().await?;
        if !tx.handshakes_mut().take_parked(handshake).await? {
            return Ok(());
        }
        if let Some(stray) = &stray {
            stray.queue(&mut tx).await?;
        }
        tx.commit(&event).await?;
        Ok(())
    }

    async fn retire_registration(&self, registration: &Registration) -> Result<()> {
        let tenant = &registration.tenant;
        let mut tx = self.0.store.read().await?;
        let server = tx.servers().get(tenant, registration.server).await?;
        drop(tx);
        let Some(server) = server else { return Ok(()) };
        let alone = std::slice::from_ref(registration);
        let client = self.grant_client(&server, registration, alone).await?;
        let client = self.retired(tenant, &client).await?;
        let client = self.with_management(client, registration).await?;
        if client.management.is_none() {
            // It cannot be opened here; another replica may have the key.
            return Ok(());
        }
        let id = registration.id;
        let mut event = self.event(tenant, Origin::service(), "registration.retire", id);
        event.detail = serde_json::json!({
            "server": registration.server.to_string(),
            "issuer": registration.issuer.as_str(),
            "client_id": registration.client_id,
            "reason": "replaced",
        });
        let mut tx = self.0.store.write().await?;
        let ours = tx
            .registrations_mut()
            .forget_management(registration)
            .await?;
        if ours {
            tx.retired_clients_mut().insert(&client).await?;
            tx.commit(&event).await?;
        }
        Ok(())
    }
}
