//! A store on either engine, and the database under it for what the store itself never does.

use std::ops::Deref;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use stationmaster::store::{Address, Store};

use super::postgres::{self, Database};
use super::sqlite::{SqlitePath, sqlite_path};

/// Runs each contract on both engines, as `sqlite::name` and `postgres::name`. A contract is an
/// `async fn(&Db)`; one that is not listed is dead code, which the compiler points out.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&$crate::harness::database::Db::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&$crate::harness::database::Db::postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;

/// A database of a test's own with the store that is connected to it; gone with the guard.
#[derive(Debug)]
pub(crate) struct Db {
    store: Store,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Sqlite(SqlitePath),
    Postgres(Database),
}

/// One connection past the store.
#[derive(Debug)]
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Deref for Db {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Db {
    /// On SQLite, migrated.
    pub(crate) async fn sqlite() -> Self {
        Self::empty_sqlite().await.migrated().await
    }

    /// On PostgreSQL, migrated.
    pub(crate) async fn postgres() -> Self {
        Self::empty_postgres().await.migrated().await
    }

    /// On SQLite, without a schema.
    pub(crate) async fn empty_sqlite() -> Self {
        Self::at(Place::Sqlite(sqlite_path())).await
    }

    /// On PostgreSQL, without a schema.
    pub(crate) async fn empty_postgres() -> Self {
        Self::at(Place::Postgres(postgres::database().await)).await
    }

    async fn at(place: Place) -> Self {
        let store = Store::connect(&place.address(), 8).await.unwrap();
        Self { store, place }
    }

    async fn migrated(self) -> Self {
        self.store.migrate().await.unwrap();
        self
    }

    /// Another store on the same database, as another replica has.
    pub(crate) async fn another(&self) -> Store {
        Store::connect(&self.place.address(), 8).await.unwrap()
    }

    /// The same with one connection (two on SQLite: one of them reads).
    pub(crate) async fn with_one_connection(&self) -> Store {
        Store::connect(&self.place.address(), 1).await.unwrap()
    }

    /// Where a database on PostgreSQL is.
    pub(crate) fn url(&self) -> &str {
        match &self.place {
            Place::Sqlite(_) => panic!("a file has no URL"),
            Place::Postgres(database) => &database.url,
        }
    }

    /// A connection past the store.
    pub(crate) async fn raw(&self) -> Raw {
        match &self.place {
            Place::Sqlite(place) => {
                let options = SqliteConnectOptions::new().filename(&place.path);
                Raw::Sqlite(options.connect().await.unwrap())
            }
            Place::Postgres(database) => {
                Raw::Postgres(PgConnection::connect(&database.url).await.unwrap())
            }
        }
    }

    /// Runs one statement past the store and answers how many rows it touched.
    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        self.raw().await.execute(sql).await
    }

    /// The one number that a query answers.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.raw().await.number(sql).await
    }

    /// Until somebody waits for somebody else's transaction; on PostgreSQL.
    pub(crate) async fn somebody_waits(&self) {
        self.raw().await.somebody_waits().await;
    }
}

impl Place {
    fn address(&self) -> Address {
        match self {
            Self::Sqlite(place) => Address::Sqlite(place.path.clone()),
            Self::Postgres(database) => Address::Postgres(database.url.clone()),
        }
    }
}

impl Raw {
    /// Returns when a statement on PostgreSQL waits for a lock that somebody holds.
    pub(crate) async fn somebody_waits(&mut self) {
        const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waits = async { while self.number(WAITING).await == 0 {} };
        let waited = tokio::time::timeout(Duration::from_secs(20), waits).await;
        waited.expect("somebody should wait for a lock, and nobody does");
    }

    /// Runs one statement and answers how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &'static str) -> u64 {
        match self {
            Self::Sqlite(conn) => sqlx::query(sql)
                .execute(conn)
                .await
                .unwrap()
                .rows_affected(),
            Self::Postgres(conn) => sqlx::query(sql)
                .execute(conn)
                .await
                .unwrap()
                .rows_affected(),
        }
    }

    /// The one number that a query answers.
    pub(crate) async fn number(&mut self, sql: &'static str) -> i64 {
        match self {
            Self::Sqlite(conn) => sqlx::query_scalar(sql).fetch_one(conn).await.unwrap(),
            Self::Postgres(conn) => sqlx::query_scalar(sql).fetch_one(conn).await.unwrap(),
        }
    }
}
