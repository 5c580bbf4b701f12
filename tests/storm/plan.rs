//! What a storm is made of: the seed, how long, on what, how many.

use std::time::Duration;

/// Where the service keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Three replicas on one server, which is restarted once.
    Postgres,
    /// One process.
    Sqlite,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    pub(crate) fn replicas(self) -> usize {
        match self {
            Self::Postgres => 3,
            Self::Sqlite => 1,
        }
    }
}

/// One storm.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How long it blows on each engine.
    pub(crate) length: Duration,
    pub(crate) engines: Vec<Engine>,
    pub(crate) users: usize,
    /// Chat daemons, each with a key and connections of its own.
    pub(crate) daemons: usize,
    /// Turns that each daemon keeps under way.
    pub(crate) workers: usize,
    /// Calls that each of them sends side by side at times, all at the same moment.
    pub(crate) abreast: usize,
    /// How often the ten expired credentials are asked for.
    pub(crate) rounds: usize,
    /// Whether this is the quick form.
    pub(crate) quick: bool,
}

/// `oauth.request_timeout`.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// `tokens.lease`: the deadline, 5 s to write, and what taking the lease and connecting may take.
pub(crate) const LEASE: Duration = Duration::from_secs(8);
/// `tokens.refresh_margin`.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);
/// `lifecycle.drain_delay` and `lifecycle.shutdown_timeout`: an orderly stop takes no longer than both.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(30);
/// Every fifth user has access tokens that live long enough to be renewed ahead of their end; half of
/// these are with the provider that does not rotate.
const LASTING_SHARE: usize = 5;
/// Every tenth user is with the provider that does not rotate.
pub(crate) const STEADY_SHARE: usize = 10;

impl Plan {
    /// `STORM_SEED`, `STORM_SECONDS` (on each engine), `STORM_ENGINES` (names with commas).
    pub(crate) fn from_environment() -> Self {
        let said = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let seed = said("STORM_SEED").map_or_else(
            || super::clock::now() % 1_000_000,
            |text| text.parse().expect("STORM_SEED is a number"),
        );
        let seconds: u64 = said("STORM_SECONDS").map_or(300, |text| {
            text.parse().expect("STORM_SECONDS is a number of seconds")
        });
        let engines = said("STORM_ENGINES").unwrap_or_else(|| "postgres,sqlite".to_owned());
        let engines = engines.split(',').map(|name| match name.trim() {
            "postgres" => Engine::Postgres,
            "sqlite" => Engine::Sqlite,
            other => panic!("STORM_ENGINES: `{other}` is neither postgres nor sqlite"),
        });
        let quick = seconds < 120;
        Self {
            seed,
            length: Duration::from_secs(seconds),
            engines: engines.collect(),
            users: if quick { 200 } else { 320 },
            daemons: 8,
            workers: 32,
            abreast: if quick { 6 } else { 18 },
            rounds: if quick { 3 } else { 9 },
            quick,
        }
    }
}

/// The server of a user.
pub(crate) fn server_of(user: usize) -> &'static str {
    if user % STEADY_SHARE == STEADY_SHARE - 1 {
        "steady"
    } else {
        "tools"
    }
}

/// Whether a user's access tokens live long.
pub(crate) fn lasts(user: usize) -> bool {
    user % LASTING_SHARE == LASTING_SHARE - 1
}
