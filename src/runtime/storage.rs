//! The database as settings describe it: opened, held, brought up to date.

use super::{Error, files};
use crate::config::{Config, DatabaseUrl, Migrate};
use crate::store::{Address, FileLock, Store};

/// An open database. On SQLite this process alone has it until both are dropped.
#[derive(Debug)]
pub struct Storage {
    /// The database.
    pub store: Store,
    /// The right to be the one process on its file.
    pub lock: Option<FileLock>,
}

/// Opens the database, making the data directory (0700) and, on SQLite, the file (0600) if need be.
/// Changes no tables.
pub async fn open(config: &Config) -> Result<Storage, Error> {
    files::make_directory(&config.data_dir)?;
    let (address, lock) = match &config.database.url {
        DatabaseUrl::Sqlite(path) => (Address::Sqlite(path.clone()), Some(FileLock::take(path)?)),
        DatabaseUrl::Postgres(url) => (Address::Postgres(url.as_str().to_owned()), None),
    };
    let store = Store::connect(&address, config.database.max_connections).await?;
    Ok(Storage { store, lock })
}

/// Brings the tables up to date where `database.migrate` says so, otherwise refuses to go on.
pub(super) async fn migrate(store: &Store, policy: Migrate) -> Result<(), Error> {
    let ours = match policy {
        Migrate::Always => true,
        Migrate::Auto => store.is_exclusive(),
        Migrate::Never => false,
    };
    let pending = store.migrations().await?.pending;
    if pending.is_empty() {
        return Ok(());
    }
    if !ours {
        return Err(Error::PendingMigrations(pending));
    }
    store.migrate().await?;
    tracing::info!(step.count = pending.len(), "migrated the database");
    Ok(())
}
