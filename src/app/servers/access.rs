//! Who may use a server: changes that add up.

use super::views::describe;
use super::{ServerRef, ServerView, check_etag, check_kind, find, may_see};
use crate::app::clients::current_client;
use crate::app::error::{Error, Result};
use crate::app::{App, Written};
use crate::domain::access::Caller;
use crate::domain::servers::{AccessPatch, Server, Spec};
use crate::store;

impl App {
    /// Adds and removes users and groups of a server. Calls made at the same time add up; whoever loses access
    /// has lost it at the next resolve. Nothing is written where nothing changes.
    pub async fn modify_server_access(
        &self,
        caller: &Caller,
        server: &ServerRef,
        etag: Option<&str>,
        patch: &AccessPatch,
    ) -> Result<Written<ServerView>> {
        let tenant = &caller.tenant;
        let mut tx = self.0.store.read().await?;
        let found = find(&mut tx, tenant, server).await?;
        let found = found.filter(|found| may_see(caller, None, found));
        let id = found.ok_or(Error::ServerNotFound)?.id;
        drop(tx);
        // One at a time: each adds to what the one before left.
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, id).await?;
        let current = tx.servers().get(tenant, id).await?;
        let current = current.ok_or(Error::ServerNotFound)?;
        check_kind(caller, &[current.spec.auth.kind()])?;
        check_etag(&current, etag)?;
        if current.owner.is_some() {
            let what = "is personal: its owner alone may use it";
            return Err(Error::invalid("server", what));
        }
        let access = patch.applied_to(&current.spec.access)?;
        let before = describe(&current);
        let same = access == current.spec.access;
        let mut next = Server {
            spec: Spec {
                access,
                ..current.spec
            },
            ..current
        };
        let revision = if same {
            let revision = tx.feed().head(tenant).await?;
            drop(tx);
            revision
        } else {
            next.updated_by = caller.principal();
            next.updated_at = self.0.clock.now();
            let mut event = self.event(tenant, caller.origin(), "server.access", next.id);
            event.detail = serde_json::json!({ "before": before, "after": describe(&next) });
            if !tx.servers_mut().update(&next).await? {
                return Err(Error::StoreUnavailable(store::Error::Conflict));
            }
            next.version += 1;
            tx.commit(&event).await?
        };
        let client = current_client(&mut self.0.store.read().await?, &next).await?;
        Ok(Written {
            value: self.full_view(next, client),
            revision,
        })
    }
}
