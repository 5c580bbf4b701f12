//! The client that the deployment has at an identity provider, and where it redeems.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::App;
use crate::domain::authorization::{ClientAuthMethod, Issuer};
use crate::domain::issuers::IssuerClient;
use crate::oauth::{self, ClientAuth};

/// For how long it is believed where an identity provider redeems.
const BELIEVED: Duration = Duration::from_hours(1);

/// Where identity providers redeem, as their metadata says, and when that was read, on the monotonic clock. As
/// many as the deployment trusts.
#[derive(Debug, Default)]
pub(in crate::app) struct Endpoints(Mutex<HashMap<Issuer, (String, Duration)>>);

impl App {
    /// The client at an identity provider and its proof.
    ///
    /// # Errors
    /// The code of what is missing: the client, or what it proves itself with.
    pub(in crate::app) fn issuer_client(
        &self,
        issuer: &Issuer,
    ) -> Result<(&IssuerClient, ClientAuth), &'static str> {
        let trusted = self.0.settings.issuers.find(issuer);
        let client = trusted.and_then(|trusted| trusted.client.as_ref());
        let client = client.ok_or("client_missing")?;
        let method = client.method.unwrap_or(match client.secret {
            Some(_) => ClientAuthMethod::ClientSecretBasic,
            None => ClientAuthMethod::None,
        });
        let auth = ClientAuth::new(method, client.secret.clone());
        Ok((client, auth.map_err(|_error| "client_secret_missing")?))
    }

    /// Where that client redeems: as the deployment says, else as the provider's metadata does.
    pub(in crate::app) async fn issuer_endpoint(
        &self,
        issuer: &Issuer,
        client: &IssuerClient,
    ) -> Result<String, oauth::Error> {
        if let Some(url) = &client.token_endpoint {
            return Ok(url.to_string());
        }
        let now = self.0.clock.monotonic();
        let endpoints = || {
            let endpoints = &self.0.identity_endpoints.0;
            endpoints.lock().unwrap_or_else(PoisonError::into_inner)
        };
        let known = endpoints().get(issuer).cloned();
        if let Some((url, _)) = known.filter(|(_, read)| now < *read + BELIEVED) {
            return Ok(url);
        }
        let deadline = self.0.settings.request_timeout;
        let found = oauth::issuer_token_endpoint(&self.0.fetch, issuer, deadline).await?;
        let url = found.to_string();
        endpoints().insert(issuer.clone(), (url.clone(), now));
        Ok(url)
    }
}
