//! Redeeming: one refresh token, once, whatever the number of callers and replicas.
//!
//! This is the executor of [`decide`]: it loads a state, asks, writes the new one under the
//! condition that the old one still stands, and does what the effect says. In a process there is one
//! flight per grant; across replicas the attempt written to the row is the lease. Flights run on the
//! task tracker: a caller that goes away stops nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::App;
use super::error::Result;
use super::feed::Topic;
use super::metrics::RefreshOutcome;
use super::resolve::Wanted;
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::connections::{Attempt, Connection, Decision, Effect, Event, Settled, decide};
use crate::domain::ids::{IntentId, ServerId};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::oauth::{About, Outcome};

mod call;
mod settle;

use settle::Tried;

/// How often a holder elsewhere is looked at, for what the feed does not tell: a pause, a lost lease.
const POLL: Duration = Duration::from_millis(250);
/// What writing a result may take within the lease.
const WRITE: Duration = Duration::from_secs(5);

/// Which grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) server: ServerId,
}

impl Key {
    /// The grant of a connection.
    fn of(connection: &Connection) -> Self {
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
pub(super) struct Flights(Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>);

/// The end of a flight, however it comes.
struct Landing {
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
    fn join(&self, key: &Key, start: impl FnOnce(Landing)) -> watch::Receiver<()> {
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

/// What became of an attempt to take the lease.
enum Claim {
    /// The attempt is declared: redeem.
    Ours(Box<Tried>),
    /// Somebody else redeems, or wrote in between: look again.
    LookAgain,
    /// There is nothing to redeem.
    Nothing,
}

impl App {
    /// A user's grant as it is stored now.
    pub(super) async fn connection(&self, key: &Key) -> Result<Option<Connection>> {
        let mut tx = self.0.store.read().await?;
        Ok(tx
            .connections()
            .get(&key.tenant, &key.user, key.server)
            .await?)
    }

    /// What would have to be done about a grant now; nothing is written.
    pub(super) fn peek(&self, connection: &Connection, min_valid_for: Duration) -> Decision {
        let now = self.0.clock.now();
        let attempt = Attempt {
            intent: IntentId::from_bytes([0; 16]),
            owner: self.0.replica,
            until: now,
        };
        let event = Event::Asked {
            now,
            lease_now: now,
            min_valid_for,
            attempt,
        };
        decide(&connection.life, &event, &self.0.settings.tokens)
    }

    /// Waits, as long as patience lasts, until a grant was renewed or could not be. The flight goes
    /// on when patience ends.
    pub(super) async fn renewed(&self, key: &Key, wanted: Wanted) {
        let mut flight = self.0.flights.join(key, |landing| {
            let (app, key) = (self.clone(), key.clone());
            self.0.tasks.spawn(async move {
                if let Err(error) = app.fly(&key, wanted.min_valid_for).await {
                    tracing::warn!(server.id = %key.server, %error, "renewal did not run");
                }
                drop(landing);
            });
        });
        // The channel carries nothing: it closes when the flight is over.
        let _ = tokio::time::timeout(wanted.patience, flight.changed()).await;
    }

    async fn fly(&self, key: &Key, min_valid_for: Duration) -> Result<()> {
        let waiting = self.0.clock.monotonic();
        let topic = Topic::connection(&key.tenant, &key.user, key.server);
        let news = self.0.feed.alarm(topic);
        loop {
            news.clear();
            let started = self.0.clock.monotonic();
            match self.claim(key, min_valid_for).await? {
                Claim::Ours(tried) => return self.redeem(*tried, started).await,
                Claim::LookAgain => {
                    let _ = tokio::time::timeout(POLL, news.heard()).await;
                }
                Claim::Nothing => {
                    let waited = started.saturating_sub(waiting);
                    if !waited.is_zero() {
                        self.0.metrics.lease_waited(waited);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Declares an attempt, if the state asks for one.
    async fn claim(&self, key: &Key, min_valid_for: Duration) -> Result<Claim> {
        let mut tx = self.0.store.read().await?;
        let found = tx
            .connections()
            .get(&key.tenant, &key.user, key.server)
            .await?;
        let Some(mut connection) = found else {
            return Ok(Claim::Nothing);
        };
        let lease_now = tx.lease_now(&*self.0.clock).await?;
        drop(tx);
        let attempt = Attempt {
            intent: IntentId::mint(&*self.0.clock, &*self.0.random),
            owner: self.0.replica,
            until: lease_now.after(self.0.settings.tokens.lease),
        };
        let event = Event::Asked {
            now: self.0.clock.now(),
            lease_now,
            min_valid_for,
            attempt,
        };
        let decision = decide(&connection.life, &event, &self.0.settings.tokens);
        if decision.next != connection.life && !self.save(&mut connection, &decision, None).await? {
            return Ok(Claim::LookAgain);
        }
        Ok(match decision.effect {
            Effect::Redeem => {
                let sent_at = self.0.clock.now();
                Claim::Ours(Box::new(Tried {
                    connection,
                    attempt,
                    sent_at,
                }))
            }
            Effect::Await { .. } => Claim::LookAgain,
            Effect::HandOut(_)
            | Effect::Tell(_)
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Claim::Nothing,
        })
    }

    /// Writes the state of a decision, unless the row changed since it was read. A new status means
    /// something to others and is audited; a lease, a pause or a count is upkeep.
    pub(super) async fn save(
        &self,
        connection: &mut Connection,
        decision: &Decision,
        error: Option<&str>,
    ) -> Result<bool> {
        let status_changes = connection.life.status != decision.next.status;
        connection.life = decision.next;
        if let Some(error) = error {
            connection.last_error = Some(error.to_owned());
        }
        let saved = if status_changes {
            let mut event = self.service_event(connection, "connection.end");
            event.detail = serde_json::json!({ "status": format!("{:?}", decision.next.status) });
            let mut tx = self.0.store.write().await?;
            let saved = tx.connections_mut().save_life(connection).await?;
            if saved {
                tx.commit(&event).await?;
            }
            saved
        } else {
            let mut tx = self.0.store.upkeep().await?;
            let saved = tx.connection_leases().save_life(connection).await?;
            tx.commit().await?;
            saved
        };
        connection.version += i64::from(saved);
        Ok(saved)
    }

    fn service_event(&self, connection: &Connection, action: &'static str) -> NewAuditEvent {
        let mut event = self.event(&connection.tenant, Origin::service(), action, connection.id);
        event.user = Some(connection.user.to_string());
        event
    }

    /// Redeems under a declared attempt and writes what came of it. `started` is when the lease was
    /// asked for, on the monotonic clock.
    async fn redeem(&self, tried: Tried, started: Duration) -> Result<()> {
        let (settled, outcome, error) = match self.call(&tried.connection, started).await {
            Ok(Outcome::Granted(tokens)) => {
                self.count(&tried.connection, RefreshOutcome::Success);
                self.keep_tokens(&tried, &tokens).await;
                return Ok(());
            }
            Ok(Outcome::NotSent(error)) => {
                (Settled::NotSent, RefreshOutcome::NotSent, error.to_string())
            }
            Ok(Outcome::Refused(refused)) => {
                let (settled, outcome) = match refused.about {
                    About::Grant => (Settled::Refused, RefreshOutcome::Refused),
                    About::Client => (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble),
                    About::Other => (
                        Settled::Transient { retry_after: None },
                        RefreshOutcome::Transient,
                    ),
                };
                (
                    settled,
                    outcome,
                    refused.code.unwrap_or_else(|| "refused".to_owned()),
                )
            }
            Ok(Outcome::Transient {
                status,
                retry_after,
            }) => {
                let code = format!("status_{}", status.as_u16());
                (
                    Settled::Transient { retry_after },
                    RefreshOutcome::Transient,
                    code,
                )
            }
            Ok(Outcome::Unknown(_)) => (
                Settled::Unknown,
                RefreshOutcome::Unknown,
                "outcome_unknown".to_owned(),
            ),
            Err(uncalled) => {
                let (settled, code) = uncalled.settled();
                return self.settle(&tried, settled, &code).await;
            }
        };
        self.count(&tried.connection, outcome);
        self.settle(&tried, settled, &error).await
    }

    fn count(&self, connection: &Connection, outcome: RefreshOutcome) {
        self.0
            .metrics
            .refreshed(connection.issuer.as_str(), outcome);
    }
}
