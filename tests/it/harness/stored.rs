//! Values of [`Home`] written to the store, for tests of what builds on them.

use stationmaster::domain::connections::Connection;
use stationmaster::domain::handshakes::Handshake;
use stationmaster::domain::identities::Identity;
use stationmaster::domain::registrations::Registration;
use stationmaster::domain::servers::Server;
use stationmaster::store::Store;

use super::fixtures::Home;

impl Home {
    /// A stored server.
    pub(crate) async fn store_server(&self, store: &Store, slug: &str) -> Server {
        let server = self.server(slug);
        let mut tx = store.write().await.unwrap();
        tx.servers_mut().insert(&server).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
        server
    }

    /// A stored registration of a new server.
    pub(crate) async fn store_registration(&self, store: &Store, slug: &str) -> Registration {
        let server = self.store_server(store, slug).await;
        let registration = self.registration(&server);
        let mut tx = store.write().await.unwrap();
        tx.registrations_mut().insert(&registration).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
        registration
    }

    /// Stores a connection.
    pub(crate) async fn store_connection(&self, store: &Store, connection: &Connection) {
        let mut tx = store.write().await.unwrap();
        tx.connections_mut().insert(connection).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
    }

    /// Stores an identity.
    pub(crate) async fn store_identity(&self, store: &Store, identity: &Identity) {
        let mut tx = store.write().await.unwrap();
        tx.identities_mut().insert(identity).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
    }

    /// Stores a handshake.
    pub(crate) async fn store_handshake(&self, store: &Store, handshake: &Handshake) {
        let mut tx = store.write().await.unwrap();
        tx.handshakes_mut().insert(handshake).await.unwrap();
        tx.commit(&self.event()).await.unwrap();
    }
}
