//! Exchanging a token for another one, for one audience (RFC 8693). Spends nothing: the same token may be
//! exchanged again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use oauth2::basic::BasicErrorResponse;
use oauth2::{AsyncHttpClient as _, HttpRequest, RequestTokenError};
use secrecy::ExposeSecret;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::bridge::{ClientAuth, Endpoint, Reads, Tokens};
use super::dialect::Dialect;
use super::error::Error;
use super::outcome::Outcome;
use super::token::{Typed, outcome};
use crate::domain::authorization::{Resource, Scopes};
use crate::domain::secrets::{AccessToken, ClientSecret};
use crate::domain::servers::IdentityToken;
use crate::fetch::Fetch;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A token to be exchanged, and what is wanted for it.
#[derive(Debug)]
pub struct ExchangeGrant<'a> {
    /// The token.
    pub subject: &'a AccessToken,
    /// What kind it is.
    pub kind: IdentityToken,
    /// Whom the new token is for.
    pub audience: Option<&'a str>,
    /// The resource that it is for (RFC 8707).
    pub resource: Option<&'a Resource>,
    /// What it may do; `None` leaves the parameter out.
    pub scopes: Option<&'a Scopes>,
    /// How this provider's protocol deviates.
    pub dialect: &'a Dialect,
}

/// Whether an issued token is of a type that can be sent as a bearer's: an access token, which may be a JWT.
/// An answer that does not say is believed to have done as it was asked.
pub(super) fn is_access_token(issued: Option<&str>) -> bool {
    issued.is_none_or(|issued| [ACCESS_TOKEN, JWT].contains(&issued))
}

/// Exchanges a token at the token endpoint (section 2). The answer's refresh token, if there is one, is not
/// kept.
pub async fn token_exchange(
    fetch: &Fetch,
    endpoint: &Endpoint<'_>,
    grant: &ExchangeGrant<'_>,
) -> Outcome {
    let bridge = match endpoint.bridge(fetch, "token endpoint", Reads::Exchanged(grant.dialect)) {
        Ok(bridge) => bridge,
        Err(error) => return Outcome::NotSent(error),
    };
    let Some(request) = request(endpoint, grant) else {
        return Outcome::NotSent(Error::Endpoint {
            name: "token endpoint",
        });
    };
    let typed = match bridge.call(request).await {
        Ok(answer) => typed(answer.status(), answer.body()),
        Err(failure) => Err(RequestTokenError::Request(failure)),
    };
    let sent = [grant.subject.expose_secret()];
    let mut outcome = outcome(typed, endpoint, grant.dialect, &sent);
    if let Outcome::Granted(tokens) = &mut outcome {
        tokens.refresh_token = None;
    }
    outcome
}

/// A canonical answer, typed as those of the other grants are.
fn typed(status: StatusCode, body: &[u8]) -> Typed {
    let malformed = |_| RequestTokenError::Other("malformed".to_owned());
    if status.is_success() {
        return serde_json::from_slice::<Tokens>(body).map_err(malformed);
    }
    let refusal = serde_json::from_slice::<BasicErrorResponse>(body);
    Err(refusal.map_or_else(malformed, RequestTokenError::ServerResponse))
}

fn request(endpoint: &Endpoint<'_>, grant: &ExchangeGrant<'_>) -> Option<HttpRequest> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", GRANT)
        .append_pair("subject_token", grant.subject.expose_secret())
        .append_pair(
            "subject_token_type",
            match grant.kind {
                IdentityToken::Access => ACCESS_TOKEN,
                IdentityToken::Id => ID_TOKEN,
            },
        )
        .append_pair("requested_token_type", ACCESS_TOKEN);
    if let Some(audience) = grant.audience {
        form.append_pair("audience", audience);
    }
    if let Some(resource) = grant.dialect.resource(grant.resource) {
        form.append_pair("resource", resource.as_str());
    }
    if let Some(scopes) = grant.scopes {
        form.append_pair("scope", &scopes.to_string());
    }
    for (name, value) in endpoint.assertion() {
        form.append_pair(name, value);
    }
    let proof = match endpoint.auth {
        ClientAuth::Basic(secret) => Some(basic(endpoint.client_id, secret)?),
        ClientAuth::Post(secret) => {
            form.append_pair("client_id", endpoint.client_id)
                .append_pair("client_secret", secret.expose_secret());
            None
        }
        ClientAuth::Public | ClientAuth::Assertion(_) => {
            form.append_pair("client_id", endpoint.client_id);
            None
        }
    };
    let mut request = HttpRequest::new(form.finish().into_bytes());
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    if let Some(proof) = proof {
        headers.insert(AUTHORIZATION, proof);
    }
    Some(request)
}

/// HTTP Basic with id and secret form-encoded first (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &ClientSecret) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
    let mut proof = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    proof.set_sensitive(true);
    Some(proof)
}
