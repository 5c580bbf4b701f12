//! Rows of API keys: everything but their secrets, of which only the hash is kept.

use sqlx::FromRow;

use super::columns::{Reading, micros, time, to_json};
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::access::{ApiKey, Narrowing, Role};
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::ids::{ApiKeyId, ServerId};
use crate::domain::page::{Cursor, Page, PageRequest};
use crate::domain::tenants::{DEFAULT_TENANT, TenantId};
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, role, name, hash, user_id, methods, servers, source_cidrs, \
         requires_user_token, created_by, created_at, expires_at, revoked_at, last_used_at"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM api_keys WHERE id = $1");
    LIST = concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant = $1 AND (name, id) > ($2, $3) \
        ORDER BY name, id LIMIT $4");
    LIST_OPERATORS = concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant IS NULL \
        AND (name, id) > ($1, $2) ORDER BY name, id LIMIT $3");
    COUNT_OPERATORS = "SELECT COUNT(*) FROM api_keys WHERE role = 'operator' AND revoked_at IS NULL";
    INSERT = concat!("INSERT INTO api_keys (", columns!(), ") \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)");
    REVOKE = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    SEEN = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 \
        AND (last_used_at IS NULL OR last_used_at <= $3)";
}

#[derive(FromRow)]
struct Row {
    id: String,
    tenant: Option<String>,
    role: String,
    name: String,
    hash: Vec<u8>,
    user_id: Option<String>,
    methods: String,
    servers: String,
    source_cidrs: String,
    requires_user_token: bool,
    created_by: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for ApiKey {
    type Error = super::Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "api_keys",
            id: &row.id,
        };
        let servers: Vec<String> = reading.json("servers", &row.servers)?;
        let cidrs: Vec<String> = reading.json("source_cidrs", &row.source_cidrs)?;
        let server = |text: &String| reading.parse::<ServerId>("servers", text);
        let cidr = |text: &String| reading.parse("source_cidrs", text);
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: row
                .tenant
                .as_deref()
                .map(|tenant| reading.tenant(tenant))
                .transpose()?,
            role: reading.some("role", Role::parse(&row.role))?,
            hash: reading.hash("hash", &row.hash)?,
            user: row
                .user_id
                .as_deref()
                .map(|user| reading.user(user))
                .transpose()?,
            narrowing: Narrowing {
                methods: reading.json("methods", &row.methods)?,
                servers: servers.iter().map(server).collect::<Result<_>>()?,
                source_cidrs: cidrs.iter().map(cidr).collect::<Result<_>>()?,
                requires_user_token: row.requires_user_token,
            },
            name: row.name,
            created_by: row.created_by,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: time(row.expires_at),
            revoked_at: time(row.revoked_at),
            last_used_at: time(row.last_used_at),
        })
    }
}

/// Reads API keys.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The key with this public half, of whatever tenant: how callers are recognised.
    pub async fn get(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(ApiKey::try_from).transpose()
    }

    /// A page of a tenant's keys by name, or of the operators' where there is no tenant. A row that
    /// cannot be read is an error of its own.
    pub async fn list(
        &mut self,
        tenant: Option<&TenantId>,
        page: &PageRequest,
    ) -> Result<Page<Result<ApiKey>>> {
        let (name, id) = page.start();
        let rows: Vec<Row> = match tenant {
            Some(tenant) => on!(&mut *self.0, |conn| sqlx::query_as(LIST)
                .bind(tenant.as_str())
                .bind(name)
                .bind(id)
                .bind(page.size.saturating_add(1))
                .fetch_all(conn)
                .await)?,
            None => on!(&mut *self.0, |conn| sqlx::query_as(LIST_OPERATORS)
                .bind(name)
                .bind(id)
                .bind(page.size.saturating_add(1))
                .fetch_all(conn)
                .await)?,
        };
        let page = Page::of(rows, page.size, |row: &Row| Cursor {
            key: row.name.clone(),
            id: row.id.clone(),
        });
        Ok(page.map(ApiKey::try_from))
    }

    /// How many operator keys are in use.
    pub async fn count_operators(&mut self) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(
            COUNT_OPERATORS
        )
        .fetch_one(conn)
        .await)?)
    }
}

/// Changes API keys.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    #[expect(
        clippy::expect_used,
        reason = "a literal that follows the grammar of slugs"
    )]
    fn changed(&mut self, tenant: Option<&TenantId>, id: ApiKeyId, op: Op) {
        let default = || TenantId::parse(DEFAULT_TENANT).expect("`default` is a slug");
        let tenant = tenant.cloned().unwrap_or_else(default);
        self.changes.push(NewChange {
            tenant,
            kind: ChangeKind::ApiKey,
            subject: id.to_string(),
            op,
            owner: None,
        });
    }

    /// Adds a key; an id in use is a conflict.
    pub async fn insert(&mut self, key: &ApiKey) -> Result<()> {
        let cidrs: Vec<String> = key
            .narrowing
            .source_cidrs
            .iter()
            .map(ToString::to_string)
            .collect();
        let servers: Vec<String> = key
            .narrowing
            .servers
            .iter()
            .map(ToString::to_string)
            .collect();
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(key.id.to_string())
            .bind(key.tenant.as_ref().map(TenantId::as_str))
            .bind(key.role.as_str())
            .bind(&key.name)
            .bind(key.hash.as_bytes())
            .bind(key.user.as_ref().map(UserId::as_str))
            .bind(to_json(&key.narrowing.methods))
            .bind(to_json(&servers))
            .bind(to_json(&cidrs))
            .bind(key.narrowing.requires_user_token)
            .bind(&key.created_by)
            .bind(key.created_at.as_micros())
            .bind(micros(key.expires_at))
            .bind(micros(key.revoked_at))
            .bind(micros(key.last_used_at))
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(key.tenant.as_ref(), key.id, Op::Put);
        Ok(())
    }

    /// Revokes a key; `false` when it was revoked already.
    pub async fn revoke(&mut self, key: &ApiKey, at: Timestamp) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(REVOKE)
            .bind(key.id.to_string())
            .bind(at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(key.tenant.as_ref(), key.id, Op::Delete);
        }
        Ok(rows == 1)
    }
}

/// Notes uses.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Notes that a key was used, unless that was noted after `unless_after`.
    pub async fn seen(
        &mut self,
        id: ApiKeyId,
        at: Timestamp,
        unless_after: Timestamp,
    ) -> Result<()> {
        on!(&mut *self.0, |conn| sqlx::query(SEEN)
            .bind(id.to_string())
            .bind(at.as_micros())
            .bind(unless_after.as_micros())
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }
}
