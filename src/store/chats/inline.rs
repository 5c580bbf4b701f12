//! Servers that are attached to a chat.

use sqlx::FromRow;

use super::{DELETE_INLINE, FIND_INLINE_OWNER, LIST_INLINE, Reader, TOUCH, UPSERT_INLINE, Writer};
use crate::domain::changes::Op;
use crate::domain::chats::{Allowed, InlineServer};
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::{ChatId, Slug, UserId};
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, sealed_columns, to_json};
use crate::store::engine::on;
use crate::store::error::{Error, Result};

#[derive(FromRow)]
struct Row {
    id: String,
    slug: String,
    url: String,
    headers: Option<Vec<u8>>,
    headers_key: Option<String>,
    header_count: i64,
    tools: String,
    allow_in_plan_mode: bool,
    allow_in_subagents: bool,
    forward_identity_headers: bool,
    version: i64,
}

impl TryFrom<Row> for InlineServer {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "inline_servers",
            id: &row.id,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            slug: reading.some("slug", Slug::parse(&row.slug).ok())?,
            headers: reading.sealed("headers", row.headers, row.headers_key)?,
            tools: reading.json("tools", &row.tools)?,
            url: row.url,
            header_count: row.header_count,
            allowed: Allowed {
                in_plan_mode: row.allow_in_plan_mode,
                in_subagents: row.allow_in_subagents,
            },
            forward_identity_headers: row.forward_identity_headers,
            version: row.version,
        })
    }
}

impl Reader<'_> {
    /// What is attached to a chat, by slug. A row that cannot be read is an error of its own.
    pub async fn list_inline(
        &mut self,
        tenant: &TenantId,
        chat: &ChatId,
    ) -> Result<Vec<Result<InlineServer>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_INLINE)
            .bind(tenant.as_str())
            .bind(chat.as_str())
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(InlineServer::try_from).collect())
    }

    /// Whose chat a server is attached to, if it is to one.
    pub async fn find_inline_owner(
        &mut self,
        tenant: &TenantId,
        id: ServerId,
    ) -> Result<Option<UserId>> {
        let owner: Option<String> =
            on!(&mut *self.0, |conn| sqlx::query_scalar(FIND_INLINE_OWNER)
                .bind(tenant.as_str())
                .bind(id.to_string())
                .fetch_optional(conn)
                .await)?;
        let reading = Reading {
            table: "chats",
            id: &id.to_string(),
        };
        let owner = owner.map(|owner| reading.some("owner", UserId::parse(&owner).ok()));
        owner.transpose()
    }
}

impl Writer<'_> {
    /// Attaches a server to a chat, or replaces the one with its id. The chat must be held.
    pub async fn put_inline(
        &mut self,
        tenant: &TenantId,
        chat: &ChatId,
        server: &InlineServer,
    ) -> Result<()> {
        let (headers, key) = sealed_columns(server.headers.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(UPSERT_INLINE)
            .bind(server.id.to_string())
            .bind(tenant.as_str())
            .bind(chat.as_str())
            .bind(server.slug.as_str())
            .bind(&server.url)
            .bind(headers)
            .bind(key)
            .bind(server.header_count)
            .bind(to_json(&server.tools))
            .bind(server.allowed.in_plan_mode)
            .bind(server.allowed.in_subagents)
            .bind(server.forward_identity_headers)
            .bind(server.version)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Detaches a server from a chat, whether its row can be read or not. `false` when it was not attached.
    pub async fn delete_inline(
        &mut self,
        tenant: &TenantId,
        chat: &ChatId,
        id: &str,
    ) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE_INLINE)
            .bind(tenant.as_str())
            .bind(chat.as_str())
            .bind(id)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Says that what is attached to a chat changed.
    pub async fn touch(&mut self, tenant: &TenantId, chat: &ChatId, now: Timestamp) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(TOUCH)
            .bind(tenant.as_str())
            .bind(chat.as_str())
            .bind(now.as_micros())
            .execute(conn)
            .await
            .map(drop))?;
        self.changed(tenant, chat, Op::Put);
        Ok(())
    }
}
