//! Rows of our OAuth clients at authorization servers.

use sqlx::FromRow;

use super::columns::{Reading, micros, sealed_columns, text, time};
use super::engine::{Tx, on, statements};
use super::error::{Error, Result, conflict};

mod renew;

use crate::domain::authorization::{ClientAuthMethod, Issuer, Scopes};
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::ids::{RegistrationId, ServerId};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;
pub(super) use renew::Keeper;

macro_rules! columns {
    () => {
        "id, tenant, server, issuer, generation, kind, client_id, client_secret, \
         client_secret_key, secret_expires_at, renew_at, auth_method, method_assumed, redirect_uri, \
         scopes, management_token, management_token_key, management_uri, created_at"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM registrations WHERE tenant = $1 AND id = $2");
    FIND_CURRENT = concat!("SELECT ", columns!(), " FROM registrations WHERE tenant = $1 AND server = $2 \
        AND issuer = $3 AND kind <> 'imported' ORDER BY generation DESC LIMIT 1");
    LIST = concat!("SELECT ", columns!(), " FROM registrations WHERE tenant = $1 AND server = $2 \
        ORDER BY generation, id");
    LIST_REPLACED = concat!("SELECT ", columns!(), " FROM registrations AS old WHERE management_uri IS NOT NULL \
        AND EXISTS (SELECT 1 FROM registrations WHERE tenant = old.tenant AND server = old.server \
        AND issuer = old.issuer AND generation > old.generation AND kind <> 'imported') AND NOT EXISTS (SELECT 1 FROM connections \
        WHERE registration = old.id AND (access_token IS NOT NULL OR refresh_token IS NOT NULL)) \
        AND NOT EXISTS (SELECT 1 FROM handshakes WHERE registration = old.id AND (parked IS NOT NULL \
        OR state IN ('pending', 'exchanging') AND created_at >= $1)) ORDER BY id LIMIT $2");
    FORGET_MANAGEMENT = "UPDATE registrations SET management_uri = NULL, management_token = NULL, \
        management_token_key = NULL WHERE tenant = $1 AND id = $2 AND management_uri IS NOT NULL";
    LAST_GENERATION = "SELECT COALESCE(MAX(generation), 0) FROM registrations \
        WHERE tenant = $1 AND server = $2";
    INSERT = concat!("INSERT INTO registrations (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)");
    LIST_ENDING = concat!("SELECT ", columns!(), " FROM registrations AS own WHERE kind = 'dynamic' \
        AND secret_expires_at IS NOT NULL AND auth_method IN ('client_secret_basic', 'client_secret_post') \
        AND COALESCE(renew_at, created_at) <= $1 AND (renewing_until IS NULL OR renewing_until <= $2) \
        AND (NOT EXISTS (SELECT 1 FROM registrations WHERE tenant = own.tenant AND server = own.server \
        AND issuer = own.issuer AND generation > own.generation AND kind <> 'imported') \
        OR management_uri IS NOT NULL AND EXISTS (SELECT 1 FROM connections \
        WHERE registration = own.id AND refresh_token IS NOT NULL)) \
        ORDER BY COALESCE(renew_at, created_at), id LIMIT $3");
    PLAN = "UPDATE registrations SET renew_at = $3 WHERE tenant = $1 AND id = $2 AND renew_at IS NULL";
    CLAIM = "UPDATE registrations SET renewing_until = $3 WHERE tenant = $1 AND id = $2 AND renew_at = $4 \
        AND (renewing_until IS NULL OR renewing_until <= $5)";
    PUT_OFF = "UPDATE registrations SET renew_at = $3, renewing_until = NULL WHERE tenant = $1 AND id = $2 \
        AND renewing_until = $4";
    RENEW = "UPDATE registrations SET client_secret = COALESCE($4, client_secret), \
        client_secret_key = COALESCE($5, client_secret_key), secret_expires_at = $6, renew_at = $7, \
        auth_method = $8, management_token = COALESCE($9, management_token), \
        management_token_key = COALESCE($10, management_token_key), management_uri = $11, \
        renewing_until = NULL WHERE tenant = $1 AND id = $2 AND renewing_until = $3 \
        AND management_uri IS NOT NULL";
    SETTLE_METHOD = "UPDATE registrations SET auth_method = $3, method_assumed = FALSE \
        WHERE tenant = $1 AND id = $2 AND auth_method = $4 AND method_assumed";
}

#[derive(FromRow)]
struct Row {
    id: String,
    tenant: String,
    server: String,
    issuer: String,
    generation: i64,
    kind: String,
    client_id: String,
    client_secret: Option<Vec<u8>>,
    client_secret_key: Option<String>,
    secret_expires_at: Option<i64>,
    renew_at: Option<i64>,
    auth_method: String,
    method_assumed: bool,
    redirect_uri: String,
    scopes: Option<String>,
    management_token: Option<Vec<u8>>,
    management_token_key: Option<String>,
    management_uri: Option<String>,
    created_at: i64,
}

impl TryFrom<Row> for Registration {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "registrations",
            id: &row.id,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            server: reading.parse("server", &row.server)?,
            issuer: Issuer::new(row.issuer),
            generation: row.generation,
            kind: reading.some("kind", RegistrationKind::parse(&row.kind))?,
            client_id: row.client_id,
            client_secret: reading.sealed(
                "client_secret",
                row.client_secret,
                row.client_secret_key,
            )?,
            secret_expires_at: time(row.secret_expires_at),
            renew_at: time(row.renew_at),
            auth_method: reading.some("auth_method", ClientAuthMethod::parse(&row.auth_method))?,
            method_assumed: row.method_assumed,
            redirect_uri: row.redirect_uri,
            scopes: row.scopes.as_deref().map(Scopes::parse),
            management_token: reading.sealed(
                "management_token",
                row.management_token,
                row.management_token_key,
            )?,
            management_uri: row.management_uri,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

/// Reads registrations.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The registration with this id.
    pub async fn get(
        &mut self,
        tenant: &TenantId,
        id: RegistrationId,
    ) -> Result<Option<Registration>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Registration::try_from).transpose()
    }

    /// The newest registration for a server at an issuer, of those that are the server's own: clients
    /// that came with imported grants are left out.
    pub async fn find_current(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        issuer: &Issuer,
    ) -> Result<Option<Registration>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_CURRENT)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(issuer.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(Registration::try_from).transpose()
    }

    /// Every registration of a server, the oldest first. A row that cannot be read is an error of its
    /// own.
    pub async fn list(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
    ) -> Result<Vec<Result<Registration>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Registration::try_from).collect())
    }

    /// Registrations of all tenants that can be deleted at their provider, since a newer one took
    /// their place, no grant is renewed with them, and no handshake that began since is under way. A
    /// row that cannot be read is an error of its own.
    pub async fn list_replaced(
        &mut self,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<Result<Registration>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_REPLACED)
            .bind(since.as_micros())
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Registration::try_from).collect())
    }

    /// The highest generation of a server's registrations, at whatever issuer; zero without any.
    pub async fn last_generation(&mut self, tenant: &TenantId, server: ServerId) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(
            LAST_GENERATION
        )
        .bind(tenant.as_str())
        .bind(server.to_string())
        .fetch_one(conn)
        .await)?)
    }
}

/// Changes registrations.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Adds a registration. A conflict means that its generation is taken: another process
    /// registered at the same time.
    pub async fn insert(&mut self, registration: &Registration) -> Result<()> {
        let (secret, secret_key) = sealed_columns(registration.client_secret.as_ref());
        let (token, token_key) = sealed_columns(registration.management_token.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(registration.id.to_string())
            .bind(registration.tenant.as_str())
            .bind(registration.server.to_string())
            .bind(registration.issuer.as_str())
            .bind(registration.generation)
            .bind(registration.kind.as_str())
            .bind(&registration.client_id)
            .bind(secret)
            .bind(secret_key)
            .bind(micros(registration.secret_expires_at))
            .bind(micros(registration.renew_at))
            .bind(registration.auth_method.as_str())
            .bind(registration.method_assumed)
            .bind(&registration.redirect_uri)
            .bind(text(registration.scopes.as_ref()))
            .bind(token)
            .bind(token_key)
            .bind(registration.management_uri.as_deref())
            .bind(registration.created_at.as_micros())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(registration);
        Ok(())
    }

    fn changed(&mut self, registration: &Registration) {
        self.changes.push(NewChange {
            tenant: registration.tenant.clone(),
            kind: ChangeKind::Registration,
            subject: registration.id.to_string(),
            op: Op::Put,
            owner: None,
        });
    }

    /// Forgets how a registration is managed, which somebody else does from now on. `false` when
    /// that is forgotten already.
    pub async fn forget_management(&mut self, registration: &Registration) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(FORGET_MANAGEMENT)
            .bind(registration.tenant.as_str())
            .bind(registration.id.to_string())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
