//! The end of a deleted tenant: its data keys are destroyed when nothing of it waits to be revoked
//! any more, or when its time is up.

use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::readable::readable;
use crate::domain::audit::Origin;
use crate::domain::revocations::TENANT_DEADLINE;
use crate::domain::tenants::{Tenant, TenantId};

/// How long every replica looks back for tenants whose keys it may still hold.
const LOOK_BACK: Duration = Duration::from_hours(1);

impl App {
    /// Destroys the keys of deleted tenants that have nothing left to revoke, or whose time is up,
    /// and forgets those that others destroyed. Idempotent.
    pub(super) async fn shred_tenants(&self) -> Result<()> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.read().await?;
        let mut due = Vec::new();
        for tenant in readable(tx.tenants().list_deleting().await?) {
            let waiting = tx.revocations().count_pending(&tenant.id).await?;
            if waiting == 0 || now.since(tenant.updated_at) >= TENANT_DEADLINE {
                due.push((tenant, waiting));
            }
        }
        let since = now.before(TENANT_DEADLINE + LOOK_BACK);
        let gone = readable(tx.tenants().list_deleted(since).await?);
        drop(tx);
        for tenant in &gone {
            self.0.vault.forget(tenant);
        }
        for (tenant, waiting) in &due {
            // Trouble with one is nobody else's.
            if let Err(error) = self.shred(tenant, *waiting).await {
                tracing::warn!(tenant.id = %tenant.id, %error, "a deleted tenant keeps its keys");
            }
        }
        Ok(())
    }

    async fn shred(&self, tenant: &Tenant, waiting: i64) -> Result<()> {
        let id: &TenantId = &tenant.id;
        let mut event = self.event(id, Origin::service(), "tenant.shred", id);
        event.detail = serde_json::json!({ "revocations_given_up": waiting });
        let mut tx = self.0.store.write().await?;
        tx.revocations_mut().delete_of_tenant(id).await?;
        tx.retired_clients_mut().delete_of_tenant(id).await?;
        if tx.tenants_mut().shred(id).await? {
            tx.commit(&event).await?;
            if waiting > 0 {
                tracing::warn!(tenant.id = %id, count = waiting, "revocations were given up");
            }
        }
        self.0.vault.forget(id);
        Ok(())
    }
}
