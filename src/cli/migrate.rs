//! `migrate`: the database's schema, straight in the store.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use super::settings::Settings;
use crate::runtime::storage::{self, Storage};

/// Bring the database to the schema of this release
///
/// `serve` does this by itself on the embedded database; on PostgreSQL run this first, once for each
/// release. Taking no step is fine; two at once wait for each other.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  stationmaster migrate --config stationmaster.toml\n  \
                             stationmaster migrate --check --config stationmaster.toml"
)]
pub(super) struct Migrate {
    /// Take no step; fail when there is one to take
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Migrate {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let config = self.settings.load()?;
        let Storage { store, lock: _lock } = storage::open(&config).await?;
        let pending = store.migrations().await?.pending;
        if self.check && !pending.is_empty() {
            let steps = pending.join(", ");
            return Err(anyhow::Error::new(Failure {
                code: "MIGRATIONS_PENDING",
                reason: String::new(),
                message: format!("steps to take: {steps}; run `stationmaster migrate`"),
                exit: 1,
            }));
        }
        if !self.check {
            store.migrate().await?;
        }
        store.close().await;
        out.value(
            || json!({ "applied": pending }),
            || match pending.as_slice() {
                [] => "the database is up to date".to_owned(),
                steps => format!("done: {}", steps.join(", ")),
            },
        );
        Ok(())
    }
}
