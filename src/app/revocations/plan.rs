//! All grants of a server on their way to the outbox, in one transaction and, for the connections,
//! in one statement for each client, whatever their number.
//!
//! What has to be opened and sealed anew (a secret for each client, the few parked grants) is made
//! ready before the transaction; in it, what was read is compared with what is there, and where it
//! differs everything starts over. A row that cannot be read is passed over both times: what it
//! is about ends without revocation, and nothing else does.

use super::super::App;
use super::super::error::Result;
use super::super::readable::readable;
use super::strays::Stray;
use crate::domain::handshakes::{Failure, Handshake, State};
use crate::domain::ids::{RegistrationId, ServerId};
use crate::domain::registrations::Registration;
use crate::domain::revocations::{Reason, RetiredClient};
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;
use crate::store::{Retiring, Write};

/// What it takes to revoke all grants of a server.
#[derive(Debug)]
pub(in super::super) struct ServerPlan {
    tenant: TenantId,
    server: ServerId,
    auth_version: i64,
    reason: Reason,
    now: Timestamp,
    registrations: Vec<Registration>,
    retirements: Vec<Retirement>,
    parked: Vec<(Handshake, Option<Stray>)>,
}

/// One client of the server.
#[derive(Debug)]
struct Retirement {
    registration: RegistrationId,
    client: RetiredClient,
    endpoint: Option<String>,
}

impl App {
    /// Makes ready what it takes to revoke all grants of a server as it is now, and to delete the
    /// clients registered for it.
    pub(in super::super) async fn plan_of_server(
        &self,
        server: &Server,
        reason: Reason,
    ) -> Result<ServerPlan> {
        let mut tx = self.0.store.read().await?;
        let (tenant, id) = (&server.tenant, server.id);
        let registrations = readable(tx.registrations().list(tenant, id).await?);
        let waiting = readable(tx.handshakes().list_parked(tenant, id).await?);
        drop(tx);
        let mut retirements = Vec::new();
        for registration in &registrations {
            let client = self
                .grant_client(server, registration, &registrations)
                .await?;
            let retired = self.retired(tenant, &client).await?;
            let retired = self.with_management(retired, registration).await?;
            if client.endpoint.is_some() || retired.management.is_some() {
                retirements.push(Retirement {
                    registration: registration.id,
                    client: retired,
                    endpoint: client.endpoint,
                });
            }
        }
        let mut parked = Vec::new();
        for handshake in waiting {
            let known = (server, registrations.as_slice());
            let stray = self.parked_stray(&handshake, known, reason).await?;
            parked.push((handshake, stray));
        }
        Ok(ServerPlan {
            tenant: tenant.clone(),
            server: id,
            auth_version: server.auth_version,
            reason,
            now: self.0.clock.now(),
            registrations,
            retirements,
            parked,
        })
    }
}

impl ServerPlan {
    /// Queues everything, in the transaction that ends the grants and that has the server to
    /// itself. `None` when there is more or less than was planned for: nothing may be committed
    /// then. Answers how many grants were queued.
    pub(in super::super) async fn queue(&self, tx: &mut Write) -> Result<Option<u64>> {
        let (tenant, server) = (&self.tenant, self.server);
        let registrations = readable(tx.registrations().list(tenant, server).await?);
        let parked = readable(tx.handshakes().list_parked(tenant, server).await?);
        let same = registrations == self.registrations
            && parked.len() == self.parked.len()
            && parked
                .iter()
                .zip(&self.parked)
                .all(|(now, (planned, _))| now.id == planned.id);
        if !same {
            return Ok(None);
        }
        let mut queued = 0;
        for retirement in &self.retirements {
            let client = &retirement.client;
            tx.retired_clients_mut().insert(client).await?;
            let Some(endpoint) = &retirement.endpoint else {
                continue;
            };
            let retiring = Retiring {
                server: self.server,
                registration: retirement.registration,
                auth_version: self.auth_version,
                endpoint,
                reason: self.reason,
                now: self.now,
            };
            queued += tx
                .revocations_mut()
                .insert_of_registration(client, &retiring)
                .await?;
        }
        for stray in self.parked.iter().filter_map(|(_, stray)| stray.as_ref()) {
            stray.queue(tx).await?;
            queued += 1;
        }
        Ok(Some(queued))
    }

    /// What stays behind of a server that lives on: handshakes that can be confirmed no more, and
    /// clients whose deletion is the outbox's from now on.
    pub(in super::super) async fn settle(&self, tx: &mut Write) -> Result<()> {
        let failed = State::Failed(Failure::ServerChanged);
        for (handshake, _) in &self.parked {
            tx.handshakes_mut()
                .finish(handshake, failed, self.now)
                .await?;
        }
        let managed = |one: &&Registration| {
            let mut retired = self.retirements.iter();
            retired.any(|r| r.registration == one.id && r.client.management.is_some())
        };
        for registration in self.registrations.iter().filter(managed) {
            tx.registrations_mut()
                .forget_management(registration)
                .await?;
        }
        Ok(())
    }
}
