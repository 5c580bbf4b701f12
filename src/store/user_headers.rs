//! Rows of header values that users supply, and of how often those of a user for a server changed.
//! Whoever changes them holds the server, so that what it declares stays as it is meanwhile.

use std::collections::BTreeSet;

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::{Error, Result};
use crate::domain::changes::{ChangeKind, NewChange, Op, Owner};
use crate::domain::ids::ServerId;
use crate::domain::secrets::Sealed;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::domain::user_headers::HeaderValue;

statements! {
    LIST = "SELECT id, tenant, user_id, server, name, value, value_key, updated_at FROM user_headers \
        WHERE tenant = $1 AND user_id = $2 AND server = $3 ORDER BY name";
    LIST_SET = "SELECT name, updated_at FROM user_headers \
        WHERE tenant = $1 AND user_id = $2 AND server = $3 ORDER BY name";
    LIST_NAMES_OF_USER = "SELECT server, name FROM user_headers WHERE tenant = $1 AND user_id = $2 \
        ORDER BY server, name";
    VERSION = "SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM user_header_versions \
        WHERE tenant = $1 AND server = $3 AND user_id IN ('', $2)";
    PUT = "INSERT INTO user_headers (id, tenant, user_id, server, name, value, value_key, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, user_id, server, name) \
        DO UPDATE SET id = excluded.id, value = excluded.value, value_key = excluded.value_key, \
        updated_at = excluded.updated_at";
    DELETE_NAME = "DELETE FROM user_headers \
        WHERE tenant = $1 AND user_id = $2 AND server = $3 AND name = $4";
    DELETE = "DELETE FROM user_headers WHERE tenant = $1 AND user_id = $2 AND server = $3";
    DELETE_OF_USER = "DELETE FROM user_headers WHERE tenant = $1 AND user_id = $2 RETURNING server";
    LIST_NAMES_OF_SERVER = "SELECT DISTINCT name FROM user_headers WHERE tenant = $1 AND server = $2";
    DELETE_NAME_OF_SERVER = "DELETE FROM user_headers WHERE tenant = $1 AND server = $2 AND name = $3 \
        RETURNING user_id";
    ADVANCE = "INSERT INTO user_header_versions (tenant, user_id, server, version) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, user_id, server) \
        DO UPDATE SET version = user_header_versions.version + excluded.version";
}

#[derive(FromRow)]
struct Row {
    id: String,
    tenant: String,
    user_id: String,
    server: String,
    name: String,
    value: Vec<u8>,
    value_key: String,
    updated_at: i64,
}

impl TryFrom<Row> for HeaderValue {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "user_headers",
            id: &row.id,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            user: reading.user(&row.user_id)?,
            server: reading.parse("server", &row.server)?,
            value: Sealed {
                key: reading.parse("value", &row.value_key)?,
                bytes: row.value,
            },
            updated_at: Timestamp::from_micros(row.updated_at),
            name: row.name,
        })
    }
}

/// The id of a server in the row of a value.
fn server_id(server: &str) -> Result<ServerId> {
    let reading = Reading {
        table: "user_headers",
        id: server,
    };
    reading.parse("server", server)
}

/// Reads header values.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// A user's values for a server, by name.
    pub async fn list(&mut self, tenant: &TenantId, owner: &Owner) -> Result<Vec<HeaderValue>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(owner.user.as_str())
            .bind(owner.server.to_string())
            .fetch_all(conn)
            .await)?;
        rows.into_iter().map(HeaderValue::try_from).collect()
    }

    /// For which headers of a server a user has values, by name, and since when. Tells so of values that
    /// cannot be read, too.
    pub async fn list_set(
        &mut self,
        tenant: &TenantId,
        owner: &Owner,
    ) -> Result<Vec<(String, Timestamp)>> {
        let rows: Vec<(String, i64)> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_SET)
            .bind(tenant.as_str())
            .bind(owner.user.as_str())
            .bind(owner.server.to_string())
            .fetch_all(conn)
            .await)?;
        let set = rows
            .into_iter()
            .map(|(name, at)| (name, Timestamp::from_micros(at)));
        Ok(set.collect())
    }

    /// For which headers of which servers a user has values.
    pub async fn list_names_of_user(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Vec<(ServerId, String)>> {
        let rows: Vec<(String, String)> =
            on!(&mut *self.0, |conn| sqlx::query_as(LIST_NAMES_OF_USER)
                .bind(tenant.as_str())
                .bind(user.as_str())
                .fetch_all(conn)
                .await)?;
        let names = rows.into_iter();
        names
            .map(|(server, name)| Ok((server_id(&server)?, name)))
            .collect()
    }

    /// How often what a user supplies for a server changed, over everything that was deleted and made
    /// again meanwhile. Added to the server's own version it never goes back.
    pub async fn version(&mut self, tenant: &TenantId, owner: &Owner) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(VERSION)
            .bind(tenant.as_str())
            .bind(owner.user.as_str())
            .bind(owner.server.to_string())
            .fetch_one(conn)
            .await)?)
    }
}

/// Changes header values.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, owner: Owner, op: Op) {
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::UserHeaders,
            subject: format!("{}/{}", owner.server, owner.user),
            op,
            owner: Some(owner),
        });
    }

    /// Keeps that the values of a user, or of nobody, changed so often for a server.
    async fn advance(
        &mut self,
        tenant: &TenantId,
        (user, server): (&UserId, ServerId),
        by: i64,
    ) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(ADVANCE)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .bind(by)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Sets values of one user for one server, which take the place of those stored, and deletes those of
    /// the names to clear. Answers which of these there were. The version grows if anything changed.
    pub async fn update(
        &mut self,
        tenant: &TenantId,
        owner: &Owner,
        set: &[HeaderValue],
        clear: &[String],
    ) -> Result<Vec<String>> {
        for value in set {
            on!(&mut *self.tx, |conn| sqlx::query(PUT)
                .bind(value.id.to_string())
                .bind(tenant.as_str())
                .bind(owner.user.as_str())
                .bind(owner.server.to_string())
                .bind(&value.name)
                .bind(&value.value.bytes)
                .bind(value.value.key.to_string())
                .bind(value.updated_at.as_micros())
                .execute(conn)
                .await
                .map(drop))?;
        }
        let mut cleared = Vec::new();
        for name in clear {
            let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE_NAME)
                .bind(tenant.as_str())
                .bind(owner.user.as_str())
                .bind(owner.server.to_string())
                .bind(name)
                .execute(conn)
                .await
                .map(|done| done.rows_affected()))?;
            if rows == 1 {
                cleared.push(name.clone());
            }
        }
        if !set.is_empty() || !cleared.is_empty() {
            self.advance(tenant, (&owner.user, owner.server), 1).await?;
            self.changed(tenant, owner.clone(), Op::Put);
        }
        Ok(cleared)
    }

    /// Deletes all values of a user for a server. Answers how many; the version grows if there were any.
    pub async fn delete(&mut self, tenant: &TenantId, owner: &Owner) -> Result<u64> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(owner.user.as_str())
            .bind(owner.server.to_string())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows > 0 {
            self.advance(tenant, (&owner.user, owner.server), 1).await?;
            self.changed(tenant, owner.clone(), Op::Delete);
        }
        Ok(rows)
    }

    /// Deletes all values of a user, and keeps their versions. Answers how many.
    pub async fn delete_of_user(&mut self, tenant: &TenantId, user: &UserId) -> Result<usize> {
        let gone: Vec<String> = on!(&mut *self.tx, |conn| sqlx::query_scalar(DELETE_OF_USER)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .fetch_all(conn)
            .await)?;
        let servers: BTreeSet<&String> = gone.iter().collect();
        for server in servers {
            let server = server_id(server)?;
            self.advance(tenant, (user, server), 1).await?;
            let user = user.clone();
            self.changed(tenant, Owner { user, server }, Op::Delete);
        }
        Ok(gone.len())
    }

    /// Deletes everybody's values for the headers of a server that are not among those kept. Answers how
    /// many. The server's own version has to grow with that.
    pub async fn delete_undeclared(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        kept: &[String],
    ) -> Result<usize> {
        let names: Vec<String> = on!(&mut *self.tx, |conn| sqlx::query_scalar(
            LIST_NAMES_OF_SERVER
        )
        .bind(tenant.as_str())
        .bind(server.to_string())
        .fetch_all(conn)
        .await)?;
        let mut gone = Vec::new();
        for name in names.iter().filter(|name| !kept.contains(name)) {
            let users: Vec<String> = on!(&mut *self.tx, |conn| sqlx::query_scalar(
                DELETE_NAME_OF_SERVER
            )
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(name)
            .fetch_all(conn)
            .await)?;
            gone.extend(users);
        }
        let users: BTreeSet<&String> = gone.iter().collect();
        for user in users {
            let reading = Reading {
                table: "user_headers",
                id: user,
            };
            let user = reading.user(user)?;
            self.changed(tenant, Owner { user, server }, Op::Put);
        }
        Ok(gone.len())
    }

    /// Deletes everybody's values for a server that is about to be deleted at this version, and keeps how
    /// far the versions had come, for a server that is made under its id. Answers how many.
    pub async fn delete_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        version: i64,
    ) -> Result<usize> {
        let gone = self.delete_undeclared(tenant, server, &[]).await?;
        self.advance(tenant, (&UserId::nobody(), server), version)
            .await?;
        Ok(gone)
    }
}
