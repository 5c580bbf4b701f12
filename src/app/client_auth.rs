//! How our clients prove who they are: what they do it with, opened, and made into the proof of one
//! request. A client made by hand has secret and key with its server; others have a secret of their
//! own and no key.

use super::App;
use super::error::Result;
use super::vault::Unopened;
use crate::crypto::{ClientKey, SigningKey};
use crate::domain::authorization::{ClientAuthMethod, Issuer, SigningAlgorithm};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::random;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::secrets::{ClientSecret, PrivateKey};
use crate::domain::servers::{Auth, Draft, Edit, Server};
use crate::domain::text::Violations;
use crate::oauth::{Claims, ClientAuth, Unsigned};
use crate::store;

/// What a client proves itself with, opened.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// Nothing, or nothing is there.
    Nothing,
    /// Its secret.
    Secret(ClientSecret),
    /// Its key.
    Key(ClientKey),
}

impl From<Option<ClientSecret>> for Proof {
    fn from(secret: Option<ClientSecret>) -> Self {
        secret.map_or(Self::Nothing, Self::Secret)
    }
}

/// Why a client cannot prove itself.
#[derive(Debug)]
pub(super) enum Unproven {
    /// What it does it with cannot be opened here.
    Unreadable,
    /// That is not there.
    Missing,
    /// The store did not answer.
    Store(store::Error),
}

impl From<Unopened> for Unproven {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Unreadable(_) => Self::Unreadable,
            Unopened::Store(error) => Self::Store(error),
        }
    }
}

/// The code of a client that cannot prove itself, as it is told and kept.
pub(super) fn missing(method: ClientAuthMethod) -> &'static str {
    match method {
        ClientAuthMethod::PrivateKeyJwt => "client_key_missing",
        ClientAuthMethod::None
        | ClientAuthMethod::ClientSecretBasic
        | ClientAuthMethod::ClientSecretPost => "client_secret_missing",
    }
}

/// Whom the assertions of a client are for: its issuer, byte for byte, or its token endpoint where
/// endpoints were written without one.
pub(super) fn audience<'a>(issuer: &'a Issuer, token_endpoint: &'a str) -> &'a str {
    if issuer.as_str().is_empty() {
        token_endpoint
    } else {
        issuer.as_str()
    }
}

impl App {
    /// The proof of one request of a registered client; `token_endpoint` is that of its grant.
    pub(super) async fn registration_auth(
        &self,
        server: &Server,
        registration: &Registration,
        token_endpoint: &str,
    ) -> std::result::Result<ClientAuth, Unproven> {
        let (id, method) = (&registration.client_id, registration.auth_method);
        let by = (method, token_endpoint);
        let proof = self.registration_proof(server, registration, by).await?;
        self.client_auth(id, method, &proof)
    }

    /// What a registered client proves itself with when it does so by `method`.
    pub(super) async fn registration_proof(
        &self,
        server: &Server,
        registration: &Registration,
        (method, token_endpoint): (ClientAuthMethod, &str),
    ) -> std::result::Result<Proof, Unopened> {
        if registration.kind == RegistrationKind::Preregistered {
            let audience = audience(&registration.issuer, token_endpoint);
            return self.server_proof(server, method, audience).await;
        }
        let secret = self.open_registered_secret(registration).await?;
        Ok(secret.into())
    }

    async fn server_proof(
        &self,
        server: &Server,
        method: ClientAuthMethod,
        audience: &str,
    ) -> std::result::Result<Proof, Unopened> {
        use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, None, PrivateKeyJwt};
        match method {
            None => Ok(Proof::Nothing),
            ClientSecretBasic | ClientSecretPost => {
                Ok(self.open_server_secret(server).await?.into())
            }
            PrivateKeyJwt => {
                let Some(key) = self.open_private_key(server).await? else {
                    return Ok(Proof::Nothing);
                };
                let key_id = server.spec.auth.private_key_id().map(str::to_owned);
                Ok(Proof::Key(ClientKey {
                    key,
                    key_id,
                    audience: audience.to_owned(),
                }))
            }
        }
    }

    /// Makes the proof of one request: an assertion is good for one.
    pub(super) fn client_auth(
        &self,
        client_id: &str,
        method: ClientAuthMethod,
        proof: &Proof,
    ) -> std::result::Result<ClientAuth, Unproven> {
        if method != ClientAuthMethod::PrivateKeyJwt {
            let secret = match proof {
                Proof::Secret(secret) => Some(secret.clone()),
                Proof::Nothing | Proof::Key(_) => None,
            };
            return ClientAuth::new(method, secret).map_err(|_| Unproven::Missing);
        }
        let Proof::Key(key) = proof else {
            return Err(Unproven::Missing);
        };
        // What cannot sign was refused when it came.
        let signing = SigningKey::from_pem(&key.key).map_err(|_| Unproven::Missing)?;
        let claims = Claims {
            client_id,
            audience: &key.audience,
            id: &random::token(&*self.0.random),
            now: self.0.clock.now(),
        };
        let unsigned = Unsigned::new(signing.algorithm(), key.key_id.as_deref(), &claims);
        let signature = signing.sign(unsigned.message());
        let signature = signature.ok_or(Unproven::Missing)?;
        Ok(ClientAuth::Assertion(unsigned.signed(&signature)))
    }

    async fn open_private_key(
        &self,
        server: &Server,
    ) -> std::result::Result<Option<PrivateKey>, Unopened> {
        let Some(sealed) = &server.secrets.private_key else {
            return Ok(None);
        };
        let place = Place {
            tenant: &server.tenant,
            column: SealedColumn::ServerPrivateKey,
            row: &server.id.to_string(),
            owner: "",
        };
        self.0.vault.open(&place, sealed).await.map(Some)
    }

    /// What is wrong with the private key of a draft, and with the algorithm that it is said to sign
    /// with. A stored key was judged when it came: it is opened only for another algorithm.
    pub(super) async fn check_private_key(
        &self,
        current: Option<&Server>,
        draft: &Draft,
    ) -> Result<Violations> {
        let mut found = Violations::new();
        let auth = &draft.spec.auth;
        let at = |name| format!("server.{}.{name}", auth.kind().as_str());
        let wanted = signing_algorithm(auth);
        let key = match (&draft.secrets.private_key, current) {
            (Edit::Set(key), _) => found.keep(&at("private_key"), SigningKey::from_pem(key)),
            (Edit::Keep, Some(server)) if wanted != signing_algorithm(&server.spec.auth) => {
                let key = match self.open_private_key(server).await {
                    Ok(key) => key,
                    Err(Unopened::Unreadable(_)) => None,
                    Err(Unopened::Store(error)) => return Err(error.into()),
                };
                key.and_then(|key| SigningKey::from_pem(&key).ok())
            }
            (Edit::Keep | Edit::Clear, _) => None,
        };
        if let (Some(wanted), Some(key)) = (wanted, key)
            && wanted != key.algorithm()
        {
            let signs = key.algorithm().as_str();
            found.add(
                at("signing_algorithm"),
                format!("is not that of the private key, which signs by {signs}"),
            );
        }
        Ok(found)
    }
}

/// The algorithm that a configuration names, if it is one we sign with.
fn signing_algorithm(auth: &Auth) -> Option<SigningAlgorithm> {
    let Auth::ClientCredentials(client) = auth else {
        return None;
    };
    SigningAlgorithm::parse(client.signing_algorithm.as_deref()?)
}
