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
use crate::domain::access::{Caller, Role};
use crate::domain::audit::NewAuditEvent;
use crate::domain::ids::ServerId;
use crate::domain::servers::{
    Draft, SealedSecrets, Server, Stored, check, check_personal, personal_slug,
};
use crate::domain::text::UserId;
use crate::store::Write;

impl App {
    /// Makes a server. Atomic: nothing is stored unless everything is, and nothing before discovery
    /// and registration succeeded. Idempotent under a request id, at the same time too.
    pub async fn create_server(
        &self,
        caller: &Caller,
        new: NewServer,
    ) -> Result<Written<ServerView>> {
        let once = new.once.clone();
        let once = once.as_ref();
        if let Some(past) = self.created_before(caller, once).await? {
            return Ok(past);
        }
        let created = self.create_now(caller, new, once).await;
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
        new: NewServer,
        once: Option<&Once>,
    ) -> Result<Written<ServerView>> {
        let owner = owner(caller, &new)?;
        let NewServer { id, draft, .. } = new;
        // A key that is narrowed to servers makes none but one that it is narrowed to.
        let is_listed = id.is_some_and(|id| caller.narrowing.admits_server(id));
        if !caller.narrowing.servers.is_empty() && !is_listed {
            return Err(Error::KeyNarrowed { by: "servers" });
        }
        self.judge_making(caller, owner.as_ref(), &draft).await?;
        let making = self.make_ready(caller, (id, owner), draft);
        let mut making = Box::pin(making).await?;
        let mut tx = self.0.store.write().await?;
        making.write(&mut tx).await?;
        let Making {
            server,
            client,
            event,
            ..
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
    pub(super) async fn judge_making(
        &self,
        caller: &Caller,
        owner: Option<&UserId>,
        draft: &Draft,
    ) -> Result<()> {
        check_kind(caller, &[draft.spec.auth.kind()])?;
        let mut found = check(draft, Stored::default(), self.0.settings.url_rules);
        found.extend(self.check_private_key(None, draft).await?);
        self.check_profile(&draft.spec, &mut found);
        check_consent_page(&draft.spec, &mut found);
        if owner.is_some() {
            check_personal(&mut found, draft, |url| self.lets_reach(url));
        }
        found.or(()).map_err(Error::from)
    }

    /// Asks of others what a server that was judged needs, and seals its secrets.
    pub(super) async fn make_ready(
        &self,
        caller: &Caller,
        (chosen, owner): (Option<ServerId>, Option<UserId>),
        mut draft: Draft,
    ) -> Result<Making> {
        let tenant = &caller.tenant;
        let quota = self.0.settings.personal_quota;
        let id = chosen.unwrap_or_else(|| ServerId::mint(&*self.0.clock, &*self.0.random));
        if owner.is_some() {
            draft.spec.slug = personal_slug(&draft.spec.slug, id);
        }
        let taken = ServerRef::Slug(draft.spec.slug.clone());
        let mut tx = self.0.store.read().await?;
        if let Some(owner) = &owner {
            check_quota(tx.servers().count_of_owner(tenant, owner).await?, quota)?;
        }
        if find(&mut tx, tenant, &taken).await?.is_some() {
            return Err(Error::SlugTaken);
        }
        if let Some(id) = chosen
            && tx.servers().exists(id).await?
        {
            return Err(Error::ServerIdTaken);
        }
        drop(tx);
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
            owner,
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
            quota,
        })
    }
}

/// A server that is ready to be stored. Dropped, nothing was made.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) server: Server,
    pub(super) client: Option<Unstored>,
    pub(super) event: NewAuditEvent,
    /// How many its owner may have.
    quota: u32,
}

impl Making {
    /// Writes it; what it was registered with is to be committed by [`Unstored::commit`].
    pub(super) async fn write(&mut self, tx: &mut Write) -> Result<()> {
        if !tx.tenants_mut().hold(&self.server.tenant).await? {
            return Err(Error::TenantNotFound);
        }
        if let Some(owner) = &self.server.owner {
            // Nobody makes another meanwhile: the tenant is held.
            let tenant = &self.server.tenant;
            let held = tx.servers().count_of_owner(tenant, owner).await?;
            check_quota(held, self.quota)?;
        }
        let server = tx.servers_mut().insert(&self.server).await;
        server.map_err(slug_taken)?;
        if let Some(client) = &self.client {
            tx.registrations_mut().insert(client.registration()).await?;
        }
        Ok(())
    }
}

/// Refuses one more personal server to a user who has so many.
fn check_quota(held: i64, limit: u32) -> Result<()> {
    if held >= i64::from(limit) {
        let quota = "personal_servers";
        return Err(Error::QuotaExceeded { quota, limit });
    }
    Ok(())
}

/// Whose personal server a new one is. Users make none but their own, and choose no ids.
fn owner(caller: &Caller, new: &NewServer) -> Result<Option<UserId>> {
    if caller.role != Role::User {
        return Ok(new.owner.clone());
    }
    if new.owner.is_some() && new.owner != caller.user {
        return Err(Error::UserNotAllowed);
    }
    if new.id.is_some() {
        let what = "is for administrators to choose";
        return Err(Error::invalid("server_id", what));
    }
    Ok(caller.user.clone())
}
