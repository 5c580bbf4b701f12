//! How a row of revocations is read.

use sqlx::FromRow;

use crate::domain::authorization::Issuer;
use crate::domain::revocations::{Reason, Revocation};
use crate::store::columns::Reading;
use crate::store::error::{Error, Result};
use crate::store::work::WorkRow;

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    tenant: String,
    user_id: String,
    server: String,
    client: Option<String>,
    issuer: String,
    endpoint: String,
    reason: String,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key: Option<String>,
    access_token: Option<Vec<u8>>,
    access_token_key: Option<String>,
    #[sqlx(flatten)]
    work: WorkRow,
}

impl TryFrom<Row> for Revocation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "revocations",
            id: &row.id,
        };
        let client = row.client.as_deref();
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            user: reading.user(&row.user_id)?,
            server: reading.parse("server", &row.server)?,
            client: client.map(|id| reading.parse("client", id)).transpose()?,
            issuer: Issuer::new(row.issuer),
            endpoint: row.endpoint,
            reason: reading.some("reason", Reason::parse(&row.reason))?,
            refresh_token: reading.sealed(
                "refresh_token",
                row.refresh_token,
                row.refresh_token_key,
            )?,
            access_token: reading.sealed("access_token", row.access_token, row.access_token_key)?,
            work: row.work.read(&reading)?,
        })
    }
}
