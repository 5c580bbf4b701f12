//! Creating a server: everything that can be known here is checked first, then what must be asked of
//! others is, and then all of it is stored at once.

use super::super::error::{Error, Result};
use super::super::provision::{Holds, Slot};
use super::super::redirects::check_consent_page;
use super::super::requests::{Once, served};
use super::super::revocations::Unstored;
use super::super::{App, Written};
use super::views::describe;
use super::{NewServer, ServerRef, ServerView, check_kind, find, slug_taken};
use crate::domain::access::Caller;
use crate::domain::audit::NewAuditEvent;
use crate::domain::ids::ServerId;
use crate::domain::servers::{Draft, SealedSecrets, Server, Stored, check};
use crate::store::Write;

impl App {
    /// Makes a server. Atomic: nothing is stored unless everything is, and nothing before discovery
    /// and registration succeeded. Idempotent under a request id, at the same time too.
    pub async fn create_server(
        &self,
        caller: &Caller,
        new: NewServer,
    ) -> Result<Written<ServerView>> {
        let NewServer { id, draft, once } = new;
        let once = once.as_ref();
        if let Some(past) = self.created_before(caller, once).await? {
            return Ok(past);
        }
        let created = self.create_now(caller, id, draft, once).await;
        if let Err(Error::SlugTaken | Error::ServerIdTaken) = created
            && let Some(past) = self.created_before(caller, once).await?
        {
            return Ok(past);
        }
        created
    }

    /// What this very request made before.
    async fn created_before(
        &self,
        caller: &Caller,
        once: Option<&Once>,
    ) -> Result<Option<Written<ServerView>>> {
        let Some(once) = once else { return Ok(None) };
        let principal = caller.principal();
        let mut tx = self.0.store.read().await?;
        let Some(subject) = served(&mut tx, &once.of(caller, &principal)).await? else {
            return Ok(None);
        };
        let revision = tx.feed().head(&caller.tenant).await?;
        let server = ServerRef::parse(&subject)?;
        let value = self.view(tx, caller, &server, None).await?;
        Ok(Some(Written { value, revision }))
    }

    async fn create_now(
        &self,
        caller: &Caller,
        id: Option<ServerId>,
        draft: Draft,
        once: Option<&Once>,
    ) -> Result<Written<ServerView>> {
        self.judge_making(caller, &draft).await?;
        let mut making = Box::pin(self.make_ready(caller, id, draft)).await?;
        let mut tx = self.0.store.write().await?;
        making.write(&mut tx).await?;
        let Making {
            server,
            client,
            event,
        } = making;
        if let Some(once) = once {
            let principal = caller.principal();
            let request = once.of(caller, &principal);
            tx.requests_mut()
                .insert(&request, &server.id.to_string(), event.at)
                .await?;
        }
        let (revision, mut stored) = Unstored::commit(client, tx, &event).await?;
        Ok(Written {
            value: self.full_view(server, stored.pop()),
            revision,
        })
    }

    /// Judges a server to be made by everything that can be known here.
    pub(super) async fn judge_making(&self, caller: &Caller, draft: &Draft) -> Result<()> {
        check_kind(caller, &[draft.spec.auth.kind()])?;
        let mut found = check(draft, Stored::default(), self.0.settings.url_rules);
        found.extend(self.check_private_key(None, draft).await?);
        self.check_profile(&draft.spec, &mut found);
        check_consent_page(&draft.spec, &mut found);
        found.or(()).map_err(Error::from)
    }

    /// Asks of others what a server that was judged needs, and seals its secrets.
    pub(super) async fn make_ready(
        &self,
        caller: &Caller,
        id: Option<ServerId>,
        draft: Draft,
    ) -> Result<Making> {
        let tenant = &caller.tenant;
        let taken = ServerRef::Slug(draft.spec.slug.clone());
        let mut tx = self.0.store.read().await?;
        if find(&mut tx, tenant, &taken).await?.is_some() {
            return Err(Error::SlugTaken);
        }
        if let Some(id) = id
            && tx.servers().exists(id).await?
        {
            return Err(Error::ServerIdTaken);
        }
        drop(tx);
        let id = id.unwrap_or_else(|| ServerId::mint(&*self.0.clock, &*self.0.random));
        let slot = Slot {
            tenant: tenant.clone(),
            server: id,
            generation: 1,
            holds: Holds::after(&draft.secrets, Holds::default()),
            stays: None,
            registered: false,
        };
        let provision = self.provision(slot, &draft.spec).await?;
        let now = self.0.clock.now();
        let principal = caller.principal();
        let mut server = Server {
            id,
            tenant: tenant.clone(),
            spec: draft.spec,
            secrets: SealedSecrets::default(),
            discovered: provision.discovered,
            auth_version: 1,
            version: 1,
            created_by: principal.clone(),
            updated_by: principal,
            created_at: now,
            updated_at: now,
        };
        self.seal_secrets(&mut server, draft.secrets).await?;
        let mut event = self.event(tenant, caller.origin(), "server.create", id);
        event.detail = serde_json::json!({ "after": describe(&server) });
        Ok(Making {
            server,
            client: provision.client,
            event,
        })
    }
}

/// A server that is ready to be stored. Dropped, nothing was made.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) server: Server,
    pub(super) client: Option<Unstored>,
    pub(super) event: NewAuditEvent,
}

impl Making {
    /// Writes it; what it was registered with is to be committed by [`Unstored::commit`].
    pub(super) async fn write(&mut self, tx: &mut Write) -> Result<()> {
        if !tx.tenants_mut().hold(&self.server.tenant).await? {
            return Err(Error::TenantNotFound);
        }
        let server = tx.servers_mut().insert(&self.server).await;
        server.map_err(slug_taken)?;
        if let Some(client) = &self.client {
            tx.registrations_mut().insert(client.registration()).await?;
        }
        Ok(())
    }
}
