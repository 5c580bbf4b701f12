//! The service as one thing: built from settings, then run to its end.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use url::Url;

use super::lifecycle::{Outcome, StopRequest, Supervisor, Tasks};
use super::storage::Storage;
use super::{Error, doors, egress, health, keys, operations, storage};
use crate::app::metrics::Metrics;
use crate::app::{App, ClientDocuments, Parts, Settings};
use crate::config::{Config, Lifecycle, Listen};
use crate::domain::connections::Policy;
use crate::domain::random::{Random, SystemRandom};
use crate::domain::servers::Rules;
use crate::domain::time::{Clock, SystemClock};
use crate::fetch::Fetch;
use crate::oauth::Profiles;
use crate::{grpc, web, worker};

/// How long the database may take to be closed. All was committed before.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// What a test puts in the place of the system's own.
#[derive(Debug, Clone)]
pub struct Seams {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom::new()),
        }
    }
}

/// Where the listeners are bound, ports included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The gRPC API.
    pub grpc: SocketAddr,
    /// What browsers and authorization servers reach.
    pub public: SocketAddr,
    /// Probes and metrics.
    pub operations: SocketAddr,
}

/// A service that is bound and ready to run. Connections wait until it does.
#[derive(Debug)]
pub struct Service {
    app: App,
    storage: Storage,
    listeners: Listeners,
    addresses: Addresses,
    public_url: Url,
    seams: Seams,
    lifecycle: Lifecycle,
    tasks: Tasks,
    supervisor: Supervisor,
}

#[derive(Debug)]
struct Listeners {
    grpc: TcpListener,
    public: TcpListener,
    operations: TcpListener,
}

impl Service {
    /// Opens the database and checks it, reads the keys, binds the listeners. What cannot work
    /// later is refused here.
    pub async fn build(config: &Config, seams: Seams) -> Result<Self, Error> {
        let storage = storage::open(config).await?;
        storage::migrate(&storage.store, config.database.migrate).await?;
        let root_keys = keys::root_keys(config, &*seams.random)?;
        let fetch = Fetch::by(&egress::route(config)?, egress::rules(config))?;
        let (listeners, addresses) = Listeners::bind(&config.listen).await?;
        let public_url = match &config.public.url {
            Some(url) => url.clone(),
            None => local_url(addresses.public)?,
        };
        let (tasks, supervisor) = Tasks::new();
        let parts = Parts {
            store: storage.store.clone(),
            root_keys,
            fetch,
            clock: Arc::clone(&seams.clock),
            random: Arc::clone(&seams.random),
            settings: settings(config, public_url.clone())?,
            metrics: Metrics::new(),
            tasks: tasks.tracker().clone(),
        };
        let app = App::start(parts).await?;
        Ok(Self {
            app,
            storage,
            listeners,
            addresses,
            public_url,
            seams,
            lifecycle: config.lifecycle.clone(),
            tasks,
            supervisor,
        })
    }

    /// Where the listeners are bound.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The base of every public URL.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// The use cases.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Where work runs that is finished before the service ends. Empty after a run that was not
    /// aborted.
    pub fn tracker(&self) -> &TaskTracker {
        self.tasks.tracker()
    }

    /// Serves until asked to stop, or until a part fails; then ends in order and closes the
    /// database. `stops` are requests to stop, see [`Supervisor::run`].
    pub async fn run(self, stops: impl Stream<Item = StopRequest>) -> Outcome {
        let Self {
            app,
            storage,
            listeners,
            addresses,
            public_url,
            seams,
            lifecycle,
            tasks,
            supervisor,
        } = self;
        let stopping = || tasks.stopping().clone();
        let status = health::Status::serving().await;

        let Seams { clock, random } = seams;
        let routes = grpc::routes(app.clone(), Arc::clone(&clock), status.service());
        let layer = grpc::layer(app.clone(), Arc::clone(&clock), Arc::clone(&random));
        let door = doors::grpc(listeners.grpc, routes, layer, stopping());
        tasks.serve("grpc", door);

        let options = web::Options {
            public_url: public_url.clone(),
        };
        let pages = web::router(app.clone(), &options);
        tasks.serve("public", doors::pages(listeners.public, pages, stopping()));

        let probes = operations::router(app.clone(), &status, tasks.draining().clone());
        let door = doors::pages(listeners.operations, probes, stopping());
        tasks.serve("operations", door);

        let watched = app.clone();
        for worker in worker::WORKERS {
            let work = worker.run(app.clone(), Arc::clone(&random), stopping());
            serve(&tasks, worker.name, work);
        }
        let follower = worker::Follower::new(app.clone(), Arc::clone(&random));
        serve(&tasks, "follower", follower.run(stopping()));
        let revoker = worker::Revoker::new(app.clone(), Arc::clone(&random));
        serve(&tasks, "revoker", revoker.run(stopping()));
        let ringer = worker::Ringer::new(app, clock, random);
        serve(&tasks, "ringer", ringer.run(stopping()));
        status.follow(&tasks);
        let until = stopping();
        tasks.tracker().spawn(async move {
            until.cancelled().await;
            watched.end_watches();
        });

        info!(
            listen.grpc = %addresses.grpc,
            listen.public = %addresses.public,
            listen.operations = %addresses.operations,
            public.url = %public_url,
            "serving gRPC at {}, browsers at {public_url}, probes at {}",
            addresses.grpc,
            addresses.operations
        );
        let outcome = supervisor.run(stops, &lifecycle).await;
        if outcome == Outcome::Finished
            && timeout(CLOSE_PATIENCE, storage.store.close())
                .await
                .is_err()
        {
            warn!("the database was not closed in time");
        }
        outcome
    }
}

/// Runs a loop that cannot fail.
fn serve(tasks: &Tasks, name: &'static str, run: impl Future<Output = ()> + Send + 'static) {
    tasks.serve(name, async move {
        run.await;
        Ok::<_, Infallible>(())
    });
}

impl Listeners {
    async fn bind(listen: &Listen) -> Result<(Self, Addresses), Error> {
        let (grpc, at_grpc) = bind("listen.grpc", listen.grpc).await?;
        let (public, at_public) = bind("listen.public", listen.public).await?;
        let (operations, at_operations) = bind("listen.operations", listen.operations).await?;
        let listeners = Self {
            grpc,
            public,
            operations,
        };
        let addresses = Addresses {
            grpc: at_grpc,
            public: at_public,
            operations: at_operations,
        };
        Ok((listeners, addresses))
    }
}

async fn bind(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|cause| Error::Bind {
        setting,
        address,
        cause,
    })
}

/// How this machine reaches one of its listeners.
pub(super) fn local_url(mut address: SocketAddr) -> Result<Url, Error> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(Url::parse(&format!("http://{address}"))?)
}

/// What the settings mean for the use cases.
fn settings(config: &Config, public_url: Url) -> Result<Settings, Error> {
    let public = &config.public;
    let origins = public.allowed_opener_origins.iter();
    Ok(Settings {
        public_url,
        url_rules: if config.egress.allow_http {
            Rules::HttpAllowed
        } else {
            Rules::HttpsOnly
        },
        client_name: config.oauth.client_name.clone(),
        request_timeout: config.oauth.request_timeout,
        allow_link: config.handshakes.allow_link,
        allow_inline_servers: config.chats.allow_inline_servers,
        personal_quota: config.servers.personal_quota,
        handshake_ttl: config.handshakes.ttl,
        tokens: Policy {
            margin: config.tokens.refresh_margin,
            lease: config.tokens.lease,
            ..Policy::default()
        },
        profiles: Profiles::load(config.oauth.profiles.as_deref())?,
        issuers: config.issuers.clone(),
        client_documents: match &config.oauth.client_metadata_url {
            Some(url) => ClientDocuments::At(url.clone()),
            None if config.oauth.client_metadata => ClientDocuments::Ours,
            None => ClientDocuments::None,
        },
        return_urls: public.allowed_return_urls.clone(),
        completion_urls: public.allowed_completion_urls.clone(),
        opener_origins: origins.map(ToString::to_string).collect(),
        audit_retention: Some(config.audit.retention).filter(|kept| !kept.is_zero()),
    })
}
