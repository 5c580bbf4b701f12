//! How connections end: one by one, with their server, or because it changed. Whatever ends, its
//! generation is not used again.

use super::super::engine::on;
use super::super::error::Result;
use super::{
    BURY, BURY_OF_SERVER, DELETE, DELETE_OF_SERVER, INVALIDATE_OF_SERVER, RESUME_OF_SERVER,
    SUSPEND_OF_SERVER, TAKE, Writer,
};
use crate::domain::authorization::Issuer;
use crate::domain::changes::{Op, Owner};
use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::resolution::Reconnect;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

impl Writer<'_> {
    /// Takes a connection away and keeps its generation, unless a higher one is kept already. Answers its id, if there was one.
    pub async fn delete(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        server: ServerId,
    ) -> Result<Option<String>> {
        let gone: Option<(String, i64)> = on!(&mut *self.tx, |conn| sqlx::query_as(DELETE)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .fetch_optional(conn)
            .await)?;
        let Some((id, generation)) = gone else {
            return Ok(None);
        };
        self.bury((tenant, user, server), generation).await?;
        let user = user.clone();
        self.changed(tenant, id.clone(), Owner { user, server }, Op::Delete);
        Ok(Some(id))
    }

    /// Takes away a connection that is still at the version it was read with, and keeps its
    /// generation, unless a higher one is kept already.
    pub async fn take(&mut self, connection: &Connection) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(TAKE)
            .bind(connection.tenant.as_str())
            .bind(connection.id.to_string())
            .bind(connection.version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 0 {
            return Ok(false);
        }
        let (tenant, generation) = (&connection.tenant, connection.life.generation);
        self.bury((tenant, &connection.user, connection.server), generation)
            .await?;
        self.tell(connection, Op::Delete);
        Ok(true)
    }

    async fn bury(
        &mut self,
        (tenant, user, server): (&TenantId, &UserId, ServerId),
        generation: i64,
    ) -> Result<()> {
        on!(&mut *self.tx, |conn| sqlx::query(BURY)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .bind(generation)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Takes away every connection to a server that is about to be deleted, and keeps their
    /// generations. Answers how many.
    pub async fn delete_of_server(&mut self, tenant: &TenantId, server: ServerId) -> Result<usize> {
        on!(&mut *self.tx, |conn| sqlx::query(BURY_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .execute(conn)
            .await
            .map(drop))?;
        let rows = on!(&mut *self.tx, |conn| sqlx::query_as(DELETE_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .fetch_all(conn)
            .await)?;
        self.changed_of_server(tenant, server, rows, Op::Delete)
    }

    /// Ends every connection to a server, because its configuration changed, and forgets their
    /// tokens. Answers how many.
    pub async fn invalidate_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        now: Timestamp,
    ) -> Result<usize> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query_as(INVALIDATE_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(Reconnect::ServerChanged.as_str())
            .bind(now.as_micros())
            .fetch_all(conn)
            .await)?;
        self.changed_of_server(tenant, server, rows, Op::Put)
    }

    /// Sets every usable connection to a server aside, because its resource names another issuer now:
    /// the tokens are kept, and nothing is renewed. Answers how many.
    pub async fn suspend_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        now: Timestamp,
    ) -> Result<usize> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query_as(SUSPEND_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(Reconnect::IssuerChanged.as_str())
            .bind(now.as_micros())
            .fetch_all(conn)
            .await)?;
        self.changed_of_server(tenant, server, rows, Op::Put)
    }

    /// Takes up again what was set aside of an issuer that the resource names once more: as of this
    /// `auth_version`. Answers how many.
    pub async fn resume_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        (issuer, auth_version): (&Issuer, i64),
        now: Timestamp,
    ) -> Result<usize> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query_as(RESUME_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(issuer.as_str())
            .bind(Reconnect::IssuerChanged.as_str())
            .bind(auth_version)
            .bind(now.as_micros())
            .fetch_all(conn)
            .await)?;
        self.changed_of_server(tenant, server, rows, Op::Put)
    }
}
