//! The schema and its history: twins in `migrations/sqlite` and `migrations/postgres`, embedded.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate as _, Migration, MigrationType, Migrator};

use super::Store;
use super::engine::{Engine, Tx, on, statements};
use super::error::{Error, Result};

statements! {
    PING = "SELECT 1";
}

/// One step of the schema, as each engine writes it.
struct Twin {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! twin {
    ($version:literal, $file:literal) => {
        Twin {
            version: $version,
            name: $file,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $file, ".sql")),
        }
    };
}

/// The history, in order.
const HISTORY: &[Twin] = &[
    twin!(1, "0001_first"),
    twin!(2, "0002_lifecycle"),
    twin!(3, "0003_feed"),
    twin!(4, "0004_revocations"),
    twin!(5, "0005_renewal"),
    twin!(6, "0006_former_secret"),
    twin!(7, "0007_registered_scopes"),
    twin!(8, "0008_accounts"),
    twin!(9, "0009_audit"),
    twin!(10, "0010_user_headers"),
    twin!(11, "0011_identity"),
    twin!(12, "0012_chats"),
    twin!(14, "0014_user_tokens"),
    twin!(15, "0015_identities"),
];

/// What a database still lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrations {
    /// Names of the steps not yet taken, in order.
    pub pending: Vec<&'static str>,
}

fn migrator(sql: fn(&Twin) -> &'static str) -> Migrator {
    let steps = HISTORY.iter().map(|twin| {
        let name = Cow::Borrowed(twin.name);
        Migration::new(
            twin.version,
            name,
            MigrationType::Simple,
            sql(twin).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.collect())
}

fn schema(error: sqlx::migrate::MigrateError) -> Error {
    if let sqlx::migrate::MigrateError::Execute(error) = error {
        return Error::from(error);
    }
    Error::Schema(error.to_string())
}

impl Store {
    /// Takes every step not yet taken. On PostgreSQL an advisory lock lets replicas start together.
    pub async fn migrate(&self) -> Result<()> {
        match &self.pool {
            Engine::Sqlite(pools) => migrator(|twin| twin.sqlite).run(&pools.write).await,
            Engine::Postgres(pool) => migrator(|twin| twin.postgres).run(pool).await,
        }
        .map_err(schema)
    }

    /// What is still to be done; refuses a schema made by a newer release. Changes nothing but an
    /// empty bookkeeping table on a new database.
    pub async fn migrations(&self) -> Result<Migrations> {
        let table = migrator(|twin| twin.sqlite).table_name;
        let applied: Vec<i64> = match &self.pool {
            Engine::Sqlite(pools) => {
                let mut conn = pools.write.acquire().await?;
                conn.ensure_migrations_table(&table).await.map_err(schema)?;
                let applied = conn.list_applied_migrations(&table).await.map_err(schema)?;
                applied.into_iter().map(|step| step.version).collect()
            }
            Engine::Postgres(pool) => {
                let mut conn = pool.acquire().await?;
                conn.ensure_migrations_table(&table).await.map_err(schema)?;
                let applied = conn.list_applied_migrations(&table).await.map_err(schema)?;
                applied.into_iter().map(|step| step.version).collect()
            }
        };
        if let Some(newer) = applied
            .iter()
            .find(|v| HISTORY.iter().all(|t| t.version != **v))
        {
            return Err(Error::Schema(format!(
                "step {newer} was made by a newer release; run that release, or restore a backup"
            )));
        }
        let pending = HISTORY
            .iter()
            .filter(|twin| !applied.contains(&twin.version));
        Ok(Migrations {
            pending: pending.map(|twin| twin.name).collect(),
        })
    }
}

/// Asks the database for anything at all.
pub(super) async fn ping(tx: &mut Tx) -> Result<()> {
    on!(tx, |conn| sqlx::query(PING).execute(conn).await.map(drop))?;
    Ok(())
}
