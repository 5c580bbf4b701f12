//! Users' own logins: an identity provider that the deployment trusts, and what daemons deposit of it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use stationmaster::client::{Client, Error, answer, v1};
use stationmaster::config::Config;
use stationmaster::domain::access::Role;
use stationmaster::domain::authorization::Issuer;
use stationmaster::domain::issuers::{
    Claim, IssuerClient, Issuers, RoleRule, TenantRule, TrustedIssuer,
};
use stationmaster::domain::jws::Algorithm;
use stationmaster::domain::secrets::ClientSecret;
use v1::server::Auth;

use super::client::actor;
use super::fixtures::tenant_id;
use super::idp::Idp;
use super::service::{Engine, TestDatabase, TestService};
use super::world::{World, with_auth};

/// The deployment's client at the identity provider.
pub(crate) const CLIENT: (&str, &str) = ("login", "hush");

/// Settings of a deployment that trusts this provider and has a client there.
pub(crate) fn trusting(mut config: Config, issuer: &str, (id, secret): (&str, &str)) -> Config {
    let client = IssuerClient {
        id: id.to_owned(),
        secret: Some(ClientSecret::new(secret.to_owned())),
        token_endpoint: None,
        method: None,
    };
    config.issuers = Issuers::new(vec![TrustedIssuer {
        issuer: Issuer::new(issuer),
        audiences: vec!["chat".to_owned()],
        jwks_uri: None,
        algorithms: vec![Algorithm::Es256],
        tenant: TenantRule::Fixed(tenant_id("default")),
        user_claim: Claim::new("sub"),
        user_prefix: String::new(),
        groups_claim: Claim::new("groups"),
        groups_prefix: String::new(),
        role: RoleRule::Fixed(Role::User),
        required_claims: BTreeMap::new(),
        clock_skew: Duration::from_mins(1),
        max_age: None,
        shared_users: false,
        shared_groups: false,
        client: Some(client),
    }]);
    config
}

/// A world in which users log in at its provider, on a database that outlives it.
pub(crate) async fn world_on(database: &TestDatabase, idp: Idp) -> World {
    let config = trusting(database.settings(&[]), &idp.issuer(), CLIENT);
    idp.add_client(CLIENT.0, CLIENT.1, "");
    World::beside(TestService::start_as(config).await, idp).await
}

impl World {
    /// A deployment whose users log in at its provider, and a server `crm` that is sent their tokens.
    pub(crate) async fn with_logins(engine: Engine) -> (Self, TestDatabase) {
        let database = TestDatabase::new(engine).await;
        let world = world_on(&database, Idp::start().await).await;
        let auth = v1::UserOidcAuth::default();
        world.create(login("crm", auth)).await.unwrap();
        (world, database)
    }

    /// What a daemon deposits of a login at the provider: both tokens, of an hour.
    pub(crate) fn fresh_login(&self, user: &str) -> v1::PutUserIdentityRequest {
        let (access_token, refresh_token) = self.idp.grant(CLIENT.0);
        v1::PutUserIdentityRequest {
            actor: actor(user),
            issuer: self.idp.issuer(),
            access_token,
            refresh_token,
            expire_time: Some(self.in_seconds(3600)),
            ..v1::PutUserIdentityRequest::default()
        }
    }

    /// So many seconds from now.
    pub(crate) fn in_seconds(&self, seconds: i64) -> prost_types::Timestamp {
        use stationmaster::domain::time::Clock as _;
        prost_types::Timestamp {
            seconds: self.service.clock().now().as_secs() + seconds,
            nanos: 0,
        }
    }

    /// Deposits a login.
    pub(crate) async fn put(
        &self,
        deposit: v1::PutUserIdentityRequest,
    ) -> Result<v1::UserIdentity, Error> {
        put(&self.daemon, deposit).await
    }

    /// A user logs in, and their tokens are deposited: the access token.
    pub(crate) async fn log_in(&self, user: &str) -> String {
        let login = self.fresh_login(user);
        let token = login.access_token.clone();
        self.put(login).await.unwrap();
        token
    }
}

pub(crate) async fn put(
    client: &Client,
    deposit: v1::PutUserIdentityRequest,
) -> Result<v1::UserIdentity, Error> {
    let put = answer(client.tokens().put_user_identity(deposit)).await;
    put.map(|put| put.identity.unwrap())
}

/// A server that is sent the user's login token.
pub(crate) fn login(slug: &str, auth: v1::UserOidcAuth) -> v1::Server {
    let url = format!("https://{slug}.example.com/mcp");
    with_auth(slug, url, Auth::UserOidc(auth))
}

/// A JWT with these claims that nobody signed.
pub(crate) fn jwt(claims: &Value) -> String {
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("eyJhbGciOiJFUzI1NiJ9.{claims}.c2ln")
}
