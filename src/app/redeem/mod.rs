//! Redeeming: one refresh token, once, whatever the number of callers and replicas; of connections and of
//! users' identities alike.
//!
//! This is the executor of [`decide`]: it loads a state, asks, writes the new one under the
//! condition that the old one still stands, and does what the effect says. In a process there is one
//! flight per grant; across replicas the attempt written to the row is the lease. Flights run on the
//! task tracker: a caller that goes away stops nothing.

use std::pin::pin;
use std::time::Duration;

use super::App;
use super::error::{Error, Result};
use super::insist::TRY;
use super::metrics::RefreshOutcome;
use super::resolve::Wanted;
use crate::domain::audit::{NewAuditEvent, Origin};
use crate::domain::connections::{
    Attempt, Connection, Decision, Effect, Event, Policy, Settled, decide,
};
use crate::domain::ids::IntentId;
use crate::domain::time::Timestamp;
use crate::oauth::Outcome;
use crate::store::within;

mod ahead;
mod call;
mod connection;
mod grant;
mod identity;
mod key;
mod places;
mod settle;
mod unplanned;

pub(super) use self::{call::LOGIN_ENDED, grant::Grant, identity::IdentityKey, key::Key};
pub(super) use self::{places::Places, unplanned::Walk};

use places::{Behaved, Passage};
use settle::Tried;

/// How often a holder elsewhere is looked at, for what the feed does not tell: a pause, a lost lease.
const POLL: Duration = Duration::from_millis(250);

/// What became of an attempt to take the lease.
enum Claim<G> {
    /// The attempt is declared: redeem.
    Ours(Box<Tried<G>>, Passage),
    /// Somebody wrote in between: look again.
    LookAgain,
    /// Somebody else redeems: look again later.
    Theirs,
    /// There is nothing to redeem, or not now.
    Nothing,
}

impl App {
    /// A user's connection as it is stored now.
    pub(super) async fn connection(&self, key: &Key) -> Result<Option<Connection>> {
        self.held_grant(key).await
    }

    /// A grant as it is stored now.
    pub(super) async fn held_grant<G: Grant>(&self, key: &G::Key) -> Result<Option<G>> {
        let read = async {
            let mut tx = self.0.store.read().await?;
            G::find(&mut tx, key).await
        };
        Ok(within(TRY, read).await?)
    }

    /// What is to be done about a grant now; nothing is written. What would have to be written first
    /// (that the lease of an attempt ended without a verdict) is not told but left to a flight: the
    /// one that began the attempt may still hold its answer.
    pub(super) fn peek<G: Grant>(&self, grant: &G, min_valid_for: Duration) -> Effect {
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
        let decision = decide(grant.life(), &event, &self.policy(grant));
        let unwritten = decision.next != *grant.life();
        if unwritten && matches!(decision.effect, Effect::Tell(_)) {
            Effect::Redeem
        } else {
            decision.effect
        }
    }

    /// The rules for one grant.
    pub(super) fn policy<G: Grant>(&self, grant: &G) -> Policy {
        grant.policy(self)
    }

    /// Waits, as long as patience lasts, until a grant was renewed or could not be; the grant as it is
    /// then. The flight goes on when patience ends.
    pub(super) async fn renewed<G: Grant>(
        &self,
        key: &G::Key,
        wanted: Wanted,
    ) -> Result<Option<G>> {
        let mut patience = pin!(tokio::time::sleep_until(wanted.until.into()));
        loop {
            let mut ours = false;
            let mut flight = G::flights(self).join(key, |landing| {
                ours = true;
                let (app, key) = (self.clone(), key.clone());
                self.0.tasks.spawn(async move {
                    if let Err(error) = app.fly::<G>(&key, wanted.min_valid_for).await {
                        tracing::warn!(%error, "renewal of {key} did not run");
                    }
                    drop(landing);
                });
            });
            // The channel carries nothing: it closes when the flight is over.
            let in_time = tokio::select! {
                _ = flight.changed() => true,
                () = &mut patience => false,
            };
            let grant = self.held_grant::<G>(key).await?;
            let effect = grant
                .as_ref()
                .map(|grant| self.peek(grant, wanted.min_valid_for));
            let place = grant.as_ref().map(Grant::place);
            let begins = self.begins_redemptions(place.as_deref().unwrap_or_default());
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
                return Ok(grant);
            }
        }
    }

    /// Whether a redemption may begin at a place now: it is not left alone, and this process goes on.
    fn begins_redemptions(&self, place: &str) -> bool {
        !self.0.ending.is_cancelled() && self.0.places.wait(place).is_none()
    }

    async fn fly<G: Grant>(&self, key: &G::Key, min_valid_for: Duration) -> Result<()> {
        let waiting = self.0.clock.monotonic();
        let news = self.0.feed.alarm(G::topic(key));
        loop {
            news.clear();
            let started = self.0.clock.monotonic();
            match self.claim::<G>(key, min_valid_for).await? {
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
    async fn claim<G: Grant>(&self, key: &G::Key, min_valid_for: Duration) -> Result<Claim<G>> {
        let read = async {
            let mut tx = self.0.store.read().await?;
            let found = G::find(&mut tx, key).await?;
            Ok::<_, Error>((found, tx.lease_now(&*self.0.clock).await?))
        };
        let (found, lease_now) = within(TRY, read).await?;
        let Some(mut grant) = found else {
            return Ok(Claim::Nothing);
        };
        let attempt = Attempt {
            intent: IntentId::mint(&*self.0.clock, &*self.0.random),
            owner: self.0.replica,
            until: lease_now.after(self.0.settings.tokens.lease),
            serial: grant.life().attempts.saturating_add(1),
        };
        let event = Event::Asked {
            now: self.0.clock.now(),
            lease_now,
            min_valid_for,
            attempt,
        };
        let decision = decide(grant.life(), &event, &self.policy(&grant));
        let passage = if decision.effect == Effect::Redeem {
            // What began now might be cut off.
            if self.0.ending.is_cancelled() {
                return Ok(Claim::Nothing);
            }
            match self.0.places.admit(&grant.place()) {
                Ok(passage) => Some(passage),
                Err(_wait) => return Ok(Claim::Nothing),
            }
        } else {
            None
        };
        if decision.next != *grant.life() {
            let lost = decision.next.unknown_outcomes > grant.life().unknown_outcomes;
            let error = lost.then_some("outcome_unknown");
            let saved = Box::pin(self.save(&mut grant, &decision, error));
            match within(TRY, saved).await {
                Ok(true) => {}
                Ok(false) => return Ok(Claim::LookAgain),
                Err(error) if passage.is_some() => {
                    // It may be written all the same, and nothing will be sent.
                    let tried = self.tried(grant, attempt);
                    self.settle(&tried, Settled::NotSent, "store_unavailable")
                        .await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(passage) = passage {
            let tried = self.tried(grant, attempt);
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

    fn tried<G: Grant>(&self, grant: G, attempt: Attempt) -> Tried<G> {
        Tried {
            grant,
            attempt,
            sent_at: self.0.clock.now(),
        }
    }

    /// Writes the state of a decision, unless the row changed since it was read. A new status means
    /// something to others and is audited; a lease, a pause or a count is upkeep.
    pub(super) async fn save<G: Grant>(
        &self,
        grant: &mut G,
        decision: &Decision,
        error: Option<&str>,
    ) -> Result<bool> {
        let (before, status) = (grant.life().status, decision.next.status);
        let status_changes = before != status;
        let now = self.0.clock.now();
        let kept = grant.kept();
        *kept.life = decision.next;
        *kept.updated_at = now;
        if let Some(error) = error {
            *kept.last_error = Some(error.to_owned());
            *kept.failed_at = Some(now);
        }
        *grant.kept().due_at = self.next_due(grant);
        let saved = if status_changes {
            let mut event = self.service_event(grant, G::ENDED);
            event.detail["before"] = serde_json::json!({ "status": before.kind().as_str() });
            event.detail["after"] = serde_json::json!({ "status": status.kind().as_str() });
            event.detail["reason"] = status.reason().into();
            event.detail["error"] = error.into();
            let mut tx = self.0.store.write().await?;
            let saved = grant.save(&mut tx).await?;
            if saved {
                tx.commit(&event).await?;
            }
            saved
        } else {
            let mut tx = self.0.store.upkeep().await?;
            let saved = grant.save_quietly(&mut tx).await?;
            tx.commit().await?;
            saved
        };
        *grant.kept().version += i64::from(saved);
        Ok(saved)
    }

    /// When a grant is next renewed without being asked for, by today's rules.
    fn next_due<G: Grant>(&self, grant: &G) -> Option<Timestamp> {
        let policy = self.policy(grant);
        grant
            .life()
            .next_due(grant.id().as_bytes(), grant.used_at(), &policy)
    }

    fn service_event<G: Grant>(&self, grant: &G, action: &'static str) -> NewAuditEvent {
        let (tenant, user) = grant.owner();
        let mut event = self.event(tenant, Origin::service(), action, grant.id());
        event.user = Some(user.to_string());
        event.detail = grant.described();
        event
    }

    /// Redeems under a declared attempt and writes what came of it. `started` is when the lease was
    /// asked for, on the monotonic clock.
    async fn redeem<G: Grant>(
        &self,
        tried: Tried<G>,
        passage: Passage,
        started: Duration,
    ) -> Result<()> {
        let outcome = match tried.grant.call(self, started).await {
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
                self.count(&tried.grant, RefreshOutcome::Success);
                self.keep_tokens(&tried, &tokens).await;
                return Ok(());
            }
            Outcome::NotSent(error) => {
                tracing::info!(grant.id = %tried.grant.id(), %error, "nothing was sent");
                let code = "not_sent".to_owned();
                (Settled::NotSent, RefreshOutcome::NotSent, code)
            }
            Outcome::Refused(refused) => {
                let (settled, counted) = tried.grant.refusal(&refused);
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
        self.count(&tried.grant, counted);
        self.settle(&tried, settled, &error).await?;
        if forgotten {
            tried.grant.client_forgotten(self).await;
        }
        Ok(())
    }

    fn count<G: Grant>(&self, grant: &G, outcome: RefreshOutcome) {
        self.0.metrics.refreshed(grant.issuer().as_str(), outcome);
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
