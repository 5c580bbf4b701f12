//! What an administrator tells the service about the MCP server.

use std::str::FromStr;

use clap::ValueEnum;
use serde::Deserialize;
use stationmaster::client::v1::server::Auth;
use stationmaster::client::v1::{
    ClientCredentialsAuth, OAuth2Auth, OAuth2Overrides, PreregisteredClient, Server,
};

/// The kind of authorization an administrator chooses. It cannot be told from a context: a client's
/// id and secret look the same for each.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Each user's own grant.
    Oauth2,
    /// The same at a server of the MCP revision 2025-03-26.
    Legacy,
    /// A grant of the deployment itself.
    ClientCredentials,
}

/// A client made by hand at the authorization server, as far as there is one.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    issuer: Option<String>,
    private_key_pem: Option<String>,
    signing_algorithm: Option<String>,
}

impl FromStr for Context {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

/// The server to create.
pub(crate) fn server(url: &str, kind: Kind, context: Context) -> Server {
    Server {
        slug: "conformance".to_owned(),
        display_name: "Conformance".to_owned(),
        url: url.to_owned(),
        enabled: true,
        auth: Some(auth(kind, context)),
        ..Server::default()
    }
}

fn auth(kind: Kind, context: Context) -> Auth {
    match kind {
        Kind::Oauth2 => Auth::Oauth2(oauth2(context)),
        Kind::Legacy => Auth::Oauth2(OAuth2Auth {
            overrides: Some(OAuth2Overrides {
                legacy_2025_03_26: true,
                ..OAuth2Overrides::default()
            }),
            ..oauth2(context)
        }),
        Kind::ClientCredentials => Auth::ClientCredentials(ClientCredentialsAuth {
            client_id: context.client_id.unwrap_or_default(),
            client_secret: context.client_secret,
            private_key: context.private_key_pem,
            signing_algorithm: context.signing_algorithm.unwrap_or_default(),
            issuer: context.issuer.unwrap_or_default(),
            ..ClientCredentialsAuth::default()
        }),
    }
}

fn oauth2(context: Context) -> OAuth2Auth {
    let issuer = context.issuer.unwrap_or_default();
    let client = context.client_id;
    OAuth2Auth {
        preregistered: client.map(|client_id| PreregisteredClient { client_id, issuer }),
        client_secret: context.client_secret,
        ..OAuth2Auth::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = r#"{"name":"any","client_id":"c","client_secret":"s","issuer":"i"}"#;

    #[test]
    fn one_context_suits_several_kinds() {
        let context: Context = CLIENT.parse().unwrap();

        let Auth::Oauth2(own) = auth(Kind::Oauth2, context.clone()) else {
            panic!("another kind");
        };
        let Auth::ClientCredentials(shared) = auth(Kind::ClientCredentials, context) else {
            panic!("another kind");
        };

        assert_eq!(own.preregistered.unwrap().issuer, "i");
        assert_eq!(own.client_secret.as_deref(), Some("s"));
        assert_eq!(shared.client_id, "c");
        assert_eq!(shared.client_secret.as_deref(), Some("s"));
    }

    #[test]
    fn without_context_everything_is_left_to_discovery() {
        let Auth::Oauth2(found) = auth(Kind::Oauth2, Context::default()) else {
            panic!("another kind");
        };

        assert_eq!(found, OAuth2Auth::default());
    }
}
