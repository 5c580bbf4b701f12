//! Discovery made again: when a daemon reports that a credential is rejected, and when an
//! administrator asks for it. A server whose resource names another issuer goes on there, or waits
//! for an administrator's word, as its settings say.
//!
//! What users share changes only by what we see ourselves: a reported challenge steers nothing here.
//! Grants of the issuer of before are kept and sent nowhere, until their users connect again.

mod ask;
mod preview;

pub use ask::{Rediscover, Rediscovered};
pub use preview::{Preview, Previewed, Verdict};

use tracing::Instrument as _;

use super::App;
use super::discovery::Seeking;
use super::error::{Error, Result};
use super::handshakes::no_client;
use super::provision::{Holds, Slot};
use super::revocations::Unstored;
use crate::domain::audit::Origin;
use crate::domain::authorization::{Discovered, Issuer};
use crate::domain::ids::ServerId;
use crate::domain::registrations::Registration;
use crate::domain::servers::{Auth, IssuerChange, Server};
use crate::domain::tenants::TenantId;
use crate::store;

/// What was stored of a discovery.
#[derive(Debug)]
struct Taken {
    server: Server,
    registration: Option<Registration>,
    /// How many grants were set aside.
    ended: usize,
}

/// What was found of a server that is discovered, and what its settings say about another find.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    found: &'a Discovered,
    seeking: Seeking<'a>,
    /// Whether only one issuer will do.
    bound: bool,
    /// Whether an administrator must approve another one.
    approves: bool,
    /// Whether its client was made by hand.
    by_hand: bool,
}

impl<'a> Standing<'a> {
    /// `None` for a server that is not discovered.
    fn of(server: &'a Server) -> Option<Self> {
        let found = server.discovered.as_ref()?;
        let url = &server.spec.url;
        match &server.spec.auth {
            Auth::OAuth2(oauth2) => Some(Self {
                found,
                seeking: Seeking::of(url, oauth2),
                bound: oauth2.preregistered.is_some() || oauth2.issuer.is_some(),
                approves: oauth2.issuer_change == IssuerChange::Approve,
                by_hand: oauth2.preregistered.is_some(),
            }),
            // The client belongs to the issuer that it was made at.
            Auth::ClientCredentials(client) => {
                let issuer = &found.authorization_server.issuer;
                Some(Self {
                    found,
                    seeking: Seeking {
                        issuer: Some(issuer),
                        ..Seeking::own(url, client)
                    },
                    bound: true,
                    approves: true,
                    by_hand: true,
                })
            }
            Auth::None
            | Auth::ApiKey(_)
            | Auth::CustomHeaders(_)
            | Auth::UserOidc(_)
            | Auth::Enterprise(_)
            | Auth::Workload(_) => None,
        }
    }
}

impl App {
    /// The server as it is once we have looked whether its resource still names its issuer, and have
    /// followed where it does not. In one flight for each server. Where its metadata cannot be read,
    /// what is stored stands.
    pub(super) async fn look_again(&self, server: &Server) -> Result<Server> {
        let published = Standing::of(server).is_some_and(|standing| {
            // A server of revision 2025-03-26 is its own issuer and cannot name another.
            standing.found.resource.metadata_url.is_some()
        });
        if !published {
            return Ok(server.clone());
        }
        let key = (server.tenant.clone(), server.id);
        let mut flight = self.0.looks.join(&key, |landing| {
            let (app, key) = (self.clone(), key.clone());
            let looking = async move {
                if let Err(error) = Box::pin(app.follow_issuer(&key.0, key.1)).await {
                    tracing::info!(server.id = %key.1, %error, "a server's issuer is not looked at");
                }
                drop(landing);
            };
            self.0.tasks.spawn(looking.in_current_span());
        });
        // Closed, it is over.
        let _ = flight.changed().await;
        let mut tx = self.0.store.read().await?;
        let now = tx.servers().get(&server.tenant, server.id).await?;
        now.ok_or(Error::ServerNotFound)
    }

    async fn follow_issuer(&self, tenant: &TenantId, id: ServerId) -> Result<()> {
        let mut tx = self.0.store.read().await?;
        let server = tx.servers().get(tenant, id).await?;
        drop(tx);
        let Some(server) = server else { return Ok(()) };
        let Some(standing) = Standing::of(&server) else {
            return Ok(());
        };
        let Standing { found, seeking, .. } = standing;
        let named = match self.look_at_resource(&seeking).await {
            Ok(resource) => resource.authorization_servers,
            Err(error) => {
                tracing::info!(server.id = %id, %error, "a server's resource metadata is not read");
                return Ok(());
            }
        };
        if named.contains(&found.authorization_server.issuer) {
            if found.pending_issuer.is_some() {
                self.note_pending(&server, None).await?;
            }
            return Ok(());
        }
        if standing.bound || standing.approves {
            let first = named.into_iter().next();
            if found.pending_issuer != first {
                self.note_pending(&server, first).await?;
            }
            return Ok(());
        }
        let next = self.discover(&seeking).await?;
        let taken = self.take_over(Origin::service(), server, next).await?;
        if let Some(taken) = taken {
            tracing::warn!(
                server.id = %id,
                connections = taken.ended,
                "a server's resource names another issuer: it is followed, and users must connect again"
            );
        }
        Ok(())
    }

    /// Notes an issuer that waits for approval, or that none does. `false` when somebody else wrote
    /// meanwhile.
    async fn note_pending(&self, server: &Server, issuer: Option<Issuer>) -> Result<bool> {
        let mut next = server.clone();
        let Some(found) = &mut next.discovered else {
            return Ok(false);
        };
        found.pending_issuer.clone_from(&issuer);
        let mut event = self.event(&server.tenant, Origin::service(), "server.drift", server.id);
        event.detail = serde_json::json!({
            "issuer": found.authorization_server.issuer.as_str(),
            "pending": issuer.as_ref().map(Issuer::as_str),
        });
        next.updated_at = event.at;
        let mut tx = self.0.store.write().await?;
        let noted = tx.servers_mut().update(&next).await?;
        if noted {
            tx.commit(&event).await?;
            if let Some(issuer) = issuer {
                tracing::warn!(server.id = %server.id, %issuer, "a server's resource names another issuer: an administrator must approve it");
            }
        }
        Ok(noted)
    }

    /// Stores what was found of a server, with a client at its issuer. Under another issuer the
    /// grants there are are set aside. `None` when somebody else wrote meanwhile.
    async fn take_over(
        &self,
        origin: Origin,
        current: Server,
        found: Discovered,
    ) -> Result<Option<Taken>> {
        let Some(Standing { found: before, .. }) = Standing::of(&current) else {
            return Ok(None);
        };
        let (tenant, id) = (current.tenant.clone(), current.id);
        let (from, to) = (
            before.authorization_server.issuer.clone(),
            found.authorization_server.issuer.clone(),
        );
        let mut tx = self.0.store.read().await?;
        let mut registrations = tx.registrations();
        let known = registrations.find_current(&tenant, id, &to).await?;
        let last = registrations.last_generation(&tenant, id).await?;
        drop(tx);
        // A client of one issuer is never shown to another; one that we had there before is used again.
        let client = if known.is_some() {
            None
        } else {
            let oauth2 = current.spec.auth.oauth2().ok_or_else(no_client)?;
            let slot = Slot {
                tenant: tenant.clone(),
                server: id,
                generation: last + 1,
                holds: Holds::default(),
            };
            let client = self
                .own_client(&slot, &current.spec, oauth2, &found)
                .await?;
            Some(self.unstored(client))
        };
        let moved = from != to;
        let mut event = self.event(&tenant, origin, "server.rediscover", id);
        event.detail = serde_json::json!({ "before": from.as_str(), "issuer": to.as_str() });
        let mut next = Server {
            discovered: Some(found),
            ..current
        };
        next.auth_version += i64::from(moved);
        next.updated_at = event.at;
        let mut tx = self.0.store.write().await?;
        if !tx.servers_mut().update(&next).await? {
            return Ok(None);
        }
        if let Some(client) = &client {
            match tx.registrations_mut().insert(client.registration()).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        let mut ended = 0;
        if moved {
            let mut connections = tx.connections_mut();
            ended = connections.suspend_of_server(&tenant, id, event.at).await?;
            event.detail["connections"] = ended.into();
        }
        let (_, registration) = Unstored::commit(client, tx, &event).await?;
        next.version += 1;
        Ok(Some(Taken {
            server: next,
            registration: registration.or(known),
            ended,
        }))
    }
}
