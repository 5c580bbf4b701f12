//! The load: chat daemons that resolve, present, report; users who leave and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stationmaster::client::{Client, Error, answer, v1};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use v1::{ReportAction, ServerStatus};

use crate::clock::{Chance, now, wide};
use crate::journal::{Answer, Did};
use crate::plan::{lasts, server_of};
use crate::scene::Scene;
use crate::tally::Tally;

/// How often all daemons send all that they may at the same moment.
const WAVES: Duration = Duration::from_secs(12);

/// The load under way.
pub(crate) struct Load {
    pub(crate) scene: Arc<Scene>,
    pub(crate) tally: Tally,
    over: AtomicBool,
    /// Whether a user is just connecting: one does so in one window at a time.
    connecting: Vec<AtomicBool>,
}

/// One call of a daemon for a user.
struct Turn<'a> {
    load: &'a Load,
    daemon: usize,
    number: usize,
    user: String,
    server: &'static str,
    chance: &'a mut Chance,
}

pub(crate) fn actor(user: &str) -> Option<v1::Actor> {
    Some(v1::Actor {
        user: user.to_owned(),
        groups: Vec::new(),
    })
}

pub(crate) async fn resolve(
    client: &Client,
    user: &str,
    servers: &[&str],
) -> Result<Vec<v1::ResolvedServer>, Error> {
    let request = v1::ResolveCredentialsRequest {
        actor: actor(user),
        servers: servers.iter().map(|name| (*name).to_owned()).collect(),
        ..v1::ResolveCredentialsRequest::default()
    };
    let resolved = Box::pin(answer(client.tokens().resolve_credentials(request))).await;
    resolved.map(|resolved| resolved.servers)
}

impl Load {
    pub(crate) fn new(scene: Arc<Scene>) -> Arc<Self> {
        let connecting = (0..scene.plan.users).map(|_| AtomicBool::new(false));
        Arc::new(Self {
            connecting: connecting.collect(),
            scene,
            tally: Tally::default(),
            over: AtomicBool::new(false),
        })
    }

    pub(crate) fn user(number: usize) -> String {
        format!("u{number}")
    }

    /// Connects those whose access tokens live long and hands each out once, so that they are due by
    /// the time the storm begins.
    pub(crate) async fn connect_lasting(self: &Arc<Self>) {
        // The first of all is alone: of two replicas that make the first data key at the same time one
        // has to be asked again.
        let mut chance = Chance::new(self.scene.plan.seed, &[13]);
        let first = self.scene.connect("first", "tools", None, &mut chance);
        assert!(first.await, "the first user cannot connect");
        self.connect(lasts).await;
        for number in (0..self.scene.plan.users).filter(|number| lasts(*number)) {
            let client = &self.scene.daemons[0][number % self.scene.replicas.len()];
            let entries = resolve(client, &Self::user(number), &[server_of(number)]).await;
            let entries = entries.expect("the first resolve is answered");
            assert_eq!(entries[0].status(), ServerStatus::Ready);
        }
    }

    /// Connects everybody else.
    pub(crate) async fn connect_others(self: &Arc<Self>) {
        self.connect(|number| !lasts(number)).await;
    }

    /// Connects some, a few at a time.
    async fn connect(self: &Arc<Self>, which: fn(usize) -> bool) {
        let next = Arc::new(AtomicU64::new(0));
        let mut browsers = JoinSet::new();
        for lane in 0..12 {
            let (load, next) = (Arc::clone(self), Arc::clone(&next));
            browsers.spawn(async move {
                let mut chance = Chance::new(load.scene.plan.seed, &[3, lane]);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let number = usize::try_from(number).expect("users are few");
                    if number >= load.scene.plan.users {
                        return;
                    }
                    if !which(number) {
                        continue;
                    }
                    let user = Self::user(number);
                    let server = server_of(number);
                    let connected = load.scene.connect(&user, server, None, &mut chance).await;
                    assert!(connected, "{user} cannot connect before the storm");
                }
            });
        }
        while let Some(ended) = browsers.join_next().await {
            ended.expect("everybody connects");
        }
    }

    /// Starts every daemon; they work until told that it is over.
    pub(crate) fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        let begin = Instant::now();
        for daemon in 0..self.scene.plan.daemons {
            for worker in 0..self.scene.plan.workers {
                let load = Arc::clone(self);
                let purpose = [4, wide(daemon), wide(worker)];
                let mut chance = Chance::new(self.scene.plan.seed, &purpose);
                workers.spawn(async move {
                    let mut wave = begin + WAVES;
                    while !load.over.load(Ordering::SeqCst) {
                        if Instant::now() >= wave {
                            load.wave(daemon, &mut chance).await;
                            wave = Instant::now().max(wave + WAVES);
                        }
                        let turn = load.turn(daemon, &mut chance);
                        Box::pin(turn.take()).await;
                        let pause = Instant::now() + chance.millis(200..1_200);
                        sleep_until(pause.min(wave)).await;
                    }
                });
            }
        }
        workers
    }

    fn turn<'a>(&'a self, daemon: usize, chance: &'a mut Chance) -> Turn<'a> {
        let number = chance.below(self.scene.plan.users);
        Turn {
            load: self,
            daemon,
            number,
            user: Self::user(number),
            server: server_of(number),
            chance,
        }
    }

    /// Many calls side by side, at random replicas, whose credentials are not used.
    async fn wave(&self, daemon: usize, chance: &mut Chance) {
        let mut chances: Vec<Chance> = (0..self.scene.plan.abreast)
            .map(|_| Chance::new(chance.next(), &[]))
            .collect();
        let calls = chances.iter_mut().map(|chance| async {
            let mut turn = self.turn(daemon, chance);
            let since = now();
            let Some(entry) = turn.resolve().await else {
                return;
            };
            match entry.status() {
                // Some come back with a 401 to what was handed out before.
                ServerStatus::Ready if turn.chance.in_thousand(200) => {
                    turn.report(401, entry.credential_version - 1).await;
                }
                ServerStatus::Ready | ServerStatus::UpstreamUnavailable => {}
                _ => turn.told(since, &entry),
            }
        });
        futures_util::future::join_all(calls).await;
    }

    pub(crate) fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl Turn<'_> {
    fn client(&mut self) -> Client {
        self.load.scene.any_client(self.daemon, self.chance)
    }

    async fn take(mut self) {
        if self.chance.in_thousand(6) {
            return self.disconnect().await;
        }
        let since = now();
        let Some(entry) = self.resolve().await else {
            return;
        };
        match entry.status() {
            ServerStatus::Ready => self.present(&entry).await,
            ServerStatus::UpstreamUnavailable => {}
            _ => self.lost(since, &entry).await,
        }
    }

    /// Asks any replica. Some callers have less patience than others, and go.
    async fn resolve(&mut self) -> Option<v1::ResolvedServer> {
        let client = self.client();
        let tally = &self.load.tally;
        let patience = self.chance.millis(2_000..8_000);
        let under_way = tally.under_way();
        let resolved = timeout(patience, resolve(&client, &self.user, &[self.server])).await;
        drop(under_way);
        tally.count("resolves");
        let what = match resolved {
            Ok(Ok(mut entries)) if entries.len() == 1 => {
                let entry = entries.remove(0);
                tally.count(&format!("resolve: {}", entry.status().as_str_name()));
                return Some(entry);
            }
            Ok(Ok(_)) => "no such server",
            Ok(Err(Error::Refused(refusal))) => &refusal.reason.clone(),
            Ok(Err(_)) => "interrupted",
            Err(_) => "the caller went",
        };
        tally.count(&format!("resolve: {what}"));
        None
    }

    /// Sends a request upstream with what was resolved, and reports what came back.
    async fn present(mut self, entry: &v1::ResolvedServer) {
        if self.chance.in_thousand(250) {
            return;
        }
        let scene = &self.load.scene;
        let Some(status) = present(scene, self.server, entry).await else {
            return self.load.tally.count("upstream unreachable");
        };
        self.load
            .tally
            .count(if status == 401 { "401" } else { "accepted" });
        let version = entry.credential_version;
        if status != 401 {
            // Successes are reported at times; and what is old at times, too.
            if self.chance.in_thousand(60) {
                let old = i64::from(self.chance.in_thousand(500));
                let status = if old == 1 { 401 } else { 200 };
                self.report(status, version - old).await;
            }
            return;
        }
        // The same 401 is seen by several requests of a turn, which report it at several replicas.
        let times = 1 + self.chance.below(3);
        let mut step = None;
        let reports = (0..times).map(|_| self.client()).collect::<Vec<_>>();
        let tally = &self.load.tally;
        let reports = reports.into_iter().map(|client| async {
            let _under_way = tally.under_way();
            report(client, self.user.clone(), self.server, 401, version).await
        });
        for reported in futures_util::future::join_all(reports).await {
            self.load.tally.count("reports of 401");
            match reported {
                Ok(reported) => {
                    self.load
                        .tally
                        .count(&format!("report: {}", reported.action().as_str_name()));
                    if reported.action() == ReportAction::Authorize {
                        step = reported.authorize;
                    }
                }
                Err(_) => self.load.tally.count("report: failed"),
            }
        }
        let since = now();
        let Some(entry) = self.resolve().await else {
            return;
        };
        match entry.status() {
            ServerStatus::Ready => {
                let status = present(&self.load.scene, self.server, &entry).await;
                if status == Some(200) {
                    self.report(200, entry.credential_version).await;
                }
            }
            ServerStatus::UpstreamUnavailable => {}
            _ => {
                self.told(since, &entry);
                self.reconnect(step.map(|step| step.connect_url)).await;
            }
        }
    }

    async fn report(&mut self, status: i32, version: i64) {
        let client = self.client();
        let under_way = self.load.tally.under_way();
        let sent = report(client, self.user.clone(), self.server, status, version).await;
        drop(under_way);
        self.load.tally.count(if sent.is_ok() {
            "other reports"
        } else {
            "report: failed"
        });
    }

    fn told(&self, since: u64, entry: &v1::ResolvedServer) {
        let told = Answer::of(self.user.clone(), self.server, since, entry);
        self.load.scene.outside.journal.write(Did::Told(told));
    }

    async fn lost(self, since: u64, entry: &v1::ResolvedServer) {
        self.told(since, entry);
        self.reconnect(None).await;
    }

    /// After a while, the user connects again.
    async fn reconnect(self, link: Option<String>) {
        let connecting = &self.load.connecting[self.number];
        if connecting.swap(true, Ordering::SeqCst) {
            return;
        }
        sleep(self.chance.millis(100..1_500)).await;
        let scene = &self.load.scene;
        let connected = scene
            .connect(&self.user, self.server, link, self.chance)
            .await;
        self.load.tally.count(if connected {
            "reconnects"
        } else {
            "reconnects that failed"
        });
        connecting.store(false, Ordering::SeqCst);
    }

    async fn disconnect(mut self) {
        let since = now();
        let client = self.client();
        let request = v1::DisconnectRequest {
            actor: actor(&self.user),
            server: self.server.to_owned(),
        };
        let gone = answer(client.tokens().disconnect(request)).await;
        self.load.scene.outside.journal.write(Did::Disconnected {
            user: self.user.clone(),
            server: self.server.to_owned(),
            since,
            confirmed: gone.is_ok(),
        });
        self.load.tally.count("disconnects");
    }
}

/// What the server answers to what was resolved; nothing when it cannot be reached.
pub(crate) async fn present(
    scene: &Scene,
    server: &str,
    entry: &v1::ResolvedServer,
) -> Option<u16> {
    let url = scene.outside.upstream(&format!("/mcp/{server}"));
    let mut request = scene.outside.http.post(url).timeout(Duration::from_secs(5));
    for header in &entry.headers {
        request = request.header(&header.name, &header.value);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let _ = answer.bytes().await;
    Some(status)
}

async fn report(
    client: Client,
    user: String,
    server: &'static str,
    status: i32,
    version: i64,
) -> Result<v1::ReportResponseResponse, Error> {
    let response = v1::HttpResponse {
        status,
        credential_version: version.max(0),
        ..v1::HttpResponse::default()
    };
    let request = v1::ReportResponseRequest {
        actor: actor(&user),
        server: server.to_owned(),
        outcome: Some(v1::report_response_request::Outcome::HttpResponse(response)),
        ..v1::ReportResponseRequest::default()
    };
    Box::pin(answer(client.tokens().report_response(request))).await
}
