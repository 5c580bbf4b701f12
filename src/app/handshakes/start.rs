//! Starting: everything the callback will need is recorded before the browser leaves.

use url::Url;

use super::super::App;
use super::super::access::check_actor;
use super::super::clients::current_client;
use super::super::discovery::hint;
use super::super::error::{Error, Result};
use super::super::provision::scopes;
use super::super::rediscovery::awaits_approval;
use super::super::servers::{find, may_see};
use super::{NewHandshake, Options, Started};
use crate::crypto::Flow;
use crate::domain::access::{Caller, Role};
use crate::domain::authorization::{Resource, Scopes};
use crate::domain::handshakes::{Binding, Handshake, Snapshot, State};
use crate::domain::ids::HandshakeId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::random;
use crate::domain::registrations::Registration;
use crate::domain::secrets::{Opaque, SecretHash, ShownOnce};
use crate::domain::servers::{Endpoints, OAuth2, Server};
use crate::mcp::Challenge;
use crate::oauth::{self, Dialect};

impl App {
    /// Starts a handshake: answers the link that begins it in a browser.
    pub async fn start_handshake(&self, caller: &Caller, new: NewHandshake) -> Result<Started> {
        check_actor(caller, Some(&new.actor))?;
        let mut tx = self.0.store.read().await?;
        let server = find(&mut tx, &caller.tenant, &new.server).await?;
        // A user sees their own though it is off; nobody connects to it meanwhile.
        let visible =
            |server: &Server| server.spec.enabled && may_see(caller, Some(&new.actor), server);
        let server = server.filter(visible);
        let server = server.ok_or(Error::ServerNotFound)?;
        let oauth2 = server.spec.auth.oauth2().ok_or(Error::AuthNotInteractive)?;
        // What a user would obtain is sent nowhere meanwhile.
        if awaits_approval(&server) {
            self.look_now_and_then(&server);
            return Err(Error::IssuerApprovalPending);
        }
        let binding = self.check_options(caller, &new.options)?;
        let found = current_client(&mut tx, &server).await?;
        let registration = found.ok_or_else(no_client)?;
        drop(tx);
        let registration = Box::pin(self.present_client(&server, oauth2, registration)).await?;
        let dialect = self.dialect_of(&server);
        let scopes = asked_scopes(oauth2, &server, &new, dialect);
        let mut snapshot = snapshot(&server, oauth2, &registration, scopes)?;
        snapshot.extra_params = dialect.authorize_parameters(&oauth2.extra_authorize_params);
        self.store_handshake(
            caller,
            new,
            &server,
            Prepared {
                binding,
                registration,
                snapshot,
            },
        )
        .await
    }

    /// The binding to use, and whether every URL given is on the deployment's lists.
    pub(in super::super) fn check_options(
        &self,
        caller: &Caller,
        options: &Options,
    ) -> Result<Binding> {
        let settings = &self.0.settings;
        let by_link = settings.allow_link && caller.role == Role::Daemon;
        let default = if by_link {
            Binding::Link
        } else {
            Binding::Confirm
        };
        let binding = options.binding.unwrap_or(default);
        let offered = match binding {
            Binding::Link => by_link,
            Binding::Confirm => true,
            Binding::Login => false,
        };
        if !offered {
            return Err(Error::BindingNotAllowed);
        }
        if binding == Binding::Confirm && options.completion_url.is_none() {
            return Err(Error::invalid(
                "completion_url",
                "is required with binding CONFIRM",
            ));
        }
        let listed = [
            ("return_url", &options.return_url, &settings.return_urls),
            (
                "completion_url",
                &options.completion_url,
                &settings.completion_urls,
            ),
        ];
        for (field, url, list) in listed {
            if let Some(url) = url
                && !list.iter().any(|allowed| is_below(allowed, url))
            {
                return Err(Error::UrlNotAllowed { field });
            }
        }
        if let Some(origin) = &options.opener_origin
            && !settings.opener_origins.contains(origin)
        {
            return Err(Error::UrlNotAllowed {
                field: "opener_origin",
            });
        }
        Ok(binding)
    }

    async fn store_handshake(
        &self,
        caller: &Caller,
        new: NewHandshake,
        server: &Server,
        prepared: Prepared,
    ) -> Result<Started> {
        let Prepared {
            binding,
            registration,
            snapshot,
        } = prepared;
        let random = &*self.0.random;
        let id = HandshakeId::mint(&*self.0.clock, random);
        let (state, link) = (random::token(random), random::token(random));
        let (state_hash, link_hash) = (SecretHash::of(&state), SecretHash::of(&link));
        let flow = Flow {
            state: Opaque::new(state),
            verifier: oauth::pkce_verifier(random),
            link: Opaque::new(link),
        };
        let connect_url = ShownOnce::below(&self.public_path("connect/"), &flow.link);
        let row = id.to_string();
        let user = new.actor.user;
        let place = Place {
            tenant: &caller.tenant,
            column: SealedColumn::HandshakeFlow,
            row: &row,
            owner: user.as_str(),
        };
        let flow = self.0.vault.seal(&place, &flow).await?;
        let mut event = self.event(&caller.tenant, caller.origin(), "handshake.start", id);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "server": server.id.to_string(),
            "binding": binding.as_str(),
            "scopes": snapshot.scopes.as_ref().map(Scopes::to_string),
        });
        let handshake = Handshake {
            id,
            tenant: caller.tenant.clone(),
            user,
            server: server.id,
            created_by: caller.principal(),
            binding,
            state: State::Pending,
            registration: registration.id,
            auth_version: server.auth_version,
            snapshot,
            flow: Some(flow),
            link_hash,
            state_hash,
            browser_hash: None,
            return_url: new.options.return_url,
            opener_origin: new.options.opener_origin,
            completion_url: new.options.completion_url,
            code_hash: None,
            parked: None,
            account: None,
            created_at: event.at,
            expires_at: event.at.after(self.0.settings.handshake_ttl),
            finished_at: None,
        };
        let mut tx = self.0.store.write().await?;
        tx.handshakes_mut().insert(&handshake).await?;
        let revision = tx.commit(&event).await?;
        Ok(Started {
            handshake,
            connect_url,
            revision,
        })
    }

    /// The open handshake that a principal already started for a user on a server and that would
    /// ask for the same, with its link.
    pub(in super::super) async fn pending_handshake(
        &self,
        caller: &Caller,
        new: &NewHandshake,
        server: &Server,
    ) -> Result<Option<Started>> {
        let now = self.0.clock.now();
        let principal = caller.principal();
        let binding = self.check_options(caller, &new.options)?;
        let whose = (&caller.tenant, &new.actor.user, server.id);
        let mut tx = self.0.store.read().await?;
        let found = tx.handshakes().find_pending(whose, &principal, now).await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        let client = current_client(&mut tx, server).await?;
        let client = client.filter(|client| !client.secret_has_ended(now));
        let client = client.map(|client| client.id);
        drop(tx);
        let (Some(handshake), Some(oauth2)) = (found, server.spec.auth.oauth2()) else {
            return Ok(None);
        };
        let options = &new.options;
        let asked = asked_scopes(oauth2, server, new, self.dialect_of(server));
        let claim = server.spec.account_binding.as_ref().map(|one| &one.claim);
        let same = handshake.auth_version == server.auth_version
            && client == Some(handshake.registration)
            && handshake.binding == binding
            && handshake.return_url == options.return_url
            && handshake.opener_origin == options.opener_origin
            && handshake.completion_url == options.completion_url
            && handshake.snapshot.profile.as_deref() == server.spec.auth.profile()
            && handshake.snapshot.account_claim.as_ref() == claim
            && handshake.snapshot.asks_for(asked.as_ref());
        if !same {
            return Ok(None);
        }
        let flow = self.open_flow(&handshake).await?;
        let connect_url = ShownOnce::below(&self.public_path("connect/"), &flow.link);
        Ok(Some(Started {
            handshake,
            connect_url,
            revision,
        }))
    }
}

/// What a handshake is made of, once everything is checked.
struct Prepared {
    binding: Binding,
    registration: Registration,
    snapshot: Snapshot,
}

/// The scopes to ask for: a challenge that came with the call is fresher than the one that discovery
/// saw.
pub(super) fn asked_scopes(
    oauth2: &OAuth2,
    server: &Server,
    new: &NewHandshake,
    dialect: &Dialect,
) -> Option<Scopes> {
    let fresh = hint(&Challenge::parse_all(&new.challenges)).and_then(|hint| hint.scopes);
    let chosen = if let Some(mut found) = server.discovered.clone() {
        found.challenged_scopes = fresh.or(found.challenged_scopes);
        scopes(oauth2, Some(&found), dialect)
    } else {
        // Endpoints by hand: there is no metadata that could name any.
        let (configured, offline) = (Some(&oauth2.scopes), dialect.offline_access);
        oauth::choose_scopes(configured, fresh.as_ref(), None, None, offline)
    };
    if new.extra_scopes.is_empty() {
        return chosen;
    }
    Some(chosen.unwrap_or_default().union(&new.extra_scopes))
}

/// The server has no client to connect its users with.
pub(in super::super) fn no_client() -> Error {
    let detail = "the server has no OAuth client; change its URL or OAuth settings to find one";
    Error::RegistrationFailed {
        detail: detail.to_owned(),
    }
}

/// What the callback needs, from what is configured or was discovered.
pub(in super::super) fn snapshot(
    server: &Server,
    oauth2: &OAuth2,
    registration: &Registration,
    scopes: Option<Scopes>,
) -> Result<Snapshot> {
    let binding = server.spec.account_binding.as_ref();
    let mut snapshot = Snapshot {
        issuer: oauth2.issuer.clone(),
        iss_required: false,
        authorization_endpoint: String::new(),
        token_endpoint: String::new(),
        revocation_endpoint: oauth2.revocation_endpoint.clone(),
        userinfo_endpoint: None,
        account_claim: binding.map(|binding| binding.claim.clone()),
        client_id: registration.client_id.clone(),
        auth_method: registration.auth_method,
        redirect_uri: registration.redirect_uri.clone(),
        resource: None,
        scopes,
        extra_params: oauth2.extra_authorize_params.clone().into_iter().collect(),
        profile: server.spec.auth.profile().map(str::to_owned),
    };
    let resource = if let Some(by_hand) = &oauth2.endpoints {
        let Endpoints {
            authorization_endpoint,
            token_endpoint,
            ..
        } = by_hand.clone();
        snapshot.authorization_endpoint = authorization_endpoint;
        snapshot.token_endpoint = token_endpoint;
        Resource::new(server.spec.url.as_str())
    } else {
        let found = server.discovered.as_ref().ok_or_else(no_client)?;
        let from = found.authorization_server.clone();
        snapshot.issuer = Some(from.issuer);
        snapshot.iss_required = from.iss_parameter_supported;
        snapshot.authorization_endpoint = from.authorization_endpoint;
        snapshot.token_endpoint = from.token_endpoint;
        snapshot.revocation_endpoint = snapshot.revocation_endpoint.or(from.revocation_endpoint);
        snapshot.userinfo_endpoint = from.userinfo_endpoint.filter(|_| binding.is_some());
        found.resource.resource.clone()
    };
    let named = |endpoint: &String| oauth::may_name(&server.spec.url, endpoint);
    snapshot.revocation_endpoint = snapshot.revocation_endpoint.filter(named);
    snapshot.userinfo_endpoint = snapshot.userinfo_endpoint.filter(named);
    snapshot.resource = (!oauth2.overrides.omit_resource).then_some(resource);
    Ok(snapshot)
}

/// Whether a URL is an allowed one or below it: same origin, and its path at or under the allowed
/// path.
fn is_below(allowed: &Url, url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let base = allowed.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(base);
    let under = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let plain = url.username().is_empty() && url.password().is_none();
    url.origin() == allowed.origin() && plain && under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_at_or_below_an_allowed_one_are_followed() {
        let allowed = Url::parse("https://app.test/done").unwrap();

        for good in ["https://app.test/done", "https://app.test/done/x?y=1"] {
            assert!(is_below(&allowed, good), "{good}");
        }
        for bad in [
            "https://app.test/donex",
            "https://app.test/",
            "https://app.test/done/../admin",
            "http://app.test/done",
            "https://app.test.evil.test/done",
            "https://u@app.test/done",
            "//app.test/done",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_below(&allowed, bad), "{bad}");
        }
    }
}
