//! The keys that a trusted issuer publishes: where they are (`OpenID` Connect Discovery 1.0, sections 3
//! and 4; RFC 8414), and the document itself. What is in it is for others to read.
//!
//! The operator chose the issuer, so that its addresses may be private ones. Redirects are not followed:
//! who can have a name answer with one would choose the keys.

use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::error::Error;
use super::metadata::{object, text};
use super::places;
use crate::domain::authorization::Issuer;
use crate::fetch::{Fetch, Policy, ReadBody, Request, Response};

/// Largest document read, in bytes.
const CAP: usize = 256 * 1024;

/// Whose keys to ask for.
#[derive(Debug, Clone, Copy)]
pub struct IssuerKeys<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// Where they are, where the operator says so.
    pub jwks_uri: Option<&'a Url>,
    /// The deadline of each request.
    pub deadline: Duration,
}

/// What was published.
#[derive(Debug, Clone)]
pub struct PublishedKeys {
    /// The document.
    pub document: bytes::Bytes,
    /// How long it may be kept without asking again, where its owner says so (RFC 9111, section 5.2.2).
    pub max_age: Option<Duration>,
}

/// Fetches an issuer's keys.
///
/// # Errors
/// [`Error::NoServerMetadata`], [`Error::IssuerMismatch`] and [`Error::Metadata`] when the place of the
/// keys is not known; [`Error::NoEndpoint`] when no document is there; [`Error::Fetch`].
pub async fn issuer_keys(fetch: &Fetch, ask: IssuerKeys<'_>) -> Result<PublishedKeys, Error> {
    let url = match ask.jwks_uri {
        Some(url) => url.clone(),
        None => place_of_keys(fetch, ask).await?,
    };
    let answer = get(fetch, url, ask.deadline).await?;
    if answer.status != StatusCode::OK {
        return Err(Error::NoEndpoint {
            status: answer.status,
        });
    }
    Ok(PublishedKeys {
        max_age: max_age(&answer.headers),
        document: answer.body,
    })
}

/// Where the issuer's metadata says that its keys are.
async fn place_of_keys(fetch: &Fetch, ask: IssuerKeys<'_>) -> Result<Url, Error> {
    let document = issuer_metadata(fetch, ask.issuer, ask.deadline).await?;
    endpoint(&document, ask.issuer, "jwks_uri")
}

/// The metadata of an issuer that the operator trusts; it names this very issuer.
///
/// # Errors
/// [`Error::NoServerMetadata`], [`Error::IssuerMismatch`], [`Error::Fetch`].
pub(super) async fn issuer_metadata(
    fetch: &Fetch,
    issuer: &Issuer,
    deadline: Duration,
) -> Result<Map<String, Value>, Error> {
    let mut error = Error::NoServerMetadata {
        issuer: issuer.clone(),
    };
    let Ok(url) = Url::parse(issuer.as_str()) else {
        return Err(error);
    };
    // The form of OpenID first, which is the last for others: these are providers of logins.
    for place in places::server_metadata(&url).into_iter().rev() {
        let answer = get(fetch, place, deadline).await?;
        let document = (answer.status == StatusCode::OK).then(|| object(&answer.body));
        let Some(document) = document.flatten() else {
            continue;
        };
        match text(&document, "issuer") {
            Some(named) if named == issuer.as_str() => return Ok(document),
            Some(other) => {
                error = Error::IssuerMismatch {
                    issuer: issuer.clone(),
                    found: Issuer::new(other.chars().take(200).collect::<String>()),
                };
            }
            None => {}
        }
    }
    Err(error)
}

/// An endpoint of the metadata: over https, unless the issuer itself is not.
pub(super) fn endpoint(
    document: &Map<String, Value>,
    issuer: &Issuer,
    member: &'static str,
) -> Result<Url, Error> {
    let url = text(document, member).and_then(|text| Url::parse(text).ok());
    let plain = issuer.as_str().starts_with("http://");
    url.filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"))
        .ok_or(Error::Metadata { member })
}

async fn get(fetch: &Fetch, url: Url, deadline: Duration) -> Result<Response, Error> {
    let request = Request::new(Method::GET, url)
        .policy(Policy::Operator)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .read(ReadBody::UpTo(CAP))
        .deadline(deadline);
    Ok(fetch.send(request).await?)
}

/// What `Cache-Control` says; nothing may be kept where it says that.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all(CACHE_CONTROL).iter();
    let said = said.filter_map(|value| value.to_str().ok());
    let directives = said.flat_map(|value| value.split(',')).map(str::trim);
    let mut found = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            found = value
                .trim_matches('"')
                .parse()
                .ok()
                .map(Duration::from_secs);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_long_keys_may_be_kept_is_read_from_cache_control() {
        let said = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            max_age(&HeaderMap::from_iter([(CACHE_CONTROL, value)])).map(|age| age.as_secs())
        };

        assert_eq!(said("public, max-age=21600, must-revalidate"), Some(21_600));
        assert_eq!(said("Max-Age=\"60\""), Some(60));
        assert_eq!(said("no-store"), Some(0));
        assert_eq!(said("max-age=60, no-cache"), Some(0));
        for none in [
            "",
            "public",
            "max-age",
            "max-age=-1",
            "max-age=soon",
            "s-maxage=9",
        ] {
            assert_eq!(said(none), None, "{none}");
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }

    #[test]
    fn keys_are_asked_for_in_clear_text_only_of_who_speaks_it_anyway() {
        let found = |issuer: &str, uri: &str| {
            let document = json!({ "jwks_uri": uri });
            let document = document.as_object().unwrap();
            endpoint(document, &Issuer::new(issuer), "jwks_uri").is_ok()
        };

        assert!(found("https://as", "https://keys/jwks"));
        assert!(found("http://as", "http://as/jwks"));
        assert!(!found("https://as", "http://as/jwks"));
        assert!(!found("http://as", "file:///etc/passwd"));
        assert!(!found("https://as", "jwks"));
    }
}
