//! What changing a server entails: which secrets no longer fit, whether grants end, whether
//! discovery must be made again.
//!
//! A write-only secret must not be steerable: whoever may change where it is sent, without knowing
//! it, must supply it again.

use super::super::text::Violations;
use super::{Auth, Draft, Edit, OAuth2, Server, origin};

/// What an update entails besides writing the new values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about one update"
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
            entails.needs_provision = entails.ends_grants
                || before.redirect != after.redirect
                || before.token_endpoint_auth_method != after.token_endpoint_auth_method
                || before.overrides != after.overrides;
            let holds = old.secrets.client_secret.is_some();
            if steers && holds && matches!(draft.secrets.client_secret, Edit::Keep) {
                found.add(
                    "server.oauth2.client_secret",
                    "must be given again, because it would be sent elsewhere",
                );
            }
        }
        (before, after) => {
            entails.ends_grants = moved || before != after;
            entails.needs_provision = entails.clears_auth;
        }
    }
    (entails, found)
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

/// The client id written by hand, if any.
fn client(oauth2: &OAuth2) -> Option<&str> {
    let manual = oauth2.endpoints.as_ref().map(|e| e.client_id.as_str());
    manual.or_else(|| oauth2.preregistered.as_ref().map(|c| c.client_id.as_str()))
}
