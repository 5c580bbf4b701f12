//! What is written of identities.

use super::{BURY, DELETE, INSERT, RENEW, SAVE_LIFE, TAKE};
use crate::domain::authorization::Issuer;
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::identities::{Identity, subject};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::store::columns::{hashes_column, micros, sealed_columns, text};
use crate::store::engine::{Tx, on};
use crate::store::error::{Result, conflict};
use crate::store::lifecycles::{Kept, forced_column, status_columns};

/// Writes the lifecycle of an identity that is still at the version it was read with.
pub(super) async fn save_life(tx: &mut Tx, identity: &Identity) -> Result<bool> {
    let kept = Kept {
        id: identity.id.to_string(),
        version: identity.version,
        tenant: &identity.tenant,
        life: &identity.life,
        last_error: identity.last_error.as_deref(),
        failed_at: identity.failed_at,
        due_at: identity.due_at,
        updated_at: identity.updated_at,
    };
    kept.save(tx, SAVE_LIFE).await
}

/// Changes identities.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(in crate::store) tx: &'t mut Tx,
    pub(in crate::store) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, subject: String, op: Op) {
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Identity,
            subject,
            op,
            owner: None,
        });
    }

    /// Adds an identity. A user has one at each identity provider: take the old one away first; a conflict
    /// means that another one was stored at the same time.
    pub async fn insert(&mut self, identity: &Identity) -> Result<()> {
        let life = &identity.life;
        let (status, reason) = status_columns(life.status);
        let (access, access_key) = sealed_columns(identity.access_token.as_ref());
        let (id_token, id_token_key) = sealed_columns(identity.id_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(identity.refresh_token.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(identity.id.to_string())
            .bind(identity.tenant.as_str())
            .bind(identity.user.as_str())
            .bind(identity.issuer.as_str())
            .bind(life.generation)
            .bind(status)
            .bind(reason)
            .bind(access)
            .bind(access_key)
            .bind(micros(identity.access_token_ends))
            .bind(id_token)
            .bind(id_token_key)
            .bind(micros(identity.id_token_ends))
            .bind(refresh)
            .bind(refresh_key)
            .bind(identity.deposit_hash.as_bytes())
            .bind(hashes_column(&identity.refresh_hashes))
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(life.rejected)
            .bind(life.forced)
            .bind(forced_column(&life.forced_at))
            .bind(text(life.attempt.map(|attempt| attempt.intent)))
            .bind(text(life.attempt.map(|attempt| attempt.owner)))
            .bind(micros(life.attempt.map(|attempt| attempt.until)))
            .bind(life.attempts)
            .bind(life.redeemed_by)
            .bind(life.keeps)
            .bind(life.unknown_outcomes)
            .bind(micros(life.unknown_since))
            .bind(life.unclear_refusals)
            .bind(life.client_refused)
            .bind(life.failures)
            .bind(micros(life.next_attempt_at))
            .bind(identity.last_error.as_deref())
            .bind(micros(identity.failed_at))
            .bind(identity.deposited_at.as_micros())
            .bind(micros(identity.refreshed_at))
            .bind(micros(identity.used_at))
            .bind(micros(identity.due_at))
            .bind(identity.updated_at.as_micros())
            .bind(identity.version)
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(&identity.tenant, identity.subject(), Op::Put);
        Ok(())
    }

    /// Writes new tokens and the lifecycle that goes with them. `false` when the row is no longer
    /// at the version it was read with.
    pub async fn renew(&mut self, identity: &Identity) -> Result<bool> {
        let life = &identity.life;
        let (access, access_key) = sealed_columns(identity.access_token.as_ref());
        let (id_token, id_token_key) = sealed_columns(identity.id_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(identity.refresh_token.as_ref());
        let rows = on!(&mut *self.tx, |conn| sqlx::query(RENEW)
            .bind(identity.id.to_string())
            .bind(identity.version)
            .bind(identity.tenant.as_str())
            .bind(life.generation)
            .bind(access)
            .bind(access_key)
            .bind(micros(identity.access_token_ends))
            .bind(id_token)
            .bind(id_token_key)
            .bind(micros(identity.id_token_ends))
            .bind(refresh)
            .bind(refresh_key)
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(micros(identity.refreshed_at))
            .bind(life.redeemed_by)
            .bind(life.keeps)
            .bind(forced_column(&life.forced_at))
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        // The row is this transaction's now: its version moves with the rest.
        if rows == 1 {
            self.save_life(identity).await
        } else {
            Ok(false)
        }
    }

    /// Writes a lifecycle that means something new to others (a refusal, an unknown outcome).
    /// `false` when the row is no longer at the version it was read with.
    pub async fn save_life(&mut self, identity: &Identity) -> Result<bool> {
        let saved = save_life(self.tx, identity).await?;
        if saved {
            self.changed(&identity.tenant, identity.subject(), Op::Put);
        }
        Ok(saved)
    }

    /// Takes away an identity that is still at the version it was read with, and keeps its generation,
    /// unless a higher one is kept already.
    pub async fn take(&mut self, identity: &Identity) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(TAKE)
            .bind(identity.tenant.as_str())
            .bind(identity.id.to_string())
            .bind(identity.version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        let Identity {
            tenant,
            user,
            issuer,
            life,
            ..
        } = identity;
        self.bury((tenant, user, issuer), life.generation).await?;
        self.changed(tenant, identity.subject(), Op::Delete);
        Ok(true)
    }

    async fn bury(
        &mut self,
        (tenant, user, issuer): (&TenantId, &UserId, &Issuer),
        generation: i64,
    ) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(BURY)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(issuer.as_str())
            .bind(generation)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Takes a user's identities away, at one identity provider or at all, readable or not, and keeps their
    /// generations, unless higher ones are kept already. Answers how many.
    pub async fn delete(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        issuer: Option<&Issuer>,
    ) -> Result<usize> {
        let gone: Vec<(String, i64)> = on!(&mut *self.tx, |conn| sqlx::query_as(DELETE)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(issuer.map_or("", Issuer::as_str))
            .fetch_all(conn)
            .await)?;
        let count = gone.len();
        for (issuer, generation) in gone {
            let issuer = Issuer::new(issuer);
            self.bury((tenant, user, &issuer), generation).await?;
            self.changed(tenant, subject(user, &issuer), Op::Delete);
        }
        Ok(count)
    }
}
