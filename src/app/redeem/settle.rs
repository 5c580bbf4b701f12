//! Writing what came of a redemption: new tokens before anyone gets them, a refusal only while it
//! is still about what stands.

use super::super::App;
use super::super::error::Result;
use super::super::insist::{Insist, TRY};
use super::Grant;
use crate::domain::authorization::TokenSet;
use crate::domain::connections::{Attempt, Decision, Effect, Event, Redemption, Settled, decide};
use crate::domain::time::Timestamp;
use crate::store::within;

/// One redemption, as it was begun.
#[derive(Debug)]
pub(super) struct Tried<G> {
    /// The grant as it stood.
    pub(super) grant: G,
    /// The attempt declared.
    pub(super) attempt: Attempt,
    /// When the request was about to be sent.
    pub(super) sent_at: Timestamp,
}

impl App {
    /// The grant of a redemption as it stands now, unless another one took its place: the
    /// connection, or the one that took over its refresh token with the attempt under way.
    async fn standing<G: Grant>(&self, tried: &Tried<G>) -> Result<Option<G>> {
        let now: Option<G> = self.held_grant(&tried.grant.key()).await?;
        Ok(now.filter(|now| now.id() == tried.grant.id() || takes_over(now, tried)))
    }

    /// What an outcome does to the grant as it stands.
    fn judge<G: Grant>(&self, tried: &Tried<G>, now: &G, outcome: Settled) -> Decision {
        let generation = if takes_over(now, tried) {
            now.life().generation
        } else {
            tried.grant.life().generation
        };
        let event = Event::Settled {
            now: self.0.clock.now(),
            attempt: tried.attempt,
            generation,
            outcome,
        };
        decide(now.life(), &event, &self.policy(now))
    }

    /// Writes an outcome without tokens, unless a newer state stands. While the store does not answer
    /// it is tried again, as long as the lease lasts: what is not written counts as unknown then.
    pub(super) async fn settle<G: Grant>(
        &self,
        tried: &Tried<G>,
        outcome: Settled,
        error: &str,
    ) -> Result<()> {
        let id = tried.grant.id();
        tracing::info!(grant.id = %id, outcome = error, "renewal did not succeed");
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
    async fn try_settle<G: Grant>(
        &self,
        tried: &Tried<G>,
        outcome: Settled,
        error: &str,
    ) -> Result<bool> {
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
    pub(super) async fn keep_tokens<G: Grant>(&self, tried: &Tried<G>, tokens: &TokenSet) {
        let mut again = Insist::for_ever();
        loop {
            match within(TRY, Box::pin(self.persist(tried, tokens))).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    let id = tried.grant.id();
                    tracing::error!(grant.id = %id, %error, "new tokens are not stored yet");
                }
            }
            again.wait().await;
        }
    }

    /// One try to write new tokens; `true` when they are written or superseded.
    async fn persist<G: Grant>(&self, tried: &Tried<G>, tokens: &TokenSet) -> Result<bool> {
        let Some(mut next) = self.standing(tried).await? else {
            return tried.grant.late(self, tokens).await;
        };
        let ends = next.ends(tokens, tried.sent_at);
        let redemption = Redemption {
            obtained_at: tried.sent_at,
            expires_at: ends.first,
            kept: tokens.refresh_token.is_none(),
        };
        let decision = self.judge(tried, &next, Settled::Success(redemption));
        if decision.effect != Effect::Persist {
            return tried.grant.late(self, tokens).await;
        }
        *next.kept().life = decision.next;
        next.seal(self, tokens, (tried.sent_at, ends)).await?;
        let now = self.0.clock.now();
        let kept = next.kept();
        *kept.refreshed_at = Some(now);
        *kept.updated_at = now;
        *kept.last_error = None;
        *next.kept().due_at = self.next_due(&next);
        let mut event = self.service_event(&next, G::RENEWED);
        event.detail["generation"] = next.life().generation.into();
        let mut tx = self.0.store.write().await?;
        let written = next.renew(&mut tx).await?;
        if written {
            tx.commit(&event).await?;
        }
        Ok(written)
    }
}

/// Whether another connection holds the very refresh token of a redemption under way: it was
/// imported meanwhile, and the attempt with it.
fn takes_over<G: Grant>(now: &G, tried: &Tried<G>) -> bool {
    let attempt = now.life().attempt.map(|attempt| attempt.intent);
    now.id() != tried.grant.id() && attempt == Some(tried.attempt.intent)
}
