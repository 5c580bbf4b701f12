//! Rows: the only module that knows SQL. It turns rows into domain types and back, decides nothing,
//! and never sees a secret in the clear.
//!
//! - [`Store::read`] begins a transaction to read in, [`Store::write`] one to change things in,
//!   [`Store::upkeep`] one for what changes no meaning: leases, counters, sweeping.
//! - A [`Write`] ends only in [`Write::commit`], which demands the audit record and writes the feed
//!   as its last statement. What is not committed is rolled back, so a change without a record
//!   cannot happen:
//!
//! ```compile_fail
//! # async fn f(store: stationmaster::store::Store) {
//! let tx = store.write().await.unwrap();
//! tx.commit().await.unwrap(); // no audit event: does not compile
//! # }
//! ```
//!
//! - No transaction is open across a network call, and none is begun while one is held.
//!
//! A new statement, worked: write it once with `$1` placeholders in the file's `statements! { }`,
//! every column named; bind in order inside `on!`, with the `.await` inside; give the method a
//! contract test in `tests/it/store/`. The laws prepare it on both engines.

mod access;
mod audit;
mod bell;
mod changes;
mod chats;
mod columns;
mod connections;
mod engine;
mod error;
mod file;
mod handshakes;
mod identities;
mod identity_keys;
mod keys;
mod lifecycles;
mod migrations;
mod registrations;
mod requests;
mod retired_clients;
mod revocations;
mod servers;
mod tenants;
mod user_headers;
mod work;

pub use audit::AuditStretch;
pub use bell::Bell;
pub use changes::Stretch;
pub use error::{Error, Result};
pub use file::FileLock;
pub use migrations::Migrations;
pub use requests::{NewRequest, PastRequest};
pub use revocations::Retiring;
pub use servers::Which;
pub use work::Claim;

use std::path::PathBuf;
use std::time::Duration;

use changes::{Batch, Turns};
use engine::{Pool, Tx};

use crate::domain::audit::NewAuditEvent;
use crate::domain::changes::{NewChange, Revision};
use crate::domain::time::{Clock, Timestamp};

/// Whatever this asks of a database, but not for ever: a connection whose other end is gone does not
/// say so for many minutes, and a new one may work at once.
///
/// # Errors
/// [`Error::Unavailable`] when time is up, whatever became of it: look again.
pub async fn within<T, E: From<Error>>(
    patience: Duration,
    asked: impl Future<Output = std::result::Result<T, E>>,
) -> std::result::Result<T, E> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(Error::Unavailable(sqlx::Error::PoolTimedOut).into()),
    }
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// One file, one process.
    Sqlite(PathBuf),
    /// A server; the URL may hold a password.
    Postgres(String),
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    bell: Bell,
    turns: Turns,
}

impl Store {
    /// Opens the database. `connections` bounds the pool (readers, on SQLite). The SQLite file is
    /// created with mode 0600.
    pub async fn connect(address: &Address, connections: u32) -> Result<Self> {
        let pool = match address {
            Address::Sqlite(path) => {
                let path = file::prepare(path)?;
                engine::connect_sqlite(&path, connections).await?
            }
            Address::Postgres(url) => engine::connect_postgres(url, connections).await?,
        };
        Ok(Self {
            pool,
            bell: Bell::default(),
            turns: Turns::default(),
        })
    }

    /// Whether one process alone has this database.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.pool, Pool::Sqlite(_))
    }

    /// Begins a transaction to read in. What it answers is one state of things, whatever is
    /// committed meanwhile.
    pub async fn read(&self) -> Result<Read> {
        Ok(Read {
            tx: self.pool.begin_read().await?,
        })
    }

    /// Begins a transaction to change things in.
    pub async fn write(&self) -> Result<Write> {
        Ok(Write {
            tx: self.pool.begin_write().await?,
            changes: Vec::new(),
            events: Vec::new(),
            bell: self.bell.clone(),
            turns: self.turns.clone(),
        })
    }

    /// Begins a transaction for what changes no meaning.
    pub async fn upkeep(&self) -> Result<Upkeep> {
        Ok(Upkeep {
            tx: self.pool.begin_write().await?,
        })
    }

    /// The same, where a crash may take back the last moment's: on PostgreSQL its commit does not wait
    /// for the disk.
    pub async fn lazy_upkeep(&self) -> Result<Upkeep> {
        Ok(Upkeep {
            tx: self.pool.begin_lazy().await?,
        })
    }

    /// Whether the database answers.
    pub async fn ready(&self) -> Result<()> {
        self.read().await?.ping().await
    }

    /// Waits for every connection to be closed. What is begun afterwards fails.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Every statement of the store, by file and name; for the laws.
    pub fn statements() -> Vec<(&'static str, &'static str, &'static str)> {
        let files: [(&str, &[(&str, &str)]); 18] = [
            ("access", access::STATEMENTS),
            ("audit", audit::STATEMENTS),
            ("changes", changes::STATEMENTS),
            ("chats", chats::STATEMENTS),
            ("connections", connections::STATEMENTS),
            ("handshakes", handshakes::STATEMENTS),
            ("identities", identities::STATEMENTS),
            ("identity_keys", identity_keys::STATEMENTS),
            ("keys", keys::STATEMENTS),
            ("migrations", migrations::STATEMENTS),
            ("registrations", registrations::STATEMENTS),
            ("requests", requests::STATEMENTS),
            ("retired_clients", retired_clients::STATEMENTS),
            ("revocations", revocations::STATEMENTS),
            ("servers", servers::STATEMENTS),
            ("tenants", tenants::STATEMENTS),
            ("user_headers", user_headers::STATEMENTS),
            ("work", work::STATEMENTS),
        ];
        files
            .into_iter()
            .flat_map(|(file, list)| list.iter().map(move |(name, sql)| (file, *name, *sql)))
            .collect()
    }
}

/// A transaction to read in.
#[derive(Debug)]
pub struct Read {
    tx: Tx,
}

/// A transaction to change things in.
#[derive(Debug)]
pub struct Write {
    tx: Tx,
    changes: Vec<NewChange>,
    events: Vec<NewAuditEvent>,
    bell: Bell,
    turns: Turns,
}

/// A transaction for what changes no meaning.
#[derive(Debug)]
pub struct Upkeep {
    tx: Tx,
}

impl Write {
    /// Writes the audit records and the feed, and commits. Answers the revision at which the change
    /// can be seen in the record's tenant. Then rings the bell.
    pub async fn commit(mut self, event: &NewAuditEvent) -> Result<Revision> {
        self.record(event.clone());
        let batch = Batch {
            tenant: &event.tenant,
            changes: &self.changes,
            events: &self.events,
            at: event.at,
        };
        let turn = self.turns.take(batch.shards()).await;
        let revision = changes::append(&mut self.tx, &batch, &turn).await?;
        self.tx.commit().await?;
        drop(turn);
        self.bell.ring();
        Ok(revision)
    }

    /// One more audit record, written with the commit.
    pub fn record(&mut self, event: NewAuditEvent) {
        self.events.push(event);
    }

    /// The time leases are measured by.
    pub async fn lease_now(&mut self, clock: &dyn Clock) -> Result<Timestamp> {
        engine::lease_now(&mut self.tx, clock).await
    }
}

impl Upkeep {
    /// Commits.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }

    /// The time leases are measured by.
    pub async fn lease_now(&mut self, clock: &dyn Clock) -> Result<Timestamp> {
        engine::lease_now(&mut self.tx, clock).await
    }
}

impl Read {
    /// The time leases are measured by.
    pub async fn lease_now(&mut self, clock: &dyn Clock) -> Result<Timestamp> {
        engine::lease_now(&mut self.tx, clock).await
    }

    async fn ping(mut self) -> Result<()> {
        migrations::ping(&mut self.tx).await
    }
}

/// Gives the three kinds of transaction their views: a reader in each, a writer in [`Write`].
macro_rules! views {
    ($($reader:ident = $module:ident::Reader;)+ $(; $writer:ident = $from:ident::Writer;)+) => {
        $(views!(@reader $reader $module Read Write Upkeep);)+
        impl Write {
            $(
                #[doc = concat!("Changes `", stringify!($from), "`.")]
                pub fn $writer(&mut self) -> $from::Writer<'_> {
                    $from::Writer { tx: &mut self.tx, changes: &mut self.changes }
                }
            )+
        }
    };
    (@reader $reader:ident $module:ident $($tx:ident)+) => {
        $(
            impl $tx {
                #[doc = concat!("Reads `", stringify!($module), "`.")]
                pub fn $reader(&mut self) -> $module::Reader<'_> {
                    $module::Reader(&mut self.tx)
                }
            }
        )+
    };
}

views! {
    api_keys = access::Reader;
    audit = audit::Reader;
    chats = chats::Reader;
    connections = connections::Reader;
    feed = changes::Reader;
    handshakes = handshakes::Reader;
    identities = identities::Reader;
    identity_keys = identity_keys::Reader;
    keys = keys::Reader;
    registrations = registrations::Reader;
    requests = requests::Reader;
    retired_clients = retired_clients::Reader;
    revocations = revocations::Reader;
    servers = servers::Reader;
    tenants = tenants::Reader;
    user_headers = user_headers::Reader;
    ; api_keys_mut = access::Writer;
    ; chats_mut = chats::Writer;
    ; connections_mut = connections::Writer;
    ; handshakes_mut = handshakes::Writer;
    ; identities_mut = identities::Writer;
    ; identity_keys_mut = identity_keys::Writer;
    ; keys_mut = keys::Writer;
    ; registrations_mut = registrations::Writer;
    ; requests_mut = requests::Writer;
    ; retired_clients_mut = retired_clients::Writer;
    ; revocations_mut = revocations::Writer;
    ; servers_mut = servers::Writer;
    ; tenants_mut = tenants::Writer;
    ; user_headers_mut = user_headers::Writer;
    ; work_mut = work::Writer;
}

impl Upkeep {
    /// Leases and outcomes that leave a connection what it is.
    pub fn connection_leases(&mut self) -> connections::Keeper<'_> {
        connections::Keeper(&mut self.tx)
    }

    /// Leases and outcomes that leave an identity what it is.
    pub fn identity_leases(&mut self) -> identities::Keeper<'_> {
        identities::Keeper(&mut self.tx)
    }

    /// A handshake's steps on the way to its end.
    pub fn handshake_steps(&mut self) -> handshakes::Keeper<'_> {
        handshakes::Keeper(&mut self.tx)
    }

    /// Counting the uses of data keys.
    pub fn key_uses(&mut self) -> keys::Keeper<'_> {
        keys::Keeper(&mut self.tx)
    }

    /// Forgetting requests that were served long ago.
    pub fn past_requests(&mut self) -> requests::Keeper<'_> {
        requests::Keeper(&mut self.tx)
    }

    /// Forgetting old entries of the feed.
    pub fn old_changes(&mut self) -> changes::Keeper<'_> {
        changes::Keeper(&mut self.tx)
    }

    /// Forgetting old records of the audit trail.
    pub fn old_audit_events(&mut self) -> audit::Keeper<'_> {
        audit::Keeper(&mut self.tx)
    }

    /// Forgetting secrets that clients had before.
    pub fn former_secrets(&mut self) -> servers::Keeper<'_> {
        servers::Keeper(&mut self.tx)
    }

    /// What becomes of claimed work.
    pub fn work_claims(&mut self) -> work::Keeper<'_> {
        work::Keeper(&mut self.tx)
    }

    /// Who revokes what, until when.
    pub fn revocation_claims(&mut self) -> revocations::Keeper<'_> {
        revocations::Keeper(&mut self.tx)
    }

    /// Who deletes which registration, until when.
    pub fn retired_client_claims(&mut self) -> retired_clients::Keeper<'_> {
        retired_clients::Keeper(&mut self.tx)
    }

    /// Who renews which registration, until when.
    pub fn registration_claims(&mut self) -> registrations::Keeper<'_> {
        registrations::Keeper(&mut self.tx)
    }

    /// When API keys were last used.
    pub fn key_sightings(&mut self) -> access::Keeper<'_> {
        access::Keeper(&mut self.tx)
    }
}
