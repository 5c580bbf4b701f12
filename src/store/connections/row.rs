//! How a row of connections is read.

use sqlx::FromRow;

use crate::domain::authorization::{Issuer, Resource};
use crate::domain::connections::{Connection, Origin};
use crate::domain::page::Cursor;
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time};
use crate::store::error::{Error, Result};
use crate::store::lifecycles::LifeRow;

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    tenant: String,
    user_id: String,
    server: String,
    registration: String,
    issuer: String,
    resource: Option<String>,
    scopes: String,
    token_type: String,
    token_endpoint: String,
    auth_version: i64,
    #[sqlx(flatten)]
    life: LifeRow,
    access_token: Option<Vec<u8>>,
    access_token_key: Option<String>,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key: Option<String>,
    last_error: Option<String>,
    connected_at: i64,
    refreshed_at: Option<i64>,
    version: i64,
    origin: String,
    profile: Option<String>,
    used_at: Option<i64>,
    reconnect_before: Option<i64>,
    failed_at: Option<i64>,
    due_at: Option<i64>,
    updated_at: i64,
    account: Option<String>,
    account_differs: bool,
}

impl Row {
    /// Its place in a list, readable or not.
    pub(super) fn place(&self) -> Cursor {
        Cursor {
            key: String::new(),
            id: self.id.clone(),
        }
    }

    /// Its place in a list by users.
    pub(super) fn place_of_user(&self) -> Cursor {
        Cursor {
            key: self.user_id.clone(),
            id: self.id.clone(),
        }
    }
}

impl TryFrom<Row> for Connection {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "connections",
            id: &row.id,
        };
        let origin = reading.some("origin", Origin::parse(&row.origin))?;
        // The deployment's own is asked for anew.
        let renewable = row.refresh_token.is_some() || origin == Origin::Automatic;
        let life = row.life.read(&reading, renewable)?;
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            user: reading.user(&row.user_id)?,
            server: reading.parse("server", &row.server)?,
            registration: reading.parse("registration", &row.registration)?,
            issuer: Issuer::new(row.issuer),
            resource: row.resource.map(Resource::new),
            scopes: reading.json("scopes", &row.scopes)?,
            token_type: row.token_type,
            token_endpoint: row.token_endpoint,
            auth_version: row.auth_version,
            life,
            access_token: reading.sealed("access_token", row.access_token, row.access_token_key)?,
            refresh_token: reading.sealed(
                "refresh_token",
                row.refresh_token,
                row.refresh_token_key,
            )?,
            origin,
            profile: row.profile,
            account: row.account,
            account_differs: row.account_differs,
            connected_at: Timestamp::from_micros(row.connected_at),
            refreshed_at: time(row.refreshed_at),
            used_at: time(row.used_at),
            reconnect_before: time(row.reconnect_before),
            last_error: row.last_error,
            failed_at: time(row.failed_at),
            due_at: time(row.due_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        })
    }
}
