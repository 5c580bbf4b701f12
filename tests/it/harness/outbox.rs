//! Values of the outbox of revocations, written to the store or not.

use stationmaster::domain::authorization::{ClientAuthMethod, Issuer};
use stationmaster::domain::ids::{ConnectionId, RetiredClientId};
use stationmaster::domain::revocations::{
    Management, Reason, RetiredClient, Revocation, Work, WorkState,
};
use stationmaster::domain::time::Timestamp;
use stationmaster::store::{Claim, Store};

use super::fixtures::{Home, NOW, later};

/// Where revocations go.
pub(crate) const ENDPOINT: &str = "https://as.test/revoke";

impl Home {
    /// A client in which everything optional is absent.
    pub(crate) fn retired(&self) -> RetiredClient {
        RetiredClient {
            id: RetiredClientId::mint(self.clock(), self.random()),
            tenant: self.tenant.clone(),
            issuer: Issuer::new("https://as.test"),
            client_id: "client".into(),
            auth_method: ClientAuthMethod::None,
            client_secret: None,
            management: None,
            work: Work::from(NOW, Timestamp::default()),
        }
    }

    /// A client whose registration is to be deleted.
    pub(crate) fn managed(&self) -> RetiredClient {
        RetiredClient {
            management: Some(Management {
                uri: "https://as.test/reg/1".into(),
                token: self.sealed(b"manage").unwrap(),
            }),
            ..self.retired()
        }
    }

    /// A client in which every field holds something of its own.
    pub(crate) fn full_retired(&self) -> RetiredClient {
        RetiredClient {
            issuer: Issuer::new("https://AS.test/ä"),
            client_id: "Client".into(),
            auth_method: ClientAuthMethod::ClientSecretPost,
            client_secret: self.sealed(b"secret"),
            work: full_work(),
            ..self.managed()
        }
    }

    /// A revocation by a client.
    pub(crate) fn revocation(&self, client: &RetiredClient) -> Revocation {
        Revocation {
            id: ConnectionId::mint(self.clock(), self.random()),
            tenant: self.tenant.clone(),
            user: super::fixtures::user("ann"),
            server: self.server("gone").id,
            client: Some(client.id),
            issuer: client.issuer.clone(),
            endpoint: ENDPOINT.into(),
            reason: Reason::Disconnect,
            refresh_token: self.sealed(b"refresh"),
            access_token: self.sealed(b"access"),
            work: Work::from(NOW, Timestamp::default()),
        }
    }

    /// A revocation in which every field holds something of its own.
    pub(crate) fn full_revocation(&self, client: &RetiredClient) -> Revocation {
        Revocation {
            endpoint: "https://as.test/other".into(),
            reason: Reason::Late,
            work: full_work(),
            ..self.revocation(client)
        }
    }

    pub(crate) async fn store_retired(&self, store: &Store, client: &RetiredClient) {
        let mut tx = store.write().await.unwrap();
        tx.retired_clients_mut().insert(client).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
    }

    pub(crate) async fn store_revocation(&self, store: &Store, revocation: &Revocation) {
        let mut tx = store.write().await.unwrap();
        tx.revocations_mut().insert(revocation).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
    }

    /// A client with one revocation, stored.
    pub(crate) async fn queue(&self, store: &Store) -> (RetiredClient, Revocation) {
        let client = self.retired();
        let revocation = self.revocation(&client);
        self.store_retired(store, &client).await;
        self.store_revocation(store, &revocation).await;
        (client, revocation)
    }
}

fn full_work() -> Work {
    Work {
        state: WorkState::Dead,
        not_before: later(1),
        attempts: 2,
        next_attempt_at: later(3),
        lease_until: Some(later(4)),
        last_error: Some("invalid_client".into()),
        created_at: later(5),
        version: 6,
    }
}

/// What is due on both clocks at this time, for a minute.
pub(crate) fn claim_at(at: Timestamp) -> Claim {
    Claim {
        now: at,
        lease_now: at,
        until: at.after(std::time::Duration::from_mins(1)),
        per_place: 100,
        limit: 100,
    }
}
