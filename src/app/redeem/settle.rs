//! Writing what came of a redemption: new tokens before anyone gets them, a refusal only while it
//! is still about what stands.

use super::super::App;
use super::super::error::Result;
use super::super::insist::{Insist, TRY};
use super::Key;
use crate::domain::authorization::TokenSet;
use crate::domain::connections::{
    Attempt, Connection, Decision, Effect, Event, Redemption, Settled, decide,
};
use crate::domain::time::Timestamp;
use crate::store::within;

/// One redemption, as it was begun.
#[derive(Debug)]
pub(super) struct Tried {
    /// The grant as it stood.
    pub(super) connection: Connection,
    /// The attempt declared.
    pub(super) attempt: Attempt,
    /// When the request was about to be sent.
    pub(super) sent_at: Timestamp,
}

impl App {
    /// The grant of a redemption as it stands now, unless another one took its place: the
    /// connection, or the one that took over its refresh token with the attempt under way.
    async fn standing(&self, tried: &Tried) -> Result<Option<Connection>> {
        let now = self.connection(&Key::of(&tried.connection)).await?;
        Ok(now.filter(|now| now.id == tried.connection.id || takes_over(now, tried)))
    }

    /// What an outcome does to the grant as it stands.
    fn judge(&self, tried: &Tried, now: &Connection, outcome: Settled) -> Decision {
        let generation = if takes_over(now, tried) {
            now.life.generation
        } else {
            tried.connection.life.generation
        };
        let event = Event::Settled {
            now: self.0.clock.now(),
            attempt: tried.attempt,
            generation,
            outcome,
        };
        decide(&now.life, &event, &self.policy(now))
    }

    /// Writes an outcome without tokens, unless a newer state stands. While the store does not answer
    /// it is tried again, as long as the lease lasts: what is not written counts as unknown then.
    pub(super) async fn settle(&self, tried: &Tried, outcome: Settled, error: &str) -> Result<()> {
        let id = tried.connection.id;
        tracing::info!(connection.id = %id, outcome = error, "renewal did not succeed");
        let mut again = Insist::for_at_most(self.0.settings.tokens.lease);
        loop {
            match within(TRY, Box::pin(self.try_settle(tried, outcome, error))).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => again.after(error).await?,
            }
        }
    }

    /// One try to write an outcome; `true` when it is written or superseded.
    async fn try_settle(&self, tried: &Tried, outcome: Settled, error: &str) -> Result<bool> {
        let Some(mut current) = self.standing(tried).await? else {
            return Ok(true);
        };
        let decision = self.judge(tried, &current, outcome);
        if decision.effect == Effect::Discard {
            return Ok(true);
        }
        self.save(&mut current, &decision, Some(error)).await
    }

    /// Writes new tokens before anyone gets them, and does not stop until they are written or a
    /// newer generation stands: the old refresh token is spent.
    pub(super) async fn keep_tokens(&self, tried: &Tried, tokens: &TokenSet) {
        let mut again = Insist::for_ever();
        loop {
            match within(TRY, Box::pin(self.persist(tried, tokens))).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    let id = tried.connection.id;
                    tracing::error!(connection.id = %id, %error, "new tokens are not stored yet");
                }
            }
            again.wait().await;
        }
    }

    /// One try to write new tokens; `true` when they are written or superseded.
    async fn persist(&self, tried: &Tried, tokens: &TokenSet) -> Result<bool> {
        let Some(mut next) = self.standing(tried).await? else {
            return self.queue_late(&tried.connection, tokens).await;
        };
        // A provider that no longer says how long is taken to mean as long as before, if there was any.
        let end = next.life.expires_at.filter(|_| next.access_token.is_some());
        let before = end.map(|end| end.since(next.life.obtained_at));
        let lifetime = tokens.expires_in.or(before);
        let redemption = Redemption {
            obtained_at: tried.sent_at,
            expires_at: lifetime.map(|lifetime| tried.sent_at.after(lifetime)),
            kept: tokens.refresh_token.is_none(),
        };
        let decision = self.judge(tried, &next, Settled::Success(redemption));
        if decision.effect != Effect::Persist {
            return self.queue_late(&tried.connection, tokens).await;
        }
        next.life = decision.next;
        self.seal_tokens(&mut next, tokens).await?;
        let now = self.0.clock.now();
        next.refreshed_at = Some(now);
        next.updated_at = now;
        next.last_error = None;
        let grant_ends = tokens
            .refresh_expires_in
            .map(|in_| tried.sent_at.after(in_));
        next.reconnect_before = grant_ends.or(next.reconnect_before);
        next.due_at = next.next_due(next.used_at, &self.policy(&next));
        let mut event = self.service_event(&next, "connection.refresh");
        event.detail = serde_json::json!({
            "server": next.server.to_string(),
            "generation": next.life.generation,
        });
        let mut tx = self.0.store.write().await?;
        let written = tx.connections_mut().renew(&next).await?;
        if written {
            tx.commit(&event).await?;
        }
        Ok(written)
    }
}

/// Whether another connection holds the very refresh token of a redemption under way: it was
/// imported meanwhile, and the attempt with it.
fn takes_over(now: &Connection, tried: &Tried) -> bool {
    let attempt = now.life.attempt.map(|attempt| attempt.intent);
    now.id != tried.connection.id && attempt == Some(tried.attempt.intent)
}
