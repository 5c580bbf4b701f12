//! Putting the use cases together, and what every one of them needs.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::access::{KeySets, default_tenant};
use super::error::Result;
use super::feed::Feed;
use super::flights::Flights;
use super::identities::Endpoints;
use super::identity_tokens::Signers;
use super::lately::Lately;
use super::metrics::Metrics;
use super::redeem::{Places, Walk};
use super::revocations::Outbox;
use super::strangers::Strangers;
use super::tenants::describe;
use super::uses::Uses;
use super::vault::Vault;
use super::{App, Inner, Parts};
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::ids::ReplicaId;
use crate::domain::tenants::{Tenant, TenantId, TenantState};
use crate::store;

/// How often the refused client of one server is looked into, and told of.
const REFUSED: Duration = Duration::from_mins(10);
/// How often a server whose issuer waits for approval is looked at again, while its users ask.
const PENDING: Duration = Duration::from_mins(1);
/// How long it is not looked again where metadata could not be read.
const IN_VAIN: Duration = Duration::from_secs(30);

impl App {
    /// Puts the use cases together on a migrated store: makes the default tenant if this is a new
    /// one, and opens the canaries. Root keys that are not the store's are refused.
    pub async fn start(parts: Parts) -> Result<Self> {
        let Parts {
            store,
            root_keys,
            fetch,
            clock,
            random,
            settings,
            metrics,
            tasks,
        } = parts;
        let vault = Vault::new(
            root_keys,
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        let places = Places::new(Arc::clone(&clock));
        let replica = ReplicaId::mint(&*clock, &*random);
        let feed = Feed::start(&store, &*clock).await?;
        let app = Self(Arc::new(Inner {
            store,
            vault,
            fetch,
            clock,
            random,
            settings,
            metrics,
            tasks,
            replica,
            flights: Flights::default(),
            identity_flights: Flights::default(),
            identity_endpoints: Endpoints::default(),
            looks: Flights::default(),
            places,
            identity: Signers::default(),
            refused_clients: Lately::new(REFUSED),
            pending: Lately::new(PENDING),
            looked_in_vain: Lately::new(IN_VAIN),
            walk: Walk::default(),
            uses: Uses::default(),
            strangers: Strangers::default(),
            feed,
            key_sets: KeySets::default(),
            outbox: Outbox::default(),
            ending: CancellationToken::new(),
        }));
        let tenant = default_tenant()?;
        app.ensure_tenant(&tenant).await?;
        app.0.vault.unlock(&tenant).await?;
        app.end_leases().await?;
        Ok(app)
    }

    /// Where this process alone has the database, whoever held a lease in it is gone.
    async fn end_leases(&self) -> Result<()> {
        if !self.0.store.is_exclusive() {
            return Ok(());
        }
        let now = self.0.clock.now();
        let mut tx = self.0.store.upkeep().await?;
        let left = tx.connection_leases().end_leases(now).await?;
        let logins = tx.identity_leases().end_leases(now).await?;
        let interrupted = tx.handshake_steps().interrupt_exchanges(now).await?;
        tx.work_claims().end_leases().await?;
        tx.commit().await?;
        if left + logins + interrupted > 0 {
            tracing::warn!(
                leases = left + logins,
                exchanges = interrupted,
                "the last process ended amid work"
            );
        }
        Ok(())
    }

    async fn ensure_tenant(&self, id: &TenantId) -> Result<()> {
        if self
            .0
            .store
            .read()
            .await?
            .tenants()
            .get(id)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let mut event = self.event(id, Origin::service(), "tenant.create", id);
        let tenant = Tenant {
            id: id.clone(),
            display_name: "Default".to_owned(),
            state: TenantState::Active,
            created_at: event.at,
            updated_at: event.at,
        };
        event.detail = serde_json::json!({ "after": describe(&tenant) });
        let mut tx = self.0.store.write().await?;
        match tx.tenants_mut().insert(&tenant).await {
            Ok(()) => {
                tx.commit(&event).await?;
                Ok(())
            }
            // Another replica started at the same time.
            Err(store::Error::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Ends what watches: streams that would otherwise hold up an orderly stop.
    pub fn end_watches(&self) {
        self.0.ending.cancel();
    }

    /// Whether the database answers.
    pub async fn ready(&self) -> Result<()> {
        Ok(self.0.store.ready().await?)
    }

    /// The record of something done, to be completed and committed.
    pub(super) fn event(
        &self,
        tenant: &TenantId,
        origin: Origin,
        action: &'static str,
        subject: impl Display,
    ) -> NewAuditEvent {
        let seams = (&*self.0.clock, &*self.0.random);
        NewAuditEvent::done(seams, tenant, origin, action, subject.to_string())
    }
}
