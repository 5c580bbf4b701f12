//! Rows of clients that are needed only to revoke by, and of those whose registration is to be
//! deleted. One without anything left to do goes with the next sweep.

use sqlx::FromRow;

use super::columns::{Reading, micros, sealed_columns};
use super::engine::{Tx, on, statements};
use super::error::{Error, Result};
use super::work::{Claim, WorkRow};
use crate::domain::authorization::{ClientAuthMethod, Issuer};
use crate::domain::changes::NewChange;
use crate::domain::ids::RetiredClientId;
use crate::domain::revocations::{Management, RetiredClient};
use crate::domain::tenants::TenantId;

macro_rules! columns {
    () => {
        "id, tenant, issuer, client_id, auth_method, client_secret, client_secret_key, \
         management_uri, management_token, management_token_key, state, not_before, attempts, \
         next_attempt_at, lease_until, last_error, created_at, version"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM retired_clients WHERE tenant = $1 AND id = $2");
    INSERT = concat!("INSERT INTO retired_clients (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, \
        $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)");
    DELETE_OF_TENANT = "DELETE FROM retired_clients WHERE tenant = $1";
    CLAIM = concat!("UPDATE retired_clients SET lease_until = $3, attempts = attempts + 1, \
        version = version + 1 WHERE state = 'pending' AND management_uri IS NOT NULL \
        AND next_attempt_at <= $1 AND not_before <= $2 AND (lease_until IS NULL OR lease_until <= $2) \
        AND id IN (SELECT id FROM (SELECT due.id, due.issuer, ROW_NUMBER() OVER ( \
        PARTITION BY due.issuer ORDER BY due.next_attempt_at, due.id) AS place \
        FROM retired_clients AS due WHERE due.state = 'pending' \
        AND due.management_uri IS NOT NULL AND due.next_attempt_at <= $1 AND due.not_before <= $2 \
        AND (due.lease_until IS NULL OR due.lease_until <= $2) AND NOT EXISTS ( \
        SELECT 1 FROM revocations AS waiting JOIN retired_clients AS same ON same.id = waiting.client \
        WHERE same.tenant = due.tenant AND same.issuer = due.issuer \
        AND same.client_id = due.client_id)) AS ready \
        WHERE place <= $4 AND place <= $4 - (SELECT COUNT(*) FROM retired_clients AS held \
        WHERE held.issuer = ready.issuer AND held.lease_until > $2) \
        ORDER BY place, id LIMIT $5) RETURNING ", columns!());
    DELETE_IDLE = "DELETE FROM retired_clients WHERE management_uri IS NULL AND NOT EXISTS ( \
        SELECT 1 FROM revocations WHERE client = retired_clients.id)";
}

#[derive(FromRow)]
struct Row {
    id: String,
    tenant: String,
    issuer: String,
    client_id: String,
    auth_method: String,
    client_secret: Option<Vec<u8>>,
    client_secret_key: Option<String>,
    management_uri: Option<String>,
    management_token: Option<Vec<u8>>,
    management_token_key: Option<String>,
    #[sqlx(flatten)]
    work: WorkRow,
}

impl TryFrom<Row> for RetiredClient {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "retired_clients",
            id: &row.id,
        };
        let token = reading.sealed(
            "management_token",
            row.management_token,
            row.management_token_key,
        )?;
        // What is given up keeps the place and not the token.
        let management = row.management_uri.zip(token);
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            issuer: Issuer::new(row.issuer),
            client_id: row.client_id,
            auth_method: reading.some("auth_method", ClientAuthMethod::parse(&row.auth_method))?,
            client_secret: reading.sealed(
                "client_secret",
                row.client_secret,
                row.client_secret_key,
            )?,
            management: management.map(|(uri, token)| Management { uri, token }),
            work: row.work.read(&reading)?,
        })
    }
}

/// Reads retired clients.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The retired client with this id.
    pub async fn get(
        &mut self,
        tenant: &TenantId,
        id: RetiredClientId,
    ) -> Result<Option<RetiredClient>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(RetiredClient::try_from).transpose()
    }
}

/// Changes retired clients.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(
        dead_code,
        reason = "every writer has it; retired clients are in nobody's feed"
    )]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Adds one.
    pub async fn insert(&mut self, client: &RetiredClient) -> Result<()> {
        let management = client.management.as_ref();
        let (secret, secret_key) = sealed_columns(client.client_secret.as_ref());
        let (token, token_key) = sealed_columns(management.map(|held| &held.token));
        let work = &client.work;
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(client.id.to_string())
            .bind(client.tenant.as_str())
            .bind(client.issuer.as_str())
            .bind(&client.client_id)
            .bind(client.auth_method.as_str())
            .bind(secret)
            .bind(secret_key)
            .bind(management.map(|held| held.uri.as_str()))
            .bind(token)
            .bind(token_key)
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

    /// Takes away everything of a tenant; its revocations must be gone. Answers how many.
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
    /// Takes registrations that are to be deleted and by whose client nothing of the same issuer
    /// waits to be revoked any more, issuers in turn. Of two that claim at once, one gets a row.
    pub async fn claim_due(&mut self, claim: &Claim) -> Result<Vec<Result<RetiredClient>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(CLAIM)
            .bind(claim.now.as_micros())
            .bind(claim.lease_now.as_micros())
            .bind(claim.until.as_micros())
            .bind(claim.per_place)
            .bind(claim.limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(RetiredClient::try_from).collect())
    }

    /// Deletes clients by which nothing waits to be revoked and that are no registration to be
    /// deleted. Answers how many.
    pub async fn delete_idle(&mut self) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(DELETE_IDLE)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
