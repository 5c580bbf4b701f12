//! Renewing what nobody asks for right now: ahead of time what is in use, and now and then what is
//! idle and would be forgotten. Replicas share the work through the leases alone.

use std::time::Duration;

use super::super::App;
use super::super::error::{Error, Result};
use super::super::insist::TRY;
use super::places::AHEAD_AT_ONCE;
use super::{Claim, Key};
use crate::domain::connections::{AHEAD, Connection, Origin};
use crate::domain::servers::Spec;
use crate::domain::time::Timestamp;
use crate::store::{self, within};

/// How many connections one round looks at, at most.
const ROUND: i64 = 500;
/// For how long what was due and needed nothing is left alone, at least.
const PUT_OFF: Duration = Duration::from_mins(10);

impl App {
    /// Renews what is due, as many at a time as each place allows. Answers how many were begun; what
    /// was left is due still.
    pub async fn renew_due(&self) -> Result<u64> {
        let left_alone = i64::try_from(self.0.places.left_alone()).unwrap_or(i64::MAX);
        self.0.metrics.set_left_alone(left_alone);
        let now = self.0.clock.now();
        let each = i64::try_from(AHEAD_AT_ONCE).unwrap_or(i64::MAX);
        let mut tx = self.0.store.read().await?;
        let due = tx.connections().list_due(now, each, ROUND).await?;
        drop(tx);
        // There is more than a round looks at: what cannot be done now must not come up again at once.
        let crowded = i64::try_from(due.len()) == Ok(ROUND);
        let mut begun = 0;
        for connection in due {
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => {
                    self.pass_over(error).await?;
                    continue;
                }
            };
            match self.0.places.wait_ahead(&connection.token_endpoint) {
                None => begun += u64::from(self.begin_ahead(connection)),
                Some(wait) if crowded => self.plan(&connection, Some(now.after(wait))).await?,
                Some(_) => {}
            }
        }
        Ok(begun)
    }

    /// Begins a renewal that nobody waits for, unless its place is busy.
    fn begin_ahead(&self, connection: Connection) -> bool {
        let endpoint = &connection.token_endpoint;
        let Some(permit) = self.0.places.ahead(endpoint) else {
            return false;
        };
        let mut begun = false;
        let key = Key::of(&connection);
        let _flight = self.0.flights.join(&key, |landing| {
            begun = true;
            let app = self.clone();
            self.0.tasks.spawn(async move {
                if let Err(error) = Box::pin(app.try_ahead(&connection)).await {
                    let id = connection.id;
                    tracing::warn!(connection.id = %id, %error, "renewal ahead of time did not run");
                }
                drop((permit, landing));
            });
        });
        begun
    }

    /// What is wrong with one row holds up no other.
    async fn pass_over(&self, error: store::Error) -> Result<()> {
        let store::Error::Corrupt { id, .. } = &error else {
            return Err(error.into());
        };
        tracing::error!(connection.id = id, %error, "a connection cannot be renewed ahead of time");
        let mut tx = self.0.store.upkeep().await?;
        tx.connection_leases().forget_due(id).await?;
        Ok(tx.commit().await?)
    }

    /// Renews a grant, or puts it off where something it needs cannot be read: it would come up again
    /// and again, in the place of others.
    async fn try_ahead(&self, connection: &Connection) -> Result<()> {
        match self.renew_ahead(connection).await {
            Err(error @ Error::Internal(_)) => {
                self.put_off(connection).await?;
                Err(error)
            }
            renewed => renewed,
        }
    }

    async fn renew_ahead(&self, connection: &Connection) -> Result<()> {
        // What is known of providers may have changed since this was planned.
        let next = connection.next_due(connection.used_at, &self.policy(connection));
        if next.is_none_or(|next| next > self.0.clock.now()) {
            return self.plan(connection, next).await;
        }
        // Others wait for this flight: it waits for a silent database no longer than they would.
        let read = async {
            let mut tx = self.0.store.read().await?;
            let (tenant, server) = (&connection.tenant, connection.server);
            tx.servers().get(tenant, server).await
        };
        let server = within(TRY, read).await?;
        // What is switched off is not kept alive, nor what its user may not use any more. Who belongs
        // to which group is not known here.
        let user = connection.user.as_str();
        let own = connection.origin == Origin::Automatic;
        let wanted = |spec: &Spec| spec.enabled && (own || !spec.access.shuts_out(user));
        if server.is_none_or(|server| !wanted(&server.spec)) {
            return self.put_off(connection).await;
        }
        let started = self.0.clock.monotonic();
        match self.claim(&Key::of(connection), AHEAD).await? {
            Claim::Ours(tried, passage) => self.redeem(*tried, passage, started).await,
            // Another replica is at it, or somebody was faster.
            Claim::Theirs | Claim::LookAgain => Ok(()),
            Claim::Nothing => self.put_off(connection).await,
        }
    }

    /// What was due and needs nothing must not come up again at once.
    async fn put_off(&self, connection: &Connection) -> Result<()> {
        let now = self.0.clock.now();
        let next = connection.next_due(connection.used_at, &self.policy(connection));
        let due = next.map(|due| due.max(now.after(PUT_OFF)));
        self.plan(connection, due).await
    }

    /// Writes when a grant is next due, unless its row changed since it was read: whoever changed it
    /// has planned it.
    pub(super) async fn plan(&self, connection: &Connection, due: Option<Timestamp>) -> Result<()> {
        let planned = Connection {
            due_at: due,
            ..connection.clone()
        };
        let write = async {
            let mut tx = self.0.store.upkeep().await?;
            tx.connection_leases().save_life(&planned).await?;
            tx.commit().await
        };
        Ok(within(TRY, write).await?)
    }
}
