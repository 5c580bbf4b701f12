//! The two engines. The only file that knows there are two: everything else writes one SQL text and
//! runs it with [`on!`].
//!
//! What cannot be one text is here, each a function with a match: how to begin, how to connect, the
//! clock that leases are measured by.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::{Error, Result};
use crate::domain::time::{Clock, Timestamp};

/// One of two.
#[derive(Debug, Clone)]
pub(super) enum Engine<S, P> {
    /// The embedded one.
    Sqlite(S),
    /// The shared one.
    Postgres(P),
}

/// SQLite has one writer: a pool of one for writes, another for reads.
#[derive(Debug, Clone)]
pub(super) struct SqlitePools {
    pub(super) read: SqlitePool,
    pub(super) write: SqlitePool,
}

/// Where connections come from.
pub(super) type Pool = Engine<SqlitePools, PgPool>;

/// A transaction; rolled back unless committed.
pub(super) type Tx = Engine<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

/// Runs one expression on whichever engine the transaction is of. `.await` stands inside, because
/// the two arms have different futures.
macro_rules! on {
    ($tx:expr, |$conn:ident| $body:expr) => {
        match $tx {
            $crate::store::engine::Engine::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::store::engine::Engine::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}
pub(super) use on;

/// Declares statements: constants, and a list of them that the laws prepare on both engines.
macro_rules! statements {
    ($($name:ident = $sql:expr;)+) => {
        $(const $name: &str = $sql;)+

        /// Every statement of this file, by name.
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name),)+];
    };
}
pub(super) use statements;

/// How long a transaction may wait for its process, in milliseconds, before PostgreSQL ends it. A
/// process that is stopped amid a transaction would otherwise hold its locks, the head of the feed
/// among them, and with them everybody's renewals, until it is continued.
const IDLE_IN_TRANSACTION: &str = "2000";

/// How long a statement waits for SQLite's write lock before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection of the pool.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the SQLite file, creating it if need be (the caller has made it 0600 already). WAL, every
/// commit durable, foreign keys on.
pub(super) async fn connect_sqlite(path: &str, readers: u32) -> Result<Pool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::None)
        .pragma("trusted_schema", "OFF");
    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let write = pool(1).connect_with(options.clone()).await?;
    let read = pool(readers).connect_with(options).await?;
    Ok(Engine::Sqlite(SqlitePools { read, write }))
}

/// Opens a pool of PostgreSQL connections.
pub(super) async fn connect_postgres(url: &str, size: u32) -> Result<Pool> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| Error::Address("is not a PostgreSQL URL"))?;
    // A redeemed refresh token must survive whatever the database's own default says.
    let options = options.application_name("stationmaster").options([
        ("synchronous_commit", "on"),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    Ok(Engine::Postgres(pool))
}

/// How PostgreSQL begins to read.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// How PostgreSQL begins what changes something.
const WRITE: &str = "BEGIN";
/// How PostgreSQL begins what its commit need not wait for the disk for, in one round trip.
const LAZY: &str = "BEGIN; SET LOCAL synchronous_commit = off";

/// Begins on a connection of the pool, to the end, whoever waits for it no more: a transaction whose beginning
/// was given up is none to sqlx, and the connection would go back to the pool amid it, for the next one to fail.
async fn begun(pool: &PgPool, how: &'static str) -> Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends by itself, with a transaction that is rolled back when nobody takes it"
    )]
    let beginning = tokio::spawn(async move { pool.begin_with(how).await });
    let begun = beginning.await;
    Ok(begun.map_err(|_ended| sqlx::Error::WorkerCrashed)??)
}

impl Pool {
    /// Begins a transaction that reads. It sees one state of things from its first statement to its
    /// last: on SQLite anyway, on PostgreSQL by its isolation level.
    pub(super) async fn begin_read(&self) -> Result<Tx> {
        Ok(match self {
            Engine::Sqlite(pools) => Engine::Sqlite(pools.read.begin().await?),
            Engine::Postgres(pool) => Engine::Postgres(begun(pool, READ).await?),
        })
    }

    /// Begins a transaction that writes. On SQLite it takes the write lock at once, so that it never
    /// dies of an upgrade.
    pub(super) async fn begin_write(&self) -> Result<Tx> {
        Ok(match self {
            Engine::Sqlite(pools) => {
                Engine::Sqlite(pools.write.begin_with("BEGIN IMMEDIATE").await?)
            }
            Engine::Postgres(pool) => Engine::Postgres(begun(pool, WRITE).await?),
        })
    }

    /// Begins a transaction that writes what a crash may take back.
    pub(super) async fn begin_lazy(&self) -> Result<Tx> {
        match self {
            Engine::Sqlite(_) => self.begin_write().await,
            Engine::Postgres(pool) => Ok(Engine::Postgres(begun(pool, LAZY).await?)),
        }
    }

    /// Waits for every connection to be closed.
    pub(super) async fn close(&self) {
        match self {
            Engine::Sqlite(pools) => {
                pools.read.close().await;
                pools.write.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// PostgreSQL's own clock, in microseconds.
pub(super) const DATABASE_NOW: &str =
    "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// The time leases are measured by: one clock for all replicas. The database's own, where replicas
/// share one; the injected clock on SQLite, where there is one process.
pub(super) async fn lease_now(tx: &mut Tx, clock: &dyn Clock) -> Result<Timestamp> {
    match tx {
        Engine::Sqlite(_) => Ok(clock.now()),
        Engine::Postgres(tx) => {
            let micros: i64 = sqlx::query_scalar(DATABASE_NOW)
                .fetch_one(&mut **tx)
                .await?;
            Ok(Timestamp::from_micros(micros))
        }
    }
}
