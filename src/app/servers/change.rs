//! A change of a server made ready: what it entails is judged, others are asked, secrets are sealed; then it
//! is written in one go, or not at all.

use super::super::App;
use super::super::clients::current_client;
use super::super::error::{Error, Result};
use super::super::provision::{Holds, Provision, Slot};
use super::super::redirects::check_consent_page;
use super::super::revocations::{ServerPlan, Unstored};
use super::super::user_headers::end_values;
use super::views::{describe, replaced};
use super::{Ended, ServerRef, check_kind, find, slug_taken};
use crate::domain::access::Caller;
use crate::domain::audit::NewAuditEvent;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::revocations::Reason;
use crate::domain::servers::{
    Auth, Consequences, Draft, SealedSecrets, Server, Stored, check, check_personal, consequences,
};
use crate::store::{self, Write};

/// A change that is ready to be written. Dropped, nothing was changed.
#[derive(Debug)]
pub(super) struct Change {
    /// The server as it is to be, at the version it was read with.
    pub(super) next: Server,
    pub(super) client: Option<Unstored>,
    pub(super) event: NewAuditEvent,
    entails: Consequences,
    /// Grants that end, at the old endpoint and by the old client.
    ending: Option<ServerPlan>,
    /// The client whose grants are tried again, since it proves itself anew.
    proven_anew: Option<Registration>,
}

/// What a server has for its client that an update leaves to it.
fn held(current: &Server, entails: Consequences) -> Holds {
    let stays = !entails.clears_auth;
    Holds {
        secret: stays && current.secrets.client_secret.is_some(),
        key: stays && current.secrets.private_key.is_some(),
    }
}

impl App {
    /// Judges the merged result of an update as strictly as a creation.
    pub(super) async fn judge_change(
        &self,
        caller: &Caller,
        current: &Server,
        draft: &Draft,
    ) -> Result<Consequences> {
        check_kind(caller, &[current.spec.auth.kind(), draft.spec.auth.kind()])?;
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
        if current.owner.is_some() {
            // One that may not be reached any more keeps nobody from changing the rest.
            let stays = draft.spec.url == current.spec.url;
            check_personal(&mut found, draft, |url| stays || self.lets_reach(url));
        }
        // One that went with the deployment's directory keeps nobody from changing the rest.
        if draft.spec.auth.profile() != current.spec.auth.profile() {
            self.check_profile(&draft.spec, &mut found);
        }
        found.or(entails).map_err(Error::from)
    }

    /// Asks of others what a change that was judged needs, and seals its secrets.
    pub(super) async fn change_ready(
        &self,
        caller: &Caller,
        current: Server,
        draft: Draft,
        entails: Consequences,
    ) -> Result<Change> {
        if draft.spec.slug != current.spec.slug {
            let taken = ServerRef::Slug(draft.spec.slug.clone());
            let mut tx = self.0.store.read().await?;
            if find(&mut tx, &caller.tenant, &taken).await?.is_some() {
                return Err(Error::SlugTaken);
            }
        }
        let (before, secrets) = (describe(&current), current.secrets.clone());
        let provision = self.provision_again(&current, &draft, entails).await?;
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
        event.detail = serde_json::json!({
            "before": before,
            "after": describe(&next),
            "replaced_secrets": replaced(&secrets, &next.secrets),
        });
        Ok(Change {
            next,
            client: provision.client,
            event,
            entails,
            ending,
            proven_anew,
        })
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
}

impl Change {
    /// Writes it; what it was registered with is to be committed by [`Unstored::commit`]. Answers what ended,
    /// or `None` where something is not as it was read: nothing may be committed then.
    pub(super) async fn write(&mut self, tx: &mut Write) -> Result<Option<Ended>> {
        let next = &self.next;
        if !tx.servers_mut().update(next).await.map_err(slug_taken)? {
            return Ok(None);
        }
        let mut queued = 0;
        if let Some(plan) = &self.ending {
            match plan.queue(tx).await? {
                Some(grants) => queued = grants,
                None => return Ok(None),
            }
            plan.settle(tx).await?;
        }
        if let Some(client) = &self.client {
            match tx.registrations_mut().insert(client.registration()).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        // What was refused with the proof of before is tried with the present one.
        if let Some(client) = &self.proven_anew {
            tx.connections_mut().retry_of_registration(client).await?;
        }
        let mut ended = Ended {
            header_values: end_values(tx, next, self.entails, &mut self.event).await?,
            ..Ended::default()
        };
        if self.ending.is_some() {
            ended.connections = tx
                .connections_mut()
                .invalidate_of_server(&next.tenant, next.id, next.updated_at)
                .await?;
            self.event.detail["connections"] = ended.connections.into();
            self.event.detail["revocations"] = queued.into();
        }
        Ok(Some(ended))
    }
}
