//! How a row of revocations is read.

use sqlx::FromRow;

use crate::domain::authorization::Issuer;
use crate::domain::revocations::{Reason, Revocation, Work, WorkState};
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time};
use crate::store::error::{Error, Result};

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
    state: String,
    not_before: i64,
    attempts: i64,
    next_attempt_at: i64,
    lease_until: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
    version: i64,
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
            work: Work {
                state: reading.some("state", WorkState::parse(&row.state))?,
                not_before: Timestamp::from_micros(row.not_before),
                attempts: row.attempts,
                next_attempt_at: Timestamp::from_micros(row.next_attempt_at),
                lease_until: time(row.lease_until),
                last_error: row.last_error,
                created_at: Timestamp::from_micros(row.created_at),
                version: row.version,
            },
        })
    }
}
