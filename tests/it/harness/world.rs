//! A whole deployment for a journey: the service, an authorization server with what it guards, and
//! the callers that everybody needs.

use stationmaster::client::{Client, Error, answer, v1};
use v1::server::Auth;

use super::browser::Browser;
use super::client::actor;
use super::http::Answer;
use super::idp::Idp;
use super::service::{Engine, TestService};

/// Runs each journey on both engines, as `sqlite::name` and `postgres::name`. A journey is an
/// `async fn(Engine)`; one that is not listed is dead code, which the compiler points out.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    Box::pin(super::$name($crate::harness::service::Engine::Sqlite)).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    Box::pin(super::$name($crate::harness::service::Engine::Postgres)).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;

/// The deployment. The service ends first, in order.
pub(crate) struct World {
    pub(crate) service: TestService,
    pub(crate) idp: Idp,
    /// With a key of role operator.
    pub(crate) admin: Client,
    /// With a key of role daemon.
    pub(crate) daemon: Client,
}

impl World {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    pub(crate) async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        Self::around(TestService::start_with(engine, settings).await).await
    }

    /// What else there is around a service.
    pub(crate) async fn around(service: TestService) -> Self {
        Self::beside(service, Idp::start().await).await
    }

    /// A service that may have run before, and a provider that was there before it.
    pub(crate) async fn beside(service: TestService, idp: Idp) -> Self {
        let admin = service.client(service.admin_key()).await;
        let daemon = service.client(service.daemon_key()).await;
        Self {
            service,
            idp,
            admin,
            daemon,
        }
    }

    /// Lets time pass for the service.
    pub(crate) fn pass(&self, seconds: u64) {
        let clock = self.service.clock();
        clock.advance(std::time::Duration::from_secs(seconds));
    }

    pub(crate) async fn create(&self, server: v1::Server) -> Result<v1::Server, Error> {
        let request = v1::CreateServerRequest {
            server: Some(server),
            ..v1::CreateServerRequest::default()
        };
        let made = create(&self.admin, request).await;
        made.map(|made| made.server.unwrap())
    }

    /// An enabled server whose authorization is discovered.
    pub(crate) fn automatic(&self, slug: &str) -> v1::Server {
        with_auth(
            slug,
            self.idp.mcp(slug),
            Auth::Oauth2(v1::OAuth2Auth::default()),
        )
    }

    /// An enabled server with endpoints and a client written by hand.
    pub(crate) fn manual(&self, slug: &str) -> v1::Server {
        let oauth2 = v1::OAuth2Auth {
            client_id: "by-hand".to_owned(),
            client_secret: Some("hush".to_owned()),
            authorization_endpoint: self.idp.authorization_endpoint(),
            token_endpoint: self.idp.token_endpoint(),
            issuer: self.idp.issuer(),
            ..v1::OAuth2Auth::default()
        };
        with_auth(slug, self.idp.mcp(slug), Auth::Oauth2(oauth2))
    }

    /// [`Self::manual`], whose endpoints may be anywhere.
    pub(crate) fn manual_anywhere(&self, slug: &str) -> v1::Server {
        let mut server = self.manual(slug);
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            oauth2.overrides = Some(v1::OAuth2Overrides {
                allow_foreign_endpoints: true,
                ..v1::OAuth2Overrides::default()
            });
        }
        server
    }

    /// [`Self::automatic`], created.
    pub(crate) async fn found(&self, slug: &str) -> v1::Server {
        self.create(self.automatic(slug)).await.unwrap()
    }

    pub(crate) async fn get(&self, server: &str) -> Result<v1::Server, Error> {
        get(&self.admin, server).await
    }

    /// Changes the fields of a mask.
    pub(crate) async fn update(
        &self,
        server: v1::Server,
        mask: &[&str],
    ) -> Result<v1::UpdateServerResponse, Error> {
        let request = v1::UpdateServerRequest {
            server: Some(server),
            update_mask: Some(prost_types::FieldMask {
                paths: mask.iter().map(|path| (*path).to_owned()).collect(),
            }),
        };
        Box::pin(answer(self.admin.config().update_server(request))).await
    }

    /// Starts a handshake as the daemon does by default.
    pub(crate) async fn begin(&self, user: &str, server: &str) -> v1::StartHandshakeResponse {
        let request = v1::StartHandshakeRequest {
            actor: actor(user),
            server: server.to_owned(),
            ..v1::StartHandshakeRequest::default()
        };
        let started = answer(self.daemon.handshakes().start_handshake(request)).await;
        started.unwrap()
    }

    /// Connects a user, in a new browser.
    pub(crate) async fn connect(&self, user: &str, server: &str) -> Answer {
        let started = self.begin(user, server).await;
        let page = Browser::default().connect(&started.connect_url).await;
        assert_eq!(page.status, 200, "{}", page.text);
        page
    }

    pub(crate) async fn handshake(&self, id: &str) -> v1::Handshake {
        let request = v1::GetHandshakeRequest {
            handshake: id.to_owned(),
        };
        let read = answer(self.daemon.handshakes().get_handshake(request)).await;
        read.unwrap().handshake.unwrap()
    }

    /// What a daemon gets for one server.
    pub(crate) async fn resolve(&self, user: &str, server: &str) -> v1::ResolvedServer {
        resolve(&self.daemon, user, server).await
    }

    /// The `Authorization` header of a server that is ready.
    pub(crate) async fn header(&self, user: &str, server: &str) -> String {
        let resolved = self.resolve(user, server).await;
        assert_eq!(resolved.status(), v1::ServerStatus::Ready, "{resolved:?}");
        resolved.headers[0].value.clone()
    }

    /// A daemon says that a credential of this version was rejected with 401.
    pub(crate) async fn rejected(
        &self,
        user: &str,
        server: &str,
        version: i64,
    ) -> v1::ReportResponseResponse {
        self.answered((401, &[]), (user, server, version)).await
    }

    /// A daemon says that a credential of this version worked.
    pub(crate) async fn worked(&self, user: &str, server: &str, version: i64) {
        self.answered((200, &[]), (user, server, version)).await;
    }

    /// A daemon says how a server answered to a credential of this version, and with which challenges.
    pub(crate) async fn answered(
        &self,
        (status, challenges): (i32, &[&str]),
        (user, server, version): (&str, &str, i64),
    ) -> v1::ReportResponseResponse {
        let response = v1::HttpResponse {
            status,
            www_authenticate: challenges.iter().map(|&line| line.to_owned()).collect(),
            credential_version: version,
            ..v1::HttpResponse::default()
        };
        let request = v1::ReportResponseRequest {
            actor: actor(user),
            server: server.to_owned(),
            outcome: Some(v1::report_response_request::Outcome::HttpResponse(response)),
            ..v1::ReportResponseRequest::default()
        };
        let answered = answer(self.daemon.tokens().report_response(request)).await;
        answered.unwrap()
    }

    pub(crate) async fn connection(
        &self,
        user: &str,
        server: &str,
    ) -> Result<v1::Connection, Error> {
        let request = v1::GetConnectionRequest {
            actor: actor(user),
            server: server.to_owned(),
        };
        let read = answer(self.daemon.tokens().get_connection(request)).await;
        read.map(|read| read.connection.unwrap())
    }

    pub(crate) async fn disconnect(&self, user: &str, server: &str) -> i64 {
        let request = v1::DisconnectRequest {
            actor: actor(user),
            server: server.to_owned(),
        };
        let gone = answer(self.daemon.tokens().disconnect(request)).await;
        gone.unwrap().revision
    }

    /// Until something is so; fails after a while.
    pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !is_so().await {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "{what}: it never came");
    }
}

/// An enabled server.
pub(crate) fn with_auth(slug: &str, url: String, auth: Auth) -> v1::Server {
    v1::Server {
        slug: slug.to_owned(),
        display_name: slug.to_uppercase(),
        url,
        enabled: true,
        auth: Some(auth),
        ..v1::Server::default()
    }
}

/// An enabled server that wants nothing.
pub(crate) fn open(slug: &str) -> v1::Server {
    let url = format!("https://{slug}.example.com/mcp");
    with_auth(slug, url, Auth::None(v1::NoAuth {}))
}

pub(crate) async fn create(
    client: &Client,
    request: v1::CreateServerRequest,
) -> Result<v1::CreateServerResponse, Error> {
    Box::pin(answer(client.config().create_server(request))).await
}

pub(crate) async fn get(client: &Client, server: &str) -> Result<v1::Server, Error> {
    let request = v1::GetServerRequest {
        server: server.to_owned(),
        actor: None,
    };
    let read = answer(client.config().get_server(request)).await;
    read.map(|read| read.server.unwrap())
}

/// Has a server discovered anew; approves this issuer, if it is one.
pub(crate) async fn rediscover(
    client: &Client,
    server: &str,
    approve_issuer: &str,
) -> Result<v1::RediscoverServerResponse, Error> {
    let request = v1::RediscoverServerRequest {
        server: server.to_owned(),
        approve_issuer: approve_issuer.to_owned(),
        ..v1::RediscoverServerRequest::default()
    };
    Box::pin(answer(client.config().rediscover_server(request))).await
}

pub(crate) async fn list(client: &Client) -> Vec<v1::Server> {
    let request = v1::ListServersRequest::default();
    let read = answer(client.config().list_servers(request)).await;
    read.unwrap().servers
}

pub(crate) async fn resolve_many(
    client: &Client,
    user: &str,
    servers: &[&str],
) -> Result<v1::ResolveCredentialsResponse, Error> {
    let request = v1::ResolveCredentialsRequest {
        actor: actor(user),
        servers: servers.iter().map(|name| (*name).to_owned()).collect(),
        ..v1::ResolveCredentialsRequest::default()
    };
    answer(client.tokens().resolve_credentials(request)).await
}

pub(crate) async fn resolve(client: &Client, user: &str, server: &str) -> v1::ResolvedServer {
    let resolved = resolve_many(client, user, &[server]).await.unwrap();
    assert_eq!(resolved.unknown_servers, Vec::<String>::new());
    resolved.servers.into_iter().next().unwrap()
}
