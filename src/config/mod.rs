//! What an operator can say: read once at the start, checked as a whole, explained on request.
//!
//! Built-in defaults < the TOML file < `STATIONMASTER_<SECTION>__<KEY>` < flags. Nothing else
//! reads the environment. Every problem is found at once and names who said it. The settings
//! themselves are in `sections.rs`, how they are laid over each other in `layers.rs`.

mod checks;
mod error;
mod explain;
mod file;
mod issuers;
mod layers;
mod secret;
mod sections;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use error::{Error, Problem};
pub use explain::{Row, example};
pub use layers::Origin;
pub use secret::{DatabaseUrl, PostgresUrl, RootKeys};
pub use sections::{
    Audit, Callers, Chats, Database, Egress, Handshakes, Keys, Lifecycle, Listen, Oauth, Public,
    Servers, Telemetry, Tokens,
};
pub use values::{HostName, LogFormat, Migrate, WebOrigin};

use crate::domain::issuers::Issuers;
use checks::Checks;
use layers::Entries;
use values::{Reader, Value as _};

/// Whether the process serves people or a developer's own machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is assumed that weakens a guard.
    #[default]
    Production,
    /// `--dev`: works without any setting, on this machine.
    Dev,
}

/// What a flag says about a setting.
#[derive(Debug, Clone)]
pub struct Override {
    /// The flag as written (`--grpc-listen`).
    pub flag: String,
    /// The setting (`listen.grpc`).
    pub key: String,
    /// The value, lists separated by commas.
    pub value: String,
}

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The TOML file, which must exist.
    pub file: Option<PathBuf>,
    /// Which defaults hold.
    pub mode: Mode,
    /// The value of `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// The other flags.
    pub overrides: Vec<Override>,
    /// The environment; see [`process_environment`].
    pub environment: Vec<(String, String)>,
    /// Variables that begin like ours and are no settings: those of the command line itself.
    pub other_variables: Vec<String>,
}

/// The variables of this process that begin like ours.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(layers::PREFIX))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

/// Everything an operator can say, checked.
#[derive(Debug)]
pub struct Config {
    /// Which defaults hold.
    pub mode: Mode,
    /// Where the embedded database and, with `--dev`, the root key are kept.
    pub data_dir: PathBuf,
    /// Where the listeners bind.
    pub listen: Listen,
    /// How the public listener is known.
    pub public: Public,
    /// Where everything is stored.
    pub database: Database,
    /// What seals.
    pub keys: Keys,
    /// What upstream requests may reach.
    pub egress: Egress,
    /// How we present ourselves to authorization servers.
    pub oauth: Oauth,
    /// Who may call besides the holders of API keys.
    pub callers: Callers,
    /// What the file of `callers.issuers` says.
    pub issuers: Issuers,
    /// Attempts to obtain a grant.
    pub handshakes: Handshakes,
    /// The servers that are configured.
    pub servers: Servers,
    /// What a chat may have that is nobody else's.
    pub chats: Chats,
    /// Keeping tokens fresh.
    pub tokens: Tokens,
    /// The audit trail.
    pub audit: Audit,
    /// What the process says about itself.
    pub telemetry: Telemetry,
    /// How the process ends.
    pub lifecycle: Lifecycle,
    rows: Vec<Row>,
}

/// The sections, each as far as it could be read.
struct Parts {
    data_dir: Option<PathBuf>,
    listen: Option<Listen>,
    public: Option<Public>,
    database: Option<Database>,
    keys: Option<Keys>,
    egress: Option<Egress>,
    oauth: Option<Oauth>,
    callers: Option<Callers>,
    handshakes: Option<Handshakes>,
    servers: Option<Servers>,
    chats: Option<Chats>,
    tokens: Option<Tokens>,
    audit: Option<Audit>,
    telemetry: Option<Telemetry>,
    lifecycle: Option<Lifecycle>,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// Touches nothing but the files that are named. [`Error::Invalid`] holds all problems.
    pub fn load(options: &LoadOptions) -> Result<Self, Error> {
        let mut problems = Vec::new();
        let mut entries = Entries::collect(options, &mut problems);
        secret::read_files(&mut entries, &mut problems);
        derive(&mut entries, options.mode);
        let parts = Parts::read(&mut Reader {
            entries: &entries,
            problems: &mut problems,
        });
        Checks {
            mode: options.mode,
            entries: &entries,
            problems: &mut problems,
        }
        .run(&parts);
        let file = parts
            .callers
            .as_ref()
            .and_then(|callers| callers.issuers.as_deref());
        let trusted = issuers::read(file, options.mode, &mut problems);
        let mut rows = explain::rows(&entries);
        issuers::explain(&mut rows, &trusted);
        match parts.whole(options.mode, trusted, rows) {
            Some(config) if problems.is_empty() => Ok(config),
            Some(_) | None => Err(Error::Invalid(problems)),
        }
    }

    /// What is in force and who said so, one row for each setting. Secrets are hidden.
    pub fn explain(&self) -> &[Row] {
        &self.rows
    }

    /// Where `--dev` keeps the root key that it makes when none is given.
    pub fn dev_root_key_file(&self) -> PathBuf {
        self.data_dir.join("root.key")
    }
}

/// Defaults that follow from other settings.
fn derive(entries: &mut Entries, mode: Mode) {
    if entries.get("database.url").is_none() {
        let folder = entries
            .get("data_dir")
            .and_then(|e| layers::as_path(&e.raw));
        let file = folder.unwrap_or(Path::new("")).join("stationmaster.db");
        let url = layers::text(&format!("sqlite:{}", file.display()));
        entries.set("database.url", url, Origin::Default);
    }
    if mode == Mode::Dev && entries.get("public.url").is_none() {
        let address = entries
            .get("listen.public")
            .map(|e| SocketAddr::read(&e.raw));
        if let Some(Ok(mut address)) = address
            && address.port() != 0
        {
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            let url = layers::text(&format!("http://{address}"));
            entries.set("public.url", url, Origin::Dev);
        }
    }
}

impl Parts {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            data_dir: reader.value("data_dir"),
            listen: Listen::read(reader),
            public: Public::read(reader),
            database: Database::read(reader),
            keys: Keys::read(reader),
            egress: Egress::read(reader),
            oauth: Oauth::read(reader),
            callers: Callers::read(reader),
            handshakes: Handshakes::read(reader),
            servers: Servers::read(reader),
            chats: Chats::read(reader),
            tokens: Tokens::read(reader),
            audit: Audit::read(reader),
            telemetry: Telemetry::read(reader),
            lifecycle: Lifecycle::read(reader),
        }
    }

    fn whole(self, mode: Mode, issuers: Issuers, rows: Vec<Row>) -> Option<Config> {
        Some(Config {
            mode,
            data_dir: self.data_dir?,
            listen: self.listen?,
            public: self.public?,
            database: self.database?,
            keys: self.keys?,
            egress: self.egress?,
            oauth: self.oauth?,
            callers: self.callers?,
            issuers,
            handshakes: self.handshakes?,
            servers: self.servers?,
            chats: self.chats?,
            tokens: self.tokens?,
            audit: self.audit?,
            telemetry: self.telemetry?,
            lifecycle: self.lifecycle?,
            rows,
        })
    }
}
