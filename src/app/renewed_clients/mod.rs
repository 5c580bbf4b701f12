//! Clients of ours whose secret ends (RFC 7591, section 3.2.1): each is renewed before that where it is
//! managed (RFC 7592), and takes another client in its place where it is not or where that is refused.
//! Replicas share the work by claims; nobody holds a transaction while a provider is asked.
//!
//! An answer that is lost costs nothing as long as the management token stands: the next turn asks
//! again. Where the token was changed with the answer that was lost, management is refused from then
//! on, and the client is replaced.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};

use super::App;
use super::clients::client_issuer;
use super::error::{Error, Result};
use super::insist::TRY;
use super::provision::scopes;
use super::readable::readable;
use super::replaced_clients::{By, LEFT_ALONE, Why};
use super::vault::Unopened;
use crate::domain::audit::Origin;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, renewal};
use crate::domain::secrets::RegistrationAccessToken;
use crate::domain::servers::Server;
use crate::domain::time::Timestamp;
use crate::oauth::{self, ManagedClient, NewClient, RenewedClient};
use crate::store::within;

mod keep;

/// How many are looked at in one turn; the rest comes with the next.
const BATCH: i64 = 100;
/// How many are renewed side by side.
const AT_ONCE: usize = 8;
/// What writing a result may take within the claim.
const WRITE: Duration = Duration::from_secs(30);
/// When to try again after a passing failure, unless the provider says when.
const AGAIN: Duration = Duration::from_mins(15);
/// When to look again at what cannot be renewed.
const REFUSED: Duration = Duration::from_hours(24);

/// What became of a client whose secret ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It has a secret that ends later, or never.
    Renewed,
    /// It stays as it is: replaced perhaps, or to be looked at again.
    Not,
    /// Somebody else is at it, or it is not to be renewed now.
    NotOurs,
}

/// What the provider made of it.
enum Heard {
    /// It was updated.
    Updated(Box<RenewedClient>),
    /// It is not managed, or not any more.
    Refused,
    /// Nothing certain.
    Later(Option<Duration>),
}

/// A registration that is ours to renew.
struct Claimed {
    server: Server,
    registration: Registration,
    /// Until when.
    until: Timestamp,
    /// When asking must have begun.
    send_before: Instant,
}

impl App {
    /// Renews the clients whose secret ends soon. Answers how many were renewed. Any number of replicas
    /// may do so at the same time.
    pub async fn renew_clients(&self) -> Result<u64> {
        let look = async {
            let mut tx = self.0.store.read().await?;
            let lease_now = tx.lease_now(&*self.0.clock).await?;
            let now = self.0.clock.now();
            let mut registrations = tx.registrations();
            registrations.list_ending(now, lease_now, BATCH).await
        };
        let ending = within(TRY, look).await?;
        let one = |registration: Registration| async move {
            let id = registration.id;
            let renewed = Box::pin(self.renew_client(registration)).await;
            renewed.unwrap_or_else(|error| {
                tracing::warn!(registration.id = %id, %error, "a client is not renewed");
                Renewal::Not
            })
        };
        let renewed = stream::iter(readable(ending))
            .map(one)
            .buffer_unordered(AT_ONCE)
            .filter(|renewal| std::future::ready(*renewal == Renewal::Renewed));
        Ok(u64::try_from(renewed.count().await).unwrap_or(u64::MAX))
    }

    /// Renews one client, or has another in its place, unless somebody else is at it. Not begun at the
    /// end of this process.
    pub(super) async fn renew_client(&self, registration: Registration) -> Result<Renewal> {
        if self.0.ending.is_cancelled() {
            return Ok(Renewal::NotOurs);
        }
        let Some(registration) = self.planned(registration).await? else {
            return Ok(Renewal::NotOurs);
        };
        let Some(claimed) = self.claim_renewal(&registration).await? else {
            return Ok(Renewal::NotOurs);
        };
        let pause = match self.ask_to_renew(&claimed).await? {
            Heard::Updated(answer) => {
                let renewal = self.keep_renewed(&claimed, &answer).await?;
                if renewal == Renewal::Not {
                    self.replace_ending(&claimed).await?;
                }
                return Ok(renewal);
            }
            Heard::Refused => {
                self.replace_ending(&claimed).await?;
                REFUSED
            }
            Heard::Later(pause) => {
                if claimed.registration.secret_has_ended(self.0.clock.now()) {
                    self.replace_ending(&claimed).await?;
                }
                pause.unwrap_or(AGAIN)
            }
        };
        self.put_off_renewal(&claimed, pause).await?;
        Ok(Renewal::Not)
    }

    /// The registration, if it is due; one that nobody planned for is planned first.
    async fn planned(&self, mut registration: Registration) -> Result<Option<Registration>> {
        let Some(ends) = registration.secret_ends() else {
            return Ok(None);
        };
        if registration.renew_at.is_some() {
            return Ok(Some(registration));
        }
        let planned = renewal(registration.created_at, ends);
        let write = async {
            let mut tx = self.0.store.upkeep().await?;
            tx.registration_claims()
                .plan(&registration, planned)
                .await?;
            tx.commit().await
        };
        within(TRY, write).await?;
        registration.renew_at = Some(planned);
        Ok((planned <= self.0.clock.now()).then_some(registration))
    }

    async fn claim_renewal(&self, registration: &Registration) -> Result<Option<Claimed>> {
        within(TRY, Box::pin(self.try_claim_renewal(registration))).await
    }

    async fn try_claim_renewal(&self, registration: &Registration) -> Result<Option<Claimed>> {
        let (tenant, id) = (&registration.tenant, registration.id);
        let (request, lease) = (
            self.0.settings.request_timeout,
            self.0.settings.request_timeout + WRITE,
        );
        let started = self.0.clock.monotonic();
        let mut tx = self.0.store.upkeep().await?;
        let lease_now = tx.lease_now(&*self.0.clock).await?;
        let until = lease_now.after(lease);
        let mut claims = tx.registration_claims();
        if !claims.claim(registration, lease_now, until).await? {
            return Ok(None);
        }
        // Its secrets may have been sealed anew since it was listed.
        let registration = tx.registrations().get(tenant, id).await?;
        let server = match &registration {
            Some(found) => tx.servers().get(tenant, found.server).await?,
            None => None,
        };
        tx.commit().await?;
        // Whoever wakes up too late must not ask any more: another replica may be at it.
        let send_before = started + lease.saturating_sub(request + TRY);
        Ok(registration
            .zip(server)
            .map(|(registration, server)| Claimed {
                server,
                registration,
                until,
                send_before: self.0.clock.instant(send_before),
            }))
    }

    async fn ask_to_renew(&self, claimed: &Claimed) -> Result<Heard> {
        let Claimed {
            server,
            registration,
            ..
        } = claimed;
        let managed = registration.management_uri.as_ref();
        let managed = managed.zip(registration.management_token.as_ref());
        let (Some((uri, sealed)), Some(oauth2)) = (managed, server.spec.auth.oauth2()) else {
            return Ok(Heard::Refused);
        };
        let row = registration.id.to_string();
        let place = place(
            registration,
            &row,
            SealedColumn::RegistrationManagementToken,
        );
        let token: RegistrationAccessToken = match self.0.vault.open(&place, sealed).await {
            Ok(token) => token,
            Err(Unopened::Unreadable(_)) => {
                let id = registration.id;
                tracing::warn!(registration.id = %id, "a management token cannot be opened");
                return Ok(Heard::Later(None));
            }
            Err(Unopened::Store(error)) => return Err(error.into()),
        };
        // Clients of older releases do not tell what they were registered with.
        let scopes = registration
            .scopes
            .clone()
            .or_else(|| scopes(oauth2, server.discovered.as_ref(), self.dialect_of(server)));
        let managed = ManagedClient {
            client: NewClient {
                on_behalf_of: &server.spec.url,
                redirect_uri: &registration.redirect_uri,
                client_name: &self.0.settings.client_name,
                client_uri: None,
                scopes: scopes.as_ref(),
                auth_methods: None,
                deadline: self.0.settings.request_timeout,
            },
            client_id: &registration.client_id,
            auth_method: registration.auth_method,
            uri,
            token: &token,
            send_before: claimed.send_before,
        };
        let asked = oauth::renew_registration(&self.0.fetch, &managed).await;
        Ok(asked.map_or_else(
            |error| heard(registration, &error),
            |renewed| Heard::Updated(Box::new(renewed)),
        ))
    }

    /// Has another client in the place of one that cannot be renewed, if it is the one that users
    /// connect with. Its grants stay with it until its secret ends.
    async fn replace_ending(&self, claimed: &Claimed) -> Result<()> {
        let (server, old) = (&claimed.server, &claimed.registration);
        if self.0.clock.now().since(old.created_at) <= LEFT_ALONE {
            return Ok(());
        }
        self.replace_ended(server, old).await
    }

    /// Has a client registered in the place of one whose secret ends or has ended, if users connect
    /// with that.
    pub(super) async fn replace_ended(&self, server: &Server, old: &Registration) -> Result<()> {
        if client_issuer(server).as_ref() != Some(&old.issuer) {
            return Ok(());
        }
        let mut tx = self.0.store.read().await?;
        let mut registrations = tx.registrations();
        let current = registrations
            .find_current(&old.tenant, server.id, &old.issuer)
            .await?;
        drop(tx);
        if current.is_none_or(|current| current.id != old.id) {
            return Ok(());
        }
        let why = Why {
            reason: "secret_expires",
            origin: Origin::service(),
        };
        let replaced = self.replace_client(server, old, By::Registration, why);
        match Box::pin(replaced).await {
            Err(Error::RegistrationFailed { detail }) => {
                tracing::warn!(server.id = %server.id, error = detail, "the secret of a client ends, and no other is to be had");
                Ok(())
            }
            replaced => replaced,
        }
    }

    async fn put_off_renewal(&self, claimed: &Claimed, pause: Duration) -> Result<()> {
        let registration = &claimed.registration;
        let now = self.0.clock.now();
        // What ends soon is tried several times before it does.
        let left = registration.secret_ends().map(|end| end.since(now));
        let left = left.filter(|left| !left.is_zero());
        let soon = left.map_or(pause, |left| pause.min(left / 4));
        let at = now.after(soon.max(Duration::from_mins(1)));
        let write = async {
            let mut tx = self.0.store.upkeep().await?;
            let mut claims = tx.registration_claims();
            claims.put_off(registration, claimed.until, at).await?;
            tx.commit().await
        };
        Ok(within(TRY, write).await?)
    }
}

/// What a failure means for the renewal.
fn heard(registration: &Registration, error: &oauth::Error) -> Heard {
    let id = registration.id;
    match error {
        oauth::Error::RegistrationRefused { .. }
        | oauth::Error::NoEndpoint { .. }
        | oauth::Error::Unsupported { .. }
        | oauth::Error::SecretMissing
        | oauth::Error::Endpoint { .. } => {
            tracing::warn!(registration.id = %id, %error, "a client cannot be renewed");
            Heard::Refused
        }
        oauth::Error::Unavailable { retry_after, .. } => {
            tracing::info!(registration.id = %id, %error, "a client is renewed later");
            Heard::Later(*retry_after)
        }
        oauth::Error::Address
        | oauth::Error::NoResourceMetadata
        | oauth::Error::ResourceMismatch { .. }
        | oauth::Error::NoAuthorizationServer
        | oauth::Error::IssuerNotListed { .. }
        | oauth::Error::NoServerMetadata { .. }
        | oauth::Error::IssuerMismatch { .. }
        | oauth::Error::Metadata { .. }
        | oauth::Error::ForeignEndpoint { .. }
        | oauth::Error::PkceUnsupported { .. }
        | oauth::Error::RegistrationMalformed
        | oauth::Error::UserInfo { .. }
        | oauth::Error::ReservedParameter { .. }
        | oauth::Error::Fetch(_) => {
            tracing::info!(registration.id = %id, %error, "a client is renewed later");
            Heard::Later(None)
        }
    }
}

/// The place of a secret of a registration.
fn place<'a>(registration: &'a Registration, row: &'a str, column: SealedColumn) -> Place<'a> {
    Place {
        tenant: &registration.tenant,
        column,
        row,
        owner: "",
    }
}
