//! Rows of connections. Every write but the first names id and version of the row it was decided
//! on, so that a late flight of an old grant cannot touch a new one.

mod changed;
mod ending;
mod keep;
mod of_server;
mod row;
mod unread;
mod write;

pub(super) use keep::Keeper;
pub(super) use write::Writer;

use row::Row;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::Result;
use super::lifecycles::{end_leases_sql, forget_due_sql, note_use_sql, save_life_sql};
use crate::domain::authorization::Issuer;
use crate::domain::connections::{Connection, StatusKind};
use crate::domain::ids::{ConnectionId, ServerId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, user_id, server, registration, issuer, resource, scopes, token_type, \
         token_endpoint, auth_version, generation, status, reason, access_token, access_token_key, \
         refresh_token, refresh_token_key, obtained_at, expires_at, rejected, intent, lease_owner, \
         lease_until, unknown_outcomes, failures, next_attempt_at, last_error, connected_at, \
         refreshed_at, version, forced, attempts, redeemed_by, keeps, forced_at, unknown_since, \
         unclear_refusals, client_refused, origin, profile, used_at, reconnect_before, failed_at, \
         due_at, updated_at, account, account_differs"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND user_id = $2 AND server = $3");
    FIND_BY_ID = concat!("SELECT ", columns!(), " FROM connections WHERE tenant = $1 AND id = $2");
    LIST_EXCHANGED = "SELECT server FROM connections WHERE tenant = $1 AND user_id = $2 \
        AND origin = 'automatic' AND ($3 = '' OR issuer = $3) ORDER BY server";
    LIST_OF_USER = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND user_id = $2 AND id > $3 AND ($4 = '' OR status = $4) \
        ORDER BY id LIMIT $5");
    LIST = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND id > $2 AND ($3 = '' OR status = $3) ORDER BY id LIMIT $4");
    LIST_OF_SERVER = concat!("SELECT ", columns!(), " FROM connections WHERE tenant = $1 AND server = $2 \
        AND (user_id, id) > ($3, $4) AND ($5 = '' OR status = $5) ORDER BY user_id, id LIMIT $6");
    LAST_GENERATION = "SELECT COALESCE(MAX(generation), 0) FROM ( \
        SELECT generation FROM connections WHERE tenant = $1 AND user_id = $2 AND server = $3 \
        UNION ALL SELECT generation FROM connection_tombstones \
        WHERE tenant = $1 AND user_id = $2 AND server = $3) AS past";
    INSERT = concat!("INSERT INTO connections (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, \
        $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48)");
    RENEW = "UPDATE connections SET generation = $4, access_token = $5, access_token_key = $6, \
        refresh_token = $7, refresh_token_key = $8, obtained_at = $9, expires_at = $10, scopes = $11, \
        token_type = $12, refreshed_at = $13, redeemed_by = $14, keeps = $15, forced_at = $16, \
        reconnect_before = $17 WHERE id = $1 AND version = $2 AND tenant = $3";
    SAVE_LIFE = save_life_sql!("connections");
    LIST_DUE = concat!("SELECT ", columns!(), " FROM connections WHERE id IN (SELECT id FROM ( \
        SELECT id, due_at, ROW_NUMBER() OVER (PARTITION BY token_endpoint ORDER BY due_at) AS turn \
        FROM connections WHERE due_at <= $1) AS due WHERE turn <= $2 ORDER BY due_at LIMIT $3) \
        ORDER BY due_at");
    LIST_UNPLANNED = concat!("SELECT ", columns!(), " FROM connections WHERE id > $1 \
        AND due_at IS NULL AND status = 'active' AND refresh_token IS NOT NULL ORDER BY id LIMIT $2");
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM connections JOIN registrations \
        ON registrations.id = connections.registration WHERE connections.tenant = $1 AND user_id = $2 \
        AND connections.issuer = $3 AND client_id = $4 \
        AND (access_token IS NOT NULL OR refresh_token IS NOT NULL)";
    FORGET_DUE = forget_due_sql!("connections");
    USE = note_use_sql!("connections");
    DELETE = "DELETE FROM connections WHERE tenant = $1 AND user_id = $2 AND server = $3 \
        RETURNING id, generation";
    BURY = "INSERT INTO connection_tombstones (tenant, user_id, server, generation) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, user_id, server) \
        DO UPDATE SET generation = excluded.generation \
        WHERE excluded.generation > connection_tombstones.generation";
    TAKE_UNREAD = "DELETE FROM connections WHERE tenant = $1 AND user_id = $2 AND id = $3 \
        RETURNING server, generation";
    TAKE = "DELETE FROM connections WHERE tenant = $1 AND id = $2 AND version = $3";
    END_LEASES = end_leases_sql!("connections");
    BURY_OF_SERVER = "INSERT INTO connection_tombstones (tenant, user_id, server, generation) \
        SELECT tenant, user_id, server, generation FROM connections WHERE tenant = $1 AND server = $2 \
        ON CONFLICT (tenant, user_id, server) DO UPDATE SET generation = excluded.generation \
        WHERE excluded.generation > connection_tombstones.generation";
    DELETE_OF_SERVER = "DELETE FROM connections WHERE tenant = $1 AND server = $2 RETURNING id, user_id";
    INVALIDATE_OF_SERVER = "UPDATE connections SET status = 'reconnect_required', reason = $3, \
        intent = NULL, lease_owner = NULL, lease_until = NULL, access_token = NULL, \
        access_token_key = NULL, refresh_token = NULL, refresh_token_key = NULL, due_at = NULL, \
        updated_at = $4, version = version + 1 WHERE tenant = $1 AND server = $2 RETURNING id, user_id";
    RETRY_OF_REGISTRATION = "UPDATE connections SET next_attempt_at = NULL, client_refused = FALSE, \
        failures = 0, version = version + 1 WHERE tenant = $1 AND registration = $2 AND client_refused \
        AND intent IS NULL";
    SUSPEND_OF_SERVER = "UPDATE connections SET status = 'reconnect_required', reason = $3, due_at = NULL, \
        updated_at = $4, version = version + 1 WHERE tenant = $1 AND server = $2 AND status = 'active' \
        RETURNING id, user_id";
    RESUME_OF_SERVER = "UPDATE connections SET status = 'active', reason = NULL, auth_version = $5, \
        updated_at = $6, version = version + 1 WHERE tenant = $1 AND server = $2 AND issuer = $3 \
        AND status = 'reconnect_required' AND reason = $4 RETURNING id, user_id";
}

/// Reads connections.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// A user's connection to a server.
    pub async fn get(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        server: ServerId,
    ) -> Result<Option<Connection>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Connection::try_from).transpose()
    }

    /// A connection by its id.
    pub async fn find_by_id(
        &mut self,
        tenant: &TenantId,
        id: ConnectionId,
    ) -> Result<Option<Connection>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_BY_ID)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Connection::try_from).transpose()
    }

    /// A page of connections by id: one user's, or the whole tenant's. A row that cannot be read is
    /// an error of its own.
    pub async fn list(
        &mut self,
        tenant: &TenantId,
        user: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<Result<Connection>>> {
        self.list_in(tenant, user, None, page).await
    }

    /// The same of those in one status, or in any.
    pub async fn list_in(
        &mut self,
        tenant: &TenantId,
        user: Option<&UserId>,
        status: Option<StatusKind>,
        page: &PageRequest,
    ) -> Result<Page<Result<Connection>>> {
        let after = page.start().1;
        let status = status.map_or("", StatusKind::as_str);
        let limit = page.size.saturating_add(1);
        let rows: Vec<Row> = match user {
            Some(user) => on!(&mut *self.0, |conn| sqlx::query_as(LIST_OF_USER)
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(after)
                .bind(status)
                .bind(limit)
                .fetch_all(conn)
                .await)?,
            None => on!(&mut *self.0, |conn| sqlx::query_as(LIST)
                .bind(tenant.as_str())
                .bind(after)
                .bind(status)
                .bind(limit)
                .fetch_all(conn)
                .await)?,
        };
        let page = Page::of(rows, page.size, Row::place);
        Ok(page.map(Connection::try_from))
    }

    /// The servers that a user's logins were exchanged for, those of one issuer or of all, by id.
    pub async fn list_exchanged(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        issuer: Option<&Issuer>,
    ) -> Result<Vec<ServerId>> {
        let servers: Vec<String> = on!(&mut *self.0, |conn| sqlx::query_scalar(LIST_EXCHANGED)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(issuer.map_or("", Issuer::as_str))
            .fetch_all(conn)
            .await)?;
        let read = |server: &String| {
            let reading = Reading {
                table: "connections",
                id: server,
            };
            reading.parse("server", server)
        };
        servers.iter().map(read).collect()
    }

    /// Connections of all tenants that are to be renewed by now, the longest due first: at most so
    /// many for each token endpoint, so that one with much to do does not hold up the others, and at
    /// most so many in all. A row that cannot be read is an error of its own.
    pub async fn list_due(
        &mut self,
        now: Timestamp,
        each: i64,
        limit: i64,
    ) -> Result<Vec<Result<Connection>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_DUE)
            .bind(now.as_micros())
            .bind(each)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Connection::try_from).collect())
    }

    /// A page by id of connections of all tenants that could be renewed and are not going to be. A row
    /// that cannot be read is an error of its own.
    pub async fn list_unplanned(&mut self, page: &PageRequest) -> Result<Page<Result<Connection>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_UNPLANNED)
            .bind(page.start().1)
            .bind(page.size.saturating_add(1))
            .fetch_all(conn)
            .await)?;
        let page = Page::of(rows, page.size, Row::place);
        Ok(page.map(Connection::try_from))
    }

    /// How many grants a user has from one client of ours, on whatever servers.
    pub async fn count_of_client(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        issuer: &Issuer,
        client_id: &str,
    ) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(
            COUNT_OF_CLIENT
        )
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(issuer.as_str())
        .bind(client_id)
        .fetch_one(conn)
        .await)?)
    }

    /// The highest generation a user's connections to a server ever had; zero when there was none.
    pub async fn last_generation(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        server: ServerId,
    ) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(
            LAST_GENERATION
        )
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(server.to_string())
        .fetch_one(conn)
        .await)?)
    }
}
