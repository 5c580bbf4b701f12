//! Clients that their provider refuses, as after it was set up anew and forgot them. One that we
//! registered ourselves is registered once more, for all users of its server together; one that was
//! made by hand is an administrator's to mend, who is told. A client named by its document is
//! registered then: some servers say that they take such clients, and refuse them.
//!
//! No grant is touched: each keeps the client that obtained it and is tried by it again after a
//! pause, for a provider may come to itself. Meanwhile its user is asked to connect again, which
//! the new client serves.

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::App;
use super::clients::current_client;
use super::error::Result;
use super::renewed_clients::Renewal;
use super::replaced_clients::{By, LEFT_ALONE, Why};
use crate::domain::audit::Origin;
use crate::domain::connections::Connection;
use crate::domain::ids::{RegistrationId, ServerId};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::resolution::ConfigProblem;
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::store::Read;

/// Whether two registrations are one client to its provider.
fn same_client(one: &Registration, other: &Registration) -> bool {
    one.issuer == other.issuer && one.client_id == other.client_id
}

/// Whether it is we who can have another client in its place.
pub(super) fn is_ours(client: &Registration) -> bool {
    use RegistrationKind::{Dynamic, Imported, MetadataDocument, Preregistered};
    match client.kind {
        Dynamic | MetadataDocument => true,
        Preregistered | Imported => false,
    }
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
    let current = current_client(tx, &server).await?;
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
            is_ours(&theirs)
                && current.generation > theirs.generation
                && !same_client(&theirs, &current)
        }))
    }

    /// What an administrator is told of a grant whose client is refused and that no newer one replaced.
    pub(super) async fn client_problem(&self, connection: &Connection) -> Result<ConfigProblem> {
        let (tenant, id) = (&connection.tenant, connection.registration);
        let mut tx = self.0.store.read().await?;
        let client = tx.registrations().get(tenant, id).await?;
        let now = self.0.clock.now();
        Ok(match client {
            Some(client) if client.secret_has_ended(now) => ConfigProblem::RegistrationExpired,
            Some(_) | None => ConfigProblem::RegistrationRefused,
        })
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
        let by_hand = !is_ours(&refused);
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
        if refused.id == current.id && refused.secret_has_ended(now) {
            let renewed = self.renew_client(refused).await?;
            return match renewed {
                Renewal::Renewed | Renewal::NotOurs => Ok(()),
                Renewal::Not => self.replace_ended(&server, &current).await,
            };
        }
        let registered = current.kind == RegistrationKind::Dynamic;
        if registered && now.since(current.created_at) <= LEFT_ALONE {
            tracing::warn!(server.id = %id, client.id = client, "the provider refuses a client that was registered just now");
            return Ok(());
        }
        let why = Why {
            reason: "client_refused",
            origin: Origin::service(),
        };
        self.replace_client(&server, &current, By::Registration, why)
            .await?;
        tracing::warn!(
            server.id = %id,
            "the provider refused our client: a new one is registered, and users of the old one must connect again"
        );
        Ok(())
    }
}
