//! Identity tokens, and the life of the keys that sign them: made when one is first needed, followed by
//! another in time, replaced when one cannot be opened. Replicas that make one at once settle on one.
//!
//! The keys are the deployment's, sealed under data keys of the default tenant, which is never deleted.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::App;
use super::access::default_tenant;
use super::error::{Error, Result};
use super::readable::readable;
use super::vault::Unopened;
use crate::crypto::{IdentitySeed, IdentitySigner};
use crate::domain::audit::Origin;
use crate::domain::forwarding::IdentityContext;
use crate::domain::identity_tokens::{IdentityKey, Statement, TYPE, signing, succession};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::random::token;
use crate::domain::secrets::HeaderSecret;
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::store;

/// How long a replica signs by a key before it looks which one signs.
const AT_HAND: Duration = Duration::from_mins(1);
/// How often a key is looked for, or made, while other processes do the same.
const TRIES: usize = 4;

/// The key at hand.
#[derive(Debug, Default)]
pub(super) struct Signers {
    held: RwLock<Option<Held>>,
    looking: Mutex<()>,
}

#[derive(Debug)]
struct Held {
    signer: Arc<IdentitySigner>,
    /// When to look again, by the monotonic clock.
    until: Duration,
}

fn place<'a>(tenant: &'a TenantId, id: &'a str) -> Place<'a> {
    Place {
        tenant,
        column: SealedColumn::IdentityPrivateKey,
        row: id,
        owner: "",
    }
}

impl App {
    /// A signed statement to a server of whom a request is for, and when it ends.
    pub(super) async fn identity_token(
        &self,
        server: &Server,
        user: &UserId,
        context: &IdentityContext,
    ) -> Result<(HeaderSecret, Timestamp)> {
        let signer = self.identity_signer().await?;
        let statement = Statement {
            issuer: self.0.settings.public_url.as_str().trim_end_matches('/'),
            server,
            user,
            context,
            id: &token(&*self.0.random),
            now: self.0.clock.now(),
        };
        Ok((signer.sign(TYPE, &statement.claims()), statement.end()))
    }

    /// What everybody may know of the keys: a set of the public halves of all by which a token may
    /// still be checked, or soon (RFC 7517, section 5).
    pub async fn identity_keys(&self) -> Result<Value> {
        let (keys, _) = self.stored_identity_keys(&default_tenant()?).await?;
        let now = self.0.clock.now();
        let kept = keys.iter().filter(|key| !key.is_over(&keys, now));
        let published: Vec<_> = kept.map(IdentityKey::published).collect();
        Ok(json!({ "keys": published }))
    }

    /// Makes the next key in time, and deletes those that are over. Any number of replicas may do so at
    /// the same time. Where there was never a key, there is none after this.
    pub(super) async fn rotate_identity_keys(&self) -> Result<()> {
        let tenant = default_tenant()?;
        let (keys, last) = self.stored_identity_keys(&tenant).await?;
        let now = self.0.clock.now();
        if let Some(from) = succession(&keys, now) {
            // Where another process was faster, there is one.
            self.make_identity_key(&tenant, last + 1, from).await?;
        }
        for key in keys.iter().filter(|key| key.is_over(&keys, now)) {
            let event = self.event(&tenant, Origin::service(), "identity_key.delete", &key.id);
            let mut tx = self.0.store.write().await?;
            if tx.identity_keys_mut().delete(&tenant, &key.id).await? {
                tx.commit(&event).await?;
            }
        }
        Ok(())
    }

    /// The keys that can be read, and the last generation.
    async fn stored_identity_keys(&self, tenant: &TenantId) -> Result<(Vec<IdentityKey>, i64)> {
        let mut tx = self.0.store.read().await?;
        let mut stored = tx.identity_keys();
        let keys = readable(stored.list(tenant).await?);
        Ok((keys, stored.last_generation(tenant).await?))
    }

    async fn identity_signer(&self) -> Result<Arc<IdentitySigner>> {
        if let Some(signer) = self.signer_at_hand() {
            return Ok(signer);
        }
        let _one_looks = self.0.identity.looking.lock().await;
        if let Some(signer) = self.signer_at_hand() {
            return Ok(signer);
        }
        let signer = Arc::new(self.find_identity_signer().await?);
        let held = Held {
            signer: Arc::clone(&signer),
            until: self.0.clock.monotonic() + AT_HAND,
        };
        let lock = self.0.identity.held.write();
        *lock.unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(signer)
    }

    fn signer_at_hand(&self) -> Option<Arc<IdentitySigner>> {
        let held = self.0.identity.held.read();
        let held = held.unwrap_or_else(PoisonError::into_inner);
        let fresh = held
            .as_ref()
            .filter(|held| self.0.clock.monotonic() < held.until);
        fresh.map(|held| Arc::clone(&held.signer))
    }

    /// The key that signs now; a new one where there is none that can be opened.
    async fn find_identity_signer(&self) -> Result<IdentitySigner> {
        let tenant = default_tenant()?;
        for _ in 0..TRIES {
            let (keys, last) = self.stored_identity_keys(&tenant).await?;
            let now = self.0.clock.now();
            if let Some(key) = signing(&keys, now) {
                match self.open_identity_key(&tenant, key).await {
                    Ok(signer) => return Ok(signer),
                    Err(Unopened::Unreadable(error)) => {
                        tracing::warn!(key.id = %key.id, %error, "a key of identity tokens cannot be opened and is replaced");
                    }
                    Err(error @ Unopened::Store(_)) => return Err(error.into()),
                }
            }
            if let Some(signer) = self.make_identity_key(&tenant, last + 1, now).await? {
                return Ok(signer);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    async fn open_identity_key(
        &self,
        tenant: &TenantId,
        key: &IdentityKey,
    ) -> std::result::Result<IdentitySigner, Unopened> {
        let place = place(tenant, &key.id);
        let seed: IdentitySeed = self.0.vault.open(&place, &key.private).await?;
        Ok(IdentitySigner::from(&seed))
    }

    /// Makes a key of this generation; `None` when another process was faster.
    async fn make_identity_key(
        &self,
        tenant: &TenantId,
        generation: i64,
        signs_from: Timestamp,
    ) -> Result<Option<IdentitySigner>> {
        let seed = IdentitySeed::draw(&*self.0.random);
        let signer = IdentitySigner::from(&seed);
        let private = self
            .0
            .vault
            .seal(&place(tenant, signer.id()), &seed)
            .await?;
        let mut event = self.event(
            tenant,
            Origin::service(),
            "identity_key.create",
            signer.id(),
        );
        event.detail = json!({ "signs_from": signs_from.as_secs() });
        let key = IdentityKey {
            id: signer.id().to_owned(),
            generation,
            public: signer.public(),
            private,
            signs_from,
            created_at: event.at,
        };
        let mut tx = self.0.store.write().await?;
        match tx.identity_keys_mut().insert(tenant, &key).await {
            Ok(()) => {
                tx.commit(&event).await?;
                Ok(Some(signer))
            }
            Err(store::Error::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
