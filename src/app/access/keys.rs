//! API keys: making, listing and revoking them, and recognising who holds one.
//!
//! An API key reads `stm_<32 hex digits>_<43 characters>`: the public half is its id, the secret
//! half 256 random bits of which only the hash is kept. Nothing says which part of a refused key was
//! wrong.

use std::time::Duration;

use super::{Known, SecretText, default_tenant};
use crate::app::audit::describe_key;
use crate::app::error::{Error, Result};
use crate::app::insist::TRY;
use crate::app::readable::readable_page;
use crate::app::requests::{Once, served};
use crate::app::{App, Written};
use crate::domain::access::{ApiKey, Caller, Credential, Narrowing, Role};
use crate::domain::audit::{Origin, Who};
use crate::domain::ids::ApiKeyId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::random;
use crate::domain::secrets::{SecretHash, ShownOnce};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::store::{self, Read, within};

/// What every key starts with.
pub(super) const KEY_PREFIX: &str = "stm_";
/// The method by which somebody may reach for a wider key.
const CREATE: &str = "/stationmaster.v1.AccessService/CreateApiKey";
/// How exactly "last used" is kept.
const SIGHTING: Duration = Duration::from_mins(1);

/// A key to be made.
#[derive(Debug)]
pub struct NewApiKey {
    /// What it may do.
    pub role: Role,
    /// What people call it.
    pub name: String,
    /// The one user it may act for: required for role `user`, optional for `daemon`, refused
    /// elsewhere.
    pub user: Option<UserId>,
    /// What it is narrowed to.
    pub narrowing: Narrowing,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// For idempotent creation.
    pub once: Option<Once>,
}

/// The two halves of a key as presented.
fn parse(key: &SecretText<'_>) -> Option<(ApiKeyId, SecretHash)> {
    let (id, secret) = key.0.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let id = format!("{}{id}", ApiKeyId::PREFIX).parse().ok()?;
    Some((id, SecretHash::of(secret)))
}

impl App {
    /// Who holds a key, and the transaction that showed it.
    pub(super) async fn recognise_key(&self, text: &SecretText<'_>) -> Result<(Known, Read)> {
        let now = self.0.clock.now();
        let (id, hash) = parse(text).ok_or(Error::CredentialsInvalid)?;
        let mut tx = self.0.store.read().await?;
        let key = tx.api_keys().get(id).await?;
        let key = key.filter(|key| key.hash == hash && key.is_live(now));
        let key = key.ok_or(Error::CredentialsInvalid)?;
        let known = Known {
            home: key.tenant,
            role: key.role,
            credential: Credential::ApiKey(key.id),
            name: key.name,
            user: key.user,
            groups: None,
            narrowing: key.narrowing,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        };
        Ok((known, tx))
    }

    /// Notes, now and then, that a key is in use. A failure costs nothing but the note.
    pub(super) fn note_sighting(&self, id: ApiKeyId, last_used_at: Option<Timestamp>) {
        let now = self.0.clock.now();
        let threshold = now.before(SIGHTING);
        if last_used_at.is_some_and(|seen| seen > threshold) {
            return;
        }
        let app = self.clone();
        self.0.tasks.spawn(async move {
            let noted = async {
                let mut tx = app.0.store.upkeep().await?;
                tx.key_sightings().seen(id, now, threshold).await?;
                tx.commit().await
            };
            if let Err(error) = within(TRY, noted).await {
                tracing::debug!(api_key.id = %id, %error, "could not note a use");
            }
        });
    }

    /// Makes a key; its secret is in this answer and nowhere else. Repeating the call with its
    /// request id answers the key without the secret.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        new: NewApiKey,
    ) -> Result<Written<(ApiKey, Option<ShownOnce>)>> {
        if new.role == Role::Operator && caller.role != Role::Operator {
            return Err(Error::RoleNotAllowed {
                role: caller.role.as_str(),
            });
        }
        if let Err(wider) = check_wider(caller, &new) {
            return Err(self.recorded(caller, CREATE, wider).await?);
        }
        if new.narrowing.requires_user_token && new.role != Role::Daemon {
            let what = "is for role daemon only";
            return Err(Error::invalid("narrowing.requires_user_token", what));
        }
        match (new.role, &new.user) {
            (Role::User, None) => {
                let what = "is required for role user";
                return Err(Error::invalid("narrowing.user", what));
            }
            (Role::Admin | Role::Auditor | Role::Operator, Some(_)) => {
                let what = "belongs to the roles user and daemon only";
                return Err(Error::invalid("narrowing.user", what));
            }
            (Role::User, Some(_))
            | (Role::Daemon, _)
            | (Role::Admin | Role::Auditor | Role::Operator, None) => {}
        }
        if new.expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(Error::invalid("expire_time", "must be in the future"));
        }
        let principal = caller.principal();
        let once = new.once.clone();
        if let Some(past) = self.key_made_before(caller, once.as_ref()).await? {
            return Ok(past);
        }
        let tenant = (new.role != Role::Operator).then(|| caller.tenant.clone());
        let (key, secret) = self.mint_key(tenant, new, principal.clone());
        let mut event = self.event(&caller.tenant, caller.origin(), "api_key.create", key.id);
        event.detail = serde_json::json!({ "after": describe_key(&key) });
        let mut tx = self.0.store.write().await?;
        tx.api_keys_mut().insert(&key).await?;
        if let Some(once) = &once {
            let request = once.of(caller, &principal);
            let id = key.id.to_string();
            let remembered = tx.requests_mut().insert(&request, &id, event.at).await;
            if let Err(store::Error::Conflict) = remembered {
                // The same request was served at the same time.
                drop(tx);
                let past = self.key_made_before(caller, Some(once)).await?;
                return past.ok_or(Error::RequestIdReused);
            }
            remembered?;
        }
        let revision = tx.commit(&event).await?;
        Ok(Written {
            value: (key, Some(secret)),
            revision,
        })
    }

    /// The key that this very request made before, without its secret.
    async fn key_made_before(
        &self,
        caller: &Caller,
        once: Option<&Once>,
    ) -> Result<Option<Written<(ApiKey, Option<ShownOnce>)>>> {
        let Some(once) = once else { return Ok(None) };
        let principal = caller.principal();
        let mut tx = self.0.store.read().await?;
        let Some(subject) = served(&mut tx, &once.of(caller, &principal)).await? else {
            return Ok(None);
        };
        let id = subject.parse().map_err(|_| Error::ApiKeyNotFound)?;
        let key = tx.api_keys().get(id).await?.ok_or(Error::ApiKeyNotFound)?;
        let revision = tx.feed().head(&caller.tenant).await?;
        Ok(Some(Written {
            value: (key, None),
            revision,
        }))
    }

    fn mint_key(
        &self,
        tenant: Option<TenantId>,
        new: NewApiKey,
        created_by: String,
    ) -> (ApiKey, ShownOnce) {
        let id = ApiKeyId::mint(&*self.0.clock, &*self.0.random);
        let secret = random::token(&*self.0.random);
        let key = ApiKey {
            id,
            tenant,
            role: new.role,
            name: new.name,
            hash: SecretHash::of(&secret),
            user: new.user,
            narrowing: new.narrowing,
            created_by,
            created_at: self.0.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        let public = id.to_string();
        let public = public.trim_start_matches(ApiKeyId::PREFIX);
        (
            key,
            ShownOnce::new(format!("{KEY_PREFIX}{public}_{secret}")),
        )
    }

    /// Makes the first operator key, straight in the store. `None` once one exists.
    pub async fn bootstrap(&self, name: &str) -> Result<Option<(ApiKey, ShownOnce)>> {
        let new = NewApiKey {
            role: Role::Operator,
            name: name.to_owned(),
            user: None,
            narrowing: Narrowing::default(),
            expires_at: None,
            once: None,
        };
        let (key, secret) = self.mint_key(None, new, "machine".to_owned());
        let origin = Origin {
            who: Who::Machine,
            request_id: None,
            address: None,
        };
        let mut event = self.event(&default_tenant()?, origin, "api_key.bootstrap", key.id);
        event.detail = serde_json::json!({ "after": describe_key(&key) });
        let mut tx = self.0.store.write().await?;
        if tx.api_keys().count_operators().await? > 0 {
            return Ok(None);
        }
        tx.api_keys_mut().insert(&key).await?;
        tx.commit(&event).await?;
        Ok(Some((key, secret)))
    }

    /// A page of the tenant's keys by name, or of the operators' keys.
    pub async fn list_api_keys(
        &self,
        caller: &Caller,
        operators: bool,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        if operators && caller.role != Role::Operator {
            return Ok(Page {
                entries: Vec::new(),
                next: None,
            });
        }
        let tenant = (!operators).then_some(&caller.tenant);
        let mut tx = self.0.store.read().await?;
        Ok(readable_page(tx.api_keys().list(tenant, page).await?))
    }

    /// Revokes a key; revoking it again changes nothing. What it opened ends with it.
    pub async fn revoke_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<Written<ApiKey>> {
        let mut tx = self.0.store.write().await?;
        let key = tx.api_keys().get(id).await?;
        let own = |key: &ApiKey| match &key.tenant {
            Some(tenant) => *tenant == caller.tenant,
            None => caller.role == Role::Operator,
        };
        let mut key = key.filter(own).ok_or(Error::ApiKeyNotFound)?;
        let mut event = self.event(&caller.tenant, caller.origin(), "api_key.revoke", key.id);
        let revoked = tx.api_keys_mut().revoke(&key, event.at).await?;
        if !revoked {
            let revision = tx.feed().head(&caller.tenant).await?;
            return Ok(Written {
                value: key,
                revision,
            });
        }
        let before = describe_key(&key);
        key.revoked_at = Some(event.at);
        event.detail = serde_json::json!({ "before": before, "after": describe_key(&key) });
        let revision = tx.commit(&event).await?;
        Ok(Written {
            value: key,
            revision,
        })
    }
}

/// Refuses a key that could do more, or for longer, than the key it is made with: a narrowed key that
/// is lost must not be worth a wide one.
fn check_wider(caller: &Caller, new: &NewApiKey) -> Result<()> {
    let same_user = caller.user.is_none() || caller.user == new.user;
    if !same_user || !new.narrowing.is_within(&caller.narrowing) {
        let what = "must not be wider than that of the key it is made with";
        return Err(Error::invalid("narrowing", what));
    }
    let outlives = |end: Timestamp| new.expires_at.is_none_or(|new| new > end);
    // The end of a login says nothing of how long its person may make keys for.
    let by_key = caller.credential.key().is_some();
    if by_key && caller.expires_at.is_some_and(outlives) {
        let what = "must not be later than that of the key it is made with";
        return Err(Error::invalid("expire_time", what));
    }
    Ok(())
}
