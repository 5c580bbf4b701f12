//! How a row of identities is read.

use sqlx::FromRow;

use crate::domain::authorization::Issuer;
use crate::domain::identities::Identity;
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time};
use crate::store::error::{Error, Result};
use crate::store::lifecycles::LifeRow;

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    tenant: String,
    user_id: String,
    issuer: String,
    #[sqlx(flatten)]
    life: LifeRow,
    access_token: Option<Vec<u8>>,
    access_token_key: Option<String>,
    access_token_ends: Option<i64>,
    id_token: Option<Vec<u8>>,
    id_token_key: Option<String>,
    id_token_ends: Option<i64>,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key: Option<String>,
    deposit_hash: Vec<u8>,
    refresh_hashes: Vec<u8>,
    deposited_at: i64,
    refreshed_at: Option<i64>,
    used_at: Option<i64>,
    last_error: Option<String>,
    failed_at: Option<i64>,
    due_at: Option<i64>,
    updated_at: i64,
    version: i64,
}

impl TryFrom<Row> for Identity {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "identities",
            id: &row.id,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            user: reading.user(&row.user_id)?,
            issuer: Issuer::new(row.issuer),
            life: row.life.read(&reading, row.refresh_token.is_some())?,
            access_token: reading.sealed("access_token", row.access_token, row.access_token_key)?,
            access_token_ends: time(row.access_token_ends),
            id_token: reading.sealed("id_token", row.id_token, row.id_token_key)?,
            id_token_ends: time(row.id_token_ends),
            refresh_token: reading.sealed(
                "refresh_token",
                row.refresh_token,
                row.refresh_token_key,
            )?,
            deposit_hash: reading.hash("deposit_hash", &row.deposit_hash)?,
            refresh_hashes: reading.hashes("refresh_hashes", &row.refresh_hashes)?,
            deposited_at: Timestamp::from_micros(row.deposited_at),
            refreshed_at: time(row.refreshed_at),
            used_at: time(row.used_at),
            last_error: row.last_error,
            failed_at: time(row.failed_at),
            due_at: time(row.due_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        })
    }
}
