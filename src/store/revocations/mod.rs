//! Rows of grants to be revoked at their providers. Every write after the first names the version of
//! the row it was decided on; a row is claimed by moving its lease, so that replicas share the work.

mod row;

use row::Row;

use super::columns::{micros, sealed_columns, text};
use super::engine::{Tx, on, statements};
use super::error::Result;
use super::work::Claim;
use crate::domain::changes::NewChange;
use crate::domain::ids::{ConnectionId, RegistrationId, ServerId};
use crate::domain::resolution::Reconnect;
use crate::domain::revocations::{MARGIN, Reason, RetiredClient, Revocation, WorkState};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, user_id, server, client, issuer, endpoint, reason, refresh_token, \
         refresh_token_key, access_token, access_token_key, state, not_before, attempts, \
         next_attempt_at, lease_until, last_error, created_at, version"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM revocations WHERE tenant = $1 AND id = $2");
    COUNT = "SELECT state, COUNT(*) FROM (SELECT state FROM revocations \
        UNION ALL SELECT state FROM retired_clients WHERE management_uri IS NOT NULL) AS work \
        GROUP BY state";
    COUNT_PENDING = "SELECT COUNT(*) FROM ( \
        SELECT id FROM revocations WHERE tenant = $1 AND state = 'pending' \
        UNION ALL SELECT id FROM retired_clients WHERE tenant = $1 AND state = 'pending' \
        AND management_uri IS NOT NULL) AS work";
    INSERT = concat!("INSERT INTO revocations (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)");
    HOLD = "UPDATE connections SET version = version WHERE tenant = $1 AND server = $2 \
        AND registration = $3";
    MOVE = concat!("INSERT INTO revocations (", columns!(), ") SELECT id, tenant, user_id, server, $5, \
        issuer, $6, $7, refresh_token, refresh_token_key, access_token, access_token_key, 'pending', \
        COALESCE(lease_until + $8, 0), 0, $9, NULL, NULL, $9, 1 FROM connections \
        WHERE tenant = $1 AND server = $2 AND registration = $3 \
        AND (auth_version = $4 OR status = 'reconnect_required' AND reason = $10) \
        AND (refresh_token IS NOT NULL OR access_token IS NOT NULL)");
    REPLACE = "UPDATE revocations SET refresh_token = $4, refresh_token_key = $5, access_token = $6, \
        access_token_key = $7, not_before = 0, lease_until = NULL, version = version + 1 \
        WHERE tenant = $1 AND id = $2 AND version = $3 AND state = 'pending'";
    DELETE_OF_TENANT = "DELETE FROM revocations WHERE tenant = $1";
    CLAIM = concat!("UPDATE revocations SET lease_until = $3, attempts = attempts + 1, \
        version = version + 1 WHERE state = 'pending' AND next_attempt_at <= $1 AND not_before <= $2 \
        AND (lease_until IS NULL OR lease_until <= $2) AND id IN (SELECT id FROM ( \
        SELECT id, endpoint, ROW_NUMBER() OVER (PARTITION BY endpoint ORDER BY next_attempt_at, id) \
        AS place FROM revocations WHERE state = 'pending' AND next_attempt_at <= $1 \
        AND not_before <= $2 AND (lease_until IS NULL OR lease_until <= $2)) AS due \
        WHERE place <= $4 AND place <= $4 - (SELECT COUNT(*) FROM revocations AS held \
        WHERE held.endpoint = due.endpoint AND held.lease_until > $2) \
        ORDER BY place, id LIMIT $5) RETURNING ", columns!());
}

/// Which connections become revocations, and how.
#[derive(Debug, Clone, Copy)]
pub struct Retiring<'a> {
    /// Those on this server,
    pub server: ServerId,
    /// of this client of it,
    pub registration: RegistrationId,
    /// obtained while it had this `auth_version`, or set aside since.
    pub auth_version: i64,
    /// Where they are revoked.
    pub endpoint: &'a str,
    /// Why.
    pub reason: Reason,
    /// Now.
    pub now: Timestamp,
}

/// Reads revocations.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The revocation with this id.
    pub async fn get(&mut self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Revocation>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Revocation::try_from).transpose()
    }

    /// How many wait and how many were given up, in all tenants: grants to be revoked, and
    /// registrations to be deleted.
    pub async fn count(&mut self) -> Result<(i64, i64)> {
        let rows: Vec<(String, i64)> = on!(&mut *self.0, |conn| sqlx::query_as(COUNT)
            .fetch_all(conn)
            .await)?;
        let of = |state: WorkState| {
            let found = rows.iter().find(|(name, _)| name == state.as_str());
            found.map_or(0, |(_, count)| *count)
        };
        Ok((of(WorkState::Pending), of(WorkState::Dead)))
    }

    /// How much of a tenant's waits: grants to be revoked, and registrations to be deleted.
    pub async fn count_pending(&mut self, tenant: &TenantId) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(COUNT_PENDING)
            .bind(tenant.as_str())
            .fetch_one(conn)
            .await)?)
    }
}

/// Changes revocations.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(
        dead_code,
        reason = "every writer has it; revocations are in nobody's feed"
    )]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Adds one. Its client must be there.
    pub async fn insert(&mut self, revocation: &Revocation) -> Result<()> {
        let (refresh, refresh_key) = sealed_columns(revocation.refresh_token.as_ref());
        let (access, access_key) = sealed_columns(revocation.access_token.as_ref());
        let work = &revocation.work;
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(revocation.id.to_string())
            .bind(revocation.tenant.as_str())
            .bind(revocation.user.as_str())
            .bind(revocation.server.to_string())
            .bind(text(revocation.client))
            .bind(revocation.issuer.as_str())
            .bind(&revocation.endpoint)
            .bind(revocation.reason.as_str())
            .bind(refresh)
            .bind(refresh_key)
            .bind(access)
            .bind(access_key)
            .bind(work.state.as_str())
            .bind(work.not_before.as_micros())
            .bind(work.attempts)
            .bind(work.next_attempt_at.as_micros())
            .bind(micros(work.lease_until))
            .bind(work.last_error.as_deref())
            .bind(work.created_at.as_micros())
            .bind(work.version)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Makes revocations of all connections of one client on a server, in one statement, whatever
    /// their number: id, owner and sealed tokens as they are, waiting out what is being redeemed.
    /// The connections stay as they are, and are not renewed until this transaction ends: take
    /// their tokens away in it. Answers how many.
    pub async fn insert_of_registration(
        &mut self,
        client: &RetiredClient,
        retiring: &Retiring<'_>,
    ) -> Result<u64> {
        let (server, registration) = (
            retiring.server.to_string(),
            retiring.registration.to_string(),
        );
        on!(&mut *self.tx, |conn| sqlx::query(HOLD)
            .bind(client.tenant.as_str())
            .bind(&server)
            .bind(&registration)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(on!(&mut *self.tx, |conn| sqlx::query(MOVE)
            .bind(client.tenant.as_str())
            .bind(&server)
            .bind(&registration)
            .bind(retiring.auth_version)
            .bind(client.id.to_string())
            .bind(retiring.endpoint)
            .bind(retiring.reason.as_str())
            .bind(i64::try_from(MARGIN.as_micros()).unwrap_or(i64::MAX))
            .bind(retiring.now.as_micros())
            .bind(Reconnect::IssuerChanged.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }

    /// Puts newer tokens in the place of those that wait, which need not be waited for any more.
    /// `false` when the row is no longer at the version it was read with.
    pub async fn update_tokens(&mut self, revocation: &Revocation) -> Result<bool> {
        let (refresh, refresh_key) = sealed_columns(revocation.refresh_token.as_ref());
        let (access, access_key) = sealed_columns(revocation.access_token.as_ref());
        let rows = on!(&mut *self.tx, |conn| sqlx::query(REPLACE)
            .bind(revocation.tenant.as_str())
            .bind(revocation.id.to_string())
            .bind(revocation.work.version)
            .bind(refresh)
            .bind(refresh_key)
            .bind(access)
            .bind(access_key)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Takes away everything of a tenant, whatever became of it. Answers how many.
    pub async fn delete_of_tenant(&mut self, tenant: &TenantId) -> Result<u64> {
        Ok(on!(&mut *self.tx, |conn| sqlx::query(DELETE_OF_TENANT)
            .bind(tenant.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}

/// Who works on what, until when.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Takes what is due, the longest due first, endpoints in turn. Of two that claim at once, one
    /// gets a row. A row that cannot be read is nobody else's trouble.
    pub async fn claim_due(&mut self, claim: &Claim) -> Result<Vec<Result<Revocation>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(CLAIM)
            .bind(claim.now.as_micros())
            .bind(claim.lease_now.as_micros())
            .bind(claim.until.as_micros())
            .bind(claim.per_place)
            .bind(claim.limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Revocation::try_from).collect())
    }
}
