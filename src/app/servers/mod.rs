//! Servers: what administrators approve. Nothing is stored unless discovery and registration
//! succeeded, and nothing is registered elsewhere before everything that can be known here is.

mod access;
mod apply;
mod change;
mod create;
mod end;
mod same;
mod sight;
mod views;

pub use apply::{Applied, AppliedServer, Apply, ApplyAction, ApplyMode, Described, Unapplied};
use change::Change;
use sight::{check_may_change, sees_all};
pub(super) use sight::{may_see, may_see_any};
pub use views::{Ended, ListServers, ServerView};

use super::clients::current_client;
use super::error::{Error, Result};
use super::requests::Once;
use super::revocations::Unstored;
use super::{App, Written};
use crate::domain::access::{Caller, Role};
use crate::domain::ids::ServerId;
use crate::domain::revocations::Reason;
use crate::domain::servers::{AuthKind, Draft, Server, personal_slug};
use crate::domain::tenants::TenantId;
use crate::domain::text::{Slug, UserId, Violations};
use crate::store::{self, Read};

/// How often an update without an etag starts over when others write at the same time.
pub(super) const UPDATE_TRIES: usize = 4;

/// A server as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerRef {
    /// By its id.
    Id(ServerId),
    /// By its slug.
    Slug(Slug),
}

impl ServerRef {
    /// The id or slug of a text; what is neither names no server.
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        Slug::parse(text)
            .map(Self::Slug)
            .map_err(|_| Error::ServerNotFound)
    }
}

/// A server to be made.
#[derive(Debug)]
pub struct NewServer {
    /// Its id, when the administrator chose one beforehand.
    pub id: Option<ServerId>,
    /// Whose personal server it is to be; of users always their own.
    pub owner: Option<UserId>,
    /// The configuration.
    pub draft: Draft,
    /// For idempotent creation.
    pub once: Option<Once>,
}

/// What an update came to.
#[derive(Debug, Clone)]
pub struct UpdatedServer {
    /// The server as it is now.
    pub view: ServerView,
    /// What ended with the old values.
    pub ended: Ended,
}

pub(super) fn etag(server: &Server) -> String {
    format!("v{}", server.version)
}

/// Refuses an etag that is not the current one.
pub(super) fn check_etag(server: &Server, given: Option<&str>) -> Result<()> {
    match given {
        Some(given) if given != etag(server) => Err(Error::EtagMismatch {
            current: etag(server),
        }),
        Some(_) | None => Ok(()),
    }
}

/// A server that sends every user's login token to one URL is the operator's to decide.
fn check_kind(caller: &Caller, kinds: &[AuthKind]) -> Result<()> {
    if kinds.contains(&AuthKind::UserOidc) && caller.role != Role::Operator {
        return Err(Error::RoleNotAllowed {
            role: caller.role.as_str(),
        });
    }
    Ok(())
}

/// The server of this name, of the caller's tenant.
pub(super) async fn find(
    tx: &mut Read,
    tenant: &TenantId,
    server: &ServerRef,
) -> Result<Option<Server>> {
    Ok(match server {
        ServerRef::Id(id) => tx.servers().get(tenant, *id).await?,
        ServerRef::Slug(slug) => tx.servers().find_by_slug(tenant, slug).await?,
    })
}

/// The server of this name that a caller may touch, whether anybody may use it or not: taking away works after
/// access was lost, and tells nothing.
pub(super) async fn find_touchable(
    tx: &mut Read,
    caller: &Caller,
    name: &str,
) -> Result<Option<Server>> {
    let Ok(server) = ServerRef::parse(name) else {
        return Ok(None);
    };
    let found = find(tx, &caller.tenant, &server).await?;
    Ok(found.filter(|server| caller.narrowing.admits_server(server.id)))
}

impl App {
    /// Changes a server. `edit` makes the merged draft from what is stored; it is called again when
    /// somebody else wrote meanwhile, unless the etag given is then no longer the current one. What the change entails (grants that
    /// end, discovery made again) happens in the same transaction or not at all.
    pub async fn update_server(
        &self,
        caller: &Caller,
        server: &ServerRef,
        etag: Option<&str>,
        edit: impl Fn(&Server) -> std::result::Result<Draft, Violations> + Send + Sync,
    ) -> Result<Written<UpdatedServer>> {
        for _ in 0..UPDATE_TRIES {
            let mut tx = self.0.store.read().await?;
            let current = find(&mut tx, &caller.tenant, server).await?;
            let current = current.filter(|current| may_see(caller, None, current));
            let current = current.ok_or(Error::ServerNotFound)?;
            check_may_change(caller, &current)?;
            check_etag(&current, etag)?;
            drop(tx);
            let mut draft = edit(&current)?;
            if current.owner.is_some() {
                draft.spec.slug = personal_slug(&draft.spec.slug, current.id);
            }
            if let Some(written) = self.try_update(caller, current, draft).await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    async fn try_update(
        &self,
        caller: &Caller,
        current: Server,
        draft: Draft,
    ) -> Result<Option<Written<UpdatedServer>>> {
        let entails = self.judge_change(caller, &current, &draft).await?;
        let mut change = Box::pin(self.change_ready(caller, current, draft, entails)).await?;
        let mut tx = self.0.store.write().await?;
        let Some(ended) = change.write(&mut tx).await? else {
            return Ok(None);
        };
        let Change {
            mut next,
            client,
            event,
            ..
        } = change;
        let (revision, mut stored) = Unstored::commit(client, tx, &event).await?;
        if entails.ends_grants {
            self.ring_outbox();
        }
        next.version += 1;
        let registration = match stored.pop() {
            Some(new) => Some(new),
            None => current_client(&mut self.0.store.read().await?, &next).await?,
        };
        let view = self.full_view(next, registration);
        Ok(Some(Written {
            value: UpdatedServer { view, ended },
            revision,
        }))
    }

    /// Deletes a server with its registrations, connections, handshakes and places in chats. What is
    /// to be ended at providers is queued with that. Answers what ended.
    pub async fn delete_server(
        &self,
        caller: &Caller,
        server: &ServerRef,
        etag: Option<&str>,
    ) -> Result<Written<Ended>> {
        for _ in 0..UPDATE_TRIES {
            let mut tx = self.0.store.read().await?;
            let current = find(&mut tx, &caller.tenant, server).await?;
            let current = current.filter(|current| may_see(caller, None, current));
            let current = current.ok_or(Error::ServerNotFound)?;
            check_may_change(caller, &current)?;
            check_etag(&current, etag)?;
            drop(tx);
            let deleted = self.try_delete(caller, current, Reason::ServerDeleted);
            if let Some(written) = deleted.await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// One try; `None` when something is not as it was read.
    pub(super) async fn try_delete(
        &self,
        caller: &Caller,
        current: Server,
        reason: Reason,
    ) -> Result<Option<Written<Ended>>> {
        let mut end = self.end_ready(caller, current, reason).await?;
        let mut tx = self.0.store.write().await?;
        let Some(value) = end.write(&mut tx).await? else {
            return Ok(None);
        };
        let revision = tx.commit(&end.event).await?;
        self.ring_outbox();
        Ok(Some(Written { value, revision }))
    }
}

fn slug_taken(error: store::Error) -> Error {
    if matches!(error, store::Error::Conflict) {
        Error::SlugTaken
    } else {
        error.into()
    }
}
