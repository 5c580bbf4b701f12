//! What changes of connections tell the feed: which, and whose, so that nobody else learns of them.

use super::Writer;
use crate::domain::changes::{ChangeKind, NewChange, Op, Owner};
use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::store::columns::Reading;
use crate::store::error::Result;

impl Writer<'_> {
    pub(super) fn changed(&mut self, tenant: &TenantId, subject: String, owner: Owner, op: Op) {
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Connection,
            subject,
            op,
            owner: Some(owner),
        });
    }

    pub(super) fn tell(&mut self, connection: &Connection, op: Op) {
        let owner = Owner {
            user: connection.user.clone(),
            server: connection.server,
        };
        let subject = connection.id.to_string();
        self.changed(&connection.tenant, subject, owner, op);
    }

    /// Notes what happened to every connection of a server; answers how many there were.
    pub(super) fn changed_of_server(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
        rows: Vec<(String, String)>,
        op: Op,
    ) -> Result<usize> {
        let count = rows.len();
        for (id, user) in rows {
            let reading = Reading {
                table: "connections",
                id: &id,
            };
            let user = reading.user(&user)?;
            self.changed(tenant, id, Owner { user, server }, op);
        }
        Ok(count)
    }
}
