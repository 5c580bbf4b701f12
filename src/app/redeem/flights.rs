//! Flights: in a process, one for each grant that is being renewed. Whoever wants the same joins it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;

/// Which grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::app) struct Key {
    pub(in crate::app) tenant: TenantId,
    pub(in crate::app) user: UserId,
    pub(in crate::app) server: ServerId,
}

impl Key {
    /// The grant of a connection.
    pub(super) fn of(connection: &Connection) -> Self {
        let Connection {
            tenant,
            user,
            server,
            ..
        } = connection;
        Self {
            tenant: tenant.clone(),
            user: user.clone(),
            server: *server,
        }
    }
}

/// The flights of this process, one per grant. A flight is over when its channel closes.
#[derive(Debug, Default)]
pub(in crate::app) struct Flights(Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>);

/// The end of a flight, however it comes.
pub(super) struct Landing {
    flights: Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>,
    key: Key,
    _over: watch::Sender<()>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

impl Flights {
    /// The flight for a grant; started with `start` if there is none.
    pub(super) fn join(&self, key: &Key, start: impl FnOnce(Landing)) -> watch::Receiver<()> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (over, flight) = watch::channel(());
        flights.insert(key.clone(), flight.clone());
        start(Landing {
            flights: Arc::clone(&self.0),
            key: key.clone(),
            _over: over,
        });
        flight
    }
}
