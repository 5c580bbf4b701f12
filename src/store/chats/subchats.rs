//! What agents that a chat spawned have, as it was at their first turn.

use super::{
    DELETE_OLD_SUBCHATS, GET_SUBCHAT, INSERT_SUBCHAT, INSERT_SUBCHAT_INLINE, INSERT_SUBCHAT_SERVER,
    LIST_SUBCHAT_INLINE, LIST_SUBCHAT_SERVERS, Reader, Writer,
};
use crate::domain::changes::Op;
use crate::domain::chats::Subchat;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::ChatId;
use crate::domain::time::Timestamp;
use crate::store::columns::Reading;
use crate::store::engine::on;
use crate::store::error::{Result, gone};

impl Reader<'_> {
    /// What a sub-chat has, less what was deleted since, if it had a turn.
    pub async fn get_subchat(
        &mut self,
        tenant: &TenantId,
        chat: &ChatId,
        id: &ChatId,
    ) -> Result<Option<Subchat>> {
        let created_at: Option<i64> = on!(&mut *self.0, |conn| sqlx::query_scalar(GET_SUBCHAT)
            .bind(tenant.as_str())
            .bind(chat.as_str())
            .bind(id.as_str())
            .fetch_optional(conn)
            .await)?;
        let Some(created_at) = created_at else {
            return Ok(None);
        };
        let mut lists = [LIST_SUBCHAT_SERVERS, LIST_SUBCHAT_INLINE].map(|list| (list, Vec::new()));
        for (statement, found) in &mut lists {
            let statement = *statement;
            let servers: Vec<String> = on!(&mut *self.0, |conn| sqlx::query_scalar(statement)
                .bind(tenant.as_str())
                .bind(chat.as_str())
                .bind(id.as_str())
                .fetch_all(conn)
                .await)?;
            let reading = Reading {
                table: "subchats",
                id: id.as_str(),
            };
            let server = |text: &String| reading.parse::<ServerId>("server", text);
            *found = servers.iter().map(server).collect::<Result<_>>()?;
        }
        let [(_, servers), (_, inline)] = lists;
        Ok(Some(Subchat {
            tenant: tenant.clone(),
            chat: chat.clone(),
            id: id.clone(),
            servers,
            inline,
            created_at: Timestamp::from_micros(created_at),
        }))
    }
}

impl Writer<'_> {
    /// Stores what a sub-chat has, and forgets the oldest of its chat where there are more than `most`. The
    /// chat must be held. `false` when the sub-chat had a turn before; a conflict when one of the
    /// servers went meanwhile.
    pub async fn insert_subchat(&mut self, subchat: &Subchat, most: u16) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(INSERT_SUBCHAT)
            .bind(subchat.tenant.as_str())
            .bind(subchat.chat.as_str())
            .bind(subchat.id.as_str())
            .bind(subchat.created_at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        let servers = subchat.servers.iter().map(|id| (INSERT_SUBCHAT_SERVER, id));
        let inline = subchat.inline.iter().map(|id| (INSERT_SUBCHAT_INLINE, id));
        for (statement, server) in servers.chain(inline) {
            on!(&mut *self.tx, |conn| sqlx::query(statement)
                .bind(subchat.tenant.as_str())
                .bind(subchat.chat.as_str())
                .bind(subchat.id.as_str())
                .bind(server.to_string())
                .execute(conn)
                .await
                .map(drop))
            .map_err(gone)?;
        }
        on!(&mut *self.tx, |conn| sqlx::query(DELETE_OLD_SUBCHATS)
            .bind(subchat.tenant.as_str())
            .bind(subchat.chat.as_str())
            .bind(subchat.id.as_str())
            .bind(i64::from(most) - 1)
            .execute(conn)
            .await
            .map(drop))?;
        self.changed(&subchat.tenant, &subchat.chat, Op::Put);
        Ok(true)
    }
}
