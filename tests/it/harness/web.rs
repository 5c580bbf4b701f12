//! A scripted web server on loopback: it records every request and answers from a script. The fake
//! of everything out there; a fake authorization server is a [`Web`] with a longer script.
//!
//! A reply given with [`Web::on`] answers every request to its path; one given with [`Web::once`]
//! answers one, before those, in the order given. A path without a reply is a 404. Misbehaviour is
//! a [`Reply`] too: no answer, an answer cut short, a connection that ends.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::serve::Listener;
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::tls::TlsListener;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header's value; the last of several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A member of a form body.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(&self.body)
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A parameter of the query.
    pub(crate) fn asked(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The JSON body; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

type Make = dyn Fn(&Seen) -> Reply + Send + Sync;

/// What a request gets.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A complete answer.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    },
    /// The head, part of the body, then the connection ends.
    Truncated(&'static str),
    /// A body that never ends.
    Endless,
    /// A body that comes a byte at a time, each just soon enough to seem alive, and never ends.
    Dripping,
    /// The request is read, then the connection ends without a byte of answer.
    Reset,
    /// The request is read and never answered.
    Silence,
    /// Whatever this makes of the request.
    Made(Arc<Make>),
    /// Another reply, once the gate is closed.
    Held(Arc<Semaphore>, Box<Reply>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::status(status).with("location", location)
    }

    pub(crate) fn made(make: impl Fn(&Seen) -> Self + Send + Sync + 'static) -> Self {
        Self::Made(Arc::new(make))
    }

    /// The answer with one more header; other replies as they are.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

#[derive(Default)]
struct Script {
    seen: Vec<Seen>,
    once: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Reply>,
}

/// The server. It ends when dropped.
pub(crate) struct Web {
    scheme: &'static str,
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _serving: JoinSet<()>,
}

impl Web {
    /// A server on a free port of 127.0.0.1, without any reply yet.
    pub(crate) async fn start() -> Self {
        Self::on_listener(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    /// The same over TLS, with the certificate of [`super::tls`].
    pub(crate) async fn start_tls() -> Self {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        Self::serving("https", address, TlsListener::new(tcp))
    }

    /// Two servers on two addresses of this machine, at one port.
    pub(crate) async fn start_on_both(one: IpAddr, other: IpAddr) -> (Self, Self) {
        loop {
            let first = TcpListener::bind((one, 0)).await.unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = TcpListener::bind((other, port)).await {
                return (Self::on_listener(first), Self::on_listener(second));
            }
        }
    }

    fn on_listener(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        Self::serving("http", address, listener)
    }

    fn serving<L: Listener<Addr = SocketAddr>>(
        scheme: &'static str,
        address: SocketAddr,
        listener: L,
    ) -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            scheme,
            address,
            script,
            _serving: serving,
        }
    }

    /// The URL of a path, by address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The URL of a path, by the name `localhost`: the same server, another origin.
    pub(crate) fn url_by_name(&self, path: &str) -> String {
        self.url_at("localhost", path)
    }

    /// The URL of a path by another name of this machine, or one that is said to be.
    pub(crate) fn url_at(&self, name: &str, path: &str) -> String {
        format!("{}://{name}:{}{path}", self.scheme, self.address.port())
    }

    /// Replies to every request to this path.
    pub(crate) fn on(&self, path: &str, reply: Reply) {
        self.script().always.insert(path.to_owned(), reply);
    }

    /// Replies to one request to this path, before what [`Self::on`] says.
    pub(crate) fn once(&self, path: &str, reply: Reply) {
        let mut script = self.script();
        script
            .once
            .entry(path.to_owned())
            .or_default()
            .push_back(reply);
    }

    /// Every request so far, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    /// The paths of every request so far, in order of arrival.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.script()
            .seen
            .iter()
            .map(|seen| seen.path.clone())
            .collect()
    }

    /// The requests to one path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|one| one.path == path);
        seen
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, head: Parts, body: Bytes) -> Response {
    let seen = Seen {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    };
    let reply = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.seen.push(seen.clone());
        let once = script
            .once
            .get_mut(&seen.path)
            .and_then(VecDeque::pop_front);
        once.or_else(|| script.always.get(&seen.path).cloned())
    };
    perform(reply.unwrap_or_else(|| Reply::status(404)), &seen).await
}

async fn perform(reply: Reply, seen: &Seen) -> Response {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            response
        }
        Reply::Truncated(start) => {
            let end = stream::once(async {
                // What was written so far goes out while the stream is not ready.
                tokio::task::yield_now().await;
                Err("cut")
            });
            let chunks = stream::iter([Ok(start)]).chain(end);
            let mut response = Response::new(Body::from_stream(chunks));
            let length = http::HeaderValue::from(start.len() + 100);
            response.headers_mut().insert("content-length", length);
            response
        }
        Reply::Endless => {
            let chunks = stream::repeat_with(|| Ok::<_, &str>("x".repeat(1024)));
            Response::new(Body::from_stream(chunks))
        }
        Reply::Dripping => {
            let drip = |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, &str>("x"), ()))
            };
            Response::new(Body::from_stream(stream::unfold((), drip)))
        }
        // Unwinds the connection's task, which closes the connection; says nothing on the console.
        Reply::Reset => std::panic::resume_unwind(Box::new("reset")),
        Reply::Silence => {
            tokio::time::sleep(Duration::MAX).await;
            Response::default()
        }
        Reply::Made(make) => Box::pin(perform(make(seen), seen)).await,
        Reply::Held(gate, reply) => {
            let _closed = gate.acquire().await;
            Box::pin(perform(*reply, seen)).await
        }
    }
}
