//! Rows of root keys and data keys.

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::changes::NewChange;
use crate::domain::ids::DataKeyId;
use crate::domain::keys::{DataKey, RootKey, RootKeyId};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, root_key, wrapped, active, reserved_uses, created_at"
    };
}

statements! {
    LIST_ROOTS = "SELECT id, canary, created_at FROM root_keys ORDER BY created_at, id";
    INSERT_ROOT = "INSERT INTO root_keys (id, canary, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (id) DO NOTHING";
    GET = concat!("SELECT ", columns!(), " FROM data_keys WHERE id = $1 AND tenant = $2");
    FIND_ACTIVE = concat!("SELECT ", columns!(), " FROM data_keys WHERE tenant = $1 AND active");
    RETIRE_ACTIVE = "UPDATE data_keys SET active = FALSE WHERE tenant = $1 AND active";
    INSERT = concat!(
        "INSERT INTO data_keys (", columns!(), ") VALUES ($1, $2, $3, $4, TRUE, $5, $6)"
    );
    RESERVE = "UPDATE data_keys SET reserved_uses = reserved_uses + $2 WHERE id = $1 AND active \
        AND reserved_uses + $2 <= $3";
}

#[derive(FromRow)]
struct RootRow {
    id: String,
    canary: Vec<u8>,
    created_at: i64,
}

#[derive(FromRow)]
struct Row {
    id: String,
    tenant: String,
    root_key: String,
    wrapped: Vec<u8>,
    active: bool,
    reserved_uses: i64,
    created_at: i64,
}

impl TryFrom<Row> for DataKey {
    type Error = super::Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "data_keys",
            id: &row.id,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            root_key: RootKeyId(row.root_key),
            wrapped: row.wrapped,
            active: row.active,
            reserved_uses: row.reserved_uses,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

/// Reads keys.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// Every root key ever used, oldest first.
    pub async fn list_roots(&mut self) -> Result<Vec<RootKey>> {
        let rows: Vec<RootRow> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_ROOTS)
            .fetch_all(conn)
            .await)?;
        let roots = rows.into_iter().map(|row| RootKey {
            id: RootKeyId(row.id),
            canary: row.canary,
            created_at: Timestamp::from_micros(row.created_at),
        });
        Ok(roots.collect())
    }

    /// A data key of a tenant.
    pub async fn get(&mut self, tenant: &TenantId, id: DataKeyId) -> Result<Option<DataKey>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(id.to_string())
            .bind(tenant.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(DataKey::try_from).transpose()
    }

    /// The key that seals a tenant's new values, if it has one.
    pub async fn find_active(&mut self, tenant: &TenantId) -> Result<Option<DataKey>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_ACTIVE)
            .bind(tenant.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(DataKey::try_from).transpose()
    }
}

/// Changes keys.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(dead_code, reason = "every writer has it; keys are in nobody's feed")]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Remembers a root key; one known already stays as it is.
    pub async fn insert_root(&mut self, root: &RootKey) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(INSERT_ROOT)
            .bind(&root.id.0)
            .bind(&root.canary)
            .bind(root.created_at.as_micros())
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Makes this the key that seals a tenant's new values; the one before only opens from now on.
    /// A conflict means that another process did the same at the same time.
    pub async fn insert_active(&mut self, key: &DataKey) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(RETIRE_ACTIVE)
            .bind(key.tenant.as_str())
            .execute(conn)
            .await
            .map(drop))?;
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(key.id.to_string())
            .bind(key.tenant.as_str())
            .bind(&key.root_key.0)
            .bind(&key.wrapped)
            .bind(key.reserved_uses)
            .bind(key.created_at.as_micros())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)
    }
}

/// Counts uses.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Reserves a block of uses of an active key; `false` when it has none left or is retired.
    pub async fn reserve(&mut self, id: DataKeyId, block: i64, max: i64) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(RESERVE)
            .bind(id.to_string())
            .bind(block)
            .bind(max)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
