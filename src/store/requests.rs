//! Rows of request ids: what a creation made, so that repeating it answers the same (AIP-155).

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::changes::NewChange;
use crate::domain::secrets::SecretHash;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

statements! {
    GET = "SELECT fingerprint, subject FROM requests \
        WHERE tenant = $1 AND principal = $2 AND request_id = $3";
    DELETE_OLD = "DELETE FROM requests WHERE created_at < $1";
    INSERT = "INSERT INTO requests (tenant, principal, request_id, fingerprint, subject, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6)";
}

/// A creation that carried a request id.
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    /// In which tenant.
    pub tenant: &'a TenantId,
    /// Who asked.
    pub principal: &'a str,
    /// The caller's id for the request.
    pub request_id: &'a str,
    /// The hash of what was asked for.
    pub fingerprint: SecretHash,
}

/// A request that was served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRequest {
    /// The hash of what was asked for.
    pub fingerprint: SecretHash,
    /// The id of what it made.
    pub subject: String,
}

#[derive(FromRow)]
struct Row {
    fingerprint: Vec<u8>,
    subject: String,
}

/// Reads past requests.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// What this request made when it was served before.
    pub async fn get(&mut self, request: &NewRequest<'_>) -> Result<Option<PastRequest>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(request.tenant.as_str())
            .bind(request.principal)
            .bind(request.request_id)
            .fetch_optional(conn)
            .await)?;
        let Some(row) = row else { return Ok(None) };
        let reading = Reading {
            table: "requests",
            id: request.request_id,
        };
        let fingerprint = reading.hash("fingerprint", &row.fingerprint)?;
        Ok(Some(PastRequest {
            fingerprint,
            subject: row.subject,
        }))
    }
}

/// Remembers requests.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(
        dead_code,
        reason = "every writer has it; requests are in nobody's feed"
    )]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Remembers what a request made; a conflict means that it was served at the same time.
    pub async fn insert(
        &mut self,
        request: &NewRequest<'_>,
        subject: &str,
        at: Timestamp,
    ) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(request.tenant.as_str())
            .bind(request.principal)
            .bind(request.request_id)
            .bind(request.fingerprint.as_bytes())
            .bind(subject)
            .bind(at.as_micros())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)
    }
}

/// Forgets requests.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Forgets requests served before a point in time. Answers how many.
    pub async fn delete_old(&mut self, before: Timestamp) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(DELETE_OLD)
            .bind(before.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
