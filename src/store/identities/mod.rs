//! Rows of identities. Every write but deposits and deletions names id and version of the row it was
//! decided on, so that a late flight of an old deposit cannot touch a new one.

mod keep;
mod row;
mod write;

pub(super) use keep::Keeper;
pub(super) use write::Writer;

use row::Row;

use super::engine::{Tx, on, statements};
use super::error::Result;
use super::lifecycles::{end_leases_sql, forget_due_sql, note_use_sql, save_life_sql};
use crate::domain::authorization::Issuer;
use crate::domain::identities::Identity;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, user_id, issuer, generation, status, reason, access_token, access_token_key, \
         access_token_ends, id_token, id_token_key, id_token_ends, refresh_token, refresh_token_key, \
         deposit_hash, refresh_hashes, obtained_at, expires_at, rejected, forced, forced_at, intent, lease_owner, \
         lease_until, attempts, redeemed_by, keeps, unknown_outcomes, unknown_since, unclear_refusals, \
         client_refused, failures, next_attempt_at, last_error, failed_at, deposited_at, refreshed_at, \
         used_at, due_at, updated_at, version"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM identities \
        WHERE tenant = $1 AND user_id = $2 AND issuer = $3");
    LATEST = concat!("SELECT ", columns!(), " FROM identities \
        WHERE tenant = $1 AND user_id = $2 ORDER BY deposited_at DESC, id DESC LIMIT 1");
    COUNT = "SELECT COUNT(*) FROM identities WHERE tenant = $1 AND user_id = $2";
    LAST_GENERATION = "SELECT COALESCE(MAX(generation), 0) FROM ( \
        SELECT generation FROM identities WHERE tenant = $1 AND user_id = $2 \
        UNION ALL SELECT generation FROM identity_tombstones WHERE tenant = $1 AND user_id = $2) AS past";
    LIST_DUE = concat!("SELECT ", columns!(), " FROM identities WHERE id IN (SELECT id FROM ( \
        SELECT id, due_at, ROW_NUMBER() OVER (PARTITION BY issuer ORDER BY due_at) AS turn \
        FROM identities WHERE due_at <= $1) AS due WHERE turn <= $2 ORDER BY due_at LIMIT $3) \
        ORDER BY due_at");
    INSERT = concat!("INSERT INTO identities (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, \
        $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42)");
    RENEW = "UPDATE identities SET generation = $4, access_token = $5, access_token_key = $6, \
        access_token_ends = $7, id_token = $8, id_token_key = $9, id_token_ends = $10, \
        refresh_token = $11, refresh_token_key = $12, obtained_at = $13, expires_at = $14, \
        refreshed_at = $15, redeemed_by = $16, keeps = $17, forced_at = $18 \
        WHERE id = $1 AND version = $2 AND tenant = $3";
    SAVE_LIFE = save_life_sql!("identities");
    FORGET_DUE = forget_due_sql!("identities");
    USE = note_use_sql!("identities");
    END_LEASES = end_leases_sql!("identities");
    TAKE = "DELETE FROM identities WHERE tenant = $1 AND id = $2 AND version = $3";
    DELETE = "DELETE FROM identities WHERE tenant = $1 AND user_id = $2 AND ($3 = '' OR issuer = $3) \
        RETURNING issuer, generation";
    BURY = "INSERT INTO identity_tombstones (tenant, user_id, issuer, generation) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, user_id, issuer) \
        DO UPDATE SET generation = excluded.generation \
        WHERE excluded.generation > identity_tombstones.generation";
}

/// Reads identities.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// A user's identity at an identity provider.
    pub async fn get(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        issuer: &Issuer,
    ) -> Result<Option<Identity>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(issuer.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(Identity::try_from).transpose()
    }

    /// That of a user's which was deposited last.
    pub async fn find_latest(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Option<Identity>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LATEST)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(Identity::try_from).transpose()
    }

    /// How many a user has.
    pub async fn count(&mut self, tenant: &TenantId, user: &UserId) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(COUNT)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .fetch_one(conn)
            .await)?)
    }

    /// Identities of all tenants that are to be renewed by now, the longest due first: at most so
    /// many of each identity provider and so many in all. A row that cannot be read is an error of its own.
    pub async fn list_due(
        &mut self,
        now: Timestamp,
        each: i64,
        limit: i64,
    ) -> Result<Vec<Result<Identity>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_DUE)
            .bind(now.as_micros())
            .bind(each)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Identity::try_from).collect())
    }

    /// The highest generation that any identity of a user ever had; zero when there was none.
    pub async fn last_generation(&mut self, tenant: &TenantId, user: &UserId) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(
            LAST_GENERATION
        )
        .bind(tenant.as_str())
        .bind(user.as_str())
        .fetch_one(conn)
        .await)?)
    }
}
