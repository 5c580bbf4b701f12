//! Identities: the tokens of users' own logins, deposited by daemons. Renewing them is `redeem`'s, sending
//! them `resolve`'s.

mod client;
mod rejected;

pub(super) use client::Endpoints;

use std::time::Duration;

use super::access::check_actor;
use super::error::{Error, Result};
use super::insist::TRY;
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::Issuer;
use crate::domain::changes::Revision;
use crate::domain::connections::{Lifecycle, Status};
use crate::domain::identities::{Identity, first_end};
use crate::domain::ids::IdentityId;
use crate::domain::keys::SealedColumn;
use crate::domain::secrets::{AccessToken, IdToken, RefreshToken};
use crate::domain::tenants::TenantId;
use crate::domain::text::{UserId, Violations};
use crate::domain::time::Timestamp;
use crate::oauth;
use crate::store::{self, Read, within};

/// How often a deposit starts over when others write at the same time.
const TRIES: usize = 8;
/// How long ago an access token that was not deposited is taken to have ended: more than clocks differ.
const LONG_OVER: Duration = Duration::from_mins(5);

/// Login tokens that a daemon deposits. One of them is there at least.
#[derive(Debug)]
pub struct Deposit {
    /// Whose they are.
    pub actor: Actor,
    /// The identity provider.
    pub issuer: Issuer,
    /// The access token.
    pub access_token: Option<AccessToken>,
    /// The ID token.
    pub id_token: Option<IdToken>,
    /// The refresh token: this service's from now on.
    pub refresh_token: Option<RefreshToken>,
    /// When the access token ends, if the depositor knows.
    pub expires_at: Option<Timestamp>,
}

/// Tokens of a login that are to be sealed; what is `None` stays as it is.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the protocol's names")]
pub(super) struct Login<'a> {
    pub(super) access_token: Option<&'a AccessToken>,
    pub(super) id_token: Option<&'a IdToken>,
    pub(super) refresh_token: Option<&'a RefreshToken>,
}

impl Deposit {
    fn login(&self) -> Login<'_> {
        Login {
            access_token: self.access_token.as_ref(),
            id_token: self.id_token.as_ref(),
            refresh_token: self.refresh_token.as_ref(),
        }
    }

    /// Whether these tokens were deposited before, and what became of them since is to stand: presenting
    /// the refresh token of then again would end the login that it was redeemed for.
    fn is_old(&self, held: &Identity) -> bool {
        let hash = self.refresh_token.as_ref().map(RefreshToken::hash);
        let same = hash.is_some() && hash == held.deposit_hash;
        let adds = self.access_token.is_some() && held.access_token.is_none()
            || self.id_token.is_some() && held.id_token.is_none();
        let redeemed = held.life.attempts > 0;
        same && held.life.status == Status::Active && (redeemed || !adds)
    }
}

impl App {
    /// Stores the tokens of a user's login in the place of those of the same identity provider. A renewal of
    /// those that is under way brings nothing any more. Atomic. What was deposited before, and was renewed
    /// here since, changes nothing.
    pub async fn put_identity(
        &self,
        caller: &Caller,
        deposit: Deposit,
    ) -> Result<Written<Identity>> {
        check_actor(caller, Some(&deposit.actor))?;
        let mut found = Violations::new();
        if let Some(token) = &deposit.id_token
            && oauth::is_of_another(token, &deposit.issuer)
        {
            found.add("id_token", "names another issuer");
        }
        found.or(())?;
        if deposit.refresh_token.is_some() && self.issuer_client(&deposit.issuer).is_err() {
            return Err(Error::UrlNotAllowed { field: "issuer" });
        }
        let (tenant, user) = (&caller.tenant, &deposit.actor.user);
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            let held = match tx.identities().get(tenant, user, &deposit.issuer).await {
                // What cannot be read is replaced like anything else.
                Err(store::Error::Corrupt { .. }) => Held::Unread,
                held => held?.map_or(Held::Nothing, |held| Held::Read(Box::new(held))),
            };
            let revision = tx.feed().head(tenant).await?;
            drop(tx);
            if let Held::Read(held) = &held
                && deposit.is_old(held)
            {
                return Ok(Written {
                    value: (**held).clone(),
                    revision,
                });
            }
            let made = self.deposited(tenant, &deposit).await?;
            if let Some(written) = self.store_deposit(caller, &held, made).await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// The identity of a deposit, sealed, before it has its generation.
    async fn deposited(&self, tenant: &TenantId, deposit: &Deposit) -> Result<Identity> {
        let now = self.0.clock.now();
        let access = deposit.access_token.as_ref();
        let access_ends = access.and_then(|token| {
            deposit
                .expires_at
                .or_else(|| oauth::access_token_ends(token))
        });
        let id_ends = deposit.id_token.as_ref().and_then(oauth::id_token_ends);
        let renewable = deposit.refresh_token.is_some();
        // What is not there and can be had is had when it is first asked for.
        let missing = renewable && access.is_none();
        let ends = if missing {
            Some(now.before(LONG_OVER))
        } else {
            first_end(access_ends, id_ends)
        };
        let mut made = Identity {
            id: IdentityId::mint(&*self.0.clock, &*self.0.random),
            tenant: tenant.clone(),
            user: deposit.actor.user.clone(),
            issuer: deposit.issuer.clone(),
            life: Lifecycle::granted(now, ends, renewable),
            access_token: None,
            access_token_ends: access_ends,
            id_token: None,
            id_token_ends: id_ends,
            refresh_token: None,
            deposit_hash: deposit.refresh_token.as_ref().map(RefreshToken::hash),
            deposited_at: now,
            refreshed_at: None,
            used_at: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: now,
            version: 1,
        };
        self.seal_login(&mut made, deposit.login()).await?;
        made.due_at = made.next_due(None, &self.policy(&made));
        Ok(made)
    }

    /// Stores it in the place of what was read. `None` when somebody else wrote meanwhile.
    async fn store_deposit(
        &self,
        caller: &Caller,
        held: &Held,
        mut made: Identity,
    ) -> Result<Option<Written<Identity>>> {
        let (tenant, user, issuer) = (&caller.tenant, &made.user, &made.issuer);
        let mut tx = self.0.store.write().await?;
        // Whoever was late for the end of a tenant must not leave anything behind.
        if !tx.tenants_mut().hold(tenant).await? {
            return Err(Error::TenantNotFound);
        }
        match held {
            Held::Nothing => {}
            Held::Read(held) => {
                if !tx.identities_mut().take(held).await? {
                    return Ok(None);
                }
                // The limit of forced renewals outlasts the row.
                made.life.forced_at = held.life.forced_at;
            }
            Held::Unread => {
                let mut identities = tx.identities_mut();
                identities.delete(tenant, user, Some(issuer)).await?;
            }
        }
        let last = tx
            .identities()
            .last_generation(tenant, user, issuer)
            .await?;
        made.life.generation = last.saturating_add(1);
        match tx.identities_mut().insert(&made).await {
            Err(store::Error::Conflict) => return Ok(None),
            inserted => inserted?,
        }
        let mut event = self.event(tenant, caller.origin(), "identity.put", made.id);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "issuer": issuer.as_str(),
            "access_token": made.access_token.is_some(),
            "id_token": made.id_token.is_some(),
            "renewable": made.life.renewable,
        });
        let revision = tx.commit(&event).await?;
        Ok(Some(Written {
            value: made,
            revision,
        }))
    }

    /// Forgets a user's login tokens: those of one identity provider, or all. They are not revoked there:
    /// that the user is logged in is the provider's matter and theirs. Idempotent.
    pub async fn delete_identity(
        &self,
        caller: &Caller,
        actor: &Actor,
        issuer: Option<&Issuer>,
    ) -> Result<Revision> {
        check_actor(caller, Some(actor))?;
        let (tenant, user) = (&caller.tenant, &actor.user);
        let mut tx = self.0.store.write().await?;
        let count = tx.identities_mut().delete(tenant, user, issuer).await?;
        if count == 0 {
            return Ok(tx.feed().head(tenant).await?);
        }
        let mut event = self.event(tenant, caller.origin(), "identity.delete", user);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "issuer": issuer.map(Issuer::as_str),
            "identities": count,
        });
        Ok(tx.commit(&event).await?)
    }

    /// Seals tokens into the identity they are of; what is not among them stays as it is.
    pub(super) async fn seal_login(&self, identity: &mut Identity, login: Login<'_>) -> Result<()> {
        use SealedColumn::{IdentityAccessToken, IdentityIdToken, IdentityRefreshToken};
        let row = identity.id.to_string();
        let of = identity.clone();
        let place = |column| of.place_of(column, &row);
        let vault = &self.0.vault;
        if let Some(token) = login.access_token {
            identity.access_token = Some(vault.seal(&place(IdentityAccessToken), token).await?);
        }
        if let Some(token) = login.id_token {
            identity.id_token = Some(vault.seal(&place(IdentityIdToken), token).await?);
        }
        if let Some(token) = login.refresh_token {
            identity.refresh_token = Some(vault.seal(&place(IdentityRefreshToken), token).await?);
        }
        identity.life.renewable = identity.refresh_token.is_some();
        Ok(())
    }

    /// The identity that a server is given of a user: [`identity_in`].
    pub(super) async fn identity_for(
        &self,
        tenant: &TenantId,
        user: &UserId,
        issuer: Option<&Issuer>,
    ) -> Result<Option<Identity>> {
        let read = async {
            let mut tx = self.0.store.read().await?;
            identity_in(&mut tx, (tenant, user), issuer).await
        };
        Ok(within(TRY, read).await?)
    }
}

/// The identity that a server is given of a user: that of this issuer, or without one the last deposited,
/// whether or not it is of any use.
pub(super) async fn identity_in(
    tx: &mut Read,
    (tenant, user): (&TenantId, &UserId),
    issuer: Option<&Issuer>,
) -> store::Result<Option<Identity>> {
    let mut identities = tx.identities();
    if let Some(issuer) = issuer {
        return identities.get(tenant, user, issuer).await;
    }
    let mut all = identities.list_of_user(tenant, user).await?.into_iter();
    all.next().transpose()
}

/// What was there before a deposit.
enum Held {
    Nothing,
    Read(Box<Identity>),
    Unread,
}
