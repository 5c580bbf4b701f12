//! The client that the deployment has at an identity provider, and where it redeems.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::App;
use super::super::flights::Flights;
use crate::domain::authorization::{ClientAuthMethod, Issuer};
use crate::domain::issuers::IssuerClient;
use crate::domain::tenants::TenantId;
use crate::oauth::{self, ClientAuth};

/// For how long it is believed where an identity provider redeems.
const BELIEVED: Duration = Duration::from_hours(1);

/// How long one is not asked again that did not answer, where it is known from before.
const PAUSE: Duration = Duration::from_secs(30);

/// Where identity providers redeem, as their metadata says, and when that was read, on the monotonic clock. As
/// many as the deployment trusts. What is known is good until something newer is, and each is asked once at a
/// time.
#[derive(Debug, Default)]
pub(in crate::app) struct Endpoints {
    known: Mutex<HashMap<Issuer, (String, Duration)>>,
    failed: Mutex<HashMap<Issuer, Duration>>,
    flights: Flights<Issuer>,
}

impl Endpoints {
    fn known(&self, issuer: &Issuer) -> Option<(String, Duration)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(issuer).cloned()
    }

    /// Whether it did not answer just now.
    fn rests(&self, issuer: &Issuer, now: Duration) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed
            .get(issuer)
            .is_some_and(|failed| now < *failed + PAUSE)
    }

    fn note_failure(&self, issuer: Issuer, now: Duration) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(issuer, now);
    }

    fn learn(&self, issuer: Issuer, url: String, now: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(issuer, (url, now));
    }
}

impl App {
    /// The client at an identity provider and its proof, for users of a tenant that it may speak of. To others it
    /// is not there: its secret is what stands between them and tokens that are not theirs.
    ///
    /// # Errors
    /// The code of what is missing: the client, or what it proves itself with.
    pub(in crate::app) fn issuer_client(
        &self,
        tenant: &TenantId,
        issuer: &Issuer,
    ) -> Result<(&IssuerClient, ClientAuth), &'static str> {
        let trusted = self.0.settings.issuers.find(issuer);
        let trusted = trusted.filter(|trusted| trusted.tenant.may_name(tenant));
        let client = trusted.and_then(|trusted| trusted.client.as_ref());
        let client = client.ok_or("client_missing")?;
        let method = client.method.unwrap_or(match client.secret {
            Some(_) => ClientAuthMethod::ClientSecretBasic,
            None => ClientAuthMethod::None,
        });
        let auth = ClientAuth::new(method, client.secret.clone());
        Ok((client, auth.map_err(|_error| "client_secret_missing")?))
    }

    /// Where that client redeems: as the deployment says, else as the provider's metadata does, or did last.
    /// `None` while that is not known.
    pub(in crate::app) async fn issuer_endpoint(
        &self,
        issuer: &Issuer,
        client: &IssuerClient,
    ) -> Option<String> {
        if let Some(url) = &client.token_endpoint {
            return Some(url.to_string());
        }
        let endpoints = &self.0.identity_endpoints;
        let known = endpoints.known(issuer);
        let now = self.0.clock.monotonic();
        if let Some((url, read)) = &known
            && (now < *read + BELIEVED || endpoints.rests(issuer, now))
        {
            return Some(url.clone());
        }
        let mut flight = endpoints.flights.join(issuer, |landing| {
            let (app, issuer) = (self.clone(), issuer.clone());
            self.0.tasks.spawn(async move {
                app.find_endpoint(issuer).await;
                drop(landing);
            });
        });
        if let Some((url, _)) = known {
            return Some(url);
        }
        // Nothing is sent; it closes when the flight is over.
        let _ = flight.changed().await;
        endpoints.known(issuer).map(|(url, _)| url)
    }

    async fn find_endpoint(&self, issuer: Issuer) {
        let deadline = self.0.settings.request_timeout;
        match oauth::issuer_token_endpoint(&self.0.fetch, &issuer, deadline).await {
            Ok(url) => {
                let now = self.0.clock.monotonic();
                self.0
                    .identity_endpoints
                    .learn(issuer, url.to_string(), now);
            }
            Err(error) => {
                let name = issuer.as_str();
                tracing::warn!(issuer = name, %error, "where {name} redeems cannot be found out");
                let now = self.0.clock.monotonic();
                self.0.identity_endpoints.note_failure(issuer, now);
            }
        }
    }
}
