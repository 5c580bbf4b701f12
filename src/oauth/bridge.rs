//! Between the `oauth2` crate, which forms requests and types answers, and [`Fetch`], which alone
//! may speak to the web. On the way back answers are made canonical, so that the crate never meets
//! a wild one and its errors never hold a body.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::AUTHORIZATION;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ExtraTokenFields, HttpRequest, HttpResponse,
    StandardRevocableToken, StandardTokenResponse,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::answer::{self, Answer, OTHER_TYPE};
use super::assertion;
use super::dialect::Dialect;
use super::error::Error;
use super::exchange::is_access_token;
use super::metadata;
use super::revocation::{self, Revocation};
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::secrets::{ClientAssertion, ClientSecret};
use crate::domain::time::Timestamp;
use crate::fetch::{self, Fetch, Policy, ReadBody, Request, Response};

/// Largest answer read, in bytes.
pub(super) const ANSWER_CAP: usize = 256 * 1024;

/// What the `oauth2` crate is told about every endpoint. The crate refuses http for revocation and
/// rewrites URLs; which endpoint may be contacted is for the fetch rules to say, and the bridge
/// knows the real one.
pub(super) const PLACEHOLDER: &str = "https://endpoint.invalid/";

/// How our client proves who it is.
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// By its id alone.
    Public,
    /// By HTTP Basic, id and secret form-encoded first (RFC 6749, section 2.3.1).
    Basic(ClientSecret),
    /// By id and secret in the body.
    Post(ClientSecret),
    /// By a signed assertion in the body (RFC 7523, section 2.2). For one request: the next one needs
    /// another.
    Assertion(ClientAssertion),
}

impl ClientAuth {
    /// The authentication of a registration without a key. A secret that the method does not use is
    /// ignored.
    ///
    /// # Errors
    /// [`Error::SecretMissing`]; [`Error::Unsupported`] for `private_key_jwt`, which takes no secret
    /// but an [`ClientAuth::Assertion`].
    pub fn new(method: ClientAuthMethod, secret: Option<ClientSecret>) -> Result<Self, Error> {
        match method {
            ClientAuthMethod::None => Ok(Self::Public),
            ClientAuthMethod::ClientSecretBasic => {
                secret.map(Self::Basic).ok_or(Error::SecretMissing)
            }
            ClientAuthMethod::ClientSecretPost => {
                secret.map(Self::Post).ok_or(Error::SecretMissing)
            }
            ClientAuthMethod::PrivateKeyJwt => Err(Error::Unsupported {
                method: Some(method),
            }),
        }
    }
}

/// An endpoint that our client authenticates at, and how long one call may take.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// Its URL.
    pub url: &'a str,
    /// Who chose it: the deployment, or what is configured at some URL ([`Policy::on_behalf_of`]: the MCP
    /// server's, or the issuer's).
    pub policy: Policy,
    /// Our client there.
    pub client_id: &'a str,
    /// How it proves who it is.
    pub auth: &'a ClientAuth,
    /// The deadline of the whole call.
    pub deadline: Duration,
    /// Until when the request may be written, checked directly before its first byte would be;
    /// `None` for always.
    pub send_before: Option<Instant>,
    /// Our time, for answers that name points of time and bear no `Date`.
    pub now: Timestamp,
}

/// What we read of a token answer beyond RFC 6749.
#[derive(Serialize, Deserialize)]
pub(super) struct Extra {
    /// In seconds.
    pub(super) refresh_token_expires_in: Option<u64>,
    pub(super) id_token: Option<String>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extra(redacted)")
    }
}

impl ExtraTokenFields for Extra {}

/// A token answer, typed.
pub(super) type Tokens = StandardTokenResponse<Extra, BasicTokenType>;

/// The `oauth2` crate's client with such answers.
pub(super) type Client = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

impl Endpoint<'_> {
    /// The `oauth2` crate's view of our client.
    pub(super) fn client(&self) -> Client {
        let client = Client::new(ClientId::new(self.client_id.to_owned()));
        let secret =
            |secret: &ClientSecret| oauth2::ClientSecret::new(secret.expose_secret().to_owned());
        match self.auth {
            ClientAuth::Public | ClientAuth::Assertion(_) => {
                client.set_auth_type(AuthType::RequestBody)
            }
            ClientAuth::Basic(held) => client
                .set_auth_type(AuthType::BasicAuth)
                .set_client_secret(secret(held)),
            ClientAuth::Post(held) => client
                .set_auth_type(AuthType::RequestBody)
                .set_client_secret(secret(held)),
        }
    }

    /// The secret that is sent to it, if there is one.
    pub(super) fn secret(&self) -> Option<&str> {
        match self.auth {
            ClientAuth::Public => None,
            ClientAuth::Basic(secret) | ClientAuth::Post(secret) => Some(secret.expose_secret()),
            ClientAuth::Assertion(assertion) => Some(assertion.expose_secret()),
        }
    }

    /// The parameters by which our client asserts who it is, for a request to add (RFC 7521,
    /// section 4.2); none where it does not.
    pub(super) fn assertion(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let assertion = match self.auth {
            ClientAuth::Public | ClientAuth::Basic(_) | ClientAuth::Post(_) => None,
            ClientAuth::Assertion(assertion) => Some(assertion.expose_secret()),
        };
        let parameters = assertion.map(|assertion| {
            [
                ("client_assertion_type", assertion::TYPE),
                ("client_assertion", assertion),
            ]
        });
        parameters.into_iter().flatten()
    }

    /// The HTTP client of one call.
    ///
    /// # Errors
    /// [`Error::Endpoint`] with this name.
    pub(super) fn bridge<'f>(
        &self,
        fetch: &'f Fetch,
        name: &'static str,
        reads: Reads<'f>,
    ) -> Result<Bridge<'f>, Error> {
        let url = Url::parse(self.url).map_err(|_error| Error::Endpoint { name })?;
        Ok(Bridge {
            fetch,
            url,
            policy: self.policy,
            deadline: self.deadline,
            send_before: self.send_before,
            now: self.now,
            reads,
        })
    }
}

/// Why the `oauth2` crate got no answer to look at.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No complete answer.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// A complete answer that says "later".
    #[error("status {status}")]
    Transient {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// Success without content.
    #[error("malformed answer")]
    Malformed,
    /// A complete answer of a revocation endpoint that is not "done".
    #[error("not revoked")]
    NotRevoked(Revocation),
}

/// What an answer is read as, to be made canonical.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reads<'a> {
    /// A token endpoint's, in a provider's dialect.
    Tokens(&'a Dialect),
    /// The same, where a token was to be exchanged (RFC 8693, section 2.2.1).
    Exchanged(&'a Dialect),
    /// A revocation endpoint's.
    Revocation,
}

/// The HTTP client of one call.
pub(super) struct Bridge<'a> {
    fetch: &'a Fetch,
    url: Url,
    policy: Policy,
    deadline: Duration,
    send_before: Option<Instant>,
    now: Timestamp,
    reads: Reads<'a>,
}

impl<'c> AsyncHttpClient<'c> for Bridge<'_> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let (mut head, body) = request.into_parts();
        if let Some(value) = head.headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        let mut request = Request::new(head.method, self.url.clone())
            .headers(head.headers)
            .body(body)
            .policy(self.policy)
            .read(ReadBody::UpTo(ANSWER_CAP))
            .deadline(self.deadline);
        if let Some(before) = self.send_before {
            request = request.send_before(before);
        }
        Box::pin(async move {
            let answer = self.fetch.send(request).await?;
            match self.reads {
                Reads::Tokens(dialect) => token_answer(&answer, self.now, dialect),
                Reads::Exchanged(dialect) => exchange_answer(&answer, self.now, dialect),
                Reads::Revocation => revocation_answer(&answer),
            }
        })
    }
}

/// A token endpoint's answer: 200 with canonical members, or 400 with a code (empty for none).
fn token_answer(
    answer: &Response,
    now: Timestamp,
    dialect: &Dialect,
) -> Result<HttpResponse, Failure> {
    match Answer::read(answer.status, &answer.headers, &answer.body, now, dialect) {
        Answer::Granted(members) => Ok(canonical(StatusCode::OK, &Value::Object(members))),
        Answer::Refused(code) => Ok(canonical(StatusCode::BAD_REQUEST, &error(code))),
        Answer::Transient(retry_after) => Err(Failure::Transient {
            status: answer.status,
            retry_after,
        }),
        Answer::Malformed => Err(Failure::Malformed),
    }
}

/// The same of an exchange: a token that is not of the type asked for is of no use.
fn exchange_answer(
    answer: &Response,
    now: Timestamp,
    dialect: &Dialect,
) -> Result<HttpResponse, Failure> {
    let members = answer::members(&answer.body).unwrap_or_default();
    let issued = metadata::text(&members, "issued_token_type");
    if answer.status.is_success() && !is_access_token(issued) {
        let code = Some(OTHER_TYPE.to_owned());
        return Ok(canonical(StatusCode::BAD_REQUEST, &error(code)));
    }
    token_answer(answer, now, dialect)
}

/// A revocation endpoint's answer: 200, or what it is instead.
fn revocation_answer(answer: &Response) -> Result<HttpResponse, Failure> {
    let revocation = revocation::read(answer);
    if let Revocation::Done = revocation {
        return Ok(canonical(StatusCode::OK, &json!({})));
    }
    Err(Failure::NotRevoked(revocation))
}

fn error(code: Option<String>) -> Value {
    json!({ "error": code.unwrap_or_default() })
}

fn canonical(status: StatusCode, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    response
}
