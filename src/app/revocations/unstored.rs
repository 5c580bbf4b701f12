//! Clients on their way to the store. One that we registered and that does not get there, since
//! somebody was faster or the caller went away, is deleted at its provider: nothing here would
//! know of it.

use std::fmt::Display;

use super::super::App;
use super::super::client_auth::Proof;
use super::super::error::Result;
use super::GrantClient;
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::changes::Revision;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::store::Write;

/// A registration that is not stored yet. Dropped, it is retired.
#[derive(Debug)]
pub(in super::super) struct Unstored {
    app: App,
    registration: Registration,
    fate: Fate,
}

/// Whether a registration is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is not.
    Not,
    /// It may be: a commit was begun.
    Perhaps,
    /// It is.
    Stored,
}

impl Unstored {
    /// What is to be stored.
    pub(in super::super) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Commits the transaction that stores them. When that fails nobody knows whether they are stored:
    /// they are kept then, and said so.
    pub(in super::super) async fn commit(
        clients: impl IntoIterator<Item = Self>,
        tx: Write,
        event: &NewAuditEvent,
    ) -> Result<(Revision, Vec<Registration>)> {
        let perhaps = |mut client: Self| {
            client.fate = Fate::Perhaps;
            client
        };
        let clients: Vec<Self> = clients.into_iter().map(perhaps).collect();
        let revision = tx.commit(event).await?;
        let stored = |mut client: Self| {
            client.fate = Fate::Stored;
            client.registration.clone()
        };
        Ok((revision, clients.into_iter().map(stored).collect()))
    }
}

impl Drop for Unstored {
    fn drop(&mut self) {
        if self.registration.kind != RegistrationKind::Dynamic {
            return;
        }
        match self.fate {
            Fate::Not => {}
            Fate::Perhaps => {
                return stays_registered(&self.registration, "a commit was not heard of");
            }
            Fate::Stored => return,
        }
        let (app, registration) = (self.app.clone(), self.registration.clone());
        self.app.0.tasks.spawn(async move {
            match app.retire_unstored(&registration).await {
                Ok(true) => app.ring_outbox(),
                Ok(false) => stays_registered(&registration, "its provider deletes no clients"),
                Err(error) => stays_registered(&registration, error),
            }
        });
    }
}

/// Says that a client is left behind at its provider.
pub(in super::super) fn stays_registered(registration: &Registration, why: impl Display) {
    let (id, issuer) = (&registration.client_id, &registration.issuer);
    tracing::warn!(client.id = id, %issuer, error = %why, "a client that is not stored stays registered");
}

impl App {
    /// A registration on its way to the store.
    pub(in super::super) fn unstored(&self, registration: Registration) -> Unstored {
        Unstored {
            app: self.clone(),
            registration,
            fate: Fate::Not,
        }
    }

    /// Queues the deletion of a client by which nothing was ever begun. `false` where its provider
    /// deletes no clients.
    async fn retire_unstored(&self, registration: &Registration) -> Result<bool> {
        let tenant = &registration.tenant;
        let client = GrantClient {
            issuer: registration.issuer.clone(),
            client_id: registration.client_id.clone(),
            auth_method: registration.auth_method,
            proof: Proof::Nothing,
            endpoint: None,
        };
        let client = self.retired(tenant, &client).await?;
        let mut client = self.with_management(client, registration).await?;
        if client.management.is_none() {
            return Ok(false);
        }
        client.work.next_attempt_at = self.0.clock.now();
        let (origin, id) = (Origin::service(), registration.id);
        let mut event = self.event(tenant, origin, "registration.retire", id);
        event.detail = serde_json::json!({
            "server": registration.server.to_string(),
            "issuer": registration.issuer.as_str(),
            "client_id": registration.client_id,
            "reason": "not_stored",
        });
        let mut tx = self.0.store.write().await?;
        tx.retired_clients_mut().insert(&client).await?;
        tx.commit(&event).await?;
        Ok(true)
    }
}
