//! The one guarded way out to the web (design, section 9). Knows HTTP, names and addresses;
//! must not know OAuth or MCP.
//!
//! Invariants, for every request: a deadline over everything; a cap on the body; no proxy from the
//! environment; no cookie, no referrer; user information refused; no redirect followed by the HTTP
//! client itself; unless [`Policy::Operator`] asks, every address, written or resolved, admitted by
//! [`address`]. **A request is written at most once**: connections are never reused, since a reused
//! one may turn out dead after the request was written to it, and every retry of the client is off.
//! A request with a body knows whether it was written: see `gate`.
//!
//! Begin with [`Fetch::send`]; what may be asked for is in [`Request`], what may go wrong in
//! [`Error`].

pub mod address;
mod error;
mod gate;
mod message;
mod resolver;
mod route;
mod rules;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{AUTHORIZATION, LOCATION};
use http::{Method, StatusCode};
use tokio::time::timeout;
use url::Url;

pub use error::{Cause, Error, Sent, Why};
pub use message::{DEFAULT_CAP, DEFAULT_DEADLINE, ReadBody, Redirects, Request, Response};
pub use resolver::Names;
pub use route::{NoRoots, Roots, Route};
pub use rules::{FetchRules, Loopback, PlainHttp, Policy, is_loopback};

use gate::{Gate, TooLate};
use resolver::{Forbidden, Guarded};

/// How long names, TCP and TLS may take together.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How many redirects are followed.
const MAX_HOPS: usize = 5;

/// The way out. Cheap to clone; all clones share the rules.
#[derive(Debug, Clone)]
pub struct Fetch {
    rules: Arc<FetchRules>,
    others: Others,
    operator: reqwest::Client,
}

/// How what tenants and upstreams name is reached.
#[derive(Debug, Clone)]
enum Others {
    /// By connections that are made to checked addresses.
    Straight {
        tenant: reqwest::Client,
        local: reqwest::Client,
    },
    /// Through a proxy, which resolves names once more; ours are resolved and checked before.
    Proxied {
        client: reqwest::Client,
        guard: Guarded,
    },
}

impl Fetch {
    /// A way out under these rules. Installs rustls' ring provider for the process unless one is
    /// installed.
    ///
    /// # Errors
    /// [`Error::Setup`] when the system's root certificates cannot be loaded.
    pub fn new(rules: FetchRules) -> Result<Self, Error> {
        Self::by(&Route::default(), rules)
    }

    /// The same by a given route.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn by(route: &Route, rules: FetchRules) -> Result<Self, Error> {
        // An error means that a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(rules);
        let guard = |policy| Guarded::new(Arc::clone(&rules), policy, route.names.clone());
        let client = |policy| builder(route, guard(policy));
        let others = match route.proxy()? {
            None => {
                let tenant = built(client(Policy::Tenant)?)?;
                let local = match rules.loopback {
                    Loopback::Allowed => built(client(Policy::Local)?)?,
                    // The same rules, and one set of root certificates less to read.
                    Loopback::Refused => tenant.clone(),
                };
                Others::Straight { tenant, local }
            }
            // The one name that this client resolves is the proxy's, which is the operator's.
            Some(proxy) => Others::Proxied {
                client: built(client(Policy::Operator)?.proxy(proxy))?,
                guard: guard(Policy::Tenant),
            },
        };
        Ok(Self {
            others,
            operator: built(client(Policy::Operator)?)?,
            rules,
        })
    }

    /// Whether a request to this URL would be tried, as far as can be told without resolving its
    /// name; the URL as it would be requested.
    ///
    /// # Errors
    /// [`Error::Blocked`].
    pub fn check(&self, policy: Policy, url: &Url) -> Result<Url, Error> {
        self.rules.check(policy, url)
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// The request is written at most once for each hop. Dropping the future abandons it. A request
    /// with a body whose time ends before anything of it was written is [`Error::NotSent`].
    ///
    /// # Errors
    /// Every [`Error`] but `Setup`; [`Error::sent`] tells whether repeating is safe.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let deadline = request.deadline;
        let host = host(&request.url);
        let gate = (!request.body.is_empty()).then(Gate::default);
        let answer = timeout(deadline, self.follow(request, gate.as_ref()))
            .await
            .unwrap_or_else(|_elapsed| {
                Err(Error::Unknown {
                    host,
                    cause: Cause::Deadline,
                })
            });
        match answer {
            // Perhaps it was still connecting. Without a gate that cannot be known.
            Err(Error::Unknown { host, cause }) if gate.is_some_and(|gate| gate.shut()) => {
                Err(Error::NotSent { host, cause })
            }
            answer => answer,
        }
    }

    async fn follow(&self, mut request: Request, gate: Option<&Gate>) -> Result<Response, Error> {
        let follows = request.redirects == Redirects::Checked
            && request.method == Method::GET
            && request.body.is_empty()
            && !request.headers.contains_key(AUTHORIZATION);
        for _hop in 0..=MAX_HOPS {
            let response = self.once(&request, gate).await?;
            if !follows || !is_redirect(response.status) {
                return Ok(response);
            }
            request.url = target(&response).ok_or_else(|| Error::Redirect {
                host: host(&response.url),
            })?;
        }
        Err(Error::Redirect {
            host: host(&request.url),
        })
    }

    async fn once(&self, request: &Request, gate: Option<&Gate>) -> Result<Response, Error> {
        let url = self.rules.check(request.policy, &request.url)?;
        let body = match gate {
            Some(gate) => reqwest::Body::wrap(gate.body(request.body.clone(), request.send_before)),
            None if request.send_before.is_some() => {
                return Err(Error::NotSent {
                    host: host(&url),
                    cause: Cause::Request,
                });
            }
            None => reqwest::Body::default(),
        };
        let (client, path) = match (request.policy, &self.others) {
            (Policy::Operator, _) => (&self.operator, Path::Straight),
            (Policy::Tenant, Others::Straight { tenant, .. }) => (tenant, Path::Straight),
            (Policy::Local, Others::Straight { local, .. }) => (local, Path::Straight),
            (policy, Others::Proxied { client, guard }) => {
                guard.under(policy).vouch(&url).await?;
                // This machine is reached from here; the proxy would look on its own.
                if policy == Policy::Local && is_loopback(&url) {
                    (&self.operator, Path::Straight)
                } else {
                    (client, Path::Proxied)
                }
            }
        };
        let mut answer = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .body(body)
            .send()
            .await
            .map_err(|error| no_answer(&url, &error, path))?;
        let limit = match request.read {
            ReadBody::UpTo(limit) => limit,
            ReadBody::No => {
                return Ok(Response {
                    status: answer.status(),
                    headers: std::mem::take(answer.headers_mut()),
                    body: bytes::Bytes::new(),
                    url,
                });
            }
        };
        let body = read(&mut answer, &url, limit).await?;
        Ok(Response {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            body,
            url,
        })
    }
}

/// Whether a proxy stands between us and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Straight,
    Proxied,
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder.build().map_err(|_error| Error::Setup)
}

fn builder(route: &Route, names: Guarded) -> Result<reqwest::ClientBuilder, Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("stationmaster/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(names)
        .tls_certs_merge(route.roots.certificates()?)
        .connect_timeout(CONNECT_PATIENCE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Without a pool the client's own repetitions, all of them about connections found dead,
        // cannot happen; with HTTP/1.1 only, neither can HTTP/2's about refused streams. The price
        // is a handshake for each request, at a service that makes few.
        .pool_max_idle_per_host(0)
        .http1_only()
        .retry(reqwest::retry::never());
    Ok(builder)
}

/// The body, as far as the limit.
async fn read(
    answer: &mut reqwest::Response,
    url: &Url,
    limit: usize,
) -> Result<bytes::Bytes, Error> {
    let too_large = || Error::TooLarge {
        host: host(url),
        limit,
    };
    let announced = answer.content_length().unwrap_or(0);
    if usize::try_from(announced).unwrap_or(usize::MAX) > limit {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_error| Error::Unknown {
        host: host(url),
        cause: Cause::Truncated,
    })? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What a request without an answer means. "Not sent" only where the client says that it never had
/// a connection.
fn no_answer(url: &Url, error: &reqwest::Error, path: Path) -> Error {
    let host = host(url);
    if let Some(Forbidden(special)) = in_chain::<Forbidden>(error) {
        return Error::Blocked {
            host,
            why: Why::Address(*special),
        };
    }
    let (sent, cause) = if in_chain::<TooLate>(error).is_some() {
        (Sent::No, Cause::TooLate)
    } else if error.is_builder() {
        (Sent::No, Cause::Request)
    } else if error.is_connect() && path == Path::Proxied {
        (Sent::No, Cause::Proxy)
    } else if error.is_connect() && error.is_dns() {
        (Sent::No, Cause::Name)
    } else if error.is_connect() {
        (Sent::No, Cause::Connection)
    } else if error.is_timeout() {
        (Sent::Maybe, Cause::Deadline)
    } else {
        (Sent::Maybe, Cause::Reset)
    };
    match sent {
        Sent::No => Error::NotSent { host, cause },
        Sent::Maybe => Error::Unknown { host, cause },
    }
}

fn in_chain<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads; `None` if nowhere readable or from https to http.
fn target(response: &Response) -> Option<Url> {
    let location = response.headers.get(LOCATION)?.to_str().ok()?;
    let target = response.url.join(location).ok()?;
    let downgrade = response.url.scheme() == "https" && target.scheme() != "https";
    (!downgrade).then_some(target)
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}
