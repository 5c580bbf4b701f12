//! Renewing the secret of a client that is managed, by updating its registration with what it is
//! already (RFC 7592, section 2.2).

use std::time::Instant;

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::{code, retry_after};
use super::bridge::ANSWER_CAP;
use super::error::Error;
use super::metadata::{object, text};
use super::registration::{NewClient, document};
use super::revocation::bearer;
use super::target::may_name;
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::secrets::{ClientSecret, RegistrationAccessToken};
use crate::domain::time::Timestamp;
use crate::fetch::{Fetch, Policy, ReadBody, Request};

/// A client that is managed, as it is registered.
#[derive(Debug, Clone)]
pub struct ManagedClient<'a> {
    /// What it said about itself when it was registered. What metadata lists is not looked at.
    pub client: NewClient<'a>,
    /// Its id.
    pub client_id: &'a str,
    /// How it authenticates.
    pub auth_method: ClientAuthMethod,
    /// Where its registration is managed.
    pub uri: &'a str,
    /// The token that manages it.
    pub token: &'a RegistrationAccessToken,
    /// Until when the request may be written, checked directly before its first byte would be.
    pub send_before: Instant,
}

/// When a secret ends, as an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEnd {
    /// It said nothing of a secret.
    AsBefore,
    /// Never.
    Never,
    /// Then.
    At(Timestamp),
}

/// What the update of a registration was answered with. What is absent stays as it was.
#[derive(Debug, Clone)]
pub struct RenewedClient {
    /// Its secret, which may be another one than before.
    pub client_secret: Option<ClientSecret>,
    /// When the secret ends.
    pub secret_end: SecretEnd,
    /// How it authenticates.
    pub auth_method: ClientAuthMethod,
    /// The token that manages the registration from now on; the old one may be void.
    pub registration_access_token: Option<RegistrationAccessToken>,
    /// Where it is managed from now on.
    pub registration_client_uri: Option<String>,
}

/// Updates a registration with what it is already, so that the server may give it another secret or
/// another end of it. The present secret is not sent: that is optional, and some servers take it for a
/// wish to choose one. Repeating it does no harm as long as the token is good.
///
/// # Errors
/// [`Error::RegistrationRefused`] and [`Error::NoEndpoint`] when the registration cannot be managed
/// (any more), [`Error::Unsupported`] and [`Error::SecretMissing`] when it cannot be used as it is
/// now, [`Error::RegistrationMalformed`], [`Error::Unavailable`], [`Error::Endpoint`],
/// [`Error::Fetch`].
pub async fn renew_registration(
    fetch: &Fetch,
    managed: &ManagedClient<'_>,
) -> Result<RenewedClient, Error> {
    const UNUSABLE: Error = Error::Endpoint {
        name: "registration client URI",
    };
    let url = Url::parse(managed.uri).map_err(|_error| UNUSABLE)?;
    let proof = bearer(managed.token).ok_or(UNUSABLE)?;
    let client = &managed.client;
    let mut body = document(client, managed.auth_method)?;
    body["client_id"] = json!(managed.client_id);
    let json = HeaderValue::from_static("application/json");
    let request = Request::new(Method::PUT, url)
        .policy(Policy::on_behalf_of(client.on_behalf_of))
        .header(AUTHORIZATION, proof)
        .header(CONTENT_TYPE, json.clone())
        .header(ACCEPT, json)
        .body(body.to_string())
        .read(ReadBody::UpTo(ANSWER_CAP))
        .deadline(client.deadline)
        .send_before(managed.send_before);
    let answer = fetch.send(request).await?;
    let status = answer.status;
    if status.is_success() {
        let answer = object(&answer.body).ok_or(Error::RegistrationMalformed)?;
        return read(&answer, managed);
    }
    Err(failure(status, &answer.headers, &answer.body))
}

fn failure(status: StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Error {
    match status.as_u16() {
        404 | 405 | 410 | 501 => Error::NoEndpoint { status },
        408 | 429 | 500..=599 => Error::Unavailable {
            status,
            retry_after: retry_after(headers),
        },
        _ => Error::RegistrationRefused {
            status,
            code: object(body).and_then(|object| code(object.get("error")?)),
        },
    }
}

/// The answer (RFC 7592, section 3). It is about our client, or about none.
fn read(answer: &Map<String, Value>, managed: &ManagedClient<'_>) -> Result<RenewedClient, Error> {
    if text(answer, "client_id") != Some(managed.client_id) {
        return Err(Error::RegistrationMalformed);
    }
    let auth_method = match text(answer, "token_endpoint_auth_method") {
        None => managed.auth_method,
        Some(name) => match ClientAuthMethod::parse(name) {
            Some(ClientAuthMethod::PrivateKeyJwt) | None => {
                return Err(Error::Unsupported {
                    method: ClientAuthMethod::parse(name),
                });
            }
            Some(method) => method,
        },
    };
    let client_secret = text(answer, "client_secret");
    let needs = |method| method != ClientAuthMethod::None;
    if needs(auth_method) && !needs(managed.auth_method) && client_secret.is_none() {
        return Err(Error::SecretMissing);
    }
    let end = answer
        .get("client_secret_expires_at")
        .and_then(Value::as_i64);
    let secret_end = match end {
        Some(seconds) if seconds > 0 => SecretEnd::At(Timestamp::from_secs(seconds)),
        Some(_) => SecretEnd::Never,
        None if client_secret.is_some() => SecretEnd::Never,
        None => SecretEnd::AsBefore,
    };
    let uri = text(answer, "registration_client_uri");
    let uri = uri.filter(|uri| may_name(managed.client.on_behalf_of, uri));
    let token = text(answer, "registration_access_token");
    Ok(RenewedClient {
        client_secret: client_secret.map(|secret| ClientSecret::new(secret.to_owned())),
        secret_end,
        auth_method,
        registration_access_token: token
            .map(|token| RegistrationAccessToken::new(token.to_owned())),
        registration_client_uri: uri.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ClientAuthMethod::{ClientSecretBasic, None as Public, PrivateKeyJwt};
    use proptest::prelude::*;

    use super::super::foreign::{CLIENT, bodies};
    use super::*;
    use crate::domain::time::{Clock as _, FixedClock};

    const WORDS: &[&str] = &[
        "c",
        "none",
        "client_secret_basic",
        "private_key_jwt",
        "https://as.example/c",
        "http://127.0.0.1/c",
    ];

    proptest! {
        #[test]
        fn of_any_body_only_the_same_client_is_read_as_it_can_be_used(
            body in bodies(CLIENT, WORDS),
            before in proptest::sample::select(vec![Public, ClientSecretBasic]),
        ) {
            let token = RegistrationAccessToken::new("t".to_owned());
            let managed = ManagedClient {
                client: NewClient {
                    on_behalf_of: "https://mcp.example",
                    redirect_uri: "https://us.example/cb",
                    client_name: "n",
                    client_uri: None,
                    scopes: None,
                    auth_methods: None,
                    deadline: Duration::ZERO,
                },
                client_id: "c",
                auth_method: before,
                uri: "https://as.example/c",
                token: &token,
                send_before: FixedClock::default().instant(Duration::ZERO),
            };
            let answer = object(&body);

            if let Some(Ok(client)) = answer.as_ref().map(|answer| read(answer, &managed)) {
                let secret = client.client_secret.is_some();
                prop_assert_eq!(answer.as_ref().unwrap()["client_id"].as_str(), Some("c"));
                prop_assert_ne!(client.auth_method, PrivateKeyJwt);
                prop_assert!(client.auth_method == Public || before != Public || secret);
                prop_assert!(!secret || client.secret_end != SecretEnd::AsBefore);
                prop_assert_ne!(client.registration_client_uri.as_deref(), Some("http://127.0.0.1/c"));
                if let SecretEnd::At(end) = client.secret_end {
                    prop_assert!(end > Timestamp::default());
                }
            }
        }
    }
}
