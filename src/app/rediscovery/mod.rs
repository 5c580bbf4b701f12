//! Discovery made again: when a daemon reports that a credential is rejected, and when an
//! administrator asks for it. A server whose resource names another issuer goes on there, or waits
//! for an administrator's word, as its settings say.
//!
//! What users share changes only by what we see ourselves: a reported challenge steers nothing here.
//! Grants of the issuer of before are kept and sent nowhere, until their users connect again.

mod ask;
mod preview;
mod take;

pub use ask::{Rediscover, Rediscovered};
pub use preview::{Preview, Previewed, Verdict};

use tokio::sync::watch;
use tracing::Instrument as _;

use super::App;
use super::discovery::Seeking;
use super::error::{Error, Result};
use super::servers::UPDATE_TRIES;
use crate::domain::audit::Origin;
use crate::domain::authorization::Discovered;
use crate::domain::ids::ServerId;
use crate::domain::servers::{Auth, IssuerChange, Server};
use crate::domain::tenants::TenantId;

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
                // An endpoint by hand is that of one issuer.
                bound: oauth2.preregistered.is_some()
                    || oauth2.issuer.is_some()
                    || oauth2.revocation_endpoint.is_some(),
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
    /// what is stored stands, and nobody looks again for a while: whoever is told of a rejection then
    /// would only wait.
    pub(super) async fn look_again(&self, server: &Server) -> Result<Server> {
        let in_vain = self
            .0
            .looked_in_vain
            .happened(server.id, self.0.clock.now());
        if in_vain || Standing::of(server).is_none() {
            return Ok(server.clone());
        }
        // Closed, it is over.
        let _ = self.look(server).changed().await;
        let mut tx = self.0.store.read().await?;
        let now = tx.servers().get(&server.tenant, server.id).await?;
        now.ok_or(Error::ServerNotFound)
    }

    /// The same for a server that waits for approval, whose users nobody hears of meanwhile; at most
    /// once in a while, and nobody waits for it.
    pub(super) fn look_now_and_then(&self, server: &Server) {
        if self.0.pending.is_news(server.id, self.0.clock.now()) {
            drop(self.look(server));
        }
    }

    fn look(&self, server: &Server) -> watch::Receiver<()> {
        let key = (server.tenant.clone(), server.id);
        self.0.looks.join(&key, |landing| {
            let (app, key) = (self.clone(), key.clone());
            let looking = async move {
                for _ in 0..UPDATE_TRIES {
                    match Box::pin(app.follow_issuer(&key.0, key.1)).await {
                        Ok(true) => break,
                        // Somebody wrote meanwhile.
                        Ok(false) => {}
                        Err(error) => {
                            tracing::info!(server.id = %key.1, %error, "a server's issuer is not looked at");
                            break;
                        }
                    }
                }
                drop(landing);
            };
            self.0.tasks.spawn(looking.in_current_span());
        })
    }

    /// `false` when somebody else wrote meanwhile.
    async fn follow_issuer(&self, tenant: &TenantId, id: ServerId) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        let server = tx.servers().get(tenant, id).await?;
        drop(tx);
        let Some(server) = server else {
            return Ok(true);
        };
        let Some(standing) = Standing::of(&server) else {
            return Ok(true);
        };
        let Standing { found, seeking, .. } = standing;
        let named = match self.look_at_resource(&seeking).await {
            Ok(resource) => resource.authorization_servers,
            Err(error) => {
                if self.0.looked_in_vain.is_news(id, self.0.clock.now()) {
                    tracing::info!(server.id = %id, %error, "a server's resource metadata is not read");
                }
                return Ok(true);
            }
        };
        if named.contains(&found.authorization_server.issuer) {
            let noted = found.pending_issuer.is_none()
                || self.note_pending(Origin::service(), &server, None).await?;
            return Ok(noted);
        }
        if standing.bound || standing.approves {
            let first = named.into_iter().next();
            let noted = found.pending_issuer == first
                || self.note_pending(Origin::service(), &server, first).await?;
            return Ok(noted);
        }
        let next = self.discover(&seeking).await?;
        let issuer = next.authorization_server.issuer.clone();
        let taken = match self
            .take_over(Origin::service(), server.clone(), next)
            .await
        {
            // What cannot be followed as things are waits for an administrator.
            Err(Error::Invalid(_)) => {
                return self
                    .note_pending(Origin::service(), &server, Some(issuer))
                    .await;
            }
            taken => taken?,
        };
        if let Some(taken) = &taken {
            tracing::warn!(
                server.id = %id,
                connections = taken.ended,
                "a server's resource names another issuer: it is followed, and users must connect again"
            );
        }
        Ok(taken.is_some())
    }
}

/// Whether a server's resource names another issuer, which an administrator must approve: nothing that
/// the one of before granted is sent or renewed meanwhile.
pub(super) fn awaits_approval(server: &Server) -> bool {
    let found = server.discovered.as_ref();
    found.is_some_and(Discovered::awaits_approval)
}
