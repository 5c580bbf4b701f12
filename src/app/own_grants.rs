//! Grants of the deployment itself: one for each server that takes client credentials (RFC 6749,
//! section 4.4; the MCP extension), shared by all users. It is a connection of nobody's, kept fresh as
//! users' are, but for what a redemption presents: the client alone. What a user's login is exchanged for
//! (RFC 8693) is kept the same way, for each user, and had anew for the login token.

use std::time::Duration;

use super::App;
use super::clients::current_client;
use super::error::{Error, Result};
use super::provision::{Client, Provision, Slot, method_of};
use super::redeem::{Key, LOGIN_ENDED};
use crate::domain::audit::Origin;
use crate::domain::authorization::{Issuer, Resource, Scopes};
use crate::domain::connections::{self, Connection, Lifecycle, Status};
use crate::domain::identities::Identity;
use crate::domain::ids::ConnectionId;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::servers::{Auth, Server, UserOidc};
use crate::domain::text::UserId;
use crate::oauth::{self, OfflineAccess};
use crate::store;

/// How long ago a grant that was not asked for yet is taken to have ended: more than clocks differ.
const LONG_OVER: Duration = Duration::from_mins(5);
/// How often it is tried again when others write at the same time.
const TRIES: usize = 4;

/// The grant of the deployment on a server.
pub(super) fn own_key(server: &Server) -> Key {
    Key {
        tenant: server.tenant.clone(),
        user: UserId::nobody(),
        server: server.id,
    }
}

/// What is asked for.
pub(super) fn own_scopes(server: &Server) -> Option<Scopes> {
    let scopes = match &server.spec.auth {
        Auth::ClientCredentials(client) => &client.scopes,
        Auth::UserOidc(oidc) => &oidc.scopes,
        Auth::None
        | Auth::OAuth2(_)
        | Auth::ApiKey(_)
        | Auth::CustomHeaders(_)
        | Auth::Enterprise(_)
        | Auth::Workload(_) => return None,
    };
    let configured = Some(scopes).filter(|scopes| !scopes.is_empty());
    let found = server.discovered.as_ref();
    oauth::choose_scopes(
        configured,
        found.and_then(|found| found.challenged_scopes.as_ref()),
        found.and_then(|found| found.resource.scopes_supported.as_ref()),
        None,
        // Nothing is renewed that could be had anew.
        OfflineAccess::Never,
    )
}

/// Where it is asked for, and for which resource; `None` where that is not known.
fn place(server: &Server) -> Option<(String, Option<Resource>)> {
    if let Auth::UserOidc(oidc) = &server.spec.auth {
        let resource = oidc.exchange_resource.as_deref().map(Resource::new);
        return Some((oidc.exchange_token_endpoint.clone()?, resource));
    }
    let Auth::ClientCredentials(client) = &server.spec.auth else {
        return None;
    };
    let found = server.discovered.as_ref();
    let token_endpoint = match &client.token_endpoint {
        Some(endpoint) => endpoint.clone(),
        None => found?.authorization_server.token_endpoint.clone(),
    };
    let resource = match found {
        Some(found) => found.resource.resource.clone(),
        None => Resource::new(server.spec.url.as_str()),
    };
    let resource = (!client.overrides.omit_resource).then_some(resource);
    Some((token_endpoint, resource))
}

impl App {
    /// The grant of the deployment on a server, of the settings that it has now. It may hold no token
    /// yet. `None` where the server has no client for it.
    pub(super) async fn own_grant(&self, server: &Server) -> Result<Option<Connection>> {
        self.automatic_grant(&own_key(server), server, None).await
    }

    /// The same of what a user's login is exchanged for, where one is given.
    pub(super) async fn automatic_grant(
        &self,
        key: &Key,
        server: &Server,
        login: Option<&Identity>,
    ) -> Result<Option<Connection>> {
        for _ in 0..TRIES {
            let held = self.connection(key).await?;
            if let Some(held) = held.filter(|held| self.stands(held, server, login)) {
                return Ok(Some(held));
            }
            let Some(made) = self.new_own_grant(server, login).await? else {
                return Ok(None);
            };
            if let Some(made) = self.store_own_grant(server, login, made).await? {
                return Ok(Some(made));
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Whether a grant is of the server's settings, and not given up: what a user would have to
    /// consent to again is tried anew after a pause, or for a newer login, and a refused client once an
    /// administrator changed anything.
    fn stands(&self, held: &Connection, server: &Server, login: Option<&Identity>) -> bool {
        let pause = self.0.settings.tokens.max_backoff;
        let ended = held.life.status != Status::Active;
        let newer_login = login.is_some_and(|login| login.life.obtained_at > held.updated_at);
        let waited = self.0.clock.now().since(held.updated_at) >= pause || newer_login;
        let mended = held.life.client_refused && held.updated_at < server.updated_at;
        let elsewhere = place(server).is_some_and(|(endpoint, resource)| {
            held.token_endpoint != endpoint || held.resource != resource
        });
        let of_another = login.is_some_and(|login| login.issuer != held.issuer);
        // There is one again.
        let bereft = login.is_some() && held.last_error.as_deref() == Some(LOGIN_ENDED);
        let newer = held.auth_version > server.auth_version;
        let same = held.auth_version == server.auth_version && !elsewhere && !of_another;
        newer || same && !(ended && (waited || bereft)) && !mended
    }

    /// The client that exchanges users' logins, where one does: made by hand as well.
    pub(super) fn provision_exchange(&self, slot: &Slot, oidc: &UserOidc) -> Provision {
        let exchange = oidc.exchange_token_endpoint.is_some();
        let client_id = oidc.client_id.clone().filter(|_| exchange);
        let client = client_id.map(|client_id| {
            let made = Client {
                issuer: Issuer::new(""),
                kind: RegistrationKind::Preregistered,
                client_id,
                auth_method: method_of(oidc.token_endpoint_auth_method, slot.holds, None),
                redirect_uri: String::new(),
            };
            self.unstored(self.registration(slot, made))
        });
        Provision {
            discovered: None,
            client,
        }
    }

    async fn new_own_grant(
        &self,
        server: &Server,
        login: Option<&Identity>,
    ) -> Result<Option<Connection>> {
        let mut tx = self.0.store.read().await?;
        let registration = current_client(&mut tx, server).await?;
        Ok(registration.and_then(|registration| self.own_connection(server, login, registration)))
    }

    fn own_connection(
        &self,
        server: &Server,
        login: Option<&Identity>,
        registration: Registration,
    ) -> Option<Connection> {
        let (token_endpoint, resource) = place(server)?;
        let now = self.0.clock.now();
        Some(Connection {
            id: ConnectionId::mint(&*self.0.clock, &*self.0.random),
            tenant: server.tenant.clone(),
            user: login.map_or_else(UserId::nobody, |login| login.user.clone()),
            server: server.id,
            registration: registration.id,
            // A login that is exchanged is of this issuer's, whoever exchanges it.
            issuer: login.map_or(registration.issuer, |login| login.issuer.clone()),
            resource,
            scopes: own_scopes(server).unwrap_or_default(),
            token_type: "Bearer".to_owned(),
            token_endpoint,
            auth_version: server.auth_version,
            life: Lifecycle::granted(now, Some(now.before(LONG_OVER)), true),
            access_token: None,
            refresh_token: None,
            origin: connections::Origin::Automatic,
            profile: server.spec.auth.profile().map(str::to_owned),
            account: None,
            account_differs: false,
            connected_at: now,
            refreshed_at: None,
            used_at: None,
            reconnect_before: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: now,
            version: 1,
        })
    }

    /// Stores it in the place of one of other settings. `None` when somebody else wrote meanwhile.
    async fn store_own_grant(
        &self,
        server: &Server,
        login: Option<&Identity>,
        mut made: Connection,
    ) -> Result<Option<Connection>> {
        let (tenant, user) = (&made.tenant, &made.user);
        let mut event = self.event(tenant, Origin::service(), "connection.connect", made.id);
        event.user = login.map(|login| login.user.to_string());
        event.detail = serde_json::json!({
            "server": server.id.to_string(),
            "issuer": made.issuer.as_str(),
            "scopes": made.scopes.to_string(),
        });
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, server.id).await?;
        let now = tx.servers().get(tenant, server.id).await?;
        if now.is_none_or(|now| now.auth_version != server.auth_version) {
            return Ok(None);
        }
        let held = tx.connections().get(tenant, user, server.id).await?;
        if held
            .as_ref()
            .is_some_and(|held| self.stands(held, server, login))
        {
            return Ok(None);
        }
        // The limit of forced renewals outlasts the row.
        if let Some(held) = held {
            made.life.forced_at = held.life.forced_at;
        }
        tx.connections_mut().delete(tenant, user, server.id).await?;
        let mut connections = tx.connections();
        made.life.generation = connections.last_generation(tenant, user, server.id).await?;
        match tx.connections_mut().insert(&made).await {
            Err(store::Error::Conflict) => return Ok(None),
            inserted => inserted?,
        }
        tx.commit(&event).await?;
        Ok(Some(made))
    }
}
