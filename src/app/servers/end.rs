//! The end of a server made ready: what is to be revoked at providers is known before anything is deleted.

use super::super::App;
use super::super::error::Result;
use super::super::revocations::ServerPlan;
use super::Ended;
use super::views::describe;
use crate::domain::access::Caller;
use crate::domain::audit::NewAuditEvent;
use crate::domain::ids::ServerId;
use crate::domain::revocations::Reason;
use crate::domain::servers::Server;
use crate::store::Write;

/// A deletion that is ready to be written. Dropped, nothing was deleted.
#[derive(Debug)]
pub(super) struct End {
    pub(super) event: NewAuditEvent,
    current: Server,
    plan: ServerPlan,
}

impl App {
    /// Plans the end of everything that a server has.
    pub(super) async fn end_ready(
        &self,
        caller: &Caller,
        current: Server,
        reason: Reason,
    ) -> Result<End> {
        let event = self.event(&caller.tenant, caller.origin(), "server.delete", current.id);
        let plan = self.plan_of_server(&current, reason).await?;
        Ok(End {
            event,
            current,
            plan,
        })
    }
}

impl End {
    pub(super) fn id(&self) -> ServerId {
        self.current.id
    }

    /// Deletes the server. Answers what ended, or `None` where something is not as it was read: nothing may
    /// be committed then.
    pub(super) async fn write(&mut self, tx: &mut Write) -> Result<Option<Ended>> {
        let (tenant, id) = (&self.current.tenant, self.current.id);
        tx.servers_mut().hold(tenant, id).await?;
        let Some(queued) = self.plan.queue(tx).await? else {
            return Ok(None);
        };
        let version = self.current.version;
        let connections = tx.connections_mut().delete_of_server(tenant, id).await?;
        let mut values = tx.user_headers_mut();
        let ended = Ended {
            connections,
            header_values: values.delete_of_server(tenant, id, version).await?,
        };
        self.event.detail = serde_json::json!({
            "before": describe(&self.current),
            "connections": ended.connections,
            "header_values": ended.header_values,
            "revocations": queued,
        });
        let gone = tx.servers_mut().delete(tenant, id, version).await?;
        Ok(gone.then_some(ended))
    }
}
