//! What ends a stream before its time: its caller's key is revoked or expires, or its token does, its
//! tenant is deleted, the process stops. And how many streams there may be.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Scope, Subscription, Topic};
use crate::app::App;
use crate::app::access::default_tenant;
use crate::app::error::{Error, Result};
use crate::domain::access::{Caller, Role};
use crate::domain::changes::ChangeKind;
use crate::domain::tenants::TenantState;

/// Streams of this process, at most.
const STREAMS: usize = 10_000;
/// How often what ends by itself is held against the clock; a stream ends within a second.
const LOOK: Duration = Duration::from_millis(500);

/// The streams that may still begin.
#[derive(Debug)]
pub(super) struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Self {
        Self::new(STREAMS)
    }
}

impl Seats {
    fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    fn take(&self) -> Result<OwnedSemaphorePermit> {
        let seat = Arc::clone(&self.0).try_acquire_owned();
        seat.map_err(|_| Error::TooManyWatches)
    }
}

/// Stands at a stream for as long as it is open.
#[derive(Debug)]
pub(in crate::app) struct Guard {
    app: App,
    caller: Caller,
    news: Subscription,
    _seat: OwnedSemaphorePermit,
}

impl Guard {
    /// Takes a seat. What happened to the key since the caller was recognised is noticed by the
    /// first check.
    pub(in crate::app) fn new(app: &App, caller: &Caller) -> Result<Self> {
        let seat = app.0.feed.seats.take()?;
        // Keys of operators belong to no tenant; their changes are told in the default one.
        let home = match caller.role {
            Role::Operator => default_tenant()?,
            Role::Admin | Role::Daemon | Role::User | Role::Auditor => caller.tenant.clone(),
        };
        let tenant = Topic::id(&caller.tenant, ChangeKind::Tenant, &caller.tenant);
        // What a token says ends with it, and nothing changes that before.
        let key = caller.credential.key();
        let key = key.map(|key| Topic::id(&home, ChangeKind::ApiKey, key));
        let topics = key.into_iter().chain([tenant]).collect();
        let news = app.0.feed.subscribe(topics, Scope::default(), 2);
        news.ring();
        app.0.metrics.watches().inc();
        Ok(Self {
            app: app.clone(),
            caller: caller.clone(),
            news,
            _seat: seat,
        })
    }

    /// Whether the stream may go on. Asks the database only when something was heard of key or
    /// tenant.
    pub(in crate::app) async fn check(&self) -> Result<()> {
        if self.app.0.ending.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        if self.is_expired() {
            return Err(Error::CredentialsInvalid);
        }
        if !self.news.clear() {
            return Ok(());
        }
        let mut tx = self.app.0.store.read().await?;
        let now = self.app.0.clock.now();
        let lives = match self.caller.credential.key() {
            Some(key) => {
                let key = tx.api_keys().get(key).await?;
                key.is_some_and(|key| key.is_live(now))
            }
            None => true,
        };
        let tenant = tx.tenants().get(&self.caller.tenant).await?;
        if tenant.is_none_or(|tenant| tenant.state != TenantState::Active) {
            return Err(Error::TenantNotFound);
        }
        if !lives {
            return Err(Error::CredentialsInvalid);
        }
        Ok(())
    }

    /// Until there is something to [`Self::check`].
    pub(in crate::app) async fn rung(&self) {
        tokio::select! {
            () = self.app.0.ending.cancelled() => {}
            () = self.news.heard() => {}
            () = self.expired() => {}
        }
    }

    fn is_expired(&self) -> bool {
        let end = self.caller.expires_at;
        end.is_some_and(|end| self.app.0.clock.now() >= end)
    }

    async fn expired(&self) {
        if self.caller.expires_at.is_none() {
            return std::future::pending().await;
        }
        while !self.is_expired() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.app.0.metrics.watches().dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_beyond_the_bound_is_refused_until_another_ends() {
        let seats = Seats::new(1);

        let first = seats.take();
        let second = seats.take();
        drop(first);
        let third = seats.take();

        assert!(matches!(second, Err(Error::TooManyWatches)));
        assert!(third.is_ok());
    }
}
