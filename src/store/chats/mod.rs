//! Rows of chats, their selections and what their sub-agents have. Deleting a server takes it out of every chat
//! (foreign key), and deleting a chat takes all that is its.

mod inline;
mod subchats;

use sqlx::FromRow;

use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::chats::Chat;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::{ChatId, UserId};
use crate::domain::time::Timestamp;
use crate::store::columns::Reading;
use crate::store::engine::{Tx, on, statements};
use crate::store::error::{Result, gone};

statements! {
    GET = "SELECT tenant, id, owner, has_selection, created_at, updated_at FROM chats \
        WHERE tenant = $1 AND id = $2";
    LIST_SERVERS = "SELECT server FROM chat_servers WHERE tenant = $1 AND chat = $2 ORDER BY position";
    UPSERT = "INSERT INTO chats (tenant, id, owner, has_selection, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, id) DO UPDATE SET \
        has_selection = excluded.has_selection, updated_at = excluded.updated_at \
        WHERE chats.owner = excluded.owner";
    HOLD = "INSERT INTO chats (tenant, id, owner, has_selection, created_at, updated_at) \
        VALUES ($1, $2, $3, FALSE, $4, $4) ON CONFLICT (tenant, id) DO UPDATE SET owner = excluded.owner \
        WHERE chats.owner = excluded.owner";
    CLEAR_SERVERS = "DELETE FROM chat_servers WHERE tenant = $1 AND chat = $2";
    INSERT_SERVER = "INSERT INTO chat_servers (tenant, chat, server, position) VALUES ($1, $2, $3, $4)";
    DELETE = "DELETE FROM chats WHERE tenant = $1 AND id = $2 AND owner = $3";
    DELETE_OF_OWNER = "DELETE FROM chats WHERE tenant = $1 AND owner = $2 RETURNING id";
    TOUCH = "UPDATE chats SET updated_at = $3 WHERE tenant = $1 AND id = $2";
    LIST_INLINE = "SELECT id, slug, url, headers, headers_key, header_count, tools, allow_in_plan_mode, \
        allow_in_subagents, forward_identity_headers, version FROM inline_servers \
        WHERE tenant = $1 AND chat = $2 ORDER BY slug";
    FIND_INLINE_OWNER = "SELECT chats.owner FROM inline_servers JOIN chats \
        ON chats.tenant = inline_servers.tenant AND chats.id = inline_servers.chat \
        WHERE inline_servers.tenant = $1 AND inline_servers.id = $2";
    UPSERT_INLINE = "INSERT INTO inline_servers (id, tenant, chat, slug, url, headers, headers_key, \
        header_count, tools, allow_in_plan_mode, allow_in_subagents, forward_identity_headers, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO UPDATE SET \
        url = excluded.url, headers = excluded.headers, headers_key = excluded.headers_key, \
        header_count = excluded.header_count, tools = excluded.tools, \
        allow_in_plan_mode = excluded.allow_in_plan_mode, \
        allow_in_subagents = excluded.allow_in_subagents, \
        forward_identity_headers = excluded.forward_identity_headers, version = excluded.version \
        WHERE inline_servers.tenant = excluded.tenant AND inline_servers.chat = excluded.chat";
    DELETE_INLINE = "DELETE FROM inline_servers WHERE tenant = $1 AND chat = $2 AND id = $3";
    GET_SUBCHAT = "SELECT created_at FROM subchats WHERE tenant = $1 AND chat = $2 AND id = $3";
    LIST_SUBCHAT_SERVERS = "SELECT server FROM subchat_servers \
        WHERE tenant = $1 AND chat = $2 AND subchat = $3 ORDER BY server";
    LIST_SUBCHAT_INLINE = "SELECT server FROM subchat_inline_servers \
        WHERE tenant = $1 AND chat = $2 AND subchat = $3 ORDER BY server";
    INSERT_SUBCHAT = "INSERT INTO subchats (tenant, chat, id, created_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (tenant, chat, id) DO NOTHING";
    INSERT_SUBCHAT_SERVER = "INSERT INTO subchat_servers (tenant, chat, subchat, server) \
        VALUES ($1, $2, $3, $4)";
    INSERT_SUBCHAT_INLINE = "INSERT INTO subchat_inline_servers (tenant, chat, subchat, server) \
        VALUES ($1, $2, $3, $4)";
    DELETE_OLD_SUBCHATS = "DELETE FROM subchats WHERE tenant = $1 AND chat = $2 AND id IN \
        (SELECT id FROM subchats WHERE tenant = $1 AND chat = $2 AND id <> $3 \
        ORDER BY created_at DESC, id DESC LIMIT 100 OFFSET $4)";
}

#[derive(FromRow)]
struct Row {
    tenant: String,
    id: String,
    owner: String,
    has_selection: bool,
    created_at: i64,
    updated_at: i64,
}

/// Reads chats.
#[derive(Debug)]
pub struct Reader<'t>(pub(in crate::store) &'t mut Tx);

impl Reader<'_> {
    /// The chat of this name, with its selection.
    pub async fn get(&mut self, tenant: &TenantId, id: &ChatId) -> Result<Option<Chat>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(conn)
            .await)?;
        let Some(row) = row else { return Ok(None) };
        let servers: Vec<String> = on!(&mut *self.0, |conn| sqlx::query_scalar(LIST_SERVERS)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .fetch_all(conn)
            .await)?;
        let reading = Reading {
            table: "chats",
            id: &row.id,
        };
        let server = |text: &String| reading.parse::<ServerId>("server", text);
        let servers = servers.iter().map(server).collect::<Result<Vec<_>>>()?;
        Ok(Some(Chat {
            tenant: reading.tenant(&row.tenant)?,
            id: reading.some("id", ChatId::parse(&row.id).ok())?,
            owner: reading.some("owner", UserId::parse(&row.owner).ok())?,
            selection: row.has_selection.then_some(servers),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }))
    }
}

/// Changes chats.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(in crate::store) tx: &'t mut Tx,
    pub(in crate::store) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, id: &ChatId, op: Op) {
        let subject = id.to_string();
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Chat,
            subject,
            op,
            owner: None,
        });
    }

    /// Stores a chat with its whole selection. `false` when the chat belongs to another user; a conflict
    /// when a server of the selection went meanwhile.
    pub async fn put(&mut self, chat: &Chat) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(UPSERT)
            .bind(chat.tenant.as_str())
            .bind(chat.id.as_str())
            .bind(chat.owner.as_str())
            .bind(chat.selection.is_some())
            .bind(chat.created_at.as_micros())
            .bind(chat.updated_at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        on!(&mut *self.tx, |conn| sqlx::query(CLEAR_SERVERS)
            .bind(chat.tenant.as_str())
            .bind(chat.id.as_str())
            .execute(conn)
            .await
            .map(drop))?;
        for (position, server) in (0_i64..).zip(chat.selection.iter().flatten()) {
            on!(&mut *self.tx, |conn| sqlx::query(INSERT_SERVER)
                .bind(chat.tenant.as_str())
                .bind(chat.id.as_str())
                .bind(server.to_string())
                .bind(position)
                .execute(conn)
                .await
                .map(drop))
            .map_err(gone)?;
        }
        self.changed(&chat.tenant, &chat.id, Op::Put);
        Ok(true)
    }

    /// Keeps a chat its owner's, and others from changing what is its, until this transaction ends; stores it, without a
    /// selection, where it is not known. `false` when it belongs to another user.
    pub async fn hold(
        &mut self,
        tenant: &TenantId,
        id: &ChatId,
        (owner, now): (&UserId, Timestamp),
    ) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(HOLD)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(owner.as_str())
            .bind(now.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Deletes a chat with all that is its; `false` when there is none.
    pub async fn delete(&mut self, tenant: &TenantId, id: &ChatId, owner: &UserId) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(owner.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(tenant, id, Op::Delete);
        }
        Ok(rows == 1)
    }

    /// Deletes every chat of a user. Answers how many.
    pub async fn delete_of_owner(&mut self, tenant: &TenantId, owner: &UserId) -> Result<usize> {
        let gone: Vec<String> = on!(&mut *self.tx, |conn| sqlx::query_scalar(DELETE_OF_OWNER)
            .bind(tenant.as_str())
            .bind(owner.as_str())
            .fetch_all(conn)
            .await)?;
        let count = gone.len();
        for subject in gone {
            self.changes.push(NewChange {
                tenant: tenant.clone(),
                kind: ChangeKind::Chat,
                subject,
                op: Op::Delete,
                owner: None,
            });
        }
        Ok(count)
    }
}
