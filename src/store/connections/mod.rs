//! Rows of connections. Every write but the first names id and version of the row it was decided
//! on, so that a late flight of an old grant cannot touch a new one.

mod ending;
mod row;

use row::{Row, status_columns};

use super::columns::{micros, sealed_columns, text, to_json};
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::authorization::Resource;
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::page::{Cursor, Page, PageRequest};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, user_id, server, registration, issuer, resource, scopes, token_type, \
         token_endpoint, auth_version, generation, status, reason, access_token, access_token_key, \
         refresh_token, refresh_token_key, obtained_at, expires_at, rejected, intent, lease_owner, \
         lease_until, unknown_outcomes, failures, next_attempt_at, last_error, connected_at, \
         refreshed_at, version, forced"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND user_id = $2 AND server = $3");
    LIST_OF_USER = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND user_id = $2 AND id > $3 ORDER BY id LIMIT $4");
    LIST = concat!("SELECT ", columns!(), " FROM connections \
        WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3");
    LAST_GENERATION = "SELECT COALESCE(MAX(generation), 0) FROM ( \
        SELECT generation FROM connections WHERE tenant = $1 AND user_id = $2 AND server = $3 \
        UNION ALL SELECT generation FROM connection_tombstones \
        WHERE tenant = $1 AND user_id = $2 AND server = $3) AS past";
    INSERT = concat!("INSERT INTO connections (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, \
        $28, $29, $30, $31, $32)");
    RENEW = "UPDATE connections SET generation = $3, status = $4, reason = $5, access_token = $6, \
        access_token_key = $7, refresh_token = $8, refresh_token_key = $9, obtained_at = $10, \
        expires_at = $11, rejected = $12, intent = NULL, lease_owner = NULL, lease_until = NULL, \
        unknown_outcomes = $13, failures = $14, next_attempt_at = $15, last_error = NULL, scopes = $16, \
        token_type = $17, refreshed_at = $18, forced = $20, version = version + 1 \
        WHERE id = $1 AND version = $2 AND tenant = $19";
    SAVE_LIFE = "UPDATE connections SET status = $3, reason = $4, rejected = $5, intent = $6, \
        lease_owner = $7, lease_until = $8, unknown_outcomes = $9, failures = $10, \
        next_attempt_at = $11, last_error = $12, forced = $14, version = version + 1 \
        WHERE id = $1 AND version = $2 AND tenant = $13";
    DELETE = "DELETE FROM connections WHERE tenant = $1 AND user_id = $2 AND server = $3 \
        RETURNING id, generation";
    BURY = "INSERT INTO connection_tombstones (tenant, user_id, server, generation) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, user_id, server) \
        DO UPDATE SET generation = excluded.generation \
        WHERE excluded.generation > connection_tombstones.generation";
    TAKE = "DELETE FROM connections WHERE tenant = $1 AND id = $2 AND version = $3";
    END_LEASES = "UPDATE connections SET lease_until = $1, version = version + 1 WHERE lease_until > $1";
    BURY_OF_SERVER = "INSERT INTO connection_tombstones (tenant, user_id, server, generation) \
        SELECT tenant, user_id, server, generation FROM connections WHERE tenant = $1 AND server = $2 \
        ON CONFLICT (tenant, user_id, server) DO UPDATE SET generation = excluded.generation \
        WHERE excluded.generation > connection_tombstones.generation";
    DELETE_OF_SERVER = "DELETE FROM connections WHERE tenant = $1 AND server = $2 RETURNING id";
    INVALIDATE_OF_SERVER = "UPDATE connections SET status = 'reconnect_required', reason = $3, \
        intent = NULL, lease_owner = NULL, lease_until = NULL, access_token = NULL, \
        access_token_key = NULL, refresh_token = NULL, refresh_token_key = NULL, version = version + 1 \
        WHERE tenant = $1 AND server = $2 RETURNING id";
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

    /// A page of connections by id: one user's, or the whole tenant's.
    pub async fn list(
        &mut self,
        tenant: &TenantId,
        user: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<Connection>> {
        let after = page.start().1;
        let limit = page.size.saturating_add(1);
        let rows: Vec<Row> = match user {
            Some(user) => on!(&mut *self.0, |conn| sqlx::query_as(LIST_OF_USER)
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(after)
                .bind(limit)
                .fetch_all(conn)
                .await)?,
            None => on!(&mut *self.0, |conn| sqlx::query_as(LIST)
                .bind(tenant.as_str())
                .bind(after)
                .bind(limit)
                .fetch_all(conn)
                .await)?,
        };
        let connections = rows
            .into_iter()
            .map(Connection::try_from)
            .collect::<Result<_>>()?;
        Ok(Page::of(
            connections,
            page.size,
            |connection: &Connection| Cursor {
                key: String::new(),
                id: connection.id.to_string(),
            },
        ))
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

/// Writes the lifecycle of a connection that is still at the version it was read with.
async fn save_life(tx: &mut Tx, connection: &Connection) -> Result<bool> {
    let life = &connection.life;
    let (status, reason) = status_columns(life.status);
    let rows = on!(tx, |conn| sqlx::query(SAVE_LIFE)
        .bind(connection.id.to_string())
        .bind(connection.version)
        .bind(status)
        .bind(reason)
        .bind(life.rejected)
        .bind(text(life.attempt.map(|attempt| attempt.intent)))
        .bind(text(life.attempt.map(|attempt| attempt.owner)))
        .bind(micros(life.attempt.map(|attempt| attempt.until)))
        .bind(life.unknown_outcomes)
        .bind(life.failures)
        .bind(micros(life.next_attempt_at))
        .bind(connection.last_error.as_deref())
        .bind(connection.tenant.as_str())
        .bind(life.forced)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

/// Changes connections.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, subject: String, op: Op) {
        let kind = ChangeKind::Connection;
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind,
            subject,
            op,
        });
    }

    /// Adds a connection. A user has one per server: take the old one away first; a conflict means
    /// that another one was stored at the same time.
    pub async fn insert(&mut self, connection: &Connection) -> Result<()> {
        let life = &connection.life;
        let (status, reason) = status_columns(life.status);
        let (access, access_key) = sealed_columns(connection.access_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(connection.refresh_token.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(connection.id.to_string())
            .bind(connection.tenant.as_str())
            .bind(connection.user.as_str())
            .bind(connection.server.to_string())
            .bind(connection.registration.to_string())
            .bind(connection.issuer.as_str())
            .bind(connection.resource.as_ref().map(Resource::as_str))
            .bind(to_json(&connection.scopes))
            .bind(&connection.token_type)
            .bind(&connection.token_endpoint)
            .bind(connection.auth_version)
            .bind(life.generation)
            .bind(status)
            .bind(reason)
            .bind(access)
            .bind(access_key)
            .bind(refresh)
            .bind(refresh_key)
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(life.rejected)
            .bind(text(life.attempt.map(|attempt| attempt.intent)))
            .bind(text(life.attempt.map(|attempt| attempt.owner)))
            .bind(micros(life.attempt.map(|attempt| attempt.until)))
            .bind(life.unknown_outcomes)
            .bind(life.failures)
            .bind(micros(life.next_attempt_at))
            .bind(connection.last_error.as_deref())
            .bind(connection.connected_at.as_micros())
            .bind(micros(connection.refreshed_at))
            .bind(connection.version)
            .bind(life.forced)
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(&connection.tenant, connection.id.to_string(), Op::Put);
        Ok(())
    }

    /// Writes new tokens and the lifecycle that goes with them. `false` when the row is no longer
    /// at the version it was read with.
    pub async fn renew(&mut self, connection: &Connection) -> Result<bool> {
        let life = &connection.life;
        let (status, reason) = status_columns(life.status);
        let (access, access_key) = sealed_columns(connection.access_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(connection.refresh_token.as_ref());
        let rows = on!(&mut *self.tx, |conn| sqlx::query(RENEW)
            .bind(connection.id.to_string())
            .bind(connection.version)
            .bind(life.generation)
            .bind(status)
            .bind(reason)
            .bind(access)
            .bind(access_key)
            .bind(refresh)
            .bind(refresh_key)
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(life.rejected)
            .bind(life.unknown_outcomes)
            .bind(life.failures)
            .bind(micros(life.next_attempt_at))
            .bind(to_json(&connection.scopes))
            .bind(&connection.token_type)
            .bind(micros(connection.refreshed_at))
            .bind(connection.tenant.as_str())
            .bind(life.forced)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(&connection.tenant, connection.id.to_string(), Op::Put);
        }
        Ok(rows == 1)
    }

    /// Writes a lifecycle that means something new to others (a refusal, an unknown outcome).
    /// `false` when the row is no longer at the version it was read with.
    pub async fn save_life(&mut self, connection: &Connection) -> Result<bool> {
        let saved = save_life(self.tx, connection).await?;
        if saved {
            self.changed(&connection.tenant, connection.id.to_string(), Op::Put);
        }
        Ok(saved)
    }
}

/// Leases and outcomes that leave a connection what it is.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Writes a lifecycle: a lease taken, a pause after a passing failure. `false` when the row is
    /// no longer at the version it was read with.
    pub async fn save_life(&mut self, connection: &Connection) -> Result<bool> {
        save_life(self.0, connection).await
    }

    /// Ends every lease now: what their holders had begun has an unknown outcome. For the start of
    /// the one process that has the database. Answers how many.
    pub async fn end_leases(&mut self, now: Timestamp) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(END_LEASES)
            .bind(now.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
