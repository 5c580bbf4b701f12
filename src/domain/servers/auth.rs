//! How requests to a server are authorised: one kind at a time, each without its secrets.
//!
//! The serialised form is what the store keeps; a field may be added with a default, never renamed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::authorization::{ClientAuthMethod, Issuer, Scopes};
use super::user_headers::UserHeader;

/// The kind of authorisation and what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Auth {
    /// Nothing is sent.
    None,
    /// Each user's own OAuth grant.
    #[serde(rename = "oauth2")]
    OAuth2(Box<OAuth2>),
    /// One header with a key.
    ApiKey(ApiKey),
    /// Several headers.
    CustomHeaders(CustomHeaders),
    /// The user's own login token.
    UserOidc(UserOidc),
    /// A grant of the deployment itself (RFC 6749, section 4.4).
    ClientCredentials(ClientCredentials),
    /// Enterprise-managed authorization (the MCP extension).
    Enterprise(Enterprise),
    /// A workload's own identity (RFC 7523).
    Workload(Workload),
}

/// The kinds of [`Auth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthKind {
    /// See [`Auth::None`].
    None,
    /// See [`Auth::OAuth2`].
    OAuth2,
    /// See [`Auth::ApiKey`].
    ApiKey,
    /// See [`Auth::CustomHeaders`].
    CustomHeaders,
    /// See [`Auth::UserOidc`].
    UserOidc,
    /// See [`Auth::ClientCredentials`].
    ClientCredentials,
    /// See [`Auth::Enterprise`].
    Enterprise,
    /// See [`Auth::Workload`].
    Workload,
}

impl AuthKind {
    /// The name it is shown and audited under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "api_key",
            Self::CustomHeaders => "custom_headers",
            Self::UserOidc => "user_oidc",
            Self::ClientCredentials => "client_credentials",
            Self::Enterprise => "enterprise",
            Self::Workload => "workload",
        }
    }

    /// The MCP authorization extension that a client which is authorised so declares, by id.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::ClientCredentials => Some("io.modelcontextprotocol/oauth-client-credentials"),
            Self::Enterprise => Some("io.modelcontextprotocol/enterprise-managed-authorization"),
            Self::None
            | Self::OAuth2
            | Self::ApiKey
            | Self::CustomHeaders
            | Self::UserOidc
            | Self::Workload => None,
        }
    }
}

impl Auth {
    /// The provider profile named, if any.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::OAuth2(oauth2) => oauth2.provider_profile.as_deref(),
            Self::ClientCredentials(client) => client.provider_profile.as_deref(),
            Self::None
            | Self::ApiKey(_)
            | Self::CustomHeaders(_)
            | Self::UserOidc(_)
            | Self::Enterprise(_)
            | Self::Workload(_) => None,
        }
    }

    /// The `kid` of the key that its client signs with, if it has a name.
    pub fn private_key_id(&self) -> Option<&str> {
        match self {
            Self::OAuth2(oauth2) => oauth2.private_key_id.as_deref(),
            Self::ClientCredentials(client) => client.private_key_id.as_deref(),
            Self::None
            | Self::ApiKey(_)
            | Self::CustomHeaders(_)
            | Self::UserOidc(_)
            | Self::Enterprise(_)
            | Self::Workload(_) => None,
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> AuthKind {
        match self {
            Self::None => AuthKind::None,
            Self::OAuth2(_) => AuthKind::OAuth2,
            Self::ApiKey(_) => AuthKind::ApiKey,
            Self::CustomHeaders(_) => AuthKind::CustomHeaders,
            Self::UserOidc(_) => AuthKind::UserOidc,
            Self::ClientCredentials(_) => AuthKind::ClientCredentials,
            Self::Enterprise(_) => AuthKind::Enterprise,
            Self::Workload(_) => AuthKind::Workload,
        }
    }

    /// The OAuth settings, when users connect to this server.
    pub fn oauth2(&self) -> Option<&OAuth2> {
        if let Self::OAuth2(oauth2) = self {
            Some(oauth2)
        } else {
            None
        }
    }
}

/// An authorisation server's endpoints as an administrator wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The client made by hand.
    pub client_id: String,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
}

/// A client made by hand at the provider, used with discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreregisteredClient {
    /// The client.
    pub client_id: String,
    /// The only issuer it may be shown to.
    pub issuer: Issuer,
}

/// Which redirect URI our client uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(tag = "kind", content = "uri", rename_all = "snake_case")]
pub enum Redirect {
    /// `/oauth2/callback/{server}` on the public listener.
    #[default]
    PerServer,
    /// `/oauth2/callback` on the public listener.
    Shared,
    /// This URI, verbatim.
    Explicit(String),
}

/// What happens when the resource names another issuer than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum IssuerChange {
    /// Automatic clients register at the new issuer.
    #[default]
    Follow,
    /// An administrator must confirm.
    Approve,
}

/// Rules an administrator weakened for one server. All off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent switches, each named by the API"
)]
pub struct Overrides {
    /// Accept metadata that does not say it supports PKCE; S256 is sent all the same.
    pub allow_missing_pkce_metadata: bool,
    /// Speak the 2025-03-26 revision's fallbacks.
    pub legacy_2025_03_26: bool,
    /// Send no `resource` parameter.
    pub omit_resource: bool,
    /// Accept endpoints that only an administrator or the server itself stands for on another origin
    /// than the issuer's.
    pub allow_foreign_endpoints: bool,
}

/// Each user's own OAuth grant: manual with `endpoints`, otherwise automatic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct OAuth2 {
    /// Endpoints and client written by hand; no discovery is made then.
    pub endpoints: Option<Endpoints>,
    /// A client written by hand, used with discovery.
    pub preregistered: Option<PreregisteredClient>,
    /// How our client authenticates; chosen from metadata when absent.
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// The `kid` of its private key.
    pub private_key_id: Option<String>,
    /// What is asked for; empty leaves it to the server's challenge and metadata.
    pub scopes: Scopes,
    /// Where tokens are revoked; discovered when absent.
    pub revocation_endpoint: Option<String>,
    /// The issuer expected in the callback, for endpoints written by hand.
    pub issuer: Option<Issuer>,
    /// Added to the authorization request; never replaces a protocol parameter.
    pub extra_authorize_params: BTreeMap<String, String>,
    /// Which redirect URI our client uses.
    pub redirect: Redirect,
    /// The provider profile to follow, by name.
    pub provider_profile: Option<String>,
    /// What happens when the issuer changes.
    pub issuer_change: IssuerChange,
    /// Rules weakened for this server.
    pub overrides: Overrides,
    /// Origins besides the server's own from which a challenge's resource metadata is accepted, as
    /// browsers write them.
    pub trusted_metadata_origins: Vec<String>,
}

/// One header with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The header; `Authorization` unless written otherwise.
    pub header: String,
    /// Whether each user supplies their own value.
    #[serde(default)]
    pub per_user: bool,
    /// What to tell the user who supplies it.
    #[serde(default)]
    pub description: String,
}

/// Several headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct CustomHeaders {
    /// Names of the headers whose values the administrator supplies, in order.
    pub names: Vec<String>,
    /// Headers whose values each user supplies.
    pub user_headers: Vec<UserHeader>,
}

/// Which of a user's login tokens is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum IdentityToken {
    /// The access token.
    #[default]
    Access,
    /// The ID token.
    Id,
}

/// The user's own login token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct UserOidc {
    /// Which token is sent, or exchanged.
    pub token: IdentityToken,
    /// Only identities of this issuer are used.
    pub issuer: Option<Issuer>,
    /// The resource the exchange asks for.
    pub exchange_resource: Option<String>,
    /// How the client that exchanges authenticates.
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// When given, the token is exchanged for one with this audience (RFC 8693).
    pub exchange_audience: Option<String>,
    /// Where it is exchanged.
    pub exchange_token_endpoint: Option<String>,
    /// The client that exchanges it.
    pub client_id: Option<String>,
    /// The scopes asked for.
    pub scopes: Scopes,
}

/// A grant of the deployment itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// The client.
    pub client_id: String,
    /// Where tokens are asked for; discovered when absent.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// The issuer the client belongs to.
    #[serde(default)]
    pub issuer: Option<Issuer>,
    /// How it authenticates; chosen from its secret or key when absent.
    #[serde(default)]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// The `kid` of its private key.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// The provider profile to follow, by name.
    #[serde(default)]
    pub provider_profile: Option<String>,
    /// Rules weakened for this server.
    #[serde(default)]
    pub overrides: Overrides,
    /// The algorithm of its assertions, for `private_key_jwt`.
    #[serde(default)]
    pub signing_algorithm: Option<String>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Scopes,
}

/// Enterprise-managed authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enterprise {
    /// Our client at the MCP server's authorization server.
    pub client_id: String,
    /// That authorization server; discovered when absent.
    #[serde(default)]
    pub issuer: Option<Issuer>,
    /// The enterprise's identity provider.
    pub idp_issuer: Issuer,
    /// Where it exchanges tokens.
    pub idp_token_endpoint: String,
    /// Our client there.
    pub idp_client_id: String,
    /// How our client authenticates at the server's authorization server.
    #[serde(default)]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// How our client authenticates at the identity provider.
    #[serde(default)]
    pub idp_token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Scopes,
}

/// A workload's own identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Workload {
    /// The client, where the server wants one named.
    pub client_id: Option<String>,
    /// The issuer that accepts the assertion; discovered when absent.
    pub issuer: Option<Issuer>,
    /// The operator's name for the identity, in place of a deposited assertion.
    pub identity_source: Option<String>,
    /// What is asked for.
    pub scopes: Scopes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_form_of_today_reads_back() {
        let auth = Auth::OAuth2(Box::new(OAuth2 {
            redirect: Redirect::Explicit("https://x.test/cb".into()),
            scopes: Scopes::parse("a b"),
            ..OAuth2::default()
        }));

        let text = serde_json::to_string(&auth).unwrap();

        assert_eq!(serde_json::from_str::<Auth>(&text).unwrap(), auth);
        assert_eq!(
            serde_json::from_str::<Auth>(r#"{"kind":"oauth2"}"#).unwrap(),
            Auth::OAuth2(Box::default())
        );
    }
}
