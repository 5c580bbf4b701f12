//! What a browser says about itself: which one it is, where a form comes from, and whether a person
//! is looking at all.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, COOKIE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

/// As made by `App::new_browser`.
const ID_LENGTH: usize = 43;

/// The site as browsers know it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    origin: String,
    cookie: &'static str,
    attributes: &'static str,
}

impl Site {
    /// The site of this public URL. Over https its cookie cannot be set by another host, a
    /// subdomain included (RFC 6265bis, section 4.1.3.2); http is for loopback in development.
    pub(super) fn at(public_url: &Url) -> Self {
        let (cookie, attributes) = if public_url.scheme() == "https" {
            (
                "__Host-stationmaster",
                "; Path=/; Secure; HttpOnly; SameSite=Lax",
            )
        } else {
            ("stationmaster-browser", "; Path=/; HttpOnly; SameSite=Lax")
        };
        Self {
            origin: public_url.origin().ascii_serialization(),
            cookie,
            attributes,
        }
    }

    /// The id this browser was given, if it is one of ours by its looks.
    pub(super) fn browser<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, value)| *name == self.cookie && is_id(value))
            .map(|(_, value)| value)
    }

    /// Gives a browser its id, for as long as it runs.
    pub(super) fn set_cookie(&self, id: &str) -> Option<HeaderValue> {
        let Self {
            cookie, attributes, ..
        } = self;
        let mut value = HeaderValue::from_str(&format!("{cookie}={id}{attributes}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether a form was sent from a page of ours, as far as the browser says (Fetch metadata;
    /// RFC 6454, section 7). Where it says nothing, the cookie alone has to do, which a form of
    /// another site does not carry.
    pub(super) fn is_own_form(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let origin = text(ORIGIN);
        let own = origin.is_none_or(|origin| origin == self.origin);
        match text(HeaderName::from_static("sec-fetch-site")) {
            // Some settings of browsers hide the origin, but no page can forge the other header.
            Some("same-origin") => own || origin == Some("null"),
            Some(_) => false,
            None => own,
        }
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == ID_LENGTH && text.bytes().all(allowed)
}

/// Whether a program is looking ahead, on behalf of nobody yet.
fn looks_ahead(method: &Method, headers: &HeaderMap) -> bool {
    let ahead = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains("prefetch") || value.contains("preview"))
    };
    *method == Method::HEAD || ["sec-purpose", "purpose", "x-moz"].into_iter().any(ahead)
}

/// Lets visits pass and turns previews away: opening a link binds it to the browser, and a callback
/// can be used once.
pub(super) async fn visits_only(request: Request, next: Next) -> Response {
    if !looks_ahead(request.method(), request.headers()) {
        return next.run(request).await;
    }
    let status = if *request.method() == Method::HEAD {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::FORBIDDEN
    };
    (status, [(CACHE_CONTROL, "no-store")]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDE_-";

    fn site(url: &str) -> Site {
        Site::at(&Url::parse(url).unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_over_https() {
        let secure = site("https://mcp.example.com/").set_cookie(ID).unwrap();
        let plain = site("http://127.0.0.1:7401/").set_cookie(ID).unwrap();

        assert_eq!(
            secure.to_str().unwrap(),
            format!("__Host-stationmaster={ID}; Path=/; Secure; HttpOnly; SameSite=Lax")
        );
        assert!(
            plain
                .to_str()
                .unwrap()
                .starts_with("stationmaster-browser=")
        );
        assert!(!plain.to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn a_browser_is_known_by_its_cookie_alone() {
        let site = site("https://mcp.example.com/");
        let known = format!("a=b; __Host-stationmaster={ID}");
        let other = format!("stationmaster-browser={ID}");

        assert_eq!(site.browser(&headers(&[("cookie", &known)])), Some(ID));
        assert_eq!(site.browser(&headers(&[("cookie", &other)])), None);
        let short = headers(&[("cookie", "__Host-stationmaster=short")]);
        assert_eq!(site.browser(&short), None);
        assert_eq!(site.browser(&HeaderMap::new()), None);
    }

    #[test]
    fn a_form_of_another_site_is_told_from_ours() {
        let site = site("https://mcp.example.com/base");
        let ours = "https://mcp.example.com";
        let own = |pairs: &[(&'static str, &str)]| site.is_own_form(&headers(pairs));

        assert!(own(&[]));
        assert!(own(&[("origin", ours)]));
        assert!(own(&[("origin", ours), ("sec-fetch-site", "same-origin")]));
        assert!(own(&[
            ("origin", "null"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(!own(&[("origin", "null")]));
        assert!(!own(&[("origin", "https://evil.example")]));
        assert!(!own(&[("origin", ours), ("sec-fetch-site", "same-site")]));
        assert!(!own(&[("sec-fetch-site", "cross-site")]));
        assert!(!own(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn previews_are_no_visits() {
        let none = HeaderMap::new();
        let prerender = headers(&[("sec-purpose", "prefetch;prerender")]);
        let preview = headers(&[("purpose", "preview")]);

        assert!(looks_ahead(&Method::HEAD, &none));
        assert!(looks_ahead(&Method::GET, &prerender));
        assert!(looks_ahead(&Method::GET, &preview));
        assert!(!looks_ahead(&Method::GET, &none));
        assert!(!looks_ahead(&Method::POST, &none));
    }
}
