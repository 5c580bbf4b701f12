//! Redeeming: one refresh token, once, whatever the number of callers and replicas.
//!
//! This is the executor of [`decide`]: it loads a state, asks, writes the new one under the
//! condition that the old one still stands, and does what the effect says. In a process there is one
//! flight per grant; across replicas the attempt written to the row is the lease. Flights run on the
//! task tracker: a caller that goes away stops nothing.

use std::pin::pin;
use std::time::Duration;

use super::App;
use super::error::{Error, Result};
use super::feed::Topic;
use super::insist::TRY;
use super::metrics::RefreshOutcome;
use super::resolve::Wanted;
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::connections::{
    self, Attempt, Connection, Decision, Effect, Event, Policy, Settled, decide,
};
use crate::domain::ids::IntentId;
use crate::oauth::{About, Outcome};
use crate::store::within;

mod ahead;
mod call;
mod key;
mod places;
mod settle;
mod unplanned;

pub(super) use key::Key;
pub(super) use places::Places;
pub(super) use unplanned::Walk;

use places::{Behaved, Passage};
use settle::Tried;

/// How often a holder elsewhere is looked at, for what the feed does not tell: a pause, a lost lease.
const POLL: Duration = Duration::from_millis(250);

/// What became of an attempt to take the lease.
enum Claim {
    /// The attempt is declared: redeem.
    Ours(Box<Tried>, Passage),
    /// Somebody wrote in between: look again.
    LookAgain,
    /// Somebody else redeems: look again later.
    Theirs,
    /// There is nothing to redeem, or not now.
    Nothing,
}

impl App {
    /// A user's grant as it is stored now.
    pub(super) async fn connection(&self, key: &Key) -> Result<Option<Connection>> {
        let read = async {
            let mut tx = self.0.store.read().await?;
            let mut connections = tx.connections();
            connections.get(&key.tenant, &key.user, key.server).await
        };
        Ok(within(TRY, read).await?)
    }

    /// What is to be done about a grant now; nothing is written. What would have to be written first
    /// (that the lease of an attempt ended without a verdict) is not told but left to a flight: the
    /// one that began the attempt may still hold its answer.
    pub(super) fn peek(&self, connection: &Connection, min_valid_for: Duration) -> Effect {
        let now = self.0.clock.now();
        let attempt = Attempt {
            intent: IntentId::from_bytes([0; 16]),
            owner: self.0.replica,
            until: now,
            serial: 0,
        };
        let event = Event::Asked {
            now,
            lease_now: now,
            min_valid_for,
            attempt,
        };
        let decision = decide(&connection.life, &event, &self.policy(connection));
        let unwritten = decision.next != connection.life;
        if unwritten && matches!(decision.effect, Effect::Tell(_)) {
            Effect::Redeem
        } else {
            decision.effect
        }
    }

    /// The rules for one grant: the deployment's, and what is known of its provider.
    pub(super) fn policy(&self, connection: &Connection) -> Policy {
        let profiles = &self.0.settings.profiles;
        let mut provider = profiles.find(connection.profile.as_deref(), &connection.issuer);
        // What is asked for in our own name spends nothing: asking twice does no harm.
        provider.keeps_refresh_tokens |= connection.origin == connections::Origin::Automatic;
        Policy {
            provider,
            ..self.0.settings.tokens
        }
    }

    /// Waits, as long as patience lasts, until a grant was renewed or could not be; the grant as it is
    /// then. The flight goes on when patience ends.
    pub(super) async fn renewed(&self, key: &Key, wanted: Wanted) -> Result<Option<Connection>> {
        let mut patience = pin!(tokio::time::sleep(wanted.patience));
        loop {
            let mut ours = false;
            let mut flight = self.0.flights.join(key, |landing| {
                ours = true;
                let (app, key) = (self.clone(), key.clone());
                self.0.tasks.spawn(async move {
                    if let Err(error) = app.fly(&key, wanted.min_valid_for).await {
                        tracing::warn!(server.id = %key.server, %error, "renewal did not run");
                    }
                    drop(landing);
                });
            });
            // The channel carries nothing: it closes when the flight is over.
            let in_time = tokio::select! {
                _ = flight.changed() => true,
                () = &mut patience => false,
            };
            let connection = self.connection(key).await?;
            let effect = connection
                .as_ref()
                .map(|connection| self.peek(connection, wanted.min_valid_for));
            let endpoint = connection.as_ref().map(|one| one.token_endpoint.as_str());
            let begins = self.begins_redemptions(endpoint.unwrap_or_default());
            let again = match effect {
                // Somebody else is at it still, or again.
                Some(Effect::Await { .. }) => begins,
                // A flight that began earlier may have seen less than we, and wanted less.
                Some(Effect::Redeem) => begins && !ours,
                Some(
                    Effect::HandOut(_)
                    | Effect::Tell(_)
                    | Effect::Persist
                    | Effect::Note
                    | Effect::Discard,
                )
                | None => false,
            };
            if !in_time || !again {
                return Ok(connection);
            }
        }
    }

    /// Whether a redemption may begin at a place now: it is not left alone, and this process goes on.
    fn begins_redemptions(&self, endpoint: &str) -> bool {
        !self.0.ending.is_cancelled() && self.0.places.wait(endpoint).is_none()
    }

    async fn fly(&self, key: &Key, min_valid_for: Duration) -> Result<()> {
        let waiting = self.0.clock.monotonic();
        let topic = Topic::connection(&key.tenant, &key.user, key.server);
        let news = self.0.feed.alarm(topic);
        loop {
            news.clear();
            let started = self.0.clock.monotonic();
            match self.claim(key, min_valid_for).await? {
                Claim::Ours(tried, passage) => return self.redeem(*tried, passage, started).await,
                Claim::LookAgain => {}
                // What others are at is not waited for beyond the end of this process.
                Claim::Theirs if self.0.ending.is_cancelled() => return Ok(()),
                Claim::Theirs => {
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
        let read = async {
            let mut tx = self.0.store.read().await?;
            let mut connections = tx.connections();
            let found = connections.get(&key.tenant, &key.user, key.server).await?;
            Ok::<_, Error>((found, tx.lease_now(&*self.0.clock).await?))
        };
        let (found, lease_now) = within(TRY, read).await?;
        let Some(mut connection) = found else {
            return Ok(Claim::Nothing);
        };
        let attempt = Attempt {
            intent: IntentId::mint(&*self.0.clock, &*self.0.random),
            owner: self.0.replica,
            until: lease_now.after(self.0.settings.tokens.lease),
            serial: connection.life.attempts.saturating_add(1),
        };
        let event = Event::Asked {
            now: self.0.clock.now(),
            lease_now,
            min_valid_for,
            attempt,
        };
        let decision = decide(&connection.life, &event, &self.policy(&connection));
        let passage = if decision.effect == Effect::Redeem {
            // What began now might be cut off.
            if self.0.ending.is_cancelled() {
                return Ok(Claim::Nothing);
            }
            match self.0.places.admit(&connection.token_endpoint) {
                Ok(passage) => Some(passage),
                Err(_wait) => return Ok(Claim::Nothing),
            }
        } else {
            None
        };
        if decision.next != connection.life {
            let lost = decision.next.unknown_outcomes > connection.life.unknown_outcomes;
            let error = lost.then_some("outcome_unknown");
            let saved = Box::pin(self.save(&mut connection, &decision, error));
            match within(TRY, saved).await {
                Ok(true) => {}
                Ok(false) => return Ok(Claim::LookAgain),
                Err(error) if passage.is_some() => {
                    // It may be written all the same, and nothing will be sent.
                    let tried = self.tried(connection, attempt);
                    self.settle(&tried, Settled::NotSent, "store_unavailable")
                        .await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(passage) = passage {
            let tried = self.tried(connection, attempt);
            return Ok(Claim::Ours(Box::new(tried), passage));
        }
        Ok(match decision.effect {
            Effect::Await { .. } => Claim::Theirs,
            Effect::HandOut(_)
            | Effect::Tell(_)
            | Effect::Redeem
            | Effect::Persist
            | Effect::Note
            | Effect::Discard => Claim::Nothing,
        })
    }

    fn tried(&self, connection: Connection, attempt: Attempt) -> Tried {
        Tried {
            connection,
            attempt,
            sent_at: self.0.clock.now(),
        }
    }

    /// Writes the state of a decision, unless the row changed since it was read. A new status means
    /// something to others and is audited; a lease, a pause or a count is upkeep.
    pub(super) async fn save(
        &self,
        connection: &mut Connection,
        decision: &Decision,
        error: Option<&str>,
    ) -> Result<bool> {
        let before = connection.life.status;
        let status_changes = before != decision.next.status;
        let now = self.0.clock.now();
        connection.life = decision.next;
        connection.updated_at = now;
        if let Some(error) = error {
            connection.last_error = Some(error.to_owned());
            connection.failed_at = Some(now);
        }
        connection.due_at = connection.next_due(connection.used_at, &self.policy(connection));
        let saved = if status_changes {
            let mut event = self.service_event(connection, "connection.end");
            event.detail = serde_json::json!({
                "server": connection.server.to_string(),
                "before": { "status": before.kind().as_str() },
                "after": { "status": decision.next.status.kind().as_str() },
                "reason": decision.next.status.reason(),
                "error": connection.last_error.as_ref().filter(|_| error.is_some()),
            });
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
    async fn redeem(&self, tried: Tried, passage: Passage, started: Duration) -> Result<()> {
        let outcome = match self.call(&tried.connection, started).await {
            Ok(outcome) => outcome,
            Err(uncalled) => {
                drop(passage);
                let (settled, code) = uncalled.settled();
                return self.settle(&tried, settled, &code).await;
            }
        };
        match behaved(&outcome) {
            Some(behaved) => passage.report(behaved),
            None => drop(passage),
        }
        let forgotten = matches!(&outcome, Outcome::Refused(said) if said.is_unknown_client());
        let (settled, counted, error) = match outcome {
            Outcome::Granted(tokens) => {
                self.count(&tried.connection, RefreshOutcome::Success);
                self.keep_tokens(&tried, &tokens).await;
                return Ok(());
            }
            Outcome::NotSent(error) => {
                tracing::info!(connection.id = %tried.connection.id, %error, "nothing was sent");
                let code = "not_sent".to_owned();
                (Settled::NotSent, RefreshOutcome::NotSent, code)
            }
            Outcome::Refused(refused) => {
                let own = tried.connection.origin == connections::Origin::Automatic;
                let (settled, counted) = match refused.about {
                    // There is no grant that could have ended: it is our client that may not.
                    About::Grant | About::Other if own => {
                        (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble)
                    }
                    About::Grant => (Settled::Refused, RefreshOutcome::Refused),
                    About::Client => (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble),
                    About::Other => (Settled::Unclear, RefreshOutcome::Unclear),
                };
                let code = refused.code.unwrap_or_else(|| "refused".to_owned());
                (settled, counted, code)
            }
            Outcome::Transient {
                status,
                retry_after,
            } => (
                Settled::Transient { retry_after },
                RefreshOutcome::Transient,
                format!("status_{}", status.as_u16()),
            ),
            Outcome::Unknown(_) => (
                Settled::Unknown {
                    sent: tried.sent_at,
                },
                RefreshOutcome::Unknown,
                "outcome_unknown".to_owned(),
            ),
        };
        self.count(&tried.connection, counted);
        self.settle(&tried, settled, &error).await?;
        if forgotten {
            let grant = &tried.connection;
            let whose = (grant.tenant.clone(), grant.server);
            let mended = self.client_refused(whose, grant.registration);
            // As a rule it is done before anybody is told; it goes on by itself where it is not.
            let _ = tokio::time::timeout(TRY, mended).await;
        }
        Ok(())
    }

    fn count(&self, connection: &Connection, outcome: RefreshOutcome) {
        self.0
            .metrics
            .refreshed(connection.issuer.as_str(), outcome);
    }
}

/// What an outcome says about the place itself; nothing, where it is about us: too late, or forbidden
/// by our own rules.
fn behaved(outcome: &Outcome) -> Option<Behaved> {
    match outcome {
        Outcome::Granted(_) | Outcome::Refused(_) => Some(Behaved::Well),
        Outcome::Transient {
            status,
            retry_after,
        } if status.as_u16() == 429 => Some(Behaved::Busy(*retry_after)),
        Outcome::NotSent(error) if error.is_ours() => None,
        Outcome::NotSent(_) | Outcome::Transient { .. } | Outcome::Unknown(_) => {
            Some(Behaved::Badly)
        }
    }
}
