//! The nouns of OAuth as this service speaks it: issuers, resources, scopes, client
//! authentication, what metadata says, what a token endpoint answers.
//!
//! Issuers and resources are kept and compared as the exact strings their owners published
//! (RFC 8414, section 3.3; RFC 9207, section 2.4; RFC 9728, section 3.3). They are parsed to look
//! inside, never to be written back.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secrets::{AccessToken, IdToken, RefreshToken};
use super::time::Timestamp;

macro_rules! exact_text {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The string exactly as published.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The string exactly as published.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

exact_text! {
    /// An authorization server's issuer identifier (RFC 8414, section 2).
    Issuer;
    /// A protected resource's identifier (RFC 8707, section 2; RFC 9728, section 2).
    Resource;
}

/// Parameters of the authorization request that are the protocol's alone: an administrator may add
/// none of these.
pub const RESERVED_PARAMETERS: [&str; 13] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "resource",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "dpop_jkt",
];

/// Scopes in order, without repeats (RFC 6749, section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes of a space-separated list; commas separate too, since some providers write them.
    pub fn parse(text: &str) -> Self {
        text.split([' ', ',']).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this scope is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| held == scope)
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// These scopes followed by those of `other` that are not yet among them.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The scopes of this list that `held` lacks.
    #[must_use]
    pub fn missing_from(&self, held: &Self) -> Self {
        self.iter().filter(|scope| !held.contains(scope)).collect()
    }

    /// Whether both hold the same scopes, in whatever order: the order means nothing (RFC 6749,
    /// section 3.3).
    pub fn are_the_same_as(&self, other: &Self) -> bool {
        self.missing_from(other).is_empty() && other.missing_from(self).is_empty()
    }

    /// The scopes as a list of texts.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.clone()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Scopes {
    /// Blank entries and repeats are dropped.
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        let mut kept = Self::default();
        for scope in scopes {
            let scope = scope.as_ref();
            if !scope.is_empty() && !kept.contains(scope) {
                kept.0.push(scope.to_owned());
            }
        }
        kept
    }
}

impl fmt::Display for Scopes {
    /// Separated by single spaces, as sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// How a client proves who it is at the token endpoint (RFC 7591, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// A public client: the client id in the body, nothing else.
    None,
    /// HTTP Basic with form-encoded id and secret (RFC 6749, section 2.3.1).
    ClientSecretBasic,
    /// Id and secret in the body.
    ClientSecretPost,
    /// A signed assertion (RFC 7523, section 2.2).
    PrivateKeyJwt,
}

impl ClientAuthMethod {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of a registered name, if it is one we speak.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::None,
            Self::ClientSecretBasic,
            Self::ClientSecretPost,
            Self::PrivateKeyJwt,
        ]
        .into_iter()
        .find(|method| method.as_str() == name)
    }
}

/// How an assertion is signed (RFC 7518, section 3.1; RFC 8037, section 3.1). It follows from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of a registered name, if it is one we sign with.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

/// What protected resource metadata says (RFC 9728, section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResource {
    /// Where the document was found; `None` for a server of revision 2025-03-26, which has none.
    pub metadata_url: Option<String>,
    /// The resource identifier, byte for byte; sent as `resource`.
    pub resource: Resource,
    /// The issuers that may be used, in the document's order; at least one. A server of revision
    /// 2025-03-26 is its own.
    pub authorization_servers: Vec<Issuer>,
    /// Scopes the resource uses, when it says so.
    pub scopes_supported: Option<Scopes>,
}

/// What authorization server metadata says (RFC 8414, section 2; `OpenID` Connect Discovery 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    /// The issuer, byte for byte; equal to the one the document was asked for.
    pub issuer: Issuer,
    /// Where the document was found; `None` for endpoints that are where revision 2025-03-26 has them.
    pub metadata_url: Option<String>,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
    /// Where clients register themselves (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where it says whose grant an access token is (`OpenID` Connect Core 1.0, section 5.3).
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// Scopes it knows, when it says so.
    pub scopes_supported: Option<Scopes>,
    /// Client authentication it accepts at the token endpoint, when it says so; unknown names are
    /// left out.
    pub token_endpoint_auth_methods: Option<Vec<ClientAuthMethod>>,
    /// PKCE methods; `None` when the document does not say.
    pub code_challenge_methods: Option<Vec<String>>,
    /// Whether every answer carries `iss` (RFC 9207, section 3).
    pub iss_parameter_supported: bool,
    /// Whether a client may be named by its metadata document's URL.
    pub client_id_metadata_document_supported: bool,
}

/// What discovery for one MCP server found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// The resource as it describes itself.
    pub resource: ProtectedResource,
    /// The authorization server chosen.
    pub authorization_server: AuthorizationServer,
    /// The scopes the server's challenge asked for, if it named any.
    pub challenged_scopes: Option<Scopes>,
    /// What an administrator should know, although it did not stop discovery.
    pub warnings: Vec<String>,
    /// Another issuer that the resource names now, waiting for an administrator's approval.
    #[serde(default)]
    pub pending_issuer: Option<Issuer>,
    /// When this was found; `None` when it was stored by an older release.
    #[serde(default)]
    pub found_at: Option<Timestamp>,
    /// The issuers that were followed away from, the latest last: grants of theirs may be left.
    #[serde(default)]
    pub former: Vec<FormerIssuer>,
}

/// An issuer that a server had before, as far as what it granted can still be ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerIssuer {
    /// Its identifier.
    pub issuer: Issuer,
    /// Where its tokens are revoked (RFC 7009).
    pub revocation_endpoint: String,
}

/// Former issuers that are remembered.
const FORMER: usize = 8;

impl Discovered {
    /// Whether the resource names another issuer now, which nobody approved: what the one of before
    /// granted is not sent meanwhile.
    pub fn awaits_approval(&self) -> bool {
        self.pending_issuer.is_some()
    }

    /// What takes the place of this, which remembers what is to be remembered of it.
    #[must_use]
    pub fn followed_by(&self, next: Self) -> Self {
        let server = &self.authorization_server;
        let here = server
            .revocation_endpoint
            .clone()
            .map(|endpoint| FormerIssuer {
                issuer: server.issuer.clone(),
                revocation_endpoint: endpoint,
            });
        let mut former = self.former.clone();
        former.retain(|one| one.issuer != server.issuer);
        former.extend(here);
        former.retain(|one| one.issuer != next.authorization_server.issuer);
        former.drain(..former.len().saturating_sub(FORMER));
        Self { former, ..next }
    }
}

/// What a token endpoint granted (RFC 6749, section 5.1), read but not yet sealed.
#[derive(Debug)]
pub struct TokenSet {
    /// The access token.
    pub access_token: AccessToken,
    /// The refresh token, when one was given. Absent on a refresh, the old one stays in use.
    pub refresh_token: Option<RefreshToken>,
    /// `Bearer` and `DPoP` in that spelling whatever the case they came in, else in lower case: names
    /// of types have no case (RFC 6749, section 5.1).
    pub token_type: String,
    /// How long the access token lives from when the answer arrived, when known.
    pub expires_in: Option<Duration>,
    /// How long the refresh token lives, likewise; `None` also when it has no end. May be there
    /// without a new refresh token and then speaks of the old one.
    pub refresh_expires_in: Option<Duration>,
    /// The scopes granted; `None` means as requested.
    pub scopes: Option<Scopes>,
    /// What says whose grant it is, if anything does. Not kept.
    pub id_token: Option<IdToken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_keep_order_and_drop_repeats() {
        let scopes = Scopes::parse("read  write,read admin");

        assert_eq!(scopes.to_string(), "read write admin");
    }

    #[test]
    fn a_union_keeps_the_first_lists_order() {
        let granted = Scopes::parse("b a");

        assert_eq!(granted.union(&Scopes::parse("a c")).to_string(), "b a c");
        assert_eq!(Scopes::parse("a c").missing_from(&granted).to_string(), "c");
    }

    #[test]
    fn scopes_are_the_same_in_whatever_order() {
        let scopes = Scopes::parse("a b");

        for (other, same) in [
            ("a b", true),
            ("b a a", true),
            ("a", false),
            ("a b c", false),
        ] {
            let other = Scopes::parse(other);

            assert_eq!(scopes.are_the_same_as(&other), same, "{other}");
            assert_eq!(other.are_the_same_as(&scopes), same, "{other}");
        }
    }

    #[test]
    fn methods_read_back_by_their_registered_names() {
        for name in [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ] {
            assert_eq!(
                ClientAuthMethod::parse(name).map(ClientAuthMethod::as_str),
                Some(name)
            );
        }
        assert_eq!(ClientAuthMethod::parse("tls_client_auth"), None);
    }
}
