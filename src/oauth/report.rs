//! What discovery tried, for the person who has to find out why it did not work.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::fetch;

/// Which document was sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// Protected resource metadata (RFC 9728).
    Resource,
    /// Authorization server metadata (RFC 8414, `OpenID` Connect Discovery).
    Server,
}

/// What one URL said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The document that was used.
    Used,
    /// Not contacted: a challenge pointed to another origin than the server's.
    OtherOrigin,
    /// An answer that is no document.
    Status(StatusCode),
    /// An answer with a good status that is not a JSON object.
    NotJson,
    /// A document that may not be used, with the reason.
    Unusable(String),
    /// No answer.
    Failed(fetch::Error),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used => f.write_str("used"),
            Self::OtherOrigin => f.write_str("another origin than the server's: not contacted"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::NotJson => f.write_str("not a JSON object"),
            Self::Unusable(reason) => f.write_str(reason),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// One URL tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was sought there.
    pub sought: Sought,
    /// The URL without its query.
    pub url: String,
    /// The status of its answer, if there was one.
    pub status: Option<StatusCode>,
    /// How long that took.
    pub latency: Duration,
    /// What it said.
    pub finding: Finding,
}

/// How asking went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// The answer's status, if there was one.
    pub(super) status: Option<StatusCode>,
    /// How long it took.
    pub(super) latency: Duration,
}

/// Every URL tried, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The attempts.
    pub attempts: Vec<Attempt>,
}

impl Report {
    pub(super) fn add(&mut self, sought: Sought, url: &Url, asked: Asked, finding: Finding) {
        let mut url = url.clone();
        url.set_query(None);
        // A URL from a challenge may carry a password; it is refused, and not repeated here.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        self.attempts.push(Attempt {
            sought,
            url: url.into(),
            status: asked.status,
            latency: asked.latency,
            finding,
        });
    }
}
