//! The request of a redemption: everything it needs is opened, the lease is checked once more, and it is
//! written at most once. One that was refused for how our client authenticates may be followed by
//! another, under the same attempt and the same lease.

use std::time::Duration;

use super::super::App;
use super::super::assumed_methods::other_method;
use super::super::client_auth::{Unproven, missing};
use super::super::error::Error;
use super::super::insist::TRY;
use super::super::own_grants::own_scopes;
use super::super::rediscovery::awaits_approval;
use super::super::vault::Unopened;
use super::grant::Grant as _;
use crate::domain::connections::{Connection, Origin, Settled};
use crate::domain::identities::Identity;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::secrets::{AccessToken, RefreshToken};
use crate::domain::servers::{Auth, Server, UserOidc};
use crate::fetch::Policy;
use crate::oauth::{self, Endpoint, ExchangeGrant, Outcome, OwnGrant, RefreshGrant};
use crate::store::{self, within};

/// What is said of a grant whose login ended, which was to be exchanged.
pub(in crate::app) const LOGIN_ENDED: &str = "login_ended";

/// Why no request was made.
pub(in crate::app) enum Uncalled {
    /// The refresh token cannot be opened.
    Unreadable,
    /// The client cannot authenticate as it must; the code.
    Client(&'static str),
    /// The lease could end before the answer is written.
    LeaseTooShort,
    /// The user's login, which was to be exchanged, ended.
    NoLogin,
    /// That login is to be renewed first.
    StaleLogin,
    /// Where the identity provider redeems is not known, and cannot be found out now.
    NoEndpoint,
    /// The server changed: its secret of today is not for the endpoint of then.
    ServerChanged,
    /// The store did not answer, or what was needed is gone.
    Store(Error),
}

impl Uncalled {
    /// The outcome to write, and its code.
    pub(super) fn settled(self) -> (Settled, String) {
        let (settled, code) = match self {
            Self::Unreadable => (Settled::Unreadable, "unreadable"),
            Self::Client(code) => (Settled::ClientRefused, code),
            Self::LeaseTooShort => (Settled::NotSent, "lease_too_short"),
            // For a newer login there will be another grant.
            Self::NoLogin => (Settled::Refused, LOGIN_ENDED),
            Self::StaleLogin => (Settled::NotSent, "login_stale"),
            Self::NoEndpoint => (Settled::NotSent, "metadata_unavailable"),
            Self::ServerChanged => (Settled::NotSent, "server_changed"),
            Self::Store(error) => {
                tracing::warn!(%error, "renewal could not begin");
                (Settled::NotSent, "store_unavailable")
            }
        };
        (settled, code.to_owned())
    }
}

impl From<Unopened> for Uncalled {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Unreadable(_) => Self::Unreadable,
            Unopened::Store(error) => Self::Store(error.into()),
        }
    }
}

/// What is presented for new tokens.
enum Presented {
    /// The refresh token.
    Refresh(RefreshToken),
    /// Nothing but our client.
    Own,
    /// The user's login token.
    Login(AccessToken, UserOidc),
}

/// What is asked, and since when the lease counts.
struct Ask<'a> {
    connection: &'a Connection,
    server: &'a Server,
    presented: &'a Presented,
    started: Duration,
}

impl App {
    /// Presents the refresh token, once; and once more where the first request was refused for how
    /// our client authenticated, which spends nothing, and there is another way to try. `started` is when the lease was
    /// asked for, on the monotonic clock.
    pub(super) async fn call(
        &self,
        connection: &Connection,
        started: Duration,
    ) -> Result<Outcome, Uncalled> {
        let tenant = &connection.tenant;
        let read = async {
            let mut tx = self.0.store.read().await?;
            let server = tx.servers().get(tenant, connection.server).await?;
            let mut registrations = tx.registrations();
            let registration = registrations.get(tenant, connection.registration).await?;
            let newest = match &registration {
                Some(registration) => {
                    let of = (connection.server, &registration.issuer);
                    registrations.find_current(tenant, of.0, of.1).await?
                }
                None => None,
            };
            Ok::<_, store::Error>((server, registration, newest))
        };
        let read = within(TRY, Box::pin(read)).await;
        let (server, registration, newest) = read.map_err(|error| Uncalled::Store(error.into()))?;
        let (Some(server), Some(registration)) = (server, registration) else {
            return Err(Uncalled::Store(Error::ConnectionNotFound));
        };
        // A client made by hand stays the same client when the way it authenticates was corrected.
        let same = |newest: &Registration| {
            newest.kind == RegistrationKind::Preregistered
                && newest.client_id == registration.client_id
        };
        let registration = newest.filter(same).unwrap_or(registration);
        // What another issuer may have taken over is not renewed at the one of before.
        if server.auth_version != connection.auth_version || awaits_approval(&server) {
            return Err(Uncalled::ServerChanged);
        }
        let presented = self.presented(connection, &server).await?;
        let ask = Ask {
            connection,
            server: &server,
            presented: &presented,
            started,
        };
        let outcome = self.present(&ask, &registration).await?;
        let method = registration.auth_method;
        if let Some(server) = self.with_former_secret(&server, (&registration, method), &outcome) {
            let ask = Ask {
                server: &server,
                ..ask
            };
            let second = self.present(&ask, &registration).await;
            return Ok(second.unwrap_or(outcome));
        }
        let Some(other) = other_method(&registration, method, &outcome) else {
            self.method_met(&registration, method, &outcome);
            return Ok(outcome);
        };
        let otherwise = Registration {
            auth_method: other,
            ..registration.clone()
        };
        match self.present(&ask, &otherwise).await {
            Ok(second) => {
                self.method_met(&registration, other, &second);
                Ok(second)
            }
            // The lease may be too short for another one: the refusal stands.
            Err(_) => Ok(outcome),
        }
    }

    /// One request, if the lease is long enough for it.
    async fn present(
        &self,
        ask: &Ask<'_>,
        registration: &Registration,
    ) -> Result<Outcome, Uncalled> {
        let Ask {
            connection,
            server,
            presented,
            started,
        } = *ask;
        // The client's secret or key is the server's matter, not the grant's.
        let token_endpoint = &connection.token_endpoint;
        let auth = self.registration_auth(server, registration, token_endpoint);
        let auth = auth.await.map_err(|unproven| match unproven {
            Unproven::Unreadable | Unproven::Missing => {
                Uncalled::Client(missing(registration.auth_method))
            }
            Unproven::Store(error) => Uncalled::Store(error.into()),
        })?;
        let deadline = self.0.settings.request_timeout;
        let lease = self.0.settings.tokens.lease;
        let spent = self.0.clock.monotonic().saturating_sub(started);
        if spent + deadline + TRY > lease {
            return Err(Uncalled::LeaseTooShort);
        }
        // Names, TCP and TLS come first and may find the process asleep: whoever wakes up too late
        // must not write any more, since another replica may have redeemed meanwhile.
        let send_before = started + lease.saturating_sub(TRY);
        let policy = match presented {
            // Logins are exchanged where the operator says.
            Presented::Login(..) => Policy::Operator,
            Presented::Own | Presented::Refresh(_) => Policy::on_behalf_of(&server.spec.url),
        };
        let endpoint = Endpoint {
            url: token_endpoint,
            policy,
            client_id: &registration.client_id,
            auth: &auth,
            deadline,
            send_before: Some(self.0.clock.instant(send_before)),
            now: self.0.clock.now(),
        };
        let profiles = &self.0.settings.profiles;
        let profile = connection.profile.as_deref();
        let dialect = profiles.dialect(profile, &connection.issuer);
        let resource = connection.resource.as_ref();
        let fetch = &self.0.fetch;
        Ok(match presented {
            Presented::Own => {
                let scopes = own_scopes(server);
                let grant = OwnGrant {
                    resource,
                    scopes: scopes.as_ref(),
                    dialect,
                };
                oauth::client_credentials(fetch, &endpoint, &grant).await
            }
            Presented::Login(subject, oidc) => {
                let scopes = own_scopes(server);
                let grant = ExchangeGrant {
                    subject,
                    kind: oidc.token,
                    audience: oidc.exchange_audience.as_deref(),
                    resource,
                    scopes: scopes.as_ref(),
                    dialect,
                };
                oauth::token_exchange(fetch, &endpoint, &grant).await
            }
            Presented::Refresh(refresh_token) => {
                let grant = RefreshGrant {
                    refresh_token,
                    resource,
                    scopes: None,
                    dialect,
                };
                oauth::refresh(fetch, &endpoint, &grant).await
            }
        })
    }

    /// What is presented for a connection, opened. What is not a user's grant is asked for anew.
    async fn presented(
        &self,
        connection: &Connection,
        server: &Server,
    ) -> Result<Presented, Uncalled> {
        match (connection.origin, &server.spec.auth) {
            (Origin::Automatic, Auth::UserOidc(oidc)) => {
                let token = self.subject_token(connection, oidc).await?;
                Ok(Presented::Login(token, oidc.clone()))
            }
            (Origin::Automatic, _) => Ok(Presented::Own),
            (Origin::Handshake | Origin::Import, _) => {
                let token = self.open_refresh_token(connection).await?;
                Ok(Presented::Refresh(token))
            }
        }
    }

    /// The login token to exchange, which lives: of the very login that the connection is for.
    async fn subject_token(
        &self,
        connection: &Connection,
        oidc: &UserOidc,
    ) -> Result<AccessToken, Uncalled> {
        let issuer = Some(&connection.issuer);
        let found = self.identity_for(&connection.tenant, &connection.user, issuer);
        let found = found.await.map_err(Uncalled::Store)?;
        let now = self.0.clock.now();
        let identity = found.filter(|identity| identity.is_usable(oidc.token, now));
        let mut identity = identity.ok_or(Uncalled::NoLogin)?;
        if identity.living(oidc.token, now).is_none() {
            // Nobody asked for it lately: it is renewed for this.
            let wanted = self.wanted(Duration::ZERO, Some(self.0.settings.request_timeout));
            let renewed = self.renewed::<Identity>(&identity.key(), wanted).await;
            identity = renewed.map_err(Uncalled::Store)?.ok_or(Uncalled::NoLogin)?;
        }
        let living = identity.living(oidc.token, self.0.clock.now());
        let (sealed, _) = living.ok_or(Uncalled::StaleLogin)?;
        Ok(self.open_login(&identity, (oidc.token, sealed)).await?)
    }

    async fn open_refresh_token(&self, connection: &Connection) -> Result<RefreshToken, Uncalled> {
        let sealed = connection
            .refresh_token
            .as_ref()
            .ok_or(Uncalled::Unreadable)?;
        let row = connection.id.to_string();
        let place = Place {
            tenant: &connection.tenant,
            column: SealedColumn::ConnectionRefreshToken,
            row: &row,
            owner: connection.user.as_str(),
        };
        Ok(self.0.vault.open(&place, sealed).await?)
    }
}
