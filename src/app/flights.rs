//! Flights: work of which a process does one at a time for each thing it is about. Whoever wants the
//! same joins the one under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

type Open<K> = Arc<Mutex<HashMap<K, watch::Receiver<()>>>>;

/// The flights of this process, one for each key.
#[derive(Debug)]
pub(super) struct Flights<K>(Open<K>);

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// The end of a flight, however it comes.
pub(super) struct Landing<K: Eq + Hash> {
    flights: Open<K>,
    key: K,
    _over: watch::Sender<()>,
}

impl<K: Eq + Hash> Drop for Landing<K> {
    fn drop(&mut self) {
        self.flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash> Flights<K> {
    /// The flight of this key; started with `start` if there is none. Its channel carries nothing and
    /// closes when it is over.
    pub(super) fn join(&self, key: &K, start: impl FnOnce(Landing<K>)) -> watch::Receiver<()> {
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
