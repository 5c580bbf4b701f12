//! Handshakes that are over, for what they tell about the next one.

use super::super::engine::on;
use super::super::error::Result;
use super::{LIST_FINISHED, Reader, Row};
use crate::domain::handshakes::Handshake;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

/// The most that are read.
const MOST: i64 = 32;

impl Reader<'_> {
    /// What a user connected to a server, or failed to, since then: the latest 32, the newest first. A
    /// row that cannot be read is an error of its own.
    pub async fn list_finished(
        &mut self,
        (tenant, user, server): (&TenantId, &UserId, ServerId),
        since: Timestamp,
    ) -> Result<Vec<Result<Handshake>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_FINISHED)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .bind(since.as_micros())
            .bind(MOST)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Handshake::try_from).collect())
    }
}
