//! Rows of the keys that sign identity tokens.

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::changes::NewChange;
use crate::domain::identity_tokens::IdentityKey;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

statements! {
    LIST = "SELECT id, generation, public_key, private_key, private_key_key, signs_from, created_at \
        FROM identity_keys WHERE tenant = $1 ORDER BY generation";
    LAST_GENERATION = "SELECT COALESCE(MAX(generation), 0) FROM identity_keys WHERE tenant = $1";
    INSERT = "INSERT INTO identity_keys (id, tenant, generation, public_key, private_key, \
        private_key_key, signs_from, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DELETE = "DELETE FROM identity_keys WHERE tenant = $1 AND id = $2";
}

#[derive(FromRow)]
struct Row {
    id: String,
    generation: i64,
    public_key: String,
    private_key: Vec<u8>,
    private_key_key: String,
    signs_from: i64,
    created_at: i64,
}

impl TryFrom<Row> for IdentityKey {
    type Error = super::Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "identity_keys",
            id: &row.id,
        };
        let private = reading.sealed(
            "private_key",
            Some(row.private_key),
            Some(row.private_key_key),
        )?;
        Ok(Self {
            private: reading.some("private_key", private)?,
            generation: row.generation,
            public: row.public_key,
            signs_from: Timestamp::from_micros(row.signs_from),
            created_at: Timestamp::from_micros(row.created_at),
            id: row.id,
        })
    }
}

/// Reads keys.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// Every key there is, by generation. A row that cannot be read is an error of its own.
    pub async fn list(&mut self, tenant: &TenantId) -> Result<Vec<Result<IdentityKey>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(IdentityKey::try_from).collect())
    }

    /// The latest generation there is, that of a row that cannot be read included; zero without any.
    pub async fn last_generation(&mut self, tenant: &TenantId) -> Result<i64> {
        let last: i64 = on!(&mut *self.0, |conn| sqlx::query_scalar(LAST_GENERATION)
            .bind(tenant.as_str())
            .fetch_one(conn)
            .await)?;
        Ok(last)
    }
}

/// Changes keys.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(dead_code, reason = "every writer has it; keys are in nobody's feed")]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Adds a key. A conflict means that another process added one of this generation.
    pub async fn insert(&mut self, tenant: &TenantId, key: &IdentityKey) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(&key.id)
            .bind(tenant.as_str())
            .bind(key.generation)
            .bind(&key.public)
            .bind(&key.private.bytes)
            .bind(key.private.key.to_string())
            .bind(key.signs_from.as_micros())
            .bind(key.created_at.as_micros())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)
    }

    /// Deletes a key; `false` when it is gone.
    pub async fn delete(&mut self, tenant: &TenantId, id: &str) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(id)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
