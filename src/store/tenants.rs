//! Rows of tenants.

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::page::{Cursor, Page, PageRequest};
use crate::domain::tenants::{Tenant, TenantId, TenantState};
use crate::domain::time::Timestamp;

statements! {
    GET = "SELECT id, display_name, state, created_at, updated_at FROM tenants WHERE id = $1";
    LIST = "SELECT id, display_name, state, created_at, updated_at FROM tenants \
        WHERE state = 'active' AND (display_name, id) > ($1, $2) ORDER BY display_name, id LIMIT $3";
    INSERT = "INSERT INTO tenants (id, display_name, state, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5)";
    LIST_DELETING = "SELECT id, display_name, state, created_at, updated_at FROM tenants \
        WHERE state = 'deleting' ORDER BY id";
    LIST_DELETED = "SELECT id FROM tenants WHERE state = 'deleted' AND updated_at > $1 ORDER BY id";
    HOLD = "UPDATE tenants SET state = state WHERE id = $1 AND state = 'active'";
    HOLD_KEPT = "UPDATE tenants SET state = state WHERE id = $1 AND state <> 'deleted'";
    BURY = "UPDATE tenants SET state = 'deleting', display_name = '', updated_at = $2 \
        WHERE id = $1 AND state = 'active'";
    SHRED = "UPDATE tenants SET state = 'deleted' WHERE id = $1 AND state = 'deleting'";
    DELETE_CHATS = "DELETE FROM chats WHERE tenant = $1";
    DELETE_SERVERS = "DELETE FROM servers WHERE tenant = $1";
    DELETE_TOMBSTONES = "DELETE FROM connection_tombstones WHERE tenant = $1";
    DELETE_HEADER_VERSIONS = "DELETE FROM user_header_versions WHERE tenant = $1";
    DELETE_IDENTITIES = "DELETE FROM identities WHERE tenant = $1";
    DELETE_IDENTITY_TOMBSTONES = "DELETE FROM identity_tombstones WHERE tenant = $1";
    DELETE_API_KEYS = "DELETE FROM api_keys WHERE tenant = $1";
    DELETE_REQUESTS = "DELETE FROM requests WHERE tenant = $1";
    DELETE_DATA_KEYS = "DELETE FROM data_keys WHERE tenant = $1";
}

#[derive(FromRow)]
struct Row {
    id: String,
    display_name: String,
    state: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Tenant {
    type Error = super::Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "tenants",
            id: &row.id,
        };
        Ok(Self {
            id: reading.some("id", TenantId::parse(&row.id).ok())?,
            state: reading.some("state", TenantState::parse(&row.state))?,
            display_name: row.display_name,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

/// Reads tenants.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The tenant of this name, deleted ones included.
    pub async fn get(&mut self, id: &TenantId) -> Result<Option<Tenant>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(id.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(Tenant::try_from).transpose()
    }

    /// A page of tenants in use, by (display name, id). A row that cannot be read is an error of its
    /// own.
    pub async fn list(&mut self, page: &PageRequest) -> Result<Page<Result<Tenant>>> {
        let (name, id) = page.start();
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST)
            .bind(name)
            .bind(id)
            .bind(page.size.saturating_add(1))
            .fetch_all(conn)
            .await)?;
        let page = Page::of(rows, page.size, |row: &Row| Cursor {
            key: row.display_name.clone(),
            id: row.id.clone(),
        });
        Ok(page.map(Tenant::try_from))
    }
}

impl Reader<'_> {
    /// Every tenant that is being deleted. A row that cannot be read is an error of its own.
    pub async fn list_deleting(&mut self) -> Result<Vec<Result<Tenant>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_DELETING)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Tenant::try_from).collect())
    }

    /// The tenants that are gone and whose deletion was asked for after a point in time. One whose id
    /// cannot be read is an error of its own.
    pub async fn list_deleted(&mut self, after: Timestamp) -> Result<Vec<Result<TenantId>>> {
        let ids: Vec<String> = on!(&mut *self.0, |conn| sqlx::query_scalar(LIST_DELETED)
            .bind(after.as_micros())
            .fetch_all(conn)
            .await)?;
        let id = |id: &String| {
            let reading = Reading {
                table: "tenants",
                id,
            };
            reading.tenant(id)
        };
        Ok(ids.iter().map(id).collect())
    }
}

/// Changes tenants.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, op: Op) {
        let subject = tenant.to_string();
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Tenant,
            subject,
            op,
            owner: None,
        });
    }

    /// Adds a tenant; a name used before, by a deleted one too, is a conflict.
    pub async fn insert(&mut self, tenant: &Tenant) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(tenant.id.as_str())
            .bind(&tenant.display_name)
            .bind(tenant.state.as_str())
            .bind(tenant.created_at.as_micros())
            .bind(tenant.updated_at.as_micros())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(&tenant.id, Op::Put);
        Ok(())
    }

    /// Keeps others from deleting a tenant, or from doing what holds it as well, until this
    /// transaction ends. `false` when it is not in use.
    pub async fn hold(&mut self, id: &TenantId) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(HOLD)
            .bind(id.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// The same of one whose keys are not destroyed, in use or being deleted. `false` when they are.
    pub async fn hold_kept(&mut self, id: &TenantId) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(HOLD_KEPT)
            .bind(id.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Deletes everything a tenant has but its revocations and the keys that open them, and keeps
    /// its name. Answers whether it was in use.
    pub async fn delete(&mut self, id: &TenantId, at: Timestamp) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(BURY)
            .bind(id.as_str())
            .bind(at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        let sweep = [
            DELETE_CHATS,
            DELETE_SERVERS,
            DELETE_TOMBSTONES,
            DELETE_HEADER_VERSIONS,
            DELETE_IDENTITIES,
            DELETE_IDENTITY_TOMBSTONES,
            DELETE_API_KEYS,
            DELETE_REQUESTS,
        ];
        for statement in sweep {
            on!(&mut *self.tx, |conn| sqlx::query(statement)
                .bind(id.as_str())
                .execute(conn)
                .await
                .map(drop))?;
        }
        self.changed(id, Op::Delete);
        Ok(true)
    }

    /// Destroys the data keys of a tenant that is being deleted; nothing may be sealed under them
    /// any more. Answers whether it was being deleted.
    pub async fn shred(&mut self, id: &TenantId) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(SHRED)
            .bind(id.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        // Chats and identities hold what is sealed, and may have been written while the tenant was being deleted.
        for statement in [DELETE_CHATS, DELETE_IDENTITIES, DELETE_DATA_KEYS] {
            on!(&mut *self.tx, |conn| sqlx::query(statement)
                .bind(id.as_str())
                .execute(conn)
                .await
                .map(drop))?;
        }
        self.changed(id, Op::Delete);
        Ok(true)
    }
}
