//! Deposits: tokens of a user's login that a daemon brings, and what of them was there before. A refresh token
//! that was deposited is not taken again: it may be spent, and presenting it would end, at many identity
//! providers, the login that it was redeemed for.

use std::time::Duration;

use super::super::access::check_actor;
use super::super::error::{Error, Result};
use super::super::redeem::Grant as _;
use super::super::vault::Unopened;
use super::super::{App, Written};
use super::judgement::{Beside, Verdict};
use super::{Login, check_narrowing};
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::Issuer;
use crate::domain::connections::Lifecycle;
use crate::domain::identities::{Identity, check_issuer, first_end};
use crate::domain::ids::IdentityId;
use crate::domain::keys::SealedColumn;
use crate::domain::secrets::{AccessToken, IdToken, RefreshToken, SecretHash};
use crate::domain::servers::IdentityToken;
use crate::domain::tenants::TenantId;
use crate::domain::text::Violations;
use crate::domain::time::Timestamp;
use crate::oauth;
use crate::store;

/// How often a deposit starts over when others write at the same time.
const TRIES: usize = 8;
/// How long ago an access token that was not deposited is taken to have ended: more than clocks differ.
const LONG_OVER: Duration = Duration::from_mins(5);
/// How many refresh tokens of one login are remembered, to be recognised when they come again.
const REMEMBERED: usize = 8;
/// At how many identity providers a user may be logged in.
const MOST: u32 = 16;

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

/// What was there before a deposit.
enum Held {
    Nothing,
    Read(Box<Identity>),
    Unread,
}

impl Held {
    /// The refresh tokens deposited so far.
    fn refresh_hashes(&self) -> &[SecretHash] {
        match self {
            Self::Read(held) => &held.refresh_hashes,
            Self::Nothing | Self::Unread => &[],
        }
    }
}

impl Deposit {
    /// Its tokens, as far as they are to be taken.
    fn login(&self, verdict: Verdict) -> Login<'_> {
        let refresh_token = self.refresh_token.as_ref();
        Login {
            access_token: self.access_token.as_ref(),
            id_token: self.id_token.as_ref(),
            refresh_token: refresh_token.filter(|_| verdict == Verdict::Take),
        }
    }

    /// The hash of all its tokens.
    pub(super) fn digest(&self) -> SecretHash {
        SecretHash::of_each(&[
            self.access_token.as_ref().map(AccessToken::hash),
            self.id_token.as_ref().map(IdToken::hash),
            self.refresh_token.as_ref().map(RefreshToken::hash),
        ])
    }
}

impl App {
    /// Stores the tokens of a user's login in the place of those of the same identity provider. A renewal of
    /// those that is under way brings nothing any more. Atomic. What was deposited before changes nothing,
    /// nor do tokens that cannot be renewed beside a login that can.
    pub async fn put_identity(
        &self,
        caller: &Caller,
        deposit: Deposit,
    ) -> Result<Written<Identity>> {
        check_actor(caller, Some(&deposit.actor))?;
        check_narrowing(caller)?;
        let mut found = Violations::new();
        check_issuer(&mut found, &deposit.issuer, self.0.settings.url_rules);
        if let Some(token) = &deposit.id_token
            && oauth::is_of_another(token, &deposit.issuer)
        {
            found.add("id_token", "names another issuer");
        }
        found.or(())?;
        let (tenant, user) = (&caller.tenant, &deposit.actor.user);
        if deposit.refresh_token.is_some() && self.issuer_client(tenant, &deposit.issuer).is_err() {
            return Err(Error::UrlNotAllowed { field: "issuer" });
        }
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            let held = match tx.identities().get(tenant, user, &deposit.issuer).await {
                // What cannot be read is replaced like anything else.
                Err(store::Error::Corrupt { .. }) => Held::Unread,
                held => held?.map_or(Held::Nothing, |held| Held::Read(Box::new(held))),
            };
            let revision = tx.feed().head(tenant).await?;
            drop(tx);
            let verdict = match &held {
                Held::Nothing | Held::Unread => Verdict::Take,
                Held::Read(held) => deposit.judge(&Beside {
                    identity: held,
                    opens: self.opens(held).await?,
                    has_client: self.issuer_client(tenant, &deposit.issuer).is_ok(),
                    now: self.0.clock.now(),
                }),
            };
            let written = match (&held, verdict) {
                (Held::Read(held), Verdict::Keep) => {
                    return Ok(Written {
                        value: (**held).clone(),
                        revision,
                    });
                }
                (Held::Read(held), Verdict::TakeIdToken) => {
                    self.add_id_token(caller, &deposit, held).await?
                }
                _ => {
                    let made = self.deposited(tenant, (&deposit, verdict), &held).await?;
                    self.store_deposit(caller, &held, made).await?
                }
            };
            if let Some(written) = written {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Whether the tokens of an identity can be opened.
    async fn opens(&self, identity: &Identity) -> Result<bool> {
        let row = identity.id.to_string();
        let opened = if let Some(sealed) = &identity.refresh_token {
            let place = identity.place_of(SealedColumn::IdentityRefreshToken, &row);
            let opened = self.0.vault.open::<RefreshToken>(&place, sealed).await;
            opened.map(drop)
        } else {
            let kinds = [
                (IdentityToken::Access, &identity.access_token),
                (IdentityToken::Id, &identity.id_token),
            ];
            let held = kinds
                .into_iter()
                .find_map(|(kind, sealed)| Some((kind, sealed.as_ref()?)));
            match held {
                Some(held) => self.open_login(identity, held).await.map(drop),
                None => Ok(()),
            }
        };
        match opened {
            Ok(()) => Ok(true),
            Err(Unopened::Unreadable(_)) => Ok(false),
            Err(Unopened::Store(error)) => Err(error.into()),
        }
    }

    /// The identity of a deposit, sealed, before it has its generation.
    async fn deposited(
        &self,
        tenant: &TenantId,
        (deposit, verdict): (&Deposit, Verdict),
        held: &Held,
    ) -> Result<Identity> {
        let now = self.0.clock.now();
        let login = deposit.login(verdict);
        let access_ends = login.access_token.and_then(|token| {
            deposit
                .expires_at
                .or_else(|| oauth::access_token_ends(token))
        });
        let id_ends = login.id_token.and_then(oauth::id_token_ends);
        let renewable = login.refresh_token.is_some();
        let ends = match login.access_token {
            // What is not there and can be had is had when it is first asked for.
            None if renewable => Some(now.before(LONG_OVER)),
            None => id_ends,
            // An ID token of long ago is no reason to renew an access token that lives.
            Some(_) => first_end(access_ends, id_ends.filter(|end| *end > now)),
        };
        let brought = login.refresh_token.map(RefreshToken::hash);
        let past = held.refresh_hashes().iter().copied();
        let past = past.filter(|hash| Some(*hash) != brought);
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
            deposit_hash: deposit.digest(),
            refresh_hashes: brought.into_iter().chain(past).take(REMEMBERED).collect(),
            deposited_at: now,
            refreshed_at: None,
            used_at: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: now,
            version: 1,
        };
        self.seal_login(&mut made, login).await?;
        made.due_at = made.next_due(None, &self.policy(&made));
        Ok(made)
    }

    /// Puts a deposit's ID token beside the tokens that are held. `None` when somebody else wrote meanwhile.
    async fn add_id_token(
        &self,
        caller: &Caller,
        deposit: &Deposit,
        held: &Identity,
    ) -> Result<Option<Written<Identity>>> {
        let now = self.0.clock.now();
        let mut made = held.clone();
        let login = Login {
            access_token: None,
            id_token: deposit.id_token.as_ref(),
            refresh_token: None,
        };
        self.seal_login(&mut made, login).await?;
        made.id_token_ends = deposit.id_token.as_ref().and_then(oauth::id_token_ends);
        made.updated_at = now;
        let lives = made.id_token_ends.filter(|end| *end > now);
        made.life.expires_at = first_end(made.life.expires_at, lives);
        made.due_at = made.next_due(made.used_at, &self.policy(&made));
        let mut tx = self.0.store.write().await?;
        let written = made.renew(&mut tx).await?;
        if !written {
            return Ok(None);
        }
        let stored = tx
            .identities()
            .get(&made.tenant, &made.user, &made.issuer)
            .await?;
        let Some(made) = stored else { return Ok(None) };
        let mut event = self.event(&made.tenant, caller.origin(), "identity.put", made.id);
        event.user = Some(made.user.to_string());
        event.detail = serde_json::json!({
            "issuer": made.issuer.as_str(),
            "before": describe(held),
            "after": describe(&made),
        });
        let revision = tx.commit(&event).await?;
        Ok(Some(Written {
            value: made,
            revision,
        }))
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
        let mut before = None;
        match held {
            Held::Nothing => {
                if tx.identities().count(tenant, user).await? >= i64::from(MOST) {
                    return Err(Error::QuotaExceeded {
                        quota: "identities",
                        limit: MOST,
                    });
                }
            }
            Held::Read(held) => {
                if !tx.identities_mut().take(held).await? {
                    return Ok(None);
                }
                // The limit of forced renewals outlasts the row.
                made.life.forced_at = held.life.forced_at;
                before = Some(describe(held));
            }
            Held::Unread => {
                let mut identities = tx.identities_mut();
                identities.delete(tenant, user, Some(issuer)).await?;
            }
        }
        // Greater than any that was ever sent of this user's, whichever login it was of.
        let last = tx.identities().last_generation(tenant, user).await?;
        made.life.generation = last.saturating_add(1);
        match tx.identities_mut().insert(&made).await {
            Err(store::Error::Conflict) => return Ok(None),
            inserted => inserted?,
        }
        let mut event = self.event(tenant, caller.origin(), "identity.put", made.id);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "issuer": issuer.as_str(),
            "before": before,
            "after": describe(&made),
        });
        let revision = tx.commit(&event).await?;
        Ok(Some(Written {
            value: made,
            revision,
        }))
    }
}

/// An identity for the audit trail.
fn describe(identity: &Identity) -> serde_json::Value {
    serde_json::json!({
        "generation": identity.life.generation,
        "status": identity.life.status.kind().as_str(),
        "access_token": identity.access_token.is_some(),
        "id_token": identity.id_token.is_some(),
        "renewable": identity.life.renewable,
    })
}
