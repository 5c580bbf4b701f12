//! Which OAuth client a server has.

use super::error::Result;
use crate::domain::authorization::Issuer;
use crate::domain::registrations::Registration;
use crate::domain::servers::{Auth, Server};
use crate::store::Read;

/// The issuer that a server's client belongs to, when it has a client.
pub(super) fn client_issuer(server: &Server) -> Option<Issuer> {
    let (by_hand, issuer) = match &server.spec.auth {
        Auth::OAuth2(oauth2) => (oauth2.endpoints.is_some(), &oauth2.issuer),
        Auth::ClientCredentials(client) => (client.token_endpoint.is_some(), &client.issuer),
        // Whoever exchanges logins is an endpoint without a name.
        Auth::UserOidc(oidc) => (oidc.exchange_token_endpoint.is_some(), &None),
        Auth::None
        | Auth::ApiKey(_)
        | Auth::CustomHeaders(_)
        | Auth::Enterprise(_)
        | Auth::Workload(_) => return None,
    };
    if by_hand {
        return Some(issuer.clone().unwrap_or_else(|| Issuer::new("")));
    }
    server
        .discovered
        .as_ref()
        .map(|found| found.authorization_server.issuer.clone())
}

/// The client that a server's users connect with now, or the deployment itself.
pub(super) async fn current_client(tx: &mut Read, server: &Server) -> Result<Option<Registration>> {
    let Some(issuer) = client_issuer(server) else {
        return Ok(None);
    };
    let mut registrations = tx.registrations();
    let current = registrations.find_current(&server.tenant, server.id, &issuer);
    Ok(current.await?)
}
