//! How a row of connections is read.

use sqlx::FromRow;

use crate::domain::authorization::{Issuer, Resource};
use crate::domain::connections::{Attempt, Connection, FORCED_LIMIT, Lifecycle, Origin, Status};
use crate::domain::ids::{IntentId, ReplicaId};
use crate::domain::page::Cursor;
use crate::domain::resolution::Reconnect;
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time, to_json};
use crate::store::error::{Error, Result};

#[derive(FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row has the columns it has"
)]
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
    generation: i64,
    status: String,
    reason: Option<String>,
    access_token: Option<Vec<u8>>,
    access_token_key: Option<String>,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key: Option<String>,
    obtained_at: i64,
    expires_at: Option<i64>,
    rejected: bool,
    forced: bool,
    intent: Option<String>,
    lease_owner: Option<String>,
    lease_until: Option<i64>,
    unknown_outcomes: i64,
    failures: i64,
    next_attempt_at: Option<i64>,
    last_error: Option<String>,
    connected_at: i64,
    refreshed_at: Option<i64>,
    version: i64,
    attempts: i64,
    redeemed_by: i64,
    keeps: bool,
    forced_at: String,
    unknown_since: Option<i64>,
    unclear_refusals: i64,
    client_refused: bool,
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

/// A status as its two columns.
pub(super) fn status_columns(status: Status) -> (&'static str, Option<&'static str>) {
    let reason = match status {
        Status::Active | Status::Unreadable => None,
        Status::ReconnectRequired(reason) => Some(reason.as_str()),
    };
    (status.kind().as_str(), reason)
}

/// The status of two columns.
fn status(status: &str, reason: Option<&str>) -> Option<Status> {
    match status {
        "active" => Some(Status::Active),
        "unreadable" => Some(Status::Unreadable),
        "reconnect_required" => Reconnect::parse(reason?).map(Status::ReconnectRequired),
        _ => None,
    }
}

/// The attempt of three columns: all or none.
fn attempt(reading: &Reading<'_>, row: &Row) -> Result<Option<Attempt>> {
    if row.intent.is_none() && row.lease_owner.is_none() && row.lease_until.is_none() {
        return Ok(None);
    }
    // Half an attempt must not pass for none: its refresh token may be on the wire.
    let intent = reading.some("intent", row.intent.as_deref())?;
    let owner = reading.some("lease_owner", row.lease_owner.as_deref())?;
    let until = reading.some("lease_until", row.lease_until)?;
    Ok(Some(Attempt {
        intent: reading.parse::<IntentId>("intent", intent)?,
        owner: reading.parse::<ReplicaId>("lease_owner", owner)?,
        until: Timestamp::from_micros(until),
        // Attempts come one after the other: the one that stands is the last.
        serial: row.attempts,
    }))
}

/// The times of forced renewals as text: the newest first, those that are not left out.
pub(super) fn forced_column(times: &[Option<Timestamp>; FORCED_LIMIT]) -> String {
    let micros: Vec<i64> = times.iter().flatten().map(|at| at.as_micros()).collect();
    to_json(&micros)
}

fn forced_at(reading: &Reading<'_>, text: &str) -> Result<[Option<Timestamp>; FORCED_LIMIT]> {
    let micros: Vec<i64> = reading.json("forced_at", text)?;
    let mut times = [None; FORCED_LIMIT];
    for (time, micros) in times.iter_mut().zip(micros) {
        *time = Some(Timestamp::from_micros(micros));
    }
    Ok(times)
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
        let life = Lifecycle {
            generation: row.generation,
            status: reading.some("status", status(&row.status, row.reason.as_deref()))?,
            // The deployment's own is asked for anew.
            renewable: row.refresh_token.is_some() || origin == Origin::Automatic,
            obtained_at: Timestamp::from_micros(row.obtained_at),
            expires_at: time(row.expires_at),
            rejected: row.rejected,
            forced: row.forced,
            forced_at: forced_at(&reading, &row.forced_at)?,
            attempt: attempt(&reading, &row)?,
            attempts: row.attempts,
            redeemed_by: row.redeemed_by,
            keeps: row.keeps,
            unknown_outcomes: row.unknown_outcomes,
            unknown_since: time(row.unknown_since),
            unclear_refusals: row.unclear_refusals,
            client_refused: row.client_refused,
            failures: row.failures,
            next_attempt_at: time(row.next_attempt_at),
        };
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
