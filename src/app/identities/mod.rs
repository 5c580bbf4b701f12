//! Identities: the tokens of users' own logins, deposited by daemons. Renewing them is `redeem`'s, sending
//! them `resolve`'s.

mod client;
mod deposit;
mod judgement;
mod rejected;

pub(super) use client::Endpoints;
pub use deposit::Deposit;

use super::App;
use super::access::check_actor;
use super::error::{Error, Result};
use super::insist::TRY;
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::Issuer;
use crate::domain::changes::Revision;
use crate::domain::identities::Identity;
use crate::domain::keys::SealedColumn;
use crate::domain::secrets::{AccessToken, IdToken, RefreshToken};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::store::{self, Read, within};

/// Tokens of a login that are to be sealed; what is `None` stays as it is.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the protocol's names")]
pub(super) struct Login<'a> {
    pub(super) access_token: Option<&'a AccessToken>,
    pub(super) id_token: Option<&'a IdToken>,
    pub(super) refresh_token: Option<&'a RefreshToken>,
}

/// A login is sent to every server that wants one: a key that may touch only some may not choose it.
fn check_narrowing(caller: &Caller) -> Result<()> {
    if caller.narrowing.servers.is_empty() {
        Ok(())
    } else {
        Err(Error::KeyNarrowed { by: "servers" })
    }
}

impl App {
    /// Forgets a user's login tokens, those of one identity provider or all, with what they were exchanged for.
    /// They are not revoked there: that the user is logged in is the provider's matter and theirs. Atomic and
    /// idempotent.
    pub async fn delete_identity(
        &self,
        caller: &Caller,
        actor: &Actor,
        issuer: Option<&Issuer>,
    ) -> Result<Revision> {
        check_actor(caller, Some(actor))?;
        check_narrowing(caller)?;
        let (tenant, user) = (&caller.tenant, &actor.user);
        let mut tx = self.0.store.write().await?;
        let exchanged = tx
            .connections()
            .list_exchanged(tenant, user, issuer)
            .await?;
        // Whoever ends a server takes it first, and in this order.
        for server in &exchanged {
            tx.servers_mut().hold(tenant, *server).await?;
        }
        for server in &exchanged {
            tx.connections_mut().delete(tenant, user, *server).await?;
        }
        let exchanged = exchanged.len();
        let count = tx.identities_mut().delete(tenant, user, issuer).await?;
        if count + exchanged == 0 {
            return Ok(tx.feed().head(tenant).await?);
        }
        let mut event = self.event(tenant, caller.origin(), "identity.delete", user);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "issuer": issuer.map(Issuer::as_str),
            "identities": count,
            "exchanged": exchanged,
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
    identities.find_latest(tenant, user).await
}
