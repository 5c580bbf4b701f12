//! Deleting a dynamic registration (RFC 7592, section 2.3).

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use secrecy::ExposeSecret;
use url::Url;

use super::answer::retry_after;
use super::error::Error;
use super::outcome::{Refused, Revocation};
use crate::domain::secrets::RegistrationAccessToken;
use crate::fetch::{self, Fetch, ReadBody, Request};

/// Deletes our client at the place that came with its registration. Idempotent: a client that is
/// not known there any more (401 by section 2.1, or 404) is deleted.
pub async fn unregister(
    fetch: &Fetch,
    management_uri: &str,
    token: &RegistrationAccessToken,
    deadline: Duration,
) -> Revocation {
    let unusable = || {
        Revocation::Impossible(Error::Endpoint {
            name: "registration's management",
        })
    };
    let Ok(url) = Url::parse(management_uri) else {
        return unusable();
    };
    let bearer = format!("Bearer {}", token.expose_secret());
    let Ok(mut bearer) = HeaderValue::from_str(&bearer) else {
        return unusable();
    };
    bearer.set_sensitive(true);
    let request = Request::new(Method::DELETE, url)
        .header(AUTHORIZATION, bearer)
        .read(ReadBody::No)
        .deadline(deadline);
    let answer = match fetch.send(request).await {
        Ok(answer) => answer,
        Err(error @ fetch::Error::Blocked { .. }) => return Revocation::Impossible(error.into()),
        Err(_) => return Revocation::Later { retry_after: None },
    };
    let status = answer.status;
    match status.as_u16() {
        401 | 404 | 410 => Revocation::Done,
        408 | 425 | 429 => Revocation::Later {
            retry_after: retry_after(&answer.headers),
        },
        _ if status.is_success() => Revocation::Done,
        _ if status.is_server_error() => Revocation::Later {
            retry_after: retry_after(&answer.headers),
        },
        code => Revocation::Refused(Refused::new(Some(format!("status_{code}")))),
    }
}
