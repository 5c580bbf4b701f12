//! How requests to a server are authorized, as flags: whole with `--auth`, or single fields of what
//! is stored.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::super::failure::Failure;
use super::super::parse;
use super::paths::path;
use super::proof::Proof;
use super::provider::Terms;
use super::secrets;
use crate::client::v1::server::Auth as Kind;
use crate::client::v1::{
    ApiKeyAuth, ClientCredentialsAuth, CustomHeader, CustomHeadersAuth, NoAuth, OAuth2Auth,
    PreregisteredClient, UserHeaderDeclaration,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "How requests are authorized")]
pub(super) struct Auth {
    /// The kind of authorization; others than these by --from-file
    #[arg(long = "auth", value_name = "KIND", value_enum)]
    kind: Option<Choice>,
    /// oauth2, client-credentials: the client made by hand at the provider
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    provider: Terms,
    /// oauth2, without discovery: where the browser is sent
    #[arg(long, value_name = "URL")]
    authorization_endpoint: Option<String>,
    /// oauth2 without discovery, client-credentials: where tokens are asked for
    #[arg(long, value_name = "URL")]
    token_endpoint: Option<String>,
    /// oauth2: where tokens are revoked
    #[arg(long, value_name = "URL")]
    revocation_endpoint: Option<String>,
    /// oauth2, client-credentials: the issuer, byte for byte as it publishes itself
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// oauth2, client-credentials: ask for this scope; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// api-key: the header [default: Authorization]
    #[arg(long, value_name = "NAME")]
    api_key_header: Option<String>,
    /// api-key: a file with the header's whole value, `Bearer ` included; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "header_value_env")]
    header_value_file: Option<PathBuf>,
    /// api-key: the environment variable with the header's whole value
    #[arg(long, value_name = "VARIABLE")]
    header_value_env: Option<String>,
    /// api-key: each user supplies their own value
    #[arg(long, conflicts_with_all = ["header_value_file", "header_value_env"])]
    per_user: bool,
    /// api-key, per user: what to tell who supplies the value
    #[arg(long, value_name = "TEXT")]
    header_description: Option<String>,
    /// custom-headers: a header and the file with its value; repeat for more
    #[arg(long = "header-file", value_name = "NAME=FILE", value_parser = parse::file_pair)]
    header_files: Vec<(String, PathBuf)>,
    /// custom-headers: a header and the environment variable with its value; repeat for more
    #[arg(long = "header-env", value_name = "NAME=VARIABLE", value_parser = parse::pair)]
    header_variables: Vec<(String, String)>,
    /// custom-headers: a header whose value each user supplies, and what to tell them; repeat for more
    #[arg(long = "user-header", value_name = "NAME=TEXT", value_parser = parse::pair)]
    user_headers: Vec<(String, String)>,
    /// custom-headers: the same, and the server can be used without it; repeat for more
    #[arg(long = "optional-user-header", value_name = "NAME=TEXT", value_parser = parse::pair)]
    optional_user_headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Nothing is sent
    None,
    /// Each user's own OAuth grant
    Oauth2,
    /// One header with a key
    ApiKey,
    /// Several headers
    CustomHeaders,
    /// A grant of the deployment itself
    ClientCredentials,
}

impl Choice {
    /// Which of the flags belong to it.
    fn takes(self, flag: &str) -> bool {
        let flags: &[&str] = match self {
            Self::None => &[],
            Self::Oauth2 => &[
                "--client-id",
                "--client-secret-*",
                "--private-key-file",
                "--private-key-id",
                "--client-auth",
                "--authorization-endpoint",
                "--token-endpoint",
                "--revocation-endpoint",
                "--issuer",
                "--scope",
                "--provider-profile",
                "--redirect",
                "--redirect-uri",
                "--issuer-change",
            ],
            Self::ApiKey => &[
                "--api-key-header",
                "--header-value-*",
                "--per-user",
                "--header-description",
            ],
            Self::CustomHeaders => &[
                "--header-file",
                "--header-env",
                "--user-header",
                "--optional-user-header",
            ],
            Self::ClientCredentials => &[
                "--client-id",
                "--client-secret-*",
                "--private-key-file",
                "--private-key-id",
                "--signing-algorithm",
                "--client-auth",
                "--token-endpoint",
                "--issuer",
                "--scope",
                "--provider-profile",
            ],
        };
        flags.contains(&flag)
    }
}

impl Auth {
    /// Whether the kind is said, and with it everything.
    pub(super) fn is_whole(&self) -> bool {
        self.kind.is_some()
    }

    /// Whether anything is said.
    pub(super) fn says_anything(&self) -> bool {
        self.is_whole() || !self.said().is_empty()
    }

    /// The flags that were given.
    fn said(&self) -> Vec<&'static str> {
        let flags = [
            ("--client-id", self.client_id.is_some()),
            (
                "--authorization-endpoint",
                self.authorization_endpoint.is_some(),
            ),
            ("--token-endpoint", self.token_endpoint.is_some()),
            ("--revocation-endpoint", self.revocation_endpoint.is_some()),
            ("--issuer", self.issuer.is_some()),
            ("--scope", !self.scopes.is_empty()),
            ("--api-key-header", self.api_key_header.is_some()),
            (
                "--header-value-*",
                self.header_value_file.is_some() || self.header_value_env.is_some(),
            ),
            ("--per-user", self.per_user),
            ("--header-description", self.header_description.is_some()),
            ("--header-file", !self.header_files.is_empty()),
            ("--header-env", !self.header_variables.is_empty()),
            ("--user-header", !self.user_headers.is_empty()),
            (
                "--optional-user-header",
                !self.optional_user_headers.is_empty(),
            ),
        ];
        let flags = flags.into_iter().chain(self.proof.said());
        let flags = flags.chain(self.provider.said());
        flags
            .filter(|(_, said)| *said)
            .map(|(flag, _)| flag)
            .collect()
    }

    fn hold(&self, choice: Choice) -> Result<()> {
        match self.said().into_iter().find(|flag| !choice.takes(flag)) {
            Some(flag) => Err(Failure::usage(format!(
                "{flag} has no place in a server with this kind of authorization"
            ))),
            None => Ok(()),
        }
    }

    /// The authorization as the flags describe it; none when they do not say its kind.
    pub(super) fn whole(&self) -> Result<Option<Kind>> {
        let Some(choice) = self.kind else {
            return match self.said().as_slice() {
                [] => Ok(None),
                [flag, ..] => Err(Failure::usage(format!("{flag} needs --auth"))),
            };
        };
        self.hold(choice)?;
        Ok(Some(match choice {
            Choice::None => Kind::None(NoAuth {}),
            Choice::Oauth2 => Kind::Oauth2(self.oauth2(Form::Whole)?),
            Choice::ApiKey => Kind::ApiKey(self.api_key()?),
            Choice::CustomHeaders => Kind::CustomHeaders(self.custom_headers()?),
            Choice::ClientCredentials => Kind::ClientCredentials(self.client_credentials()?),
        }))
    }

    /// The fields the flags name, of the kind that is stored, and their paths.
    pub(super) fn part(&self, stored: Option<&Kind>) -> Result<(Kind, Vec<&'static str>)> {
        let (choice, kind) = match stored {
            Some(Kind::Oauth2(stored)) => {
                let form = if stored.client_id.is_empty() {
                    Form::Discovered
                } else {
                    Form::Manual
                };
                (Choice::Oauth2, Kind::Oauth2(self.oauth2(form)?))
            }
            Some(Kind::ApiKey(_)) => (Choice::ApiKey, Kind::ApiKey(self.api_key()?)),
            Some(Kind::CustomHeaders(_)) => (
                Choice::CustomHeaders,
                Kind::CustomHeaders(self.custom_headers()?),
            ),
            Some(Kind::ClientCredentials(_)) => {
                let auth = self.client_credentials()?;
                (Choice::ClientCredentials, Kind::ClientCredentials(auth))
            }
            Some(Kind::None(_) | Kind::UserOidc(_) | Kind::Enterprise(_) | Kind::Workload(_))
            | None => {
                return Err(Failure::usage(
                    "the server's kind of authorization has no such fields; give --auth",
                ));
            }
        };
        self.hold(choice)?;
        let mut paths: Vec<&str> = self
            .said()
            .into_iter()
            .map(|flag| path(&kind, flag))
            .collect();
        // The kind of redirect URI and the URI itself go together.
        if paths.iter().any(|path| REDIRECT.contains(path)) {
            paths.retain(|path| !REDIRECT.contains(path));
            paths.extend(REDIRECT);
        }
        paths.dedup();
        Ok((kind, paths))
    }

    fn oauth2(&self, form: Form) -> Result<OAuth2Auth> {
        let id = self.client_id.clone();
        let issuer = self.issuer.clone().unwrap_or_default();
        let by_hand = self.authorization_endpoint.is_some() || self.token_endpoint.is_some();
        // A client made by hand whose endpoints nobody named is used with discovery.
        let discovered = form == Form::Discovered || (form == Form::Whole && !by_hand);
        let (client_id, preregistered) = match id {
            Some(client_id) if discovered => {
                let issuer = issuer.clone();
                (
                    String::new(),
                    Some(PreregisteredClient { client_id, issuer }),
                )
            }
            id => (id.unwrap_or_default(), None),
        };
        let mut auth = OAuth2Auth {
            client_id,
            preregistered,
            client_secret: self.proof.client_secret()?,
            authorization_endpoint: self.authorization_endpoint.clone().unwrap_or_default(),
            token_endpoint: self.token_endpoint.clone().unwrap_or_default(),
            revocation_endpoint: self.revocation_endpoint.clone().unwrap_or_default(),
            issuer,
            scopes: self.scopes.clone(),
            private_key: self.proof.private_key()?,
            private_key_id: self.proof.private_key_id(),
            token_endpoint_auth_method: self.proof.method(),
            ..Default::default()
        };
        self.provider.lay_over(&mut auth);
        Ok(auth)
    }

    fn api_key(&self) -> Result<ApiKeyAuth> {
        Ok(ApiKeyAuth {
            header: self.api_key_header.clone().unwrap_or_default(),
            value: secrets::given(
                self.header_value_file.as_ref(),
                self.header_value_env.as_ref(),
            )?,
            per_user: self.per_user,
            description: self.header_description.clone().unwrap_or_default(),
        })
    }

    fn custom_headers(&self) -> Result<CustomHeadersAuth> {
        let files = self
            .header_files
            .iter()
            .map(|(name, file)| (name, secrets::from_file(file)));
        let variables = self.header_variables.iter();
        let variables = variables.map(|(name, variable)| (name, secrets::from_variable(variable)));
        let headers = files.chain(variables).map(|(name, value)| {
            let name = name.clone();
            value.map(|value| CustomHeader {
                name,
                value: Some(value),
            })
        });
        let declare = |can_be_missing| {
            move |(name, description): &(String, String)| UserHeaderDeclaration {
                name: name.clone(),
                description: description.clone(),
                can_be_missing,
            }
        };
        let required = self.user_headers.iter().map(declare(false));
        let optional = self.optional_user_headers.iter().map(declare(true));
        Ok(CustomHeadersAuth {
            headers: headers.collect::<Result<_>>()?,
            user_headers: required.chain(optional).collect(),
        })
    }

    fn client_credentials(&self) -> Result<ClientCredentialsAuth> {
        Ok(ClientCredentialsAuth {
            client_id: self.client_id.clone().unwrap_or_default(),
            client_secret: self.proof.client_secret()?,
            token_endpoint: self.token_endpoint.clone().unwrap_or_default(),
            issuer: self.issuer.clone().unwrap_or_default(),
            scopes: self.scopes.clone(),
            private_key: self.proof.private_key()?,
            private_key_id: self.proof.private_key_id(),
            signing_algorithm: self.proof.signing_algorithm(),
            provider_profile: self.provider.profile(),
            token_endpoint_auth_method: self.proof.method(),
            ..Default::default()
        })
    }
}

/// How an OAuth client and its endpoints are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the flags say.
    Whole,
    /// Endpoints are stored.
    Manual,
    /// Endpoints were discovered.
    Discovered,
}

/// The paths of the redirect URI.
const REDIRECT: [&str; 2] = ["oauth2.redirect", "oauth2.explicit_redirect_uri"];
