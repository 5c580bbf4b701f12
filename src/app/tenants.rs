//! Tenants: made, listed and deleted by operators.

use super::error::{Error, Result};
use super::requests::{Once, served};
use super::{App, Written};
use crate::domain::access::{Caller, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tenants::{DEFAULT_TENANT, Tenant, TenantId, TenantState};
use crate::store;

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
        let event = self.event(&id, caller.origin(), "tenant.create", &id);
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
        Ok(self.0.store.read().await?.tenants().list(page).await?)
    }

    /// Deletes a tenant with everything it has, its data keys included: what was sealed under them
    /// cannot be opened again, unless a backup still holds the wrapped keys. Idempotent: one that is
    /// gone is answered as it is. The default tenant stays.
    pub async fn delete_tenant(&self, caller: &Caller, id: &TenantId) -> Result<Written<Tenant>> {
        if id.as_str() == DEFAULT_TENANT {
            return Err(Error::invalid(
                "tenant",
                "the default tenant cannot be deleted",
            ));
        }
        let event = self.event(id, caller.origin(), "tenant.delete", id);
        let mut tx = self.0.store.write().await?;
        let deleted = tx.tenants_mut().delete(id, event.at).await?;
        let tenant = tx.tenants().get(id).await?.ok_or(Error::TenantNotFound)?;
        if !deleted {
            let revision = tx.feed().head(id).await?;
            return Ok(Written {
                value: tenant,
                revision,
            });
        }
        let revision = tx.commit(&event).await?;
        self.0.vault.forget(id);
        Ok(Written {
            value: tenant,
            revision,
        })
    }
}
