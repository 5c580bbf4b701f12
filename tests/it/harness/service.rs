//! The production service for a test: free ports, a database of its own, time that moves when told
//! to and randomness that repeats. Upstreams on loopback are allowed.
//!
//! End a test with [`TestService::stop`], which demands an end in order. One that is dropped is
//! ended as well, and demands the same, unless the test has failed already.

use std::sync::Arc;
use std::thread::JoinHandle;

use stationmaster::app::App;
use stationmaster::config::{Config, LoadOptions, Mode, Override};
use stationmaster::domain::random::SeededRandom;
use stationmaster::domain::time::{FixedClock, Timestamp};
use stationmaster::runtime::lifecycle::{Outcome, StopRequest};
use stationmaster::runtime::{Addresses, Seams, Service, dev};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};

use super::postgres;

/// When a test's clock starts: 2026-01-01.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Where a test's service keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A database, migrated by the first service that starts on it. Several may share one that is on
/// PostgreSQL.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    directory: TempDir,
    postgres: Option<postgres::Database>,
}

impl TestDatabase {
    /// A new, empty one.
    pub(crate) async fn new(engine: Engine) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("stationmaster-it-")
            .tempdir()
            .expect("a temporary directory can be made");
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(postgres::database().await),
        };
        Self {
            directory,
            postgres,
        }
    }

    /// A file of the data directory.
    pub(crate) fn path(&self, file: &str) -> std::path::PathBuf {
        self.directory.path().join(file)
    }

    /// Settings of a service on it. Replicas share the root key.
    pub(crate) fn settings(&self, overrides: &[(&str, &str)]) -> Config {
        let mut said = vec![
            ("listen.grpc", "127.0.0.1:0"),
            ("listen.public", "127.0.0.1:0"),
            ("listen.operations", "127.0.0.1:0"),
            ("database.max_connections", "4"),
            ("database.migrate", "always"),
        ];
        if let Some(database) = &self.postgres {
            said.push(("database.url", &database.url));
        }
        said.extend(overrides);
        let overrides = said.into_iter().map(|(key, value)| Override {
            flag: format!("--{key}"),
            key: key.to_owned(),
            value: value.to_owned(),
        });
        Config::load(&LoadOptions {
            mode: Mode::Dev,
            data_dir: Some(self.directory.path().to_owned()),
            overrides: overrides.collect(),
            ..LoadOptions::default()
        })
        .expect("the settings of the harness are in order")
    }
}

/// A service under way, on a thread and a runtime of its own: what a test blocks or drops does not
/// disturb it.
#[derive(Debug)]
pub(crate) struct TestService {
    addresses: Addresses,
    public_url: String,
    app: App,
    keys: Keys,
    clock: Arc<FixedClock>,
    tracker: TaskTracker,
    runtime: Handle,
    stop: mpsc::UnboundedSender<StopRequest>,
    running: Option<JoinHandle<Outcome>>,
    // The last to go, after the service.
    database: Option<TestDatabase>,
}

#[derive(Debug, Clone)]
struct Keys {
    admin: String,
    daemon: String,
}

impl TestService {
    /// A service on a new database.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// The same, with settings of the test's own.
    pub(crate) async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new(engine).await;
        let mut service = Self::start_on(&database, settings).await;
        service.database = Some(database);
        service
    }

    /// A service on a new database, with a file that a setting names, and settings besides.
    pub(crate) async fn start_with_file(
        engine: Engine,
        (setting, text): (&str, &str),
        settings: &[(&str, &str)],
    ) -> Self {
        let database = TestDatabase::new(engine).await;
        let path = database.path("named.toml");
        std::fs::write(&path, text).expect("the file can be written");
        let path = path.to_str().expect("the path is text");
        let settings: Vec<_> = settings.iter().copied().chain([(setting, path)]).collect();
        let mut service = Self::start_on(&database, &settings).await;
        service.database = Some(database);
        service
    }

    /// Another replica of this one: they share the database and the URL that browsers come to.
    pub(crate) async fn replica_on(&self, database: &TestDatabase) -> Self {
        Self::start_on(database, &[("public.url", &self.public_url)]).await
    }

    /// A service on a database that may have been used before; the test keeps the database alive.
    pub(crate) async fn start_on(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::start_as(database.settings(settings)).await
    }

    /// The same, with settings made before.
    pub(crate) async fn start_as(config: Config) -> Self {
        let clock = Arc::new(FixedClock::at(START));
        let seams = Seams {
            clock: Arc::<FixedClock>::clone(&clock),
            random: Arc::new(SeededRandom::new(seed())),
        };
        let (stop, stops) = mpsc::unbounded_channel();
        let (started, ready) = oneshot::channel();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                let service = Service::build(&config, seams).await;
                let service = service.unwrap_or_else(|error| panic!("{}", chain(&error)));
                let profile = dev::profile(&service, &config.data_dir).await;
                let profile = profile.unwrap_or_else(|error| panic!("{}", chain(&error)));
                let parts = (
                    service.addresses(),
                    service.public_url().to_string(),
                    service.app().clone(),
                    service.tracker().clone(),
                    profile.file,
                    Handle::current(),
                );
                let _ = started.send(parts);
                service.run(UnboundedReceiverStream::new(stops)).await
            })
        });
        let (addresses, public_url, app, tracker, profile, runtime) =
            ready.await.expect("the service starts");
        let profile = std::fs::read_to_string(profile).expect("the profile is there");
        let profile: toml::Table = profile.parse().expect("the profile is TOML");
        let key = |name| profile[name].as_str().expect("the key is there").to_owned();
        Self {
            addresses,
            public_url: public_url.trim_end_matches('/').to_owned(),
            app,
            keys: Keys {
                admin: key("api_key"),
                daemon: key("daemon_api_key"),
            },
            clock,
            tracker,
            runtime,
            stop,
            running: Some(running),
            database: None,
        }
    }

    /// A connection to the API.
    pub(crate) async fn grpc_channel(&self) -> Channel {
        self.channel_to(&self.grpc_url()).await
    }

    /// A connection to any gRPC listener. The service's own runtime drives it, so that it answers
    /// the service's good-bye even while the test is blocked in waiting for the end.
    pub(crate) async fn channel_to(&self, url: &str) -> Channel {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("the address makes a URI");
        let connecting = self.runtime.spawn(async move { endpoint.connect().await });
        let connected = connecting.await.expect("the runtime runs");
        connected.expect("the listener is reached")
    }

    /// The gRPC listener, without a slash at the end.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// The service's own runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What the public listener is known as, without a slash at the end.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The address of the public listener as a URL, whatever it is known as, without a slash at the end.
    pub(crate) fn public_listener(&self) -> String {
        format!("http://{}", self.addresses.public)
    }

    /// The operations listener, without a slash at the end.
    pub(crate) fn operations_url(&self) -> String {
        format!("http://{}", self.addresses.operations)
    }

    /// A key of role operator.
    pub(crate) fn admin_key(&self) -> &str {
        &self.keys.admin
    }

    /// A key of role daemon in the default tenant.
    pub(crate) fn daemon_key(&self) -> &str {
        &self.keys.daemon
    }

    /// The service's time.
    pub(crate) fn clock(&self) -> &FixedClock {
        &self.clock
    }

    /// Calls the use cases directly, for what no door offers (ticks). It runs on the service's own
    /// runtime, to which database connections are given back.
    pub(crate) async fn within<F, T>(&self, call: impl FnOnce(App) -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let called = self.runtime.spawn(call(self.app.clone())).await;
        called.expect("the call does not panic")
    }

    /// Ends the service in order: everything that ran is finished, nothing is left over.
    pub(crate) async fn stop(mut self) {
        let running = self.ask_to_stop().expect("the service runs");
        let ended = tokio::task::spawn_blocking(|| running.join().ok()).await;
        assert_eq!(ended.ok().flatten(), Some(Outcome::Finished));
        assert!(self.tracker.is_empty(), "tasks are left over");
    }

    /// Asks the service to stop, and goes on.
    pub(crate) fn ask_once(&self) {
        let _ = self.stop.send(StopRequest::Terminate);
    }

    /// How a service that was asked to stop ends.
    pub(crate) async fn outcome(mut self) -> Outcome {
        let running = self.running.take().expect("the service runs");
        let ended = tokio::task::spawn_blocking(|| running.join().ok()).await;
        ended.ok().flatten().expect("the service ends by itself")
    }

    fn ask_to_stop(&mut self) -> Option<JoinHandle<Outcome>> {
        let _ = self.stop.send(StopRequest::Terminate);
        self.running.take()
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        let Some(running) = self.ask_to_stop() else {
            return;
        };
        let outcome = running.join().ok();
        let in_order = outcome == Some(Outcome::Finished) && self.tracker.is_empty();
        assert!(
            in_order || std::thread::panicking(),
            "the service ended so: {outcome:?}, with {} tasks left over",
            self.tracker.len()
        );
    }
}

/// Differs between the services of a process, so that replicas on one database mint different ids;
/// the first of a process is always the same.
fn seed() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEED: AtomicU64 = AtomicU64::new(1);
    SEED.fetch_add(1, Ordering::Relaxed)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
