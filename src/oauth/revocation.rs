//! Ending over there what was ended here: tokens (RFC 7009) and registrations of clients (RFC 7592).
//! Both are idempotent, and both are favours to the other side: what cannot be ended is reported and
//! left alone.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method};
use oauth2::{RequestTokenError, RevocationUrl, StandardRevocableToken};
use secrecy::ExposeSecret;
use url::Url;

use super::answer::{Answer, is_page, members, retry_after};
use super::bridge::{ANSWER_CAP, Endpoint, Failure, PLACEHOLDER, Reads};
use super::dialect::Dialect;
use super::error::Error;
use super::outcome::Refused;
use crate::domain::secrets::{AccessToken, RefreshToken, RegistrationAccessToken};
use crate::domain::time::Timestamp;
use crate::fetch::{self, Fetch, Policy, ReadBody, Request, Response};

/// A token to be revoked, and with it its hint (RFC 7009, section 2.1).
#[derive(Debug, Clone, Copy)]
pub enum Revoked<'a> {
    /// A refresh token; most servers end the whole grant with it.
    Refresh(&'a RefreshToken),
    /// An access token.
    Access(&'a AccessToken),
}

/// What became of a token or a registration that was to be ended.
#[derive(Debug)]
pub enum Revocation {
    /// It is ended now, or was already.
    Done,
    /// It was refused for good. [`Refused::is_unsupported_token_type`] means that the other token of
    /// the grant may be tried (RFC 7009, section 2.2.1).
    Refused(Refused),
    /// Try again: no answer, or a complete one that says so.
    Later {
        /// When, if it was said.
        retry_after: Option<Duration>,
    },
    /// It cannot be tried: the endpoint is unusable, is none, or may not be contacted.
    Impossible(Error),
}

impl Revocation {
    /// See [`Refused::without_echo`].
    fn without_echo<'s>(self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        if let Self::Refused(refused) = self {
            return Self::Refused(refused.without_echo(secrets));
        }
        self
    }
}

impl Refused {
    /// Whether a revocation endpoint does not revoke tokens of this kind (RFC 7009,
    /// section 2.2.1).
    pub fn is_unsupported_token_type(&self) -> bool {
        self.code.as_deref() == Some("unsupported_token_type")
    }
}

/// Revokes a token at the revocation endpoint (RFC 7009). Idempotent.
pub async fn revoke(fetch: &Fetch, endpoint: &Endpoint<'_>, token: Revoked<'_>) -> Revocation {
    const NAME: &str = "revocation endpoint";
    let bridge = match endpoint.bridge(fetch, NAME, Reads::Revocation) {
        Ok(bridge) => bridge,
        Err(error) => return Revocation::Impossible(error),
    };
    let (secret, token) = match token {
        Revoked::Refresh(token) => {
            let token = token.expose_secret();
            let typed = oauth2::RefreshToken::new(token.to_owned());
            (token, StandardRevocableToken::RefreshToken(typed))
        }
        Revoked::Access(token) => {
            let token = token.expose_secret();
            let typed = oauth2::AccessToken::new(token.to_owned());
            (token, StandardRevocableToken::AccessToken(typed))
        }
    };
    let Ok(placeholder) = RevocationUrl::new(PLACEHOLDER.to_owned()) else {
        return Revocation::Impossible(Error::Endpoint { name: NAME });
    };
    let client = endpoint.client().set_revocation_url(placeholder);
    let Ok(mut request) = client.revoke_token(token) else {
        return Revocation::Impossible(Error::Endpoint { name: NAME });
    };
    for (name, value) in endpoint.assertion() {
        request = request.add_extra_param(name, value);
    }
    match request.request_async(&bridge).await {
        Ok(()) => Revocation::Done,
        Err(RequestTokenError::Request(Failure::NotRevoked(revocation))) => {
            revocation.without_echo([secret].into_iter().chain(endpoint.secret()))
        }
        Err(RequestTokenError::Request(Failure::Fetch(error))) => no_answer(error),
        // The rest cannot follow a canonical answer.
        Err(
            RequestTokenError::Request(Failure::Transient { .. } | Failure::Malformed)
            | RequestTokenError::ServerResponse(_)
            | RequestTokenError::Parse(..)
            | RequestTokenError::Other(_),
        ) => Revocation::Later { retry_after: None },
    }
}

/// The header that presents a token (RFC 6750, section 2.1); none for one that no header takes.
pub(super) fn bearer(token: &impl ExposeSecret<str>) -> Option<HeaderValue> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

/// Deletes a client at its `registration_client_uri` (RFC 7592, section 2.3). Idempotent.
///
/// A client or a token for it that is unknown there (401, 404) is gone already; 403 means that the
/// client may not delete itself. `on_behalf_of` is the issuer's URL: as for [`Endpoint`].
pub async fn unregister(
    fetch: &Fetch,
    registration_client_uri: &str,
    on_behalf_of: &str,
    token: &RegistrationAccessToken,
    deadline: Duration,
) -> Revocation {
    let unusable = || {
        Revocation::Impossible(Error::Endpoint {
            name: "registration client URI",
        })
    };
    let Ok(url) = Url::parse(registration_client_uri) else {
        return unusable();
    };
    let secret = token.expose_secret();
    let Some(bearer) = bearer(token) else {
        return unusable();
    };
    let request = Request::new(Method::DELETE, url)
        .policy(Policy::on_behalf_of(on_behalf_of))
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .read(ReadBody::UpTo(ANSWER_CAP))
        .deadline(deadline);
    let answer = match fetch.send(request).await {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    match answer.status.as_u16() {
        401 | 404 | 410 => Revocation::Done,
        _ => read(&answer).without_echo([secret]),
    }
}

/// What a complete answer says. With a good status the body says nothing (RFC 7009, section 2.2),
/// unless it is a refusal in disguise; a token or client that is invalid is as good as ended.
pub(super) fn read(answer: &Response) -> Revocation {
    let (status, body) = (answer.status, &answer.body);
    let (now, plain) = (Timestamp::default(), Dialect::default());
    let read = Answer::read(status, &answer.headers, body, now, &plain);
    match (status.as_u16(), read) {
        (_, Answer::Refused(Some(code))) if is_ended(&code) => Revocation::Done,
        (404 | 405 | 410 | 501, _) => Revocation::Impossible(Error::NoEndpoint { status }),
        (_, Answer::Refused(code)) => Revocation::Refused(Refused::new(code)),
        (200..=299, Answer::Transient(_)) if members(body).is_none() => Revocation::Done,
        // No word of why, and not from something in front of the server either.
        (400..=403, Answer::Transient(_)) if members(body).is_none() && !is_page(body) => {
            Revocation::Refused(Refused::new(None))
        }
        (_, Answer::Transient(_)) => Revocation::Later {
            retry_after: retry_after(&answer.headers),
        },
        (_, Answer::Granted(_) | Answer::Malformed) => Revocation::Done,
    }
}

/// Codes that say that there is nothing left to revoke. RFC 7009 wants success for these.
fn is_ended(code: &str) -> bool {
    matches!(
        code,
        "invalid_token"
            | "token_not_found"
            | "invalid_grant"
            | "bad_refresh_token"
            | "invalid_refresh_token"
            | "expired_token"
            | "token_expired"
            | "token_revoked"
    )
}

fn no_answer(error: fetch::Error) -> Revocation {
    match error {
        error @ (fetch::Error::Blocked { .. } | fetch::Error::Setup) => {
            Revocation::Impossible(error.into())
        }
        fetch::Error::NotSent { .. }
        | fetch::Error::Unknown { .. }
        | fetch::Error::TooLarge { .. }
        | fetch::Error::Redirect { .. } => Revocation::Later { retry_after: None },
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    use super::super::foreign::bodies;
    use super::*;

    const WORDS: &[&str] = &[
        "invalid_token",
        "invalid_grant",
        "token_revoked",
        "unsupported_token_type",
        "invalid_client",
        "temporarily_unavailable",
    ];

    proptest! {
        #[test]
        fn of_any_answer_only_success_or_a_word_of_the_end_is_taken_for_it(
            status in 100_u16..=599,
            body in bodies(&["error", "ok", "access_token"], WORDS),
        ) {
            let answer = Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: body.clone().into(),
                url: Url::parse("https://as.example/revoke").unwrap(),
            };

            match read(&answer) {
                Revocation::Done if answer.status.is_success() => {}
                Revocation::Done => {
                    let members: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    prop_assert!(is_ended(members["error"].as_str().unwrap()));
                }
                Revocation::Refused(refused) => {
                    let code = refused.code.unwrap_or_default();
                    prop_assert!(code.len() <= 64 && code.is_ascii() && !is_ended(&code));
                }
                Revocation::Later { retry_after } => prop_assert_eq!(retry_after, None),
                Revocation::Impossible(error) => {
                    let status = answer.status;
                    prop_assert_eq!(error, Error::NoEndpoint { status });
                }
            }
        }
    }
}
