//! The service's settings as the command line says them, and `config check`, which shows what is in
//! force and who said so.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::output::{Output, table};
use super::{VARIABLES, parse};
use crate::config::{self, Config, LoadOptions, Mode, Override};

/// The environment variable of `--config`.
pub(super) const CONFIG: &str = "STATIONMASTER_CONFIG";

/// What is not taken from the command line.
const ROOT_KEYS: &str = "keys.root_keys";

/// Settings of the service. Every one can be given in the file, as `--set SECTION.KEY=VALUE`, or as
/// `STATIONMASTER_SECTION__KEY`; flags win over the environment, and that over the file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings of the service")]
pub(super) struct Settings {
    /// For a developer's own machine: needs no settings, makes its own keys, allows http and
    /// loopback. Never for anything others can reach
    #[arg(long)]
    dev: bool,
    /// The settings file, TOML
    #[arg(long, value_name = "FILE", env = CONFIG)]
    config: Option<PathBuf>,
    /// Where the embedded database is kept [default: stationmaster-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the gRPC API listens [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<String>,
    /// Where browsers are served [default: 127.0.0.1:7401]
    #[arg(long, value_name = "ADDRESS")]
    public_listen: Option<String>,
    /// Where probes and metrics are served [default: 127.0.0.1:7402]
    #[arg(long, value_name = "ADDRESS")]
    operations_listen: Option<String>,
    /// How browsers and authorization servers reach the public listener; required without --dev
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Any other setting, such as `tokens.lease=90s`; `config check` lists them all
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = parse::pair)]
    set: Vec<(String, String)>,
}

impl Settings {
    /// Everything said anywhere, checked as a whole; all problems at once.
    pub(super) fn load(&self) -> Result<Config> {
        // Not refused by the parser, which repeats what it refuses.
        if self.set.iter().any(|(key, _)| key == ROOT_KEYS) {
            return Err(Failure::usage(format!(
                "--set {ROOT_KEYS}: a command line is seen by all; give {ROOT_KEYS}_file, or use the environment"
            )));
        }
        Ok(Config::load(&self.options(config::process_environment()))?)
    }

    fn options(&self, environment: Vec<(String, String)>) -> LoadOptions {
        let flags = [
            ("--grpc-listen", "listen.grpc", &self.grpc_listen),
            ("--public-listen", "listen.public", &self.public_listen),
            (
                "--operations-listen",
                "listen.operations",
                &self.operations_listen,
            ),
            ("--public-url", "public.url", &self.public_url),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, key, value)| Some(said(flag, key, value.as_ref()?)));
        let set = self
            .set
            .iter()
            .map(|(key, value)| said("--set", key, value));
        LoadOptions {
            file: self.config.clone(),
            mode: if self.dev {
                Mode::Dev
            } else {
                Mode::Production
            },
            data_dir: self.data_dir.clone(),
            overrides: set.chain(flags).collect(),
            environment,
            other_variables: VARIABLES.map(str::to_owned).to_vec(),
        }
    }
}

fn said(flag: &str, key: &str, value: &str) -> Override {
    Override {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// `config …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check the settings, and show each with who said it; secrets are hidden
    ///
    /// Reads what `serve` would read, and starts nothing. All problems are shown at once, each with
    /// the file and line, the variable or the flag that caused it.
    #[command(
        after_long_help = "Example:\n  stationmaster config check --config stationmaster.toml"
    )]
    Check(Settings),
    /// Print every setting with its default and what it is for, as a settings file to start from
    #[command(after_long_help = "Example:\n  stationmaster config example > stationmaster.toml")]
    Example,
}

impl Command {
    pub(super) fn run(self, out: &Output) -> Result<()> {
        let settings = match self.action {
            Action::Check(settings) => settings,
            Action::Example => {
                let text = config::example();
                out.value(|| json!({ "file": text }), || text.trim_end().to_owned());
                return Ok(());
            }
        };
        let config = settings.load()?;
        let origin = |row: &config::Row| row.origin.as_ref().map(ToString::to_string);
        out.value(
            || {
                let rows = config.explain().iter().map(|row| {
                    json!({
                        "key": row.key,
                        "value": row.value,
                        "origin": origin(row),
                        "about": row.about,
                    })
                });
                json!({ "settings": rows.collect::<Vec<_>>() })
            },
            || {
                let rows = config.explain().iter().map(|row| {
                    let value = row.value.clone().unwrap_or_else(|| "-".to_owned());
                    [row.key.to_owned(), value, origin(row).unwrap_or_default()]
                });
                table(["SETTING", "VALUE", "SAID BY"], rows)
            },
        );
        Ok(())
    }
}
