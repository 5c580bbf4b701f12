//! Servers as callers see them: in full for who configures, redacted for who uses.

use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::access::check_actor;
use super::super::clients::current_client;
use super::super::error::{Error, Result};
use super::super::identities::identity_in;
use super::super::readable::readable;
use super::super::user_headers::Held;
use super::{ServerRef, etag, find, may_see, sees_all};
use crate::domain::access::{Actor, Caller, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::secrets::Sealed;
use crate::domain::servers::{Auth, SealedSecrets, Server};
use crate::domain::text::UserId;
use crate::store::{self, Read, Which};

/// Which servers to list.
#[derive(Debug)]
pub struct ListServers {
    /// The user to compute `connected` and access for.
    pub actor: Option<Actor>,
    /// Only those with this label.
    pub managed_by: Option<String>,
    /// Only those that are on, or off.
    pub enabled: Option<bool>,
    /// The page.
    pub page: PageRequest,
}

/// A server as one caller sees it.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// The configuration.
    pub server: Server,
    /// Whether the caller sees all of it.
    pub full: bool,
    /// Whether the actor is connected; judged without any network call.
    pub connected: Option<bool>,
    /// The redirect URI of its OAuth client.
    pub redirect_uri: Option<String>,
    /// Its OAuth client, in a full view of one server.
    pub registration: Option<Registration>,
}

/// How much of users' ended with a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many connections.
    pub connections: usize,
    /// How many header values.
    pub header_values: usize,
}

impl ServerView {
    /// The version as an opaque text.
    pub fn etag(&self) -> String {
        etag(&self.server)
    }
}

impl App {
    /// One server, as the caller may see it.
    pub async fn get_server(
        &self,
        caller: &Caller,
        server: &ServerRef,
        actor: Option<&Actor>,
    ) -> Result<ServerView> {
        check_actor(caller, actor)?;
        let tx = self.0.store.read().await?;
        self.view(tx, caller, server, actor).await
    }

    pub(in crate::app) async fn view(
        &self,
        mut tx: Read,
        caller: &Caller,
        server: &ServerRef,
        actor: Option<&Actor>,
    ) -> Result<ServerView> {
        let server = find(&mut tx, &caller.tenant, server).await?;
        let server = server.filter(|server| may_see(caller, actor, server));
        let server = server.ok_or(Error::ServerNotFound)?;
        let user = viewed_as(caller, actor);
        let held = Held::by(&mut tx, &caller.tenant, user, std::slice::from_ref(&server)).await?;
        let connected = self.connected(&mut tx, user, &server, &held).await?;
        let full = sees_all(caller, &server);
        let registration = if full {
            current_client(&mut tx, &server).await?
        } else {
            None
        };
        let view = self.full_view(server, registration);
        Ok(ServerView {
            full,
            connected,
            ..view
        })
    }

    pub(super) fn full_view(
        &self,
        server: Server,
        registration: Option<Registration>,
    ) -> ServerView {
        let oauth2 = server.spec.auth.oauth2();
        let redirect_uri = oauth2.map(|oauth2| match &registration {
            Some(client) if client.kind == RegistrationKind::MetadataDocument => {
                client.redirect_uri.clone()
            }
            Some(_) | None => self.redirect_uri(oauth2, server.id),
        });
        ServerView {
            server,
            full: true,
            connected: None,
            redirect_uri,
            registration,
        }
    }

    /// Whether a user is connected: a grant is held and can be used, all header values are there, or
    /// nothing is needed.
    async fn connected(
        &self,
        tx: &mut Read,
        user: Option<&UserId>,
        server: &Server,
        held: &Held,
    ) -> Result<Option<bool>> {
        let Some(user) = user else { return Ok(None) };
        Ok(Some(match &server.spec.auth {
            // What the deployment has, or nothing, serves everybody.
            Auth::None | Auth::ClientCredentials(_) => true,
            Auth::ApiKey(_) | Auth::CustomHeaders(_) => held.suffices(server),
            Auth::OAuth2(_) => {
                let connection = tx
                    .connections()
                    .get(&server.tenant, user, server.id)
                    .await?;
                connection.is_some_and(|connection| connection.is_connected(self.0.clock.now()))
            }
            Auth::UserOidc(oidc) => {
                let whose = (&server.tenant, user);
                let identity = match identity_in(tx, whose, oidc.issuer.as_ref()).await {
                    // What is wrong with one row is no reason to show no servers.
                    Err(error @ store::Error::Corrupt { .. }) => {
                        tracing::error!(%error, "an identity cannot be read");
                        None
                    }
                    found => found?,
                };
                let now = self.0.clock.now();
                identity.is_some_and(|identity| identity.is_usable(oidc.token, now))
            }
            Auth::Enterprise(_) | Auth::Workload(_) => false,
        }))
    }

    /// A page of the servers that the caller may see, by display name. A page may hold fewer than
    /// asked for although more follow.
    pub async fn list_servers(
        &self,
        caller: &Caller,
        list: &ListServers,
    ) -> Result<Page<ServerView>> {
        check_actor(caller, list.actor.as_ref())?;
        let user = viewed_as(caller, list.actor.as_ref());
        let which = match (caller.sees_configuration(), caller.role, &caller.user) {
            (true, _, _) => Which::All,
            (false, Role::User, Some(own)) => Which::Seen(own),
            (false, _, _) => Which::Enabled(user),
        };
        let mut tx = self.0.store.read().await?;
        let page = tx.servers().list(&caller.tenant, which, &list.page).await?;
        let servers = readable(page.entries);
        let held = Held::by(&mut tx, &caller.tenant, user, &servers).await?;
        let mut entries = Vec::with_capacity(servers.len());
        for server in servers {
            let label = list
                .managed_by
                .as_ref()
                .is_none_or(|label| *label == server.spec.managed_by);
            let switch = list
                .enabled
                .is_none_or(|enabled| enabled == server.spec.enabled);
            let actor = list.actor.as_ref();
            // Whoever sees everything asked what the user does.
            let asked = actor.filter(|_| caller.sees_configuration());
            let theirs = asked.is_none_or(|actor| server.policy().admits(actor));
            if label && switch && theirs && may_see(caller, actor, &server) {
                let connected = self.connected(&mut tx, user, &server, &held).await?;
                let full = sees_all(caller, &server);
                let view = self.full_view(server, None);
                entries.push(ServerView {
                    full,
                    connected,
                    ..view
                });
            }
        }
        Ok(Page {
            entries,
            next: page.next,
        })
    }
}

/// The user whom `connected` is about.
fn viewed_as<'a>(caller: &'a Caller, actor: Option<&'a Actor>) -> Option<&'a UserId> {
    actor.map(|actor| &actor.user).or(caller.user.as_ref())
}

/// A server for the audit trail: everything but its secrets, which are said to be there or not.
pub(super) fn describe(server: &Server) -> serde_json::Value {
    let spec = &server.spec;
    let issuer = server.discovered.as_ref();
    let issuer = issuer.map(|found| found.authorization_server.issuer.as_str());
    let secrets =
        secrets(&server.secrets).map(|(name, secret)| (name.to_owned(), secret.is_some().into()));
    serde_json::json!({
        "slug": spec.slug.as_str(),
        "owner": server.owner.as_ref().map(UserId::as_str),
        "display_name": spec.display_name,
        "description": spec.description,
        "icon_url": spec.icon_url,
        "url": spec.url,
        "transport": spec.transport.as_str(),
        "enabled": spec.enabled,
        "availability": spec.availability.as_str(),
        "allow_in_plan_mode": spec.allow_in_plan_mode,
        "allow_in_subagents": spec.allow_in_subagents,
        "model_intent": spec.model_intent,
        "forward_identity_headers": spec.forward_identity_headers,
        "identity_forwarding": spec.identity_forwarding,
        "tools": spec.tools,
        "access": spec.access,
        "managed_by": spec.managed_by,
        "auth": spec.auth,
        "account_binding": spec.account_binding,
        "auth_version": server.auth_version,
        "discovered_issuer": issuer,
        "secrets": serde_json::Map::from_iter(secrets),
    })
}

/// The secrets that a change replaced: both were there, and one is not the other.
pub(super) fn replaced(before: &SealedSecrets, after: &SealedSecrets) -> Vec<&'static str> {
    let both = secrets(before).into_iter().zip(secrets(after));
    let changed = both.filter(|((_, old), (_, new))| old.is_some() && new.is_some() && old != new);
    changed.map(|((name, _), _)| name).collect()
}

fn secrets(held: &SealedSecrets) -> [(&'static str, Option<&Sealed>); 7] {
    let SealedSecrets {
        client_secret,
        private_key,
        api_key,
        custom_headers,
        signing_secret,
        idp_client_secret,
        assertion,
        former_client_secret: _,
    } = held;
    [
        ("client_secret", client_secret.as_ref()),
        ("private_key", private_key.as_ref()),
        ("api_key", api_key.as_ref()),
        ("custom_headers", custom_headers.as_ref()),
        ("signing_secret", signing_secret.as_ref()),
        ("idp_client_secret", idp_client_secret.as_ref()),
        ("assertion", assertion.as_ref()),
    ]
}
