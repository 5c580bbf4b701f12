//! The vault: seals and opens values under their tenant's data keys.
//!
//! It is the one place where keys and rows meet. Data keys are unwrapped once and kept; values are
//! opened on every use. Sealing may begin a transaction of its own, so it is done before one is
//! begun for writing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use super::error::{Error, Result};
use super::insist::TRY;
use crate::crypto;
use crate::crypto::{DataKeyMaterial, Payload, RootKeys};
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::ids::DataKeyId;
use crate::domain::keys::{DataKey, Place, RolloverPolicy, RootKey};
use crate::domain::random::Random;
use crate::domain::secrets::Sealed;
use crate::domain::tenants::TenantId;
use crate::domain::time::Clock;
use crate::store::{self, Store, within};

/// How often a key is looked for, or made, while other processes do the same.
const TRIES: usize = 8;

/// A key that seals a tenant's new values, and how many more it may seal before asking again.
#[derive(Debug)]
struct Sealing {
    key: Arc<DataKeyMaterial>,
    left: i64,
}

/// A key that was unwrapped, and whose it is.
#[derive(Debug)]
struct Opened {
    tenant: TenantId,
    key: Arc<DataKeyMaterial>,
}

/// Seals and opens.
#[derive(Debug)]
pub(super) struct Vault {
    roots: RootKeys,
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    policy: RolloverPolicy,
    opened: RwLock<HashMap<DataKeyId, Opened>>,
    sealing: Mutex<HashMap<TenantId, Sealing>>,
}

/// Why a stored value could not be had.
#[derive(Debug)]
pub(super) enum Unopened {
    /// It does not open with the keys present: this row's state, nobody else's.
    Unreadable(crypto::Error),
    /// The store did not answer.
    Store(store::Error),
}

impl From<Unopened> for Error {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Unreadable(error) => error.into(),
            Unopened::Store(error) => error.into(),
        }
    }
}

impl Vault {
    pub(super) fn new(
        roots: RootKeys,
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            roots,
            store,
            clock,
            random,
            policy: RolloverPolicy::default(),
            opened: RwLock::default(),
            sealing: Mutex::default(),
        }
    }

    fn event(&self, tenant: &TenantId, action: &'static str, subject: String) -> NewAuditEvent {
        let seams = (&*self.clock, &*self.random);
        NewAuditEvent::done(seams, tenant, Origin::service(), action, subject)
    }

    /// Opens the canaries: refuses to go on with root keys that are not those of the store, and
    /// remembers a new one.
    pub(super) async fn unlock(&self, tenant: &TenantId) -> Result<()> {
        let stored = self.store.read().await?.keys().list_roots().await?;
        for root in &stored {
            self.roots.check_canary(&root.id, &root.canary)?;
        }
        let known = |id| stored.iter().any(|root| root.id == id);
        let (id, canary) = self.roots.canary(&*self.random)?;
        if known(id.clone()) {
            return Ok(());
        }
        let event = self.event(tenant, "root_key.add", id.0.clone());
        let mut tx = self.store.write().await?;
        tx.keys_mut()
            .insert_root(&RootKey {
                id,
                canary,
                created_at: event.at,
            })
            .await?;
        tx.commit(&event).await?;
        Ok(())
    }

    /// Seals a value for its place.
    pub(super) async fn seal<T: Payload>(&self, place: &Place<'_>, value: &T) -> Result<Sealed> {
        let key = self.sealing_key(place.tenant).await?;
        Ok(key.seal(place, value, &*self.random))
    }

    /// Opens a value at its place.
    pub(super) async fn open<T: Payload>(
        &self,
        place: &Place<'_>,
        sealed: &Sealed,
    ) -> std::result::Result<T, Unopened> {
        let key = self.opening_key(place.tenant, sealed.key).await?;
        key.open(place, sealed).map_err(Unopened::Unreadable)
    }

    /// Drops what is kept of a tenant's keys; again does no harm. A key that is sealed under just now
    /// stays until the next time.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.opened
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, opened| opened.tenant != *tenant);
        if let Ok(mut sealing) = self.sealing.try_lock() {
            sealing.remove(tenant);
        }
    }

    async fn opening_key(
        &self,
        tenant: &TenantId,
        id: DataKeyId,
    ) -> std::result::Result<Arc<DataKeyMaterial>, Unopened> {
        let kept = self
            .opened
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .map(|opened| Arc::clone(&opened.key));
        if let Some(key) = kept {
            return Ok(key);
        }
        let mut tx = self.store.read().await.map_err(Unopened::Store)?;
        let stored = tx.keys().get(tenant, id).await.map_err(Unopened::Store)?;
        let stored = stored.ok_or(Unopened::Unreadable(crypto::Error::OtherDataKey(id)))?;
        let key = self
            .roots
            .unwrap_data_key(&stored)
            .map_err(Unopened::Unreadable)?;
        Ok(self.keep(tenant, key))
    }

    fn keep(&self, tenant: &TenantId, key: DataKeyMaterial) -> Arc<DataKeyMaterial> {
        let key = Arc::new(key);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let kept = Opened {
            tenant: tenant.clone(),
            key: Arc::clone(&key),
        };
        opened.insert(key.id(), kept);
        key
    }

    /// The key that seals a tenant's new values, one use of it counted. Uses are reserved in blocks,
    /// so that the count is an upper bound whatever crashes.
    async fn sealing_key(&self, tenant: &TenantId) -> Result<Arc<DataKeyMaterial>> {
        let mut sealing = self.sealing.lock().await;
        if let Some(current) = sealing.get_mut(tenant)
            && current.left > 0
        {
            current.left -= 1;
            return Ok(Arc::clone(&current.key));
        }
        // Everybody who seals waits for this.
        let key = within(TRY, Box::pin(self.current_key(tenant))).await?;
        let left = self.policy.block - 1;
        sealing.insert(
            tenant.clone(),
            Sealing {
                key: Arc::clone(&key),
                left,
            },
        );
        Ok(key)
    }

    /// The active key with a block of uses reserved, made if need be.
    async fn current_key(&self, tenant: &TenantId) -> Result<Arc<DataKeyMaterial>> {
        for _ in 0..TRIES {
            if let Some(key) = self.reserve_active(tenant).await? {
                return Ok(key);
            }
            // Where another process was faster, its key is taken.
            if let Some(key) = self.roll_over(tenant).await? {
                return Ok(key);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Reserves a block of the active key; `None` when there is none that may seal any more.
    async fn reserve_active(&self, tenant: &TenantId) -> Result<Option<Arc<DataKeyMaterial>>> {
        let mut tx = self.store.upkeep().await?;
        let Some(stored) = tx.keys().find_active(tenant).await? else {
            return Ok(None);
        };
        if !stored.may_seal(self.clock.now(), &self.policy) {
            return Ok(None);
        }
        let RolloverPolicy {
            block, max_uses, ..
        } = self.policy;
        if !tx.key_uses().reserve(stored.id, block, max_uses).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(
            self.keep(tenant, self.roots.unwrap_data_key(&stored)?),
        ))
    }

    /// Makes a new active key; `None` when another process was faster.
    async fn roll_over(&self, tenant: &TenantId) -> Result<Option<Arc<DataKeyMaterial>>> {
        let id = DataKeyId::mint(&*self.clock, &*self.random);
        let (material, root_key, wrapped) = self.roots.make_data_key(tenant, id, &*self.random)?;
        let mut event = self.event(tenant, "data_key.create", id.to_string());
        event.detail = serde_json::json!({ "root_key": root_key.0 });
        let stored = DataKey {
            id,
            tenant: tenant.clone(),
            root_key,
            wrapped,
            active: true,
            reserved_uses: self.policy.block,
            created_at: event.at,
        };
        let mut tx = self.store.write().await?;
        // Whoever was late for the end of a tenant must not give it a key again.
        if !tx.tenants_mut().hold_kept(tenant).await? {
            return Err(Error::TenantNotFound);
        }
        let theirs = tx.keys().find_active(tenant).await?;
        if theirs.is_some_and(|theirs| theirs.may_seal(self.clock.now(), &self.policy)) {
            return Ok(None);
        }
        match tx.keys_mut().insert_active(&stored).await {
            Ok(()) => {
                tx.commit(&event).await?;
                Ok(Some(self.keep(tenant, material)))
            }
            Err(store::Error::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
