//! Callers: who is asking, by an API key ([`keys`]) or by a JWT of an issuer that the deployment trusts
//! ([`tokens`]), and whether they may call this method at all.
//!
//! A daemon may bring the token of the user that its call is about. Then that user is the only one it may
//! act for, and the groups are those of the token.

mod key_sets;
mod keys;
mod tokens;

pub use keys::NewApiKey;

pub(super) use key_sets::KeySets;

use std::net::IpAddr;
use std::sync::Arc;

use super::App;
use super::error::{Error, Result};
use crate::domain::access::{Actor, Caller, Credential, Narrowing, Role, method};
use crate::domain::tenants::{DEFAULT_TENANT, TenantId, TenantState};
use crate::domain::text::{GroupId, UserId};
use crate::domain::time::Timestamp;
use keys::KEY_PREFIX;

/// What may be called about a tenant that is no more.
const PAST: &str = "/stationmaster.v1.AuditService/ListAuditEvents";

/// What a caller presents with a call.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The full path of the method.
    pub path: &'a str,
    /// The API key or JWT, without the scheme.
    pub key: Option<&'a SecretText<'a>>,
    /// The JWT of the user that the call is about.
    pub user_token: Option<&'a SecretText<'a>>,
    /// The tenant an operator names.
    pub tenant: Option<&'a str>,
    /// Where the call comes from, when known.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: &'a str,
}

/// A borrowed secret that `Debug` does not show.
pub struct SecretText<'a>(pub &'a str);

impl std::fmt::Debug for SecretText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

/// Whom a credential was found to be of.
struct Known {
    /// Their tenant; `None` of operators.
    home: Option<TenantId>,
    role: Role,
    credential: Credential,
    name: String,
    user: Option<UserId>,
    groups: Option<Arc<[GroupId]>>,
    narrowing: Narrowing,
    expires_at: Option<Timestamp>,
    /// Of a key.
    last_used_at: Option<Timestamp>,
}

impl App {
    /// Recognises a caller and decides whether its role and its credential may make this call at all.
    /// Refusals are audited: of known callers one by one, of strangers by source and minute.
    ///
    /// [`Error::UpstreamUnavailable`] where an issuer's keys are needed and cannot be had.
    pub async fn authenticate(&self, presented: Presented<'_>) -> Result<Caller> {
        let source = presented.address;
        let known = Box::pin(self.recognise(presented)).await;
        known.inspect_err(|refusal| self.note_stranger(refusal, source))
    }

    async fn recognise(&self, presented: Presented<'_>) -> Result<Caller> {
        let text = presented.key.ok_or(Error::CredentialsMissing)?;
        let (known, mut tx) = if text.0.starts_with(KEY_PREFIX) {
            self.recognise_key(text).await?
        } else {
            self.recognise_token(text).await?
        };
        let named = presented.tenant.map(TenantId::parse).transpose();
        let at_home = |own: &TenantId| matches!(&named, Ok(named) if named.as_ref().is_none_or(|named| named == own));
        let strays = known.home.as_ref().is_some_and(|own| !at_home(own));
        let tenant = if let Some(own) = known.home {
            own
        } else {
            let named = named.map_err(|_| Error::TenantNotFound)?;
            named.map_or_else(default_tenant, Ok)?
        };
        let found = tx.tenants().get(&tenant).await?;
        // Who deleted a tenant is read where it was, by whoever could delete it.
        let past = known.role == Role::Operator && presented.path == PAST;
        if found.is_none_or(|tenant| tenant.state != TenantState::Active && !past) {
            return Err(Error::TenantNotFound);
        }
        drop(tx);
        let last_used_at = known.last_used_at;
        let mut caller = Caller {
            tenant,
            role: known.role,
            credential: known.credential,
            name: known.name,
            user: known.user,
            groups: known.groups,
            narrowing: known.narrowing,
            expires_at: known.expires_at,
            request_id: presented.request_id.to_owned(),
            address: presented.address,
        };
        let admitted = if strays {
            Err(Error::TenantNotFound)
        } else {
            admit(&caller, presented.path)
        };
        let accompanied = match (admitted, presented.user_token) {
            (Ok(()), Some(token)) if caller.role == Role::Daemon => {
                self.accompany(&mut caller, token).await
            }
            (admitted, _) => admitted,
        };
        if let Err(refusal) = accompanied {
            // Who cannot be judged was not refused.
            if matches!(refusal, Error::UpstreamUnavailable { .. }) {
                return Err(refusal);
            }
            return Err(self.recorded(&caller, presented.path, refusal).await?);
        }
        if let Some(key) = caller.credential.key() {
            self.note_sighting(key, last_used_at);
        }
        Ok(caller)
    }
}

/// The tenant of a deployment that needs only one.
pub(super) fn default_tenant() -> Result<TenantId> {
    TenantId::parse(DEFAULT_TENANT).map_err(|error| Error::Internal(Box::new(error)))
}

/// Refuses an actor that the caller may not speak for.
pub(super) fn check_actor(caller: &Caller, actor: Option<&Actor>) -> Result<()> {
    let Some(actor) = actor else { return Ok(()) };
    check_user_token(caller)?;
    if caller.may_act_for(&actor.user) {
        Ok(())
    } else {
        Err(Error::UserNotAllowed)
    }
}

/// Refuses what is about users, where the key demands a user's own token beside it and there is none.
pub(super) fn check_user_token(caller: &Caller) -> Result<()> {
    if caller.lacks_user_token() {
        Err(Error::UserTokenRequired)
    } else {
        Ok(())
    }
}

/// Whether role and credential admit the method. A method without a row admits nobody.
fn admit(caller: &Caller, path: &str) -> Result<()> {
    let admitted = method(path).is_some_and(|method| method.roles.admit(caller.role));
    if !admitted {
        return Err(Error::RoleNotAllowed {
            role: caller.role.as_str(),
        });
    }
    let narrowing = &caller.narrowing;
    if !narrowing.admits_method(path) {
        return Err(Error::KeyNarrowed { by: "methods" });
    }
    if !narrowing.admits_address(caller.address) {
        return Err(Error::KeyNarrowed { by: "source_cidrs" });
    }
    Ok(())
}
