//! What a configuration must hold of a key that signs client assertions: a method that uses it, and
//! nothing that says how without it. What the key itself is good for is seen where it can be read.

use super::super::authorization::{ClientAuthMethod, SigningAlgorithm};
use super::super::text::Violations;
use super::{Auth, AuthKind, Draft, Stored};

/// What a kind of authorisation says of a client that may have a key.
struct Client<'a> {
    kind: AuthKind,
    method: Option<ClientAuthMethod>,
    key_id: Option<&'a str>,
    algorithm: Option<&'a str>,
    /// Whether metadata will be there to choose a method by.
    has_metadata: bool,
}

/// Notes a key that signs nothing, a method that lacks one, and what belongs to one.
pub(super) fn check_signing(found: &mut Violations, draft: &Draft, stored: Stored<'_>) {
    let client = match &draft.spec.auth {
        Auth::OAuth2(oauth2) => {
            let by_hand = oauth2.endpoints.is_some() || oauth2.preregistered.is_some();
            if !by_hand {
                return check_registered(found, draft, stored);
            }
            Client {
                kind: AuthKind::OAuth2,
                method: oauth2.token_endpoint_auth_method,
                key_id: oauth2.private_key_id.as_deref(),
                algorithm: None,
                has_metadata: oauth2.endpoints.is_none(),
            }
        }
        Auth::ClientCredentials(client) => Client {
            kind: AuthKind::ClientCredentials,
            method: client.token_endpoint_auth_method,
            key_id: client.private_key_id.as_deref(),
            algorithm: client.signing_algorithm.as_deref(),
            has_metadata: client.token_endpoint.is_none(),
        },
        Auth::UserOidc(oidc) => {
            let at = "server.user_oidc.exchange.token_endpoint_auth_method";
            return refuse_keyless(found, at, oidc.token_endpoint_auth_method);
        }
        Auth::Enterprise(enterprise) => {
            let at = |name| format!("server.enterprise.{name}");
            refuse_keyless(
                found,
                &at("token_endpoint_auth_method"),
                enterprise.token_endpoint_auth_method,
            );
            return refuse_keyless(
                found,
                &at("idp_token_endpoint_auth_method"),
                enterprise.idp_token_endpoint_auth_method,
            );
        }
        Auth::None | Auth::ApiKey(_) | Auth::CustomHeaders(_) | Auth::Workload(_) => return,
    };
    check_client(found, &client, draft, stored);
}

fn check_client(found: &mut Violations, client: &Client<'_>, draft: &Draft, stored: Stored<'_>) {
    use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
    let at = |name| format!("server.{}.{name}", client.kind.as_str());
    let secret = draft.secrets.client_secret.leaves(stored.client_secret);
    let key = draft.secrets.private_key.leaves(stored.private_key);
    match client.method {
        Some(PrivateKeyJwt) if !key => found.add(at("private_key"), "is required for PRIVATE_KEY_JWT"),
        Some(PrivateKeyJwt) => {}
        Some(_) if key => found.add(
            at("private_key"),
            "has no use with this token_endpoint_auth_method",
        ),
        None if key && secret && !client.has_metadata => found.add(
            at("private_key"),
            "has no use beside a client secret, unless token_endpoint_auth_method is PRIVATE_KEY_JWT",
        ),
        Some(ClientSecretBasic | ClientSecretPost) if !secret => found.add(
            at("client_secret"),
            "is required for this token_endpoint_auth_method",
        ),
        Some(Public) if secret => found.add(
            at("client_secret"),
            "has no use with token_endpoint_auth_method NONE",
        ),
        Some(_) | None => {}
    }
    let none = "belongs to a private key, and there is none";
    if client.key_id.is_some() && !key {
        found.add(at("private_key_id"), none);
    }
    match client.algorithm {
        Some(_) if !key => found.add(at("signing_algorithm"), none),
        Some(name) if SigningAlgorithm::parse(name).is_none() => {
            found.add(at("signing_algorithm"), "must be ES256, RS256 or EdDSA");
        }
        Some(_) | None => {}
    }
}

/// A client that the service registers has no key.
fn check_registered(found: &mut Violations, draft: &Draft, stored: Stored<'_>) {
    let Some(oauth2) = draft.spec.auth.oauth2() else {
        return;
    };
    let why = "belongs to a client made by hand; give endpoints or preregistered";
    let key = draft.secrets.private_key.leaves(stored.private_key);
    // One that is stored is of the client before, and goes with it.
    let secret = draft.secrets.client_secret.is_set();
    let jwt = oauth2.token_endpoint_auth_method == Some(ClientAuthMethod::PrivateKeyJwt);
    for (field, is_set) in [
        ("server.oauth2.client_secret", secret),
        ("server.oauth2.private_key", key),
        (
            "server.oauth2.private_key_id",
            oauth2.private_key_id.is_some(),
        ),
        ("server.oauth2.token_endpoint_auth_method", jwt),
    ] {
        if is_set {
            found.add(field, why);
        }
    }
}

/// Notes a method that signs, in a kind that has no key to sign with.
fn refuse_keyless(found: &mut Violations, field: &str, method: Option<ClientAuthMethod>) {
    if method == Some(ClientAuthMethod::PrivateKeyJwt) {
        found.add(field, "PRIVATE_KEY_JWT needs a key, and this kind has none");
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
