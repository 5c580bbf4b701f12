//! Servers: what administrators approve. Nothing is stored unless discovery and registration
//! succeeded, and nothing is registered elsewhere before everything that can be known here is.

mod access;
mod create;
mod views;

use views::describe;
pub use views::{ListServers, ServerView};

use super::clients::current_client;
use super::error::{Error, Result};
use super::provision::{Holds, Provision, Slot};
use super::redirects::check_consent_page;
use super::requests::Once;
use super::revocations::Unstored;
use super::{App, Written};
use crate::domain::access::{Actor, Caller, Role};
use crate::domain::ids::ServerId;
use crate::domain::registrations::RegistrationKind;
use crate::domain::revocations::Reason;
use crate::domain::servers::{
    Auth, AuthKind, Consequences, Draft, SealedSecrets, Server, Stored, check, consequences,
};
use crate::domain::tenants::TenantId;
use crate::domain::text::{Slug, Violations};
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
    /// How many connections ended with the old values.
    pub ended: usize,
}

/// What a server has for its client that an update leaves to it.
fn held(current: &Server, entails: Consequences) -> Holds {
    let stays = !entails.clears_auth;
    Holds {
        secret: stays && current.secrets.client_secret.is_some(),
        key: stays && current.secrets.private_key.is_some(),
    }
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

/// Whether a caller, or the actor it speaks for, may know of a server.
pub(super) fn may_see(caller: &Caller, actor: Option<&Actor>, server: &Server) -> bool {
    let narrowed = caller.narrowing.admits_server(server.id);
    let admitted = |actor: &Actor| {
        server
            .spec
            .access
            .admits(actor.user.as_str(), actor.group_names())
    };
    let own = caller.user.clone().map(|user| Actor {
        user,
        groups: Vec::new(),
    });
    let actor = actor.or(own.as_ref());
    narrowed && (caller.sees_configuration() || (server.spec.enabled && actor.is_none_or(admitted)))
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
            check_etag(&current, etag)?;
            drop(tx);
            let draft = edit(&current)?;
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
        check_kind(caller, &[current.spec.auth.kind(), draft.spec.auth.kind()])?;
        let entails = self.check_update(&current, &draft).await?;
        if draft.spec.slug != current.spec.slug {
            let taken = ServerRef::Slug(draft.spec.slug.clone());
            let mut tx = self.0.store.read().await?;
            if find(&mut tx, &caller.tenant, &taken).await?.is_some() {
                return Err(Error::SlugTaken);
            }
        }
        let before = describe(&current);
        let provision = self.provision_again(&current, &draft, entails).await?;
        // Grants end at the old endpoint, by the old client.
        let ending = if entails.ends_grants {
            let reason = Reason::ServerChanged;
            Some(Box::pin(self.plan_of_server(&current, reason)).await?)
        } else {
            None
        };
        let discovered = match (&current.discovered, provision.discovered) {
            (Some(before), Some(found)) if entails.keeps_issuer => Some(before.followed_by(found)),
            (_, found) => found,
        };
        let mut next = Server {
            spec: draft.spec,
            discovered,
            ..current
        };
        if entails.clears_auth {
            next.secrets = SealedSecrets {
                signing_secret: next.secrets.signing_secret.take(),
                ..SealedSecrets::default()
            };
        } else if entails.clears_header_secrets {
            next.secrets.api_key = None;
            next.secrets.custom_headers = None;
        }
        next.auth_version += i64::from(entails.ends_grants);
        next.updated_by = caller.principal();
        next.updated_at = self.0.clock.now();
        let proven_anew =
            if draft.secrets.client_secret.is_set() || draft.secrets.private_key.is_set() {
                current_client(&mut self.0.store.read().await?, &next).await?
            } else {
                None
            };
        self.seal_secrets(&mut next, draft.secrets).await?;
        if entails.ends_grants {
            // It is not for where, or for whom, the present one is.
            next.secrets.former_client_secret = None;
        }

        let mut event = self.event(&caller.tenant, caller.origin(), "server.update", next.id);
        event.detail = serde_json::json!({ "before": before, "after": describe(&next) });
        let mut tx = self.0.store.write().await?;
        if !tx.servers_mut().update(&next).await.map_err(slug_taken)? {
            return Ok(None);
        }
        let mut queued = 0;
        if let Some(plan) = &ending {
            match plan.queue(&mut tx).await? {
                Some(grants) => queued = grants,
                None => return Ok(None),
            }
            plan.settle(&mut tx).await?;
        }
        if let Some(client) = &provision.client {
            match tx.registrations_mut().insert(client.registration()).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        // What was refused with the proof of before is tried with the present one.
        if let Some(client) = &proven_anew {
            tx.connections_mut().retry_of_registration(client).await?;
        }
        let mut ended = 0;
        if entails.ends_grants {
            ended = tx
                .connections_mut()
                .invalidate_of_server(&caller.tenant, next.id, next.updated_at)
                .await?;
            event.detail["connections"] = ended.into();
            event.detail["revocations"] = queued.into();
        }
        let (revision, registration) = Unstored::commit(provision.client, tx, &event).await?;
        if ending.is_some() {
            self.ring_outbox();
        }
        next.version += 1;
        let registration = match registration {
            Some(new) => Some(new),
            None => current_client(&mut self.0.store.read().await?, &next).await?,
        };
        let view = self.full_view(next, registration);
        Ok(Some(Written {
            value: UpdatedServer { view, ended },
            revision,
        }))
    }

    /// Discovery and client for what an update needs; what there is, where it needs nothing.
    async fn provision_again(
        &self,
        current: &Server,
        draft: &Draft,
        entails: Consequences,
    ) -> Result<Provision> {
        if !entails.needs_provision {
            return Ok(Provision {
                discovered: current.discovered.clone(),
                client: None,
            });
        }
        let holds = Holds::after(&draft.secrets, held(current, entails));
        // Where nobody wrote another place, grants go on at their issuer, and secrets to it alone.
        let found = current.discovered.as_ref();
        let stays = found
            .filter(|_| entails.keeps_issuer)
            .map(|found| found.authorization_server.issuer.clone());
        let mut tx = self.0.store.read().await?;
        let mut registrations = tx.registrations();
        let (tenant, server) = (&current.tenant, current.id);
        let last = registrations.last_generation(tenant, server).await?;
        let client = match &stays {
            Some(issuer) => registrations.find_current(tenant, server, issuer).await?,
            None => None,
        };
        drop(tx);
        let slot = Slot {
            tenant: tenant.clone(),
            server,
            generation: last + 1,
            holds,
            stays,
            registered: client.is_some_and(|client| client.kind == RegistrationKind::Dynamic),
        };
        self.provision(slot, &draft.spec).await
    }

    /// Judges the merged result of an update as strictly as a creation.
    async fn check_update(&self, current: &Server, draft: &Draft) -> Result<Consequences> {
        let (entails, mut found) = consequences(current, draft);
        let cleared = entails.clears_auth || entails.clears_header_secrets;
        let names = match &current.spec.auth {
            Auth::CustomHeaders(custom) if !cleared => custom.names.clone(),
            Auth::None
            | Auth::OAuth2(_)
            | Auth::ApiKey(_)
            | Auth::CustomHeaders(_)
            | Auth::UserOidc(_)
            | Auth::ClientCredentials(_)
            | Auth::Enterprise(_)
            | Auth::Workload(_) => Vec::new(),
        };
        let holds = held(current, entails);
        let stored = Stored {
            client_secret: holds.secret,
            private_key: holds.key,
            api_key: current.secrets.api_key.is_some() && !cleared,
            header_names: &names,
        };
        found.extend(check(draft, stored, self.0.settings.url_rules));
        let keeping = Some(current).filter(|_| !entails.clears_auth);
        found.extend(self.check_private_key(keeping, draft).await?);
        check_consent_page(&draft.spec, &mut found);
        // One that went with the deployment's directory keeps nobody from changing the rest.
        if draft.spec.auth.profile() != current.spec.auth.profile() {
            self.check_profile(&draft.spec, &mut found);
        }
        found.or(entails).map_err(Error::from)
    }

    /// Deletes a server with its registrations, connections, handshakes and places in chats. What is
    /// to be ended at providers is queued with that. Answers how many connections ended.
    pub async fn delete_server(
        &self,
        caller: &Caller,
        server: &ServerRef,
        etag: Option<&str>,
    ) -> Result<Written<usize>> {
        for _ in 0..UPDATE_TRIES {
            let mut tx = self.0.store.read().await?;
            let current = find(&mut tx, &caller.tenant, server).await?;
            let current = current.filter(|current| may_see(caller, None, current));
            let current = current.ok_or(Error::ServerNotFound)?;
            check_etag(&current, etag)?;
            drop(tx);
            let mut event =
                self.event(&caller.tenant, caller.origin(), "server.delete", current.id);
            let (tenant, id) = (&caller.tenant, current.id);
            let plan = self.plan_of_server(&current, Reason::ServerDeleted).await?;
            let mut tx = self.0.store.write().await?;
            tx.servers_mut().hold(tenant, id).await?;
            let Some(queued) = plan.queue(&mut tx).await? else {
                continue;
            };
            let value = tx.connections_mut().delete_of_server(tenant, id).await?;
            event.detail = serde_json::json!({
                "before": describe(&current),
                "connections": value,
                "revocations": queued,
            });
            if tx.servers_mut().delete(tenant, id, current.version).await? {
                let revision = tx.commit(&event).await?;
                self.ring_outbox();
                return Ok(Written { value, revision });
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }
}

fn slug_taken(error: store::Error) -> Error {
    if matches!(error, store::Error::Conflict) {
        Error::SlugTaken
    } else {
        error.into()
    }
}
