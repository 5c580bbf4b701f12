//! The scene of a storm: directory, provider, database, replicas, daemons; made before, gone after.

pub(crate) mod browser;
mod postgres;
mod replica;
mod wire;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use stationmaster::client::{Client, Credential, Options, answer, v1};
use tokio::net::TcpListener;

use crate::clock::Chance;
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::plan::{DEADLINE, DRAIN, Engine, LEASE, MARGIN, Plan, SHUTDOWN};
use crate::provider::Weather;
use postgres::Postgres;
pub(crate) use replica::Replica;
use replica::Settings;
use wire::Wire;

/// How the service believes to be known; the driver is the load balancer in front of it.
pub(crate) const PUBLIC: &str = "https://storm.example";
/// How many servers the measurement of expired credentials has.
pub(crate) const MEASURED: usize = 10;

/// What surrounds the replicas.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) directory: PathBuf,
    pub(crate) journal: Journal,
    pub(crate) keeper: Keeper,
    pub(crate) http: reqwest::Client,
    pub(crate) provider: u16,
    control: u16,
    pids: Mutex<Vec<u32>>,
}

impl Outside {
    pub(crate) fn pids(&self) -> MutexGuard<'_, Vec<u32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the provider something; what it answers.
    async fn tell(&self, what: Value) -> Value {
        let url = format!("http://127.0.0.1:{}/", self.control);
        let sent = self.http.post(url).body(what.to_string()).send().await;
        let answered = sent.expect("the provider listens").bytes().await;
        serde_json::from_slice(&answered.expect("the provider answers")).expect("in JSON")
    }

    pub(crate) async fn tell_pids(&self) {
        let pids = self.pids().clone();
        self.tell(json!({ "pids": pids })).await;
    }

    pub(crate) async fn weather(&self, weather: Weather) {
        self.tell(json!({ "weather": weather })).await;
    }

    pub(crate) async fn cut(&self, length: Duration) {
        let length = u64::try_from(length.as_millis()).expect("a cut is short");
        self.tell(json!({ "cut": length })).await;
    }

    /// How many token requests are open at the provider.
    pub(crate) async fn open(&self) -> u64 {
        self.tell(json!({})).await["open"].as_u64().unwrap_or(0)
    }

    pub(crate) fn upstream(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.provider)
    }
}

/// The scene.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) plan: Plan,
    pub(crate) engine: Engine,
    pub(crate) outside: Arc<Outside>,
    pub(crate) replicas: Vec<Replica>,
    /// For each daemon, a connection to each replica.
    pub(crate) daemons: Vec<Vec<Client>>,
    pub(crate) postgres: Option<Postgres>,
    /// Between the last replica and PostgreSQL.
    pub(crate) wire: Option<Wire>,
    provider: Mutex<Child>,
}

impl Scene {
    pub(crate) async fn set(plan: &Plan, engine: Engine, directory: &Path, keeper: Keeper) -> Self {
        let mut ports = Ports(Chance::new(crate::clock::now(), &[]));
        let number = ports.free().await;
        let (provider, control) = start_provider(plan, directory, number, &keeper);
        let outside = Arc::new(Outside {
            directory: directory.to_owned(),
            journal: Journal::create(&directory.join("driver.jsonl")),
            keeper: keeper.clone(),
            http: http(),
            provider: number,
            control,
            pids: Mutex::new(Vec::new()),
        });
        let postgres = match engine {
            Engine::Postgres => Some(Postgres::start(directory, keeper)),
            Engine::Sqlite => None,
        };
        let url = postgres.as_ref().map(Postgres::url);
        let settings = settings(plan, directory, url);
        run(&settings, &["migrate"]);
        let wire = match &postgres {
            Some(postgres) => Some(Wire::lay(ports.free().await, postgres.socket()).await),
            None => None,
        };
        let made = run(&settings, &["apikey", "bootstrap", "--output", "json"]);
        let made: Value = serde_json::from_str(&made).expect("the key comes in JSON");
        let mut replicas = Vec::new();
        for number in 0..engine.replicas() {
            let ports = [ports.free().await, ports.free().await, ports.free().await];
            let outside = Arc::clone(&outside);
            let mut settings = settings.clone();
            if let Some(wire) = wire.as_ref().filter(|_| number + 1 == engine.replicas()) {
                settings.says("DATABASE__URL", Postgres::url_by(wire));
            }
            let replica = Replica::new(number, ports, settings, outside);
            replica.start().await;
            replicas.push(replica);
        }
        let mut scene = Self {
            plan: plan.clone(),
            engine,
            outside,
            replicas,
            daemons: Vec::new(),
            postgres,
            wire,
            provider: Mutex::new(provider),
        };
        let key = made["secret"].as_str().expect("the key is a text");
        scene.furnish(key).await;
        scene
    }

    /// Makes the servers, and a key for each daemon.
    async fn furnish(&mut self, key: &str) {
        let admin = client(&self.replicas[0].endpoint(), key);
        let measured = (0..MEASURED).map(|number| format!("m{number}"));
        for slug in ["tools".to_owned(), "steady".to_owned()]
            .into_iter()
            .chain(measured)
        {
            let request = v1::CreateServerRequest {
                server: Some(v1::Server {
                    url: self.outside.upstream(&format!("/mcp/{slug}")),
                    display_name: slug.to_uppercase(),
                    slug,
                    enabled: true,
                    auth: Some(v1::server::Auth::Oauth2(v1::OAuth2Auth::default())),
                    ..v1::Server::default()
                }),
                ..v1::CreateServerRequest::default()
            };
            let made = Box::pin(answer(admin.config().create_server(request))).await;
            made.expect("the server is discovered and made");
        }
        for number in 0..self.plan.daemons {
            let request = v1::CreateApiKeyRequest {
                role: v1::Role::Daemon.into(),
                name: format!("daemon {number}"),
                ..v1::CreateApiKeyRequest::default()
            };
            let made = answer(admin.access().create_api_key(request)).await;
            let key = made.expect("the key is made").secret;
            let clients = self
                .replicas
                .iter()
                .map(|replica| client(&replica.endpoint(), &key));
            self.daemons.push(clients.collect());
        }
    }

    /// Any replica; perhaps one that is down, as a load balancer may find.
    pub(crate) fn any_replica(&self, chance: &mut Chance) -> &Replica {
        &self.replicas[chance.below(self.replicas.len())]
    }

    pub(crate) fn any_client(&self, daemon: usize, chance: &mut Chance) -> Client {
        let clients = &self.daemons[daemon];
        clients[chance.below(clients.len())].clone()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let mut provider = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = provider.kill();
        let _ = provider.wait();
        self.outside.keeper.forget(provider.id());
    }
}

fn client(endpoint: &str, key: &str) -> Client {
    let key = Credential::new(key).expect("a key can stand in a header");
    let options = Options {
        deadline: Duration::from_secs(12),
        ..Options::default()
    };
    Client::lazy(endpoint, key, &options).expect("an endpoint on loopback is allowed")
}

fn http() -> reqwest::Client {
    // An error means that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(15))
        .build()
        .expect("a client can be made")
}

fn start_provider(plan: &Plan, directory: &Path, port: u16, keeper: &Keeper) -> (Child, u16) {
    let own = std::env::current_exe().expect("a program knows where it is");
    let mut provider = Command::new(own)
        .arg("provider")
        .arg(directory.join("provider.jsonl"))
        .args([port.to_string(), plan.seed.to_string()])
        .args([DEADLINE, LEASE].map(|length| length.as_millis().to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the provider starts");
    keeper.keep(provider.id(), Signal::KILL);
    let mut line = String::new();
    let output = provider.stdout.take().expect("its output is a pipe");
    std::io::BufReader::new(output)
        .read_line(&mut line)
        .expect("the provider says where it is");
    (provider, line.trim().parse().expect("a port"))
}

fn settings(plan: &Plan, directory: &Path, database: Option<String>) -> Settings {
    let mut key = Vec::new();
    let mut chance = Chance::new(plan.seed, &[2]);
    while key.len() < 32 {
        key.extend_from_slice(&chance.next().to_le_bytes());
    }
    let text = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut said = vec![
        ("DATA_DIR", directory.join("data").display().to_string()),
        ("KEYS__ROOT_KEYS", BASE64_STANDARD.encode(key)),
        ("PUBLIC__URL", PUBLIC.to_owned()),
        ("DATABASE__MAX_CONNECTIONS", "16".to_owned()),
        ("EGRESS__ALLOW_HTTP", "true".to_owned()),
        ("EGRESS__ALLOW_LOOPBACK", "true".to_owned()),
        ("HANDSHAKES__ALLOW_LINK", "true".to_owned()),
        ("OAUTH__REQUEST_TIMEOUT", text(DEADLINE)),
        ("TOKENS__LEASE", text(LEASE)),
        ("TOKENS__REFRESH_MARGIN", text(MARGIN)),
        ("LIFECYCLE__DRAIN_DELAY", text(DRAIN)),
        ("LIFECYCLE__SHUTDOWN_TIMEOUT", text(SHUTDOWN)),
    ];
    said.extend(database.map(|url| ("DATABASE__URL", url)));
    let mut settings = Settings {
        program: PathBuf::from(env!("CARGO_BIN_EXE_stationmaster")),
        environment: Vec::new(),
    };
    for (name, value) in said {
        settings.says(name, value);
    }
    settings
}

/// Runs a command of the service to its end; what it printed.
fn run(settings: &Settings, arguments: &[&str]) -> String {
    let output = settings.command().args(arguments).output();
    let output = output.expect("the service's program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Ports outside the range that the system gives to outgoing connections, so that nobody takes one
/// while its owner is down.
struct Ports(Chance);

impl Ports {
    async fn free(&mut self) -> u16 {
        loop {
            let port = 15_000 + self.0.below(15_000);
            let port = u16::try_from(port).expect("a port is small");
            if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
                return port;
            }
        }
    }
}
