//! Handshakes: from a link to a grant. `start` makes the link, `browser` is what the link and the
//! provider's answer lead to, `exchange` redeems the code and stores the grant.

mod account;
mod browser;
mod confirm;
mod exchange;
mod pages;
mod past;
mod start;

pub(super) use confirm::parked_place;
pub use pages::{Callback, Closed, LinkPage, ResultPage};
pub(super) use past::InVain;
pub(super) use start::{no_client, snapshot};

use std::time::Duration;

use super::access::check_user_token;
use super::error::{Error, Result};
use super::feed::{Events, Guard, Subscription, Topic, Watch};
use super::metrics::HandshakeOutcome;
use super::revocations::fate;
use super::servers::ServerRef;
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::Scopes;
use crate::domain::changes::{ChangeKind, Revision};
use crate::domain::handshakes::{Binding, Handshake, State};
use crate::domain::ids::HandshakeId;
use crate::domain::random;
use crate::domain::revocations::Reason;
use crate::domain::secrets::ShownOnce;

/// How long a handshake is kept after it began, whatever became of it.
pub(super) const KEPT: Duration = Duration::from_hours(24);
/// How often a watcher looks by itself, for what the feed does not tell.
const LOOK: Duration = Duration::from_millis(500);

/// How a handshake is to be run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What ties browser and user; the caller's default when absent.
    pub binding: Option<Binding>,
    /// Where the result page leads back to.
    pub return_url: Option<String>,
    /// Which window the result page tells.
    pub opener_origin: Option<String>,
    /// Where the browser goes to be confirmed.
    pub completion_url: Option<String>,
}

impl Options {
    /// Whether the caller said anything about how.
    pub(super) fn is_said(&self) -> bool {
        let Self {
            binding,
            return_url,
            opener_origin,
            completion_url,
        } = self;
        binding.is_some()
            || return_url.is_some()
            || opener_origin.is_some()
            || completion_url.is_some()
    }
}

/// A handshake to be started.
#[derive(Debug)]
pub struct NewHandshake {
    /// For whom.
    pub actor: Actor,
    /// On which server.
    pub server: ServerRef,
    /// How.
    pub options: Options,
    /// The `WWW-Authenticate` lines that led here. Untrusted.
    pub challenges: Vec<String>,
    /// Scopes to ask for besides.
    pub extra_scopes: Scopes,
}

/// A handshake under way.
#[derive(Debug)]
pub struct Started {
    /// The handshake.
    pub handshake: Handshake,
    /// The link to open.
    pub connect_url: ShownOnce,
    /// Its place in the feed.
    pub revision: Revision,
}

/// What the feed tells of a handshake.
fn topic(handshake: &Handshake) -> Topic {
    Topic::id(&handshake.tenant, ChangeKind::Handshake, handshake.id)
}

/// Follows one handshake to its end.
#[derive(Debug)]
pub struct HandshakeWatch {
    app: App,
    caller: Caller,
    id: HandshakeId,
    guard: Guard,
    news: Subscription,
    seen: Option<State>,
}

impl HandshakeWatch {
    /// The handshake as it is, then again after every change; `None` after its end was told.
    ///
    /// Fails with [`Error::ShuttingDown`] when the process ends before, with
    /// [`Error::CredentialsInvalid`] or [`Error::TenantNotFound`] when key or tenant do.
    pub async fn next(&mut self) -> Result<Option<Written<Handshake>>> {
        if self.seen.is_some_and(State::is_final) {
            return Ok(None);
        }
        loop {
            self.guard.check().await?;
            self.news.clear();
            let handshake = self.app.get_handshake(&self.caller, self.id).await?;
            if self.seen != Some(handshake.value.state) {
                self.seen = Some(handshake.value.state);
                return Ok(Some(handshake));
            }
            // The feed tells its end; the steps before, and ends that time brings, are seen by looking.
            tokio::select! {
                () = self.guard.rung() => {}
                () = self.news.heard() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

impl HandshakeWatch {
    /// The same, told by a task of its own.
    pub fn detached(self) -> Events<Written<Handshake>> {
        self.app.clone().detach(self)
    }
}

impl Watch for HandshakeWatch {
    type Event = Written<Handshake>;

    async fn next(&mut self) -> Result<Option<Written<Handshake>>> {
        Self::next(self).await
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Its few states always find room, and it tells the last one to whoever comes again.
    fn seen(&self) -> Revision {
        Revision::default()
    }
}

impl App {
    /// A new browser id: unguessable, and no secret of ours.
    pub fn new_browser(&self) -> String {
        random::token(&*self.0.random)
    }

    /// A handshake, for who started it, and a revision at which all it led to can be seen.
    pub async fn get_handshake(
        &self,
        caller: &Caller,
        id: HandshakeId,
    ) -> Result<Written<Handshake>> {
        check_user_token(caller)?;
        let mut tx = self.0.store.read().await?;
        let found = tx.handshakes().get(&caller.tenant, id).await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        let own = |handshake: &Handshake| {
            handshake.created_by == caller.principal() && caller.may_act_for(&handshake.user)
        };
        let mut value = found.filter(own).ok_or(Error::HandshakeNotFound)?;
        value.state = value.state_at(self.0.clock.now());
        Ok(Written { value, revision })
    }

    /// Follows a handshake, for who started it.
    pub async fn watch_handshake(
        &self,
        caller: &Caller,
        id: HandshakeId,
    ) -> Result<HandshakeWatch> {
        let guard = Guard::new(self, caller)?;
        let topic = topic(&self.get_handshake(caller, id).await?.value);
        Ok(HandshakeWatch {
            app: self.clone(),
            caller: caller.clone(),
            id,
            guard,
            news: self.0.feed.alarm(topic),
            seen: None,
        })
    }

    /// Ends a handshake that nothing came of yet; ending it again changes nothing.
    pub async fn cancel_handshake(
        &self,
        caller: &Caller,
        id: HandshakeId,
    ) -> Result<Written<Handshake>> {
        let Written {
            value: mut handshake,
            revision,
        } = self.get_handshake(caller, id).await?;
        match handshake.state {
            State::Pending | State::AwaitingConfirmation => {}
            State::Cancelled => {
                return Ok(Written {
                    value: handshake,
                    revision,
                });
            }
            State::Exchanging { .. }
            | State::Completed { .. }
            | State::Failed(_)
            | State::Expired => return Err(Error::HandshakeNotPending),
        }
        let mut event = self.event(&caller.tenant, caller.origin(), "handshake.cancel", id);
        event.user = Some(handshake.user.to_string());
        let stray = self
            .stray_of_parked(&handshake, Reason::Unconfirmed)
            .await?;
        event.detail = serde_json::json!({ "server": handshake.server.to_string() });
        if handshake.parked.is_some() {
            event.detail["revocation"] = fate(stray.as_ref()).into();
        }
        let mut tx = self.0.store.write().await?;
        if !tx
            .handshakes_mut()
            .finish(&handshake, State::Cancelled, event.at)
            .await?
        {
            return Err(Error::HandshakeNotPending);
        }
        if let Some(stray) = &stray {
            stray.queue(&mut tx).await?;
        }
        let revision = tx.commit(&event).await?;
        self.ring_outbox();
        self.ended(HandshakeOutcome::Cancelled);
        handshake.state = State::Cancelled;
        handshake.finished_at = Some(event.at);
        Ok(Written {
            value: handshake,
            revision,
        })
    }

    /// Queues the revocation of what nobody confirmed or needs any more, deletes handshakes of
    /// yesterday and before, forgets requests and changes as old, audit events that are kept no longer and secrets that clients had before, and plans the renewal of grants that
    /// nobody planned for. Answers how many handshakes.
    pub async fn sweep(&self) -> Result<u64> {
        // Trouble with one step holds up no other.
        let grants = self.sweep_grants().await;
        let feed = self.sweep_feed().await;
        let trail = self.sweep_audit().await;
        let plans = self.plan_unplanned().await;
        let keys = self.rotate_identity_keys().await;
        let now = self.0.clock.now();
        let before = now.before(KEPT);
        let mut tx = self.0.store.upkeep().await?;
        let gone = tx.handshake_steps().delete_old(before).await?;
        tx.past_requests().delete_old(before).await?;
        tx.former_secrets().forget_former_secrets(now).await?;
        tx.commit().await?;
        grants.and(feed).and(trail).and(plans).and(keys)?;
        Ok(gone)
    }

    fn ended(&self, outcome: HandshakeOutcome) {
        self.0.metrics.handshake_ended(outcome);
    }
}
