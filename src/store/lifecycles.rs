//! The columns of a lifecycle, which every table of grants has, and the statements on them that are the
//! same for each.

use sqlx::FromRow;

use super::columns::{Reading, micros, text, time, to_json};
use super::engine::{Tx, on};
use super::error::Result;
use crate::domain::connections::{Attempt, FORCED_LIMIT, Lifecycle, Status, Use};
use crate::domain::ids::{IntentId, ReplicaId};
use crate::domain::resolution::Reconnect;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

/// Writes the lifecycle of a row that is still at the version it was read with.
macro_rules! save_life_sql {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET status = $4, reason = $5, rejected = $6, forced = $7, intent = $8, \
             lease_owner = $9, lease_until = $10, attempts = $11, unknown_outcomes = $12, \
             unknown_since = $13, unclear_refusals = $14, client_refused = $15, failures = $16, \
             next_attempt_at = $17, last_error = $18, failed_at = $19, due_at = $20, \
             updated_at = $21, version = version + 1 WHERE id = $1 AND version = $2 AND tenant = $3"
        )
    };
}
pub(super) use save_life_sql;

/// Notes a use, unless a later one is known.
macro_rules! note_use_sql {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET used_at = $3, due_at = CASE WHEN generation = $4 THEN $5 ELSE due_at END \
             WHERE id = $1 AND tenant = $2 AND (used_at IS NULL OR used_at < $3)"
        )
    };
}
pub(super) use note_use_sql;

/// Takes a row out of what is due.
macro_rules! forget_due_sql {
    ($table:literal) => {
        concat!("UPDATE ", $table, " SET due_at = NULL WHERE id = $1")
    };
}
pub(super) use forget_due_sql;

/// Ends every lease.
macro_rules! end_leases_sql {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET lease_until = $1, version = version + 1 WHERE lease_until > $1"
        )
    };
}
pub(super) use end_leases_sql;

/// How a lifecycle is read; part of the rows of each table.
#[derive(FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row has the columns it has"
)]
pub(super) struct LifeRow {
    generation: i64,
    status: String,
    reason: Option<String>,
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
    attempts: i64,
    redeemed_by: i64,
    keeps: bool,
    forced_at: String,
    unknown_since: Option<i64>,
    unclear_refusals: i64,
    client_refused: bool,
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

impl LifeRow {
    /// The attempt of three columns: all or none.
    fn attempt(&self, reading: &Reading<'_>) -> Result<Option<Attempt>> {
        if self.intent.is_none() && self.lease_owner.is_none() && self.lease_until.is_none() {
            return Ok(None);
        }
        // Half an attempt must not pass for none: its refresh token may be on the wire.
        let intent = reading.some("intent", self.intent.as_deref())?;
        let owner = reading.some("lease_owner", self.lease_owner.as_deref())?;
        let until = reading.some("lease_until", self.lease_until)?;
        Ok(Some(Attempt {
            intent: reading.parse::<IntentId>("intent", intent)?,
            owner: reading.parse::<ReplicaId>("lease_owner", owner)?,
            until: Timestamp::from_micros(until),
            // Attempts come one after the other: the one that stands is the last.
            serial: self.attempts,
        }))
    }

    /// The lifecycle of a row.
    pub(super) fn read(&self, reading: &Reading<'_>, renewable: bool) -> Result<Lifecycle> {
        Ok(Lifecycle {
            generation: self.generation,
            status: reading.some("status", status(&self.status, self.reason.as_deref()))?,
            renewable,
            obtained_at: Timestamp::from_micros(self.obtained_at),
            expires_at: time(self.expires_at),
            rejected: self.rejected,
            forced: self.forced,
            forced_at: forced_at(reading, &self.forced_at)?,
            attempt: self.attempt(reading)?,
            attempts: self.attempts,
            redeemed_by: self.redeemed_by,
            keeps: self.keeps,
            unknown_outcomes: self.unknown_outcomes,
            unknown_since: time(self.unknown_since),
            unclear_refusals: self.unclear_refusals,
            client_refused: self.client_refused,
            failures: self.failures,
            next_attempt_at: time(self.next_attempt_at),
        })
    }
}

/// What [`save_life_sql!`] writes of a grant.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) tenant: &'a TenantId,
    pub(super) life: &'a Lifecycle,
    pub(super) last_error: Option<&'a str>,
    pub(super) failed_at: Option<Timestamp>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
}

impl Kept<'_> {
    /// Runs a [`save_life_sql!`]. `false` when the row is no longer at the version it was read with.
    pub(super) async fn save(&self, tx: &mut Tx, statement: &'static str) -> Result<bool> {
        let life = self.life;
        let (status, reason) = status_columns(life.status);
        let rows = on!(tx, |conn| sqlx::query(statement)
            .bind(self.id.as_str())
            .bind(self.version)
            .bind(self.tenant.as_str())
            .bind(status)
            .bind(reason)
            .bind(life.rejected)
            .bind(life.forced)
            .bind(text(life.attempt.map(|attempt| attempt.intent)))
            .bind(text(life.attempt.map(|attempt| attempt.owner)))
            .bind(micros(life.attempt.map(|attempt| attempt.until)))
            .bind(life.attempts)
            .bind(life.unknown_outcomes)
            .bind(micros(life.unknown_since))
            .bind(life.unclear_refusals)
            .bind(life.client_refused)
            .bind(life.failures)
            .bind(micros(life.next_attempt_at))
            .bind(self.last_error)
            .bind(micros(self.failed_at))
            .bind(micros(self.due_at))
            .bind(self.updated_at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}

/// Runs an [`end_leases_sql!`]; answers how many there were.
pub(super) async fn end_leases(
    tx: &mut Tx,
    statement: &'static str,
    now: Timestamp,
) -> Result<u64> {
    Ok(on!(tx, |conn| sqlx::query(statement)
        .bind(now.as_micros())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Runs a [`note_use_sql!`] on the row of this id.
pub(super) async fn note_use(
    tx: &mut Tx,
    statement: &'static str,
    (id, seen): (String, &Use),
) -> Result<()> {
    on!(tx, |conn| sqlx::query(statement)
        .bind(id)
        .bind(seen.tenant.as_str())
        .bind(seen.at.as_micros())
        .bind(seen.generation)
        .bind(micros(seen.due_at))
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Runs a [`forget_due_sql!`].
pub(super) async fn forget_due(tx: &mut Tx, statement: &'static str, id: &str) -> Result<()> {
    on!(tx, |conn| sqlx::query(statement)
        .bind(id)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
