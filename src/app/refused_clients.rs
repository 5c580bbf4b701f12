//! Clients that their provider refuses, as after it was set up anew and forgot them. One that we
//! registered ourselves is registered once more, for all users of its server together; one that was
//! made by hand is an administrator's to mend, who is told.
//!
//! No grant is touched: each keeps the client that obtained it and is tried by it again after a
//! pause, for a provider may come to itself. Meanwhile its user is asked to connect again, which
//! the new client serves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::App;
use super::error::Result;
use super::provision::{Holds, Slot, client_issuer};
use super::revocations::Unstored;
use crate::domain::audit::Origin;
use crate::domain::connections::Connection;
use crate::domain::ids::{RegistrationId, ServerId};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;
use crate::store::{self, Read};

/// A client of ours is left alone for so long after it was registered: a provider may refuse them all.
const GENERATION: Duration = Duration::from_hours(1);
/// How often this process looks into the refused client of one server, and says so.
const QUIET: Duration = Duration::from_mins(10);

/// The servers whose client was refused lately, and when this was looked into.
#[derive(Debug, Default)]
pub(super) struct RefusedClients(Mutex<HashMap<ServerId, Timestamp>>);

impl RefusedClients {
    /// Whether this is the first refusal in a while. Of many at once one is.
    fn is_news(&self, server: ServerId, now: Timestamp) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| now.since(*at) < QUIET);
        let news = !lately.contains_key(&server);
        if news {
            lately.insert(server, now);
        }
        news
    }
}

/// Whether two registrations are one client to its provider.
fn same_client(one: &Registration, other: &Registration) -> bool {
    one.issuer == other.issuer && one.client_id == other.client_id
}

/// A server and the client that its users connect with now.
async fn server_and_client(
    tx: &mut Read,
    tenant: &TenantId,
    server: ServerId,
) -> Result<Option<(Server, Registration)>> {
    let Some(server) = tx.servers().get(tenant, server).await? else {
        return Ok(None);
    };
    let Some(issuer) = client_issuer(&server) else {
        return Ok(None);
    };
    let mut registrations = tx.registrations();
    let current = registrations
        .find_current(tenant, server.id, &issuer)
        .await?;
    Ok(current.map(|current| (server, current)))
}

impl App {
    /// Whether a newer client of its server took the place of the one that obtained a grant.
    pub(super) async fn client_is_replaced(&self, connection: &Connection) -> Result<bool> {
        let (tenant, id) = (&connection.tenant, connection.registration);
        let mut tx = self.0.store.read().await?;
        let theirs = tx.registrations().get(tenant, id).await?;
        let current = server_and_client(&mut tx, tenant, connection.server).await?;
        let both = theirs.zip(current);
        Ok(both.is_some_and(|(theirs, (_, current))| {
            let ours = theirs.kind == RegistrationKind::Dynamic;
            ours && current.generation > theirs.generation && !same_client(&theirs, &current)
        }))
    }

    /// Does what can be done about a client that its provider does not know any more, if users still
    /// connect with it. Goes on by itself; what is answered ends with it. Not begun at the end of this
    /// process.
    pub(super) fn client_refused(
        &self,
        (tenant, server): (TenantId, ServerId),
        registration: RegistrationId,
    ) -> JoinHandle<()> {
        let app = self.clone();
        let mending = async move {
            if app.0.ending.is_cancelled() {
                return;
            }
            let done = Box::pin(app.mend_refused((&tenant, server), registration));
            if let Err(error) = done.await {
                tracing::warn!(server.id = %server, %error, "a refused client is not registered anew");
            }
        };
        self.0.tasks.spawn(mending.in_current_span())
    }

    async fn mend_refused(
        &self,
        (tenant, server): (&TenantId, ServerId),
        registration: RegistrationId,
    ) -> Result<()> {
        let mut tx = self.0.store.read().await?;
        let refused = tx.registrations().get(tenant, registration).await?;
        let current = server_and_client(&mut tx, tenant, server).await?;
        drop(tx);
        let (Some(refused), Some((server, current))) = (refused, current) else {
            return Ok(());
        };
        let now = self.0.clock.now();
        let by_hand = refused.kind != RegistrationKind::Dynamic;
        if !by_hand && !same_client(&refused, &current) {
            return Ok(());
        }
        if !self.0.refused_clients.is_news(server.id, now) {
            return Ok(());
        }
        let (id, client) = (server.id, &refused.client_id);
        if by_hand {
            tracing::warn!(server.id = %id, client.id = client, "the provider refuses the client of a server: an administrator must act");
            return Ok(());
        }
        if now.since(current.created_at) <= GENERATION {
            tracing::warn!(server.id = %id, client.id = client, "the provider refuses a client that was registered just now");
            return Ok(());
        }
        self.register_anew(&server, &current).await
    }

    /// Registers a client in the place of one. Of several replicas one keeps its client; those of the
    /// others are taken back.
    async fn register_anew(&self, server: &Server, refused: &Registration) -> Result<()> {
        let (Some(oauth2), Some(found)) = (server.spec.auth.oauth2(), &server.discovered) else {
            return Ok(());
        };
        let (tenant, id) = (&server.tenant, server.id);
        let mut tx = self.0.store.read().await?;
        let last = tx.registrations().last_generation(tenant, id).await?;
        drop(tx);
        let slot = Slot {
            tenant: tenant.clone(),
            server: id,
            generation: last + 1,
            holds: Holds::default(),
        };
        // What was discovered stands: another issuer would be another server, and its users' business.
        let client = self.unstored(self.register(&slot, &server.spec, oauth2, found).await?);
        let new = client.registration();
        let client_id = new.client_id.clone();
        let mut event = self.event(tenant, Origin::service(), "registration.replace", new.id);
        event.detail = serde_json::json!({
            "server": id.to_string(),
            "issuer": new.issuer.as_str(),
            "client_id": client_id,
            "replaces": refused.client_id,
            "reason": "client_refused",
        });
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, id).await?;
        let now = tx.servers().get(tenant, id).await?;
        let same = now.is_some_and(|now| now.auth_version == server.auth_version);
        let current = tx
            .registrations()
            .find_current(tenant, id, &refused.issuer)
            .await?;
        let same = same && current.is_some_and(|current| current.id == refused.id);
        if !same {
            return Ok(());
        }
        match tx.registrations_mut().insert(client.registration()).await {
            Err(store::Error::Conflict) => return Ok(()),
            inserted => inserted?,
        }
        Unstored::commit(Some(client), tx, &event).await?;
        tracing::warn!(
            server.id = %id,
            client.id = client_id,
            "the provider refused our client: a new one is registered, and users of the old one must connect again"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_in_a_while_for_each_server() {
        let refused = RefusedClients::default();
        let (one, two) = ([1; 16], [2; 16]);
        let (one, two) = (ServerId::from_bytes(one), ServerId::from_bytes(two));
        let at = |minutes| Timestamp::default().after(Duration::from_mins(minutes));

        assert!(refused.is_news(one, at(0)));
        assert!(!refused.is_news(one, at(9)));
        assert!(refused.is_news(two, at(9)));
        assert!(refused.is_news(one, at(10)));
    }
}
