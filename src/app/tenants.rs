//! Tenants: made, listed and deleted by operators.

use super::error::{Error, Result};
use super::readable::readable_page;
use super::requests::{Once, served};
use super::revocations::ServerPlan;
use super::{App, Written};
use crate::domain::access::{Caller, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::revocations::Reason;
use crate::domain::servers::Server;
use crate::domain::tenants::{DEFAULT_TENANT, Tenant, TenantId, TenantState};
use crate::store::{self, Read, Which, Write};

/// How often a deletion starts over when others write at the same time.
const DELETE_TRIES: usize = 4;

/// Reads every server of a tenant, page by page.
macro_rules! servers {
    ($tx:expr, $tenant:expr) => {{
        let mut all = Vec::new();
        let mut page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        loop {
            let found = $tx.servers().list($tenant, Which::All, &page).await?;
            // Nothing may be left behind: what cannot be read must be seen to first.
            for server in found.entries {
                all.push(server?);
            }
            page.after = found.next;
            if page.after.is_none() {
                return Ok(all);
            }
        }
    }};
}

async fn servers_of(tx: &mut Read, tenant: &TenantId) -> Result<Vec<Server>> {
    servers!(tx, tenant)
}

async fn servers_in(tx: &mut Write, tenant: &TenantId) -> Result<Vec<Server>> {
    servers!(tx, tenant)
}

impl App {
    /// Makes a tenant. Names are never used twice.
    pub async fn create_tenant(
        &self,
        caller: &Caller,
        id: TenantId,
        display_name: String,
        once: Option<Once>,
    ) -> Result<Written<Tenant>> {
        let principal = caller.principal();
        if let Some(once) = &once {
            let mut tx = self.0.store.read().await?;
            if let Some(subject) = served(&mut tx, &once.of(caller, &principal)).await? {
                let past = TenantId::parse(&subject).map_err(|_| Error::TenantNotFound)?;
                let tenant = tx
                    .tenants()
                    .get(&past)
                    .await?
                    .ok_or(Error::TenantNotFound)?;
                let revision = tx.feed().head(&past).await?;
                return Ok(Written {
                    value: tenant,
                    revision,
                });
            }
        }
        let now = self.0.clock.now();
        let tenant = Tenant {
            id: id.clone(),
            display_name,
            state: TenantState::Active,
            created_at: now,
            updated_at: now,
        };
        let mut event = self.event(&id, caller.origin(), "tenant.create", &id);
        event.detail = serde_json::json!({ "after": describe(&tenant) });
        let mut tx = self.0.store.write().await?;
        let inserted = tx.tenants_mut().insert(&tenant).await;
        inserted.map_err(|error| {
            if matches!(error, store::Error::Conflict) {
                Error::TenantExists
            } else {
                error.into()
            }
        })?;
        if let Some(once) = &once {
            tx.requests_mut()
                .insert(&once.of(caller, &principal), id.as_str(), now)
                .await?;
        }
        let revision = tx.commit(&event).await?;
        Ok(Written {
            value: tenant,
            revision,
        })
    }

    /// A tenant. Who is no operator sees only their own.
    pub async fn get_tenant(&self, caller: &Caller, id: &TenantId) -> Result<Tenant> {
        if caller.role != Role::Operator && *id != caller.tenant {
            return Err(Error::TenantNotFound);
        }
        let tenant = self.0.store.read().await?.tenants().get(id).await?;
        tenant
            .filter(|tenant| tenant.state == TenantState::Active)
            .ok_or(Error::TenantNotFound)
    }

    /// A page of the tenants in use, by name.
    pub async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        let found = self.0.store.read().await?.tenants().list(page).await?;
        Ok(readable_page(found))
    }

    /// Deletes a tenant with everything it has. Its grants are queued to be revoked; when that is
    /// done, at the latest after a day, its data keys are destroyed: what was sealed under them
    /// cannot be opened again, unless a backup still holds the wrapped keys. Idempotent: one that is
    /// being deleted, or gone, is answered as it is. The default tenant stays.
    pub async fn delete_tenant(&self, caller: &Caller, id: &TenantId) -> Result<Written<Tenant>> {
        if id.as_str() == DEFAULT_TENANT {
            return Err(Error::invalid(
                "tenant",
                "the default tenant cannot be deleted",
            ));
        }
        for _ in 0..DELETE_TRIES {
            let mut tx = self.0.store.read().await?;
            let tenant = tx.tenants().get(id).await?.ok_or(Error::TenantNotFound)?;
            let revision = tx.feed().head(id).await?;
            let mut servers = servers_of(&mut tx, id).await?;
            drop(tx);
            // Whoever takes connections of several servers takes them in this order.
            servers.sort_by_key(|server| server.id);
            if tenant.state != TenantState::Active {
                return Ok(Written {
                    value: tenant,
                    revision,
                });
            }
            let mut plans = Vec::with_capacity(servers.len());
            for server in &servers {
                let plan = self.plan_of_server(server, Reason::TenantDeleted);
                plans.push(plan.await?);
            }
            let deleted = self
                .try_delete_tenant(caller, id, (&servers, &plans))
                .await?;
            if let Some(written) = deleted {
                if written.value.state == TenantState::Deleted {
                    self.0.vault.forget(id);
                }
                self.ring_outbox();
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// One try; `None` when the tenant's servers are not as they were read.
    async fn try_delete_tenant(
        &self,
        caller: &Caller,
        id: &TenantId,
        (servers, plans): (&[Server], &[ServerPlan]),
    ) -> Result<Option<Written<Tenant>>> {
        let mut event = self.event(id, caller.origin(), "tenant.delete", id);
        let mut tx = self.0.store.write().await?;
        // No server is added from here on.
        tx.tenants_mut().hold(id).await?;
        for server in servers {
            tx.servers_mut().hold(id, server.id).await?;
        }
        let versions = |servers: &[Server]| -> Vec<_> {
            servers.iter().map(|one| (one.id, one.version)).collect()
        };
        let before = tx.tenants().get(id).await?.ok_or(Error::TenantNotFound)?;
        let mut there = servers_in(&mut tx, id).await?;
        there.sort_by_key(|server| server.id);
        if versions(&there) != versions(servers) {
            return Ok(None);
        }
        let mut queued = 0;
        for plan in plans {
            match plan.queue(&mut tx).await? {
                Some(grants) => queued += grants,
                None => return Ok(None),
            }
        }
        if !tx.tenants_mut().delete(id, event.at).await? {
            return Ok(None);
        }
        if tx.revocations().count_pending(id).await? == 0 {
            tx.revocations_mut().delete_of_tenant(id).await?;
            tx.retired_clients_mut().delete_of_tenant(id).await?;
            tx.tenants_mut().shred(id).await?;
        }
        let value = tx.tenants().get(id).await?.ok_or(Error::TenantNotFound)?;
        event.detail = serde_json::json!({
            "before": describe(&before),
            "after": describe(&value),
            "servers": servers.len(),
            "revocations": queued,
        });
        let revision = tx.commit(&event).await?;
        Ok(Some(Written { value, revision }))
    }
}

/// A tenant for the audit trail.
pub(super) fn describe(tenant: &Tenant) -> serde_json::Value {
    serde_json::json!({
        "display_name": tenant.display_name,
        "state": tenant.state.as_str(),
    })
}
