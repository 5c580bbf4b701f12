//! Provisioning: from a configuration to the OAuth client that connects its users. Discovery,
//! registration, and the redirect URI; nothing is stored here.

use tracing::Instrument as _;

use super::App;
use super::discovery::Seeking;
use super::error::{Error, Result};
use super::revocations::{Unstored, stays_registered};
use crate::domain::authorization::{ClientAuthMethod, Discovered, Issuer, Scopes};
use crate::domain::ids::{RegistrationId, ServerId};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, RegistrationKind, renewal};
use crate::domain::servers::{
    Auth, ClientCredentials, Endpoints, OAuth2, Redirect, SecretEdits, Spec,
};
use crate::domain::tenants::TenantId;
use crate::oauth::{self, Dialect, NewClient, RegisteredClient};

/// What a configuration needs before it can be stored.
#[derive(Debug, Default)]
pub(super) struct Provision {
    /// What discovery found, for automatic clients.
    pub(super) discovered: Option<Discovered>,
    /// The client to use.
    pub(super) client: Option<Unstored>,
}

/// The server a client is for.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Whose it is.
    pub(super) tenant: TenantId,
    /// Which one.
    pub(super) server: ServerId,
    /// The generation of the client.
    pub(super) generation: i64,
    /// What is or will be stored with the server.
    pub(super) holds: Holds,
    /// The issuer to stay with: another one is a look's to find.
    pub(super) stays: Option<Issuer>,
    /// Whether its client there was registered: a document may have been tried in vain.
    pub(super) registered: bool,
}

/// What a server has for its client to prove itself with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holds {
    /// Whether that is a secret.
    pub(super) secret: bool,
    /// Whether that is a key.
    pub(super) key: bool,
}

impl Holds {
    /// What is there once these edits are applied.
    pub(super) fn after(edits: &SecretEdits, stored: Self) -> Self {
        Self {
            secret: edits.client_secret.leaves(stored.secret),
            key: edits.private_key.leaves(stored.key),
        }
    }
}

/// A client before it has an id.
#[expect(
    clippy::struct_field_names,
    reason = "client_id is the protocol's name"
)]
pub(super) struct Client {
    pub(super) issuer: Issuer,
    pub(super) kind: RegistrationKind,
    pub(super) client_id: String,
    pub(super) auth_method: ClientAuthMethod,
    pub(super) redirect_uri: String,
}

/// The scopes to ask for (the order of the MCP specification's scope selection).
pub(super) fn scopes(
    oauth2: &OAuth2,
    found: Option<&Discovered>,
    dialect: &Dialect,
) -> Option<Scopes> {
    let configured = Some(&oauth2.scopes).filter(|scopes| !scopes.is_empty());
    oauth::choose_scopes(
        configured,
        found.and_then(|found| found.challenged_scopes.as_ref()),
        found.and_then(|found| found.resource.scopes_supported.as_ref()),
        found.and_then(|found| found.authorization_server.scopes_supported.as_ref()),
        dialect.offline_access,
    )
}

/// How a client made by hand authenticates, when nobody says: with its key if the server's metadata
/// lists that or there is nothing else, else with its secret if it has one.
pub(super) fn method_of(
    said: Option<ClientAuthMethod>,
    holds: Holds,
    found: Option<&Discovered>,
) -> ClientAuthMethod {
    if let Some(method) = said {
        return method;
    }
    let signs = |listed: &[ClientAuthMethod]| listed.contains(&ClientAuthMethod::PrivateKeyJwt);
    if holds.key && (!holds.secret || listed(found).is_some_and(signs)) {
        return ClientAuthMethod::PrivateKeyJwt;
    }
    if holds.secret {
        secret_method(found)
    } else {
        ClientAuthMethod::None
    }
}

/// How a secret is sent: the way the server's metadata prefers.
pub(super) fn secret_method(found: Option<&Discovered>) -> ClientAuthMethod {
    use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost};
    match listed(found) {
        Some(listed)
            if !listed.contains(&ClientSecretBasic) && listed.contains(&ClientSecretPost) =>
        {
            ClientSecretPost
        }
        Some(_) | None => ClientSecretBasic,
    }
}

/// The client authentication that metadata lists, if it does.
fn listed(found: Option<&Discovered>) -> Option<&[ClientAuthMethod]> {
    let server = &found?.authorization_server;
    server.token_endpoint_auth_methods.as_deref()
}

impl App {
    /// The redirect URI of a server's client. A client that we register is this server's alone.
    pub(super) fn redirect_uri(&self, oauth2: &OAuth2, server: ServerId) -> String {
        let by_hand = oauth2.endpoints.is_some() || oauth2.preregistered.is_some();
        match &oauth2.redirect {
            Redirect::Explicit(uri) => uri.clone(),
            Redirect::Shared if by_hand => self.shared_redirect_uri(),
            Redirect::PerServer | Redirect::Shared => {
                self.public_path(&format!("oauth2/callback/{server}"))
            }
        }
    }

    /// The redirect URI that servers share.
    pub(super) fn shared_redirect_uri(&self) -> String {
        self.public_path("oauth2/callback")
    }

    /// A URL on the public listener, below its own path.
    pub(super) fn public_path(&self, path: &str) -> String {
        let base = self.0.settings.public_url.as_str().trim_end_matches('/');
        format!("{base}/{path}")
    }

    /// Finds or makes the client of a configuration. Asks the network unless endpoints were written
    /// by hand; kinds without a client need nothing. It goes on when the caller goes away, or nobody
    /// would know of a client that was registered meanwhile.
    pub(super) async fn provision(&self, slot: Slot, spec: &Spec) -> Result<Provision> {
        let (app, spec) = (self.clone(), spec.clone());
        let made = async move { Box::pin(app.provision_now(&slot, &spec)).await };
        let made = self.0.tasks.spawn(made.in_current_span()).await;
        made.unwrap_or_else(|gone| Err(Error::Internal(Box::new(gone))))
    }

    async fn provision_now(&self, slot: &Slot, spec: &Spec) -> Result<Provision> {
        if let Auth::ClientCredentials(client) = &spec.auth {
            return self.provision_own(slot, &spec.url, client).await;
        }
        if let Auth::UserOidc(oidc) = &spec.auth {
            return Ok(self.provision_exchange(slot, oidc));
        }
        let Some(oauth2) = spec.auth.oauth2() else {
            return Ok(Provision::default());
        };
        let redirect_uri = self.redirect_uri(oauth2, slot.server);
        let whose = (&slot.tenant, slot.server);
        if let Some(Endpoints { client_id, .. }) = &oauth2.endpoints {
            let client = Client {
                issuer: oauth2.issuer.clone().unwrap_or_else(|| Issuer::new("")),
                kind: RegistrationKind::Preregistered,
                client_id: client_id.clone(),
                auth_method: method_of(oauth2.token_endpoint_auth_method, slot.holds, None),
                redirect_uri,
            };
            self.check_mix_up(whose, oauth2, None).await?;
            let registration = self.registration(slot, client);
            return Ok(Provision {
                discovered: None,
                client: Some(self.unstored(registration)),
            });
        }
        let seeking = Seeking::of(&spec.url, oauth2);
        let issuer = seeking.issuer.or(slot.stays.as_ref());
        let found = self.discover(&Seeking { issuer, ..seeking }).await?;
        self.check_mix_up(whose, oauth2, Some(&found)).await?;
        let registration = if let Some(preregistered) = &oauth2.preregistered {
            let client = Client {
                issuer: found.authorization_server.issuer.clone(),
                kind: RegistrationKind::Preregistered,
                client_id: preregistered.client_id.clone(),
                auth_method: method_of(oauth2.token_endpoint_auth_method, slot.holds, Some(&found)),
                redirect_uri,
            };
            self.registration(slot, client)
        } else {
            self.own_client(slot, spec, oauth2, &found).await?
        };
        Ok(Provision {
            discovered: Some(found),
            client: Some(self.unstored(registration)),
        })
    }

    /// The client of a grant of our own: it is made by hand, and never registered.
    async fn provision_own(
        &self,
        slot: &Slot,
        server_url: &str,
        client: &ClientCredentials,
    ) -> Result<Provision> {
        let seeking = Seeking::own(server_url, client);
        let issuer = seeking.issuer.or(slot.stays.as_ref());
        let discovered = match &client.token_endpoint {
            Some(_) => None,
            None => Some(self.discover(&Seeking { issuer, ..seeking }).await?),
        };
        let found = discovered.as_ref();
        let issuer = found.map(|found| found.authorization_server.issuer.clone());
        let method = client.token_endpoint_auth_method;
        let made = Client {
            issuer: issuer
                .or_else(|| client.issuer.clone())
                .unwrap_or_else(|| Issuer::new("")),
            kind: RegistrationKind::Preregistered,
            client_id: client.client_id.clone(),
            auth_method: method_of(method, slot.holds, found),
            redirect_uri: String::new(),
        };
        let registration = self.registration(slot, made);
        Ok(Provision {
            discovered,
            client: Some(self.unstored(registration)),
        })
    }

    pub(super) fn registration(&self, slot: &Slot, client: Client) -> Registration {
        Registration {
            id: RegistrationId::mint(&*self.0.clock, &*self.0.random),
            tenant: slot.tenant.clone(),
            server: slot.server,
            issuer: client.issuer,
            generation: slot.generation,
            kind: client.kind,
            client_id: client.client_id,
            client_secret: None,
            secret_expires_at: None,
            renew_at: None,
            auth_method: client.auth_method,
            method_assumed: false,
            redirect_uri: client.redirect_uri,
            scopes: None,
            management_token: None,
            management_uri: None,
            created_at: self.0.clock.now(),
        }
    }

    /// A client of our own at a server that was found: named by its document where that is taken and was
    /// not given up for a registration before, else registered.
    pub(super) async fn own_client(
        &self,
        slot: &Slot,
        spec: &Spec,
        oauth2: &OAuth2,
        found: &Discovered,
    ) -> Result<Registration> {
        let server = &found.authorization_server;
        let registers = slot.registered && server.registration_endpoint.is_some();
        let documented = self.documented(oauth2, slot.server, server);
        let Some(documented) = documented.filter(|_| !registers) else {
            return self.register(slot, spec, oauth2, found).await;
        };
        let client = Client {
            issuer: server.issuer.clone(),
            kind: RegistrationKind::MetadataDocument,
            client_id: documented.client_id,
            auth_method: ClientAuthMethod::None,
            redirect_uri: documented.redirect_uri,
        };
        Ok(self.registration(slot, client))
    }

    /// Registers a client of our own (RFC 7591), with the redirect URI of this very server.
    pub(super) async fn register(
        &self,
        slot: &Slot,
        spec: &Spec,
        oauth2: &OAuth2,
        found: &Discovered,
    ) -> Result<Registration> {
        let server = &found.authorization_server;
        let redirect_uri = self.redirect_uri(oauth2, slot.server);
        let Some(endpoint) = &server.registration_endpoint else {
            return Err(Error::RegistrationFailed {
                detail: format!(
                    "{} registers no clients by itself; make one there by hand with redirect URI \
                     {redirect_uri} and give it as oauth2.preregistered",
                    server.issuer
                ),
            });
        };
        let profiles = &self.0.settings.profiles;
        let dialect = profiles.dialect(oauth2.provider_profile.as_deref(), &server.issuer);
        // A step-up may want any that the resource has, and some providers bind a client to what it named;
        // others refuse a client that names too much.
        let asked = scopes(oauth2, Some(found), dialect);
        let all = match (&asked, &found.resource.scopes_supported) {
            (Some(asked), Some(all)) => Some(asked.union(all)),
            (asked, _) => asked.clone(),
        };
        let client = NewClient {
            on_behalf_of: &spec.url,
            redirect_uri: &redirect_uri,
            client_name: &self.0.settings.client_name,
            client_uri: None,
            scopes: all.as_ref(),
            auth_methods: server.token_endpoint_auth_methods.as_deref(),
            deadline: self.0.settings.request_timeout,
        };
        let mut made = oauth::register(&self.0.fetch, endpoint, &client).await;
        if all != asked && matches!(made, Err(oauth::Error::RegistrationRefused { .. })) {
            let scopes = asked.as_ref();
            let client = NewClient { scopes, ..client };
            made = oauth::register(&self.0.fetch, endpoint, &client).await;
        }
        let made = made.map_err(|error| {
            let detail = format!(
                "{error}; a client made by hand with redirect URI {redirect_uri} can be given as \
                 oauth2.preregistered"
            );
            Error::RegistrationFailed { detail }
        })?;
        let client = Client {
            issuer: server.issuer.clone(),
            kind: RegistrationKind::Dynamic,
            client_id: made.client_id.clone(),
            auth_method: made.auth_method,
            redirect_uri,
        };
        let mut registration = self.registration(slot, client);
        registration.method_assumed = made.method_assumed;
        registration.scopes.clone_from(&made.scopes);
        let sealed = self.seal_registered(&mut registration, &made).await;
        if let Err(error) = &sealed {
            stays_registered(&registration, error);
        }
        sealed.map(|()| registration)
    }

    /// Adds to a registration what is secret of it.
    async fn seal_registered(
        &self,
        registration: &mut Registration,
        made: &RegisteredClient,
    ) -> Result<()> {
        let row = registration.id.to_string();
        let tenant = registration.tenant.clone();
        let place = |column| Place {
            tenant: &tenant,
            column,
            row: &row,
            owner: "",
        };
        if let Some(secret) = &made.client_secret {
            let place = place(SealedColumn::RegistrationClientSecret);
            registration.client_secret = Some(self.0.vault.seal(&place, secret).await?);
        }
        if let Some(token) = &made.registration_access_token {
            let place = place(SealedColumn::RegistrationManagementToken);
            registration.management_token = Some(self.0.vault.seal(&place, token).await?);
        }
        registration.secret_expires_at = made.secret_expires_at;
        let plan = |ends| renewal(registration.created_at, ends);
        registration.renew_at = made.secret_expires_at.map(plan);
        registration
            .management_uri
            .clone_from(&made.registration_client_uri);
        Ok(())
    }
}
