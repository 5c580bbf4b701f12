//! How an OAuth client proves who it is, as flags. Secret and key are read from where they are, never
//! from the command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::secrets;
use crate::client::v1::TokenEndpointAuthMethod;

#[derive(Debug, Args)]
pub(super) struct Proof {
    /// A file with the client's secret; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret_env")]
    client_secret_file: Option<PathBuf>,
    /// The environment variable with the client's secret
    #[arg(long, value_name = "VARIABLE")]
    client_secret_env: Option<String>,
    /// oauth2, client-credentials: a file with the client's private key, PKCS#8 in PEM; `-` for standard input
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// oauth2, client-credentials: what the provider calls that key (`kid`)
    #[arg(long, value_name = "ID")]
    private_key_id: Option<String>,
    /// client-credentials: ES256, RS256 or EdDSA [default: follows from the key]
    #[arg(long, value_name = "NAME")]
    signing_algorithm: Option<String>,
    /// oauth2, client-credentials: how the client authenticates [default: chosen by the service]
    #[arg(long, value_name = "METHOD", value_enum)]
    client_auth: Option<Method>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// By its id alone
    None,
    /// By its secret, in a header
    ClientSecretBasic,
    /// By its secret, in the body
    ClientSecretPost,
    /// By assertions signed with its private key
    PrivateKeyJwt,
}

impl Proof {
    /// Which flags there are, and whether they were given.
    pub(super) fn said(&self) -> [(&'static str, bool); 5] {
        let secret = self.client_secret_file.is_some() || self.client_secret_env.is_some();
        [
            ("--client-secret-*", secret),
            ("--private-key-file", self.private_key_file.is_some()),
            ("--private-key-id", self.private_key_id.is_some()),
            ("--signing-algorithm", self.signing_algorithm.is_some()),
            ("--client-auth", self.client_auth.is_some()),
        ]
    }

    pub(super) fn client_secret(&self) -> Result<Option<String>> {
        secrets::given(
            self.client_secret_file.as_ref(),
            self.client_secret_env.as_ref(),
        )
    }

    pub(super) fn private_key(&self) -> Result<Option<String>> {
        secrets::given(self.private_key_file.as_ref(), None)
    }

    pub(super) fn private_key_id(&self) -> String {
        self.private_key_id.clone().unwrap_or_default()
    }

    pub(super) fn signing_algorithm(&self) -> String {
        self.signing_algorithm.clone().unwrap_or_default()
    }

    /// The number of the method.
    pub(super) fn method(&self) -> i32 {
        use TokenEndpointAuthMethod as To;
        let method = match self.client_auth {
            None => To::Unspecified,
            Some(Method::None) => To::None,
            Some(Method::ClientSecretBasic) => To::ClientSecretBasic,
            Some(Method::ClientSecretPost) => To::ClientSecretPost,
            Some(Method::PrivateKeyJwt) => To::PrivateKeyJwt,
        };
        method.into()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::auth::Auth;
    use crate::client::v1::server::Auth as Kind;
    use crate::client::v1::{ClientCredentialsAuth, OAuth2Auth};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        auth: Auth,
    }

    fn flags(words: &[&str]) -> Auth {
        Line::parse_from(["x"].iter().chain(words)).auth
    }

    #[test]
    fn each_flag_sets_its_field_of_either_kind() {
        let words = ["--private-key-id", "k1", "--client-auth", "private-key-jwt"];
        let algorithm = [&words[..], &["--signing-algorithm", "ES256"]].concat();
        let oauth2 = Kind::Oauth2(OAuth2Auth::default());
        let client = Kind::ClientCredentials(ClientCredentialsAuth::default());

        let (_, of_oauth2) = flags(&words).part(Some(&oauth2)).unwrap();
        let (_, of_client) = flags(&algorithm).part(Some(&client)).unwrap();

        let names = ["private_key_id", "token_endpoint_auth_method"];
        assert_eq!(of_oauth2, names.map(|name| format!("oauth2.{name}")));
        let names = [
            "private_key_id",
            "signing_algorithm",
            "token_endpoint_auth_method",
        ];
        assert_eq!(
            of_client,
            names.map(|name| format!("client_credentials.{name}"))
        );
    }

    #[test]
    fn an_algorithm_has_no_place_where_it_follows_from_the_key() {
        let oauth2 = Kind::Oauth2(OAuth2Auth::default());

        let refused = flags(&["--signing-algorithm", "ES256"]).part(Some(&oauth2));

        assert!(refused.is_err());
    }
}
