//! What changing a server entails: which secrets no longer fit, whether grants end, whether
//! discovery must be made again.
//!
//! A write-only secret must not be steerable: whoever may change where it is sent, without knowing
//! it, must supply it again.

use std::borrow::Cow;

use super::super::authorization::Issuer;
use super::super::text::Violations;
use super::{Auth, ClientCredentials, Draft, Edit, OAuth2, Server, origin};

/// What an update entails besides writing the new values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one update"
)]
pub struct Consequences {
    /// Secrets and discovery of the old kind go.
    pub clears_auth: bool,
    /// API key, custom headers and per-user values go unless supplied in the same call.
    pub clears_header_secrets: bool,
    /// Grants issued under the old values end and `auth_version` grows.
    pub ends_grants: bool,
    /// Discovery and client belong to the old values: both are made again.
    pub needs_provision: bool,
    /// Nothing that would take a secret elsewhere was written, so that discovery must not either.
    pub keeps_issuer: bool,
}

/// What turning `old` into `draft` entails, and what the call must supply for it.
pub fn consequences(old: &Server, draft: &Draft) -> (Consequences, Violations) {
    let (before, after) = (&old.spec, &draft.spec);
    let mut found = Violations::new();
    let mut entails = Consequences {
        clears_auth: before.auth.kind() != after.auth.kind(),
        clears_header_secrets: origin(&before.url) != origin(&after.url),
        ..Consequences::default()
    };
    let moved = before.url != after.url;
    match (&before.auth, &after.auth) {
        (Auth::OAuth2(before), Auth::OAuth2(after)) => {
            let steers = secret_goes_elsewhere(before, after);
            entails.ends_grants = moved || steers || client(before) != client(after);
            entails.keeps_issuer = !entails.ends_grants;
            // A client made by hand authenticates with its secret or key when it has one.
            let (held, given) = (&old.secrets, &draft.secrets);
            let (secret, key) = (held.client_secret.is_some(), held.private_key.is_some());
            let by_proof = client(after).is_some()
                && (given.client_secret.leaves(secret) != secret
                    || given.private_key.leaves(key) != key);
            entails.needs_provision = entails.ends_grants
                || by_proof
                || client(after).is_none() && !before.scopes.are_the_same_as(&after.scopes)
                || consent_page(before) != consent_page(after)
                || before.redirect != after.redirect
                || before.token_endpoint_auth_method != after.token_endpoint_auth_method
                || before.overrides != after.overrides
                || before.trusted_metadata_origins != after.trusted_metadata_origins;
            if steers {
                demand_again(&mut found, old, draft);
            }
        }
        (before, after) => {
            entails.ends_grants = moved || without_key(before) != without_key(after);
            let (held, given) = (&old.secrets, &draft.secrets);
            let (secret, key) = (held.client_secret.is_some(), held.private_key.is_some());
            let by_proof = given.client_secret.leaves(secret) != secret
                || given.private_key.leaves(key) != key;
            let own = matches!(after, Auth::ClientCredentials(_) | Auth::UserOidc(_));
            entails.needs_provision =
                entails.clears_auth || own && (entails.ends_grants || by_proof);
            let elsewhere = moved || destinations(before) != destinations(after);
            entails.keeps_issuer = !entails.clears_auth && !elsewhere;
            if !entails.clears_auth && elsewhere {
                demand_again(&mut found, old, draft);
            }
        }
    }
    (entails, found)
}

/// An authorisation but for what its client's key is called and how it signs: a new key of the same
/// client ends nothing.
fn without_key(auth: &Auth) -> Cow<'_, Auth> {
    let Auth::ClientCredentials(client) = auth else {
        return Cow::Borrowed(auth);
    };
    Cow::Owned(Auth::ClientCredentials(ClientCredentials {
        private_key_id: None,
        signing_algorithm: None,
        ..client.clone()
    }))
}

/// Where the secrets of a kind without handshakes are sent.
fn destinations(auth: &Auth) -> Vec<Option<&str>> {
    match auth {
        Auth::None | Auth::OAuth2(_) | Auth::ApiKey(_) | Auth::CustomHeaders(_) => Vec::new(),
        Auth::UserOidc(oidc) => vec![oidc.exchange_token_endpoint.as_deref()],
        Auth::ClientCredentials(client) => {
            vec![
                client.token_endpoint.as_deref(),
                client.issuer.as_ref().map(Issuer::as_str),
            ]
        }
        Auth::Enterprise(enterprise) => vec![
            enterprise.issuer.as_ref().map(Issuer::as_str),
            Some(enterprise.idp_issuer.as_str()),
            Some(enterprise.idp_token_endpoint.as_str()),
        ],
        Auth::Workload(workload) => vec![workload.issuer.as_ref().map(Issuer::as_str)],
    }
}

/// Notes every stored secret that would be sent elsewhere and was not supplied again.
fn demand_again(found: &mut Violations, old: &Server, draft: &Draft) {
    let (held, given) = (&old.secrets, &draft.secrets);
    let kind = draft.spec.auth.kind().as_str();
    let kept = [
        (
            "client_secret",
            held.client_secret.is_some() && is_kept(&given.client_secret),
        ),
        (
            "private_key",
            held.private_key.is_some() && is_kept(&given.private_key),
        ),
        (
            "idp_client_secret",
            held.idp_client_secret.is_some() && is_kept(&given.idp_client_secret),
        ),
        (
            "assertion",
            held.assertion.is_some() && is_kept(&given.assertion),
        ),
    ];
    for (name, _) in kept.into_iter().filter(|(_, kept)| *kept) {
        found.add(
            format!("server.{kind}.{name}"),
            "must be given again, because it would be sent elsewhere",
        );
    }
}

fn is_kept<T>(edit: &Edit<T>) -> bool {
    matches!(edit, Edit::Keep)
}

/// Whether an issuer or an endpoint that receives a secret differs.
fn secret_goes_elsewhere(before: &OAuth2, after: &OAuth2) -> bool {
    let token_endpoint =
        |oauth2: &OAuth2| oauth2.endpoints.as_ref().map(|e| e.token_endpoint.clone());
    let client_issuer = |oauth2: &OAuth2| oauth2.preregistered.as_ref().map(|c| c.issuer.clone());
    before.issuer != after.issuer
        || client_issuer(before) != client_issuer(after)
        || token_endpoint(before) != token_endpoint(after)
        || before.revocation_endpoint != after.revocation_endpoint
}

/// Where the browser is sent, where that was written by hand.
fn consent_page(oauth2: &OAuth2) -> Option<&str> {
    let endpoints = oauth2.endpoints.as_ref();
    endpoints.map(|endpoints| endpoints.authorization_endpoint.as_str())
}

/// The client id written by hand, if any.
fn client(oauth2: &OAuth2) -> Option<&str> {
    let manual = oauth2.endpoints.as_ref().map(|e| e.client_id.as_str());
    manual.or_else(|| oauth2.preregistered.as_ref().map(|c| c.client_id.as_str()))
}
