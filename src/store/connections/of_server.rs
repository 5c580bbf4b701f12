//! Who is connected to one server.

use super::row::Row;
use super::{LIST_OF_SERVER, Reader};
use crate::domain::connections::{Connection, StatusKind};
use crate::domain::ids::ServerId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::tenants::TenantId;
use crate::store::engine::on;
use crate::store::error::Result;

impl Reader<'_> {
    /// A page of a server's connections by user, in one status or in any; the deployment's own comes
    /// first. A row that cannot be read is an error of its own.
    pub async fn list_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        status: Option<StatusKind>,
        page: &PageRequest,
    ) -> Result<Page<Result<Connection>>> {
        let (user, id) = page.start();
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_OF_SERVER)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .bind(user)
            .bind(id)
            .bind(status.map_or("", StatusKind::as_str))
            .bind(page.size.saturating_add(1))
            .fetch_all(conn)
            .await)?;
        let page = Page::of(rows, page.size, Row::place_of_user);
        Ok(page.map(Connection::try_from))
    }
}
