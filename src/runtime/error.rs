//! Why the process cannot start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{app, crypto, fetch, oauth, store};

/// What the runtime can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `telemetry.log_filter` is not in the syntax of filters.
    #[error("`telemetry.log_filter` cannot be understood: {0}")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent to `telemetry.otlp_endpoint`.
    #[error("`telemetry.otlp_endpoint` cannot be used: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else in this process has taken the logs already.
    #[error("logging is set up already")]
    LoggingTaken,
    /// The operating system does not let us listen for signals.
    #[error("signals cannot be listened for: {0}")]
    Signals(#[source] io::Error),
    /// A file or directory of ours cannot be made, read or written.
    #[error("{path} cannot be used: {cause}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    /// The database's tables are not up to date, and `database.migrate` says that we leave them.
    #[error(
        "the database lacks {}; run `stationmaster migrate` first, or set `database.migrate` to \
         `always`",
        .0.join(", ")
    )]
    PendingMigrations(Vec<&'static str>),
    /// The root keys cannot be used.
    #[error("`keys.root_keys` cannot be used")]
    RootKeys(#[from] crypto::Error),
    /// A provider profile cannot be used.
    #[error("`oauth.profiles` cannot be used")]
    Profiles(#[from] oauth::ProfileError),
    /// `egress.ca_file` cannot be used.
    #[error("`egress.ca_file`: {path} cannot be used: {cause}", path = .path.display())]
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: fetch::NoRoots,
    },
    /// Requests to upstreams cannot be made.
    #[error("requests to upstreams cannot be made")]
    Fetch(#[from] fetch::Error),
    /// The use cases cannot start on what is stored.
    #[error("the service cannot start on this database")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A listener cannot bind.
    #[error("`{setting}`: {address} cannot be bound: {cause}")]
    Bind {
        /// The setting.
        setting: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The public listener's own address makes no URL.
    #[error("the public listener's address makes no URL")]
    PublicUrl(#[from] url::ParseError),
}

impl From<app::Error> for Error {
    /// What callers must not be told is what whoever starts the process needs to know.
    fn from(error: app::Error) -> Self {
        if let app::Error::Internal(cause) = error {
            return Self::Start(cause);
        }
        Self::Start(Box::new(error))
    }
}
