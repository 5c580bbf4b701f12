//! `serve`: runs the service, and says where it is and what to do next.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::output::{Format, Output, fields};
use super::profile;
use super::settings::Settings;
use crate::config::{Config, LogFormat, Mode};
use crate::domain::secrets::ShownOnce;
use crate::runtime::{Seams, Service, dev, lifecycle, telemetry};

/// Run the service
///
/// Logs go to standard error. SIGTERM or Ctrl-C ends it in order: what runs is finished first. A second
/// one aborts. With `--dev` it needs no settings: it makes a database and keys in the data directory,
/// prints the administrator's key once, and writes a profile that the other commands find.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster serve --dev
  stationmaster serve --config stationmaster.toml
  stationmaster serve --public-url https://mcp.example.com \\
    --set keys.root_keys_file=root.key --set database.max_connections=20")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) async fn run(self, out: &Output) -> Result<ExitCode> {
        let config = self.settings.load()?;
        let telemetry = telemetry::init(&config.telemetry)?;
        let stops = lifecycle::stop_requests()?;
        let service = Service::build(&config, Seams::default()).await?;
        let profile = match config.mode {
            Mode::Dev => Some(dev::profile(&service, &config.data_dir).await?),
            Mode::Production => None,
        };
        greet(&config, &service, profile, out);
        let outcome = Box::pin(service.run(stops)).await;
        telemetry.shutdown().await;
        Ok(ExitCode::from(outcome))
    }
}

/// Makes the first operator key; none once one exists.
pub(super) async fn bootstrap(mut config: Config, name: &str) -> Result<Option<String>> {
    // The service is built but not run: its listeners must be in nobody's way.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.listen.grpc = nowhere;
    config.listen.public = nowhere;
    config.listen.operations = nowhere;
    let service = Service::build(&config, Seams::default()).await?;
    let made = service.app().bootstrap(name).await?;
    Ok(made.map(|(_, key)| key.show()))
}

fn greet(config: &Config, service: &Service, profile: Option<dev::Profile>, out: &Output) {
    let at = service.addresses();
    let at = [at.grpc, at.public, at.operations].map(|address| format!("http://{address}"));
    let [grpc, public, operations] = at;
    let (file, key) = match profile {
        Some(dev::Profile { file, admin_key }) => (Some(file), admin_key.map(ShownOnce::show)),
        None => (None, None),
    };
    if out.format() == Format::Json {
        out.document(&json!({
            "grpc": grpc,
            "public": public,
            "operations": operations,
            "public_url": service.public_url().as_str(),
            "profile": file,
            "api_key": key,
        }));
        return;
    }
    // Where logs are for machines, they say all of this.
    if config.mode == Mode::Production && config.telemetry.log_format == LogFormat::Json {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let where_it_is = fields([
        ("gRPC API", grpc),
        ("browsers", public),
        ("operations", operations),
        (
            "profile",
            file.as_ref()
                .map_or_else(String::new, |file| file.display().to_string()),
        ),
        ("operator key", key.clone().unwrap_or_default()),
    ]);
    let mut parts = vec![format!("stationmaster {version}"), indented(&where_it_is)];
    if key.is_some() {
        parts.push("The key is shown this once; the profile holds it too.".to_owned());
    }
    match &file {
        Some(file) if file.exists() => {
            parts.push("Next, in another terminal (`make upstream` is something to connect to):".to_owned());
            parts.push(indented(&next(file)));
        }
        Some(_) => parts.push(
            "The profile is gone, and no key can be shown twice: give the keys that you kept, or begin anew \
             in another --data-dir."
                .to_owned(),
        ),
        None => {}
    }
    out.text(&format!("{}\n", parts.join("\n\n")));
}

/// What to try next, to be typed as it is.
fn next(file: &Path) -> String {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "stationmaster".to_owned());
    let profile = if profile::is_found(file) {
        String::new()
    } else {
        format!(" --profile {}", file.display())
    };
    [
        "server create --name Tools --url http://127.0.0.1:9000/mcp --auth oauth2 --enabled",
        "connect tools --user alice",
        "resolve tools --user alice",
    ]
    .map(|command| format!("{program} {command}{profile}"))
    .join("\n")
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
