//! What goes out and what comes back. Neither shows headers' values, bodies or queries in `Debug`.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use super::rules::Policy;

/// The deadline of a request that names none.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The body cap of a request that names none: 1 MiB.
pub const DEFAULT_CAP: usize = 1024 * 1024;

/// Whether redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirects {
    /// A redirect is an answer like any other.
    #[default]
    Refused,
    /// At most five, each checked like a first request, never from https to http. Has no effect on
    /// anything but a `GET` without body and `Authorization`, so nothing secret is ever carried on.
    Checked,
}

/// How much of an answer's body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBody {
    /// All of it; more than so many bytes is an error.
    UpTo(usize),
    /// None: the connection is dropped after the head, so an endless stream costs nothing.
    No,
}

/// A request to be sent.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) policy: Policy,
    pub(super) redirects: Redirects,
    pub(super) read: ReadBody,
    pub(super) deadline: Duration,
    pub(super) send_before: Option<Instant>,
}

impl Request {
    /// A request under [`Policy::Tenant`], without redirects, with default deadline and cap.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            policy: Policy::default(),
            redirects: Redirects::default(),
            read: ReadBody::UpTo(DEFAULT_CAP),
            deadline: DEFAULT_DEADLINE,
            send_before: None,
        }
    }

    /// A `GET` of a JSON document, redirects followed with care.
    pub fn document(url: Url) -> Self {
        Self::new(Method::GET, url)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .redirects(Redirects::Checked)
    }

    /// A `POST` of a JSON body that wants JSON back.
    pub fn post_json(url: Url, body: impl Into<Bytes>) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self::new(Method::POST, url)
            .header(CONTENT_TYPE, json.clone())
            .header(ACCEPT, json)
            .body(body)
    }

    /// Sets a header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets all headers.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets who chose the address.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets whether redirects are followed.
    #[must_use]
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sets how much of the body is read.
    #[must_use]
    pub fn read(mut self, read: ReadBody) -> Self {
        self.read = read;
        self
    }

    /// Sets how long everything together may take: names, connection, redirects, body.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets until when it may be written: checked directly before the first byte would be, after
    /// names, TCP and TLS. It is for requests with a body; one without is not sent at all then.
    #[must_use]
    pub fn send_before(mut self, before: Instant) -> Self {
        self.send_before = Some(before);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body.len())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A complete answer (or its head, when no more was asked for), whatever its status.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty when it was not read.
    pub body: Bytes,
    /// The URL that answered, after redirects.
    pub url: Url,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("host", &self.url.host_str())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_query_nor_headers_nor_body() {
        let url = Url::parse("https://example.com/path?code=hush").unwrap();
        let secret = HeaderValue::from_static("Bearer hush");
        let request = Request::post_json(url.clone(), "hush")
            .header(http::header::AUTHORIZATION, secret.clone());
        let mut headers = HeaderMap::new();
        headers.insert(http::header::SET_COOKIE, secret);
        let response = Response {
            status: StatusCode::OK,
            headers,
            body: Bytes::from_static(b"hush"),
            url,
        };

        let shown = format!("{request:?} {response:?}");

        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("example.com"));
    }
}
