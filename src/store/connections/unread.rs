//! The end of a connection whose row cannot be read.

use super::{BURY, TAKE_UNREAD, Writer};
use crate::domain::changes::{ChangeKind, NewChange, Op, Owner};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::store::engine::on;
use crate::store::error::Result;

impl Writer<'_> {
    /// Takes a user's connection away by the id that a complaint about its row names, and keeps its
    /// generation, unless a higher one is kept already. `false` when there is none.
    pub async fn take_unread(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        id: &str,
    ) -> Result<bool> {
        let gone: Option<(String, i64)> = on!(&mut *self.tx, |conn| sqlx::query_as(TAKE_UNREAD)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(id)
            .fetch_optional(conn)
            .await)?;
        let Some((server, generation)) = gone else {
            return Ok(false);
        };
        on!(&mut *self.tx, |conn| sqlx::query(BURY)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(&server)
            .bind(generation)
            .execute(conn)
            .await
            .map(drop))?;
        let owner = server.parse().ok().map(|server| Owner {
            user: user.clone(),
            server,
        });
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Connection,
            subject: id.to_owned(),
            op: Op::Delete,
            owner,
        });
        Ok(true)
    }
}
