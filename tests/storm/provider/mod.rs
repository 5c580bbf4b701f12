//! The scripted provider, a process of its own: two authorization servers (`/as` rotates refresh
//! tokens and kills a family at the first reuse, `/steady` does not rotate) and the MCP servers they
//! guard, on one port; what the driver tells it, on another.
//!
//! It keeps the journal by which the storm is judged. It ends when its standard input does.

mod peer;
mod script;
mod state;
mod token;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::clock;
use super::journal::{Journal, Saw};
use peer::Finder;
use script::Script;
pub(crate) use script::Weather;
use state::{Code, State};
use token::Call;
use wire::{Answer, Request};

/// Everything the provider is.
#[derive(Debug)]
pub(crate) struct Provider {
    port: u16,
    deadline: u64,
    state: Mutex<State>,
    journal: Journal,
    cut: watch::Sender<bool>,
    finder: Finder,
    conns: AtomicU64,
}

/// Runs it: `provider JOURNAL PORT SEED DEADLINE LEASE`, times in milliseconds. Prints the control port.
pub(crate) async fn run(arguments: &[String]) {
    let [journal, port, seed, deadline, lease] = arguments else {
        panic!("provider JOURNAL PORT SEED DEADLINE LEASE");
    };
    let number = |text: &String| -> u64 { text.parse().expect("a number") };
    let script = Script {
        seed: number(seed),
        deadline: number(deadline),
        lease: number(lease),
    };
    let provider = Arc::new(Provider {
        port: port.parse().expect("a port"),
        deadline: script.deadline,
        state: Mutex::new(State::new(script)),
        journal: Journal::create(&PathBuf::from(journal)),
        cut: watch::channel(false).0,
        finder: Finder::start(port.parse().expect("a port")),
        conns: AtomicU64::new(0),
    });
    let control = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("the control port can be bound");
    let at = control.local_addr().expect("a bound port has a number");
    let public = tokio::spawn(Arc::clone(&provider).serve());
    tokio::spawn(provider.controlled(control));
    println!("{}", at.port());
    let parent = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    tokio::select! {
        _ = parent => {}
        ended = public => panic!("the provider ended: {ended:?}"),
    }
    // The blocking read would hold up the runtime's end.
    std::process::exit(0);
}

impl Provider {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Listens while the network is whole: when it is cut, nobody does.
    async fn serve(self: Arc<Self>) {
        let mut cut = self.cut.subscribe();
        loop {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await;
            let listener = listener.expect("the provider's port can be bound");
            loop {
                tokio::select! {
                    biased;
                    _ = cut.wait_for(|cut| *cut) => break,
                    accepted = listener.accept() => {
                        let Ok((stream, peer)) = accepted else { continue };
                        let accepted = clock::now();
                        tokio::spawn(Arc::clone(&self).converse(stream, peer, accepted));
                    }
                }
            }
            drop(listener);
            let _ = cut.wait_for(|cut| !*cut).await;
        }
    }

    async fn converse(self: Arc<Self>, mut stream: TcpStream, peer: SocketAddr, accepted: u64) {
        let mut cut = self.cut.subscribe();
        let request = tokio::select! {
            _ = cut.wait_for(|cut| *cut) => None,
            request = wire::read(&mut stream) => request,
        };
        let Some(request) = request else {
            return wire::reset(stream);
        };
        if request.path.ends_with("/token") {
            let pids = self.state().pids.clone();
            let conn = self.conns.fetch_add(1, Ordering::Relaxed) + 1;
            let owner = self.finder.owner(peer.port(), pids);
            let provider = Arc::clone(&self);
            let call = Call {
                conn,
                accepted,
                port: peer.port(),
                sender: tokio::spawn(async move {
                    let pid = owner.await.ok().flatten();
                    provider.journal.write(Saw::Sender { conn, pid });
                }),
                stream,
                cut,
            };
            self.state().open += 1;
            self.token(call, &request).await;
            self.state().open -= 1;
            return;
        }
        let answer = self.page(&request);
        if wire::write(&mut stream, &answer.bytes()).await {
            wire::closing(&mut stream, &mut cut).await;
        }
        wire::reset(stream);
    }

    fn page(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let metadata = path.strip_prefix("/.well-known/oauth-authorization-server/");
        if let Some(name @ ("as" | "steady")) = metadata {
            return Answer::json(200, &self.metadata(name));
        }
        if let Some(resource) = path.strip_prefix("/.well-known/oauth-protected-resource") {
            let issuer = if resource.starts_with("/mcp/steady") {
                "/steady"
            } else {
                "/as"
            };
            return Answer::json(
                200,
                &json!({
                    "resource": self.url(resource),
                    "authorization_servers": [self.url(issuer)],
                }),
            );
        }
        if path.starts_with("/mcp/") {
            return self.resource(request);
        }
        match path.rsplit('/').next() {
            Some("register") => self.register(request),
            Some("authorize") => self.authorize(request),
            Some("revoke") => {
                let token = request.form().remove("token").unwrap_or_default();
                self.state().revoke(&token, &self.journal);
                Answer::status(200)
            }
            _ => Answer::status(404),
        }
    }

    fn metadata(&self, name: &str) -> Value {
        let at = |what: &str| self.url(&format!("/{name}/{what}"));
        json!({
            "issuer": self.url(&format!("/{name}")),
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "registration_endpoint": at("register"),
            "revocation_endpoint": at("revoke"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn resource(&self, request: &Request) -> Answer {
        let bearer = request.header("authorization").strip_prefix("Bearer ");
        let accepted = bearer.is_some_and(|bearer| self.state().accept(bearer, &self.journal));
        if accepted {
            return Answer::status(200);
        }
        let metadata = self.url(&format!(
            "/.well-known/oauth-protected-resource{}",
            request.path
        ));
        Answer::status(401).with(
            "www-authenticate",
            format!("Bearer error=\"invalid_token\", resource_metadata=\"{metadata}\""),
        )
    }

    fn register(&self, request: &Request) -> Answer {
        let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::status(400);
        };
        let uris = body["redirect_uris"].as_array().into_iter().flatten();
        let uris = uris.filter_map(|uri| uri.as_str().map(str::to_owned));
        let id = self.state().register(uris.collect());
        body["client_id"] = json!(id);
        Answer::json(201, &body)
    }

    /// Consents at once, for the user whom the browser names in a header.
    fn authorize(&self, request: &Request) -> Answer {
        let given = |name: &str| request.query.get(name).cloned().unwrap_or_default();
        let (client, redirect_uri) = (given("client_id"), given("redirect_uri"));
        let mut state = self.state();
        if !state.is_client(&client, &redirect_uri) || given("code_challenge_method") != "S256" {
            return Answer::status(400);
        }
        let server = given("resource");
        let code = state.code(Code {
            client,
            redirect_uri: redirect_uri.clone(),
            challenge: given("code_challenge"),
            user: request.header("x-storm-user").to_owned(),
            server: server.rsplit('/').next().unwrap_or_default().to_owned(),
        });
        drop(state);
        let issuer = request.path.trim_end_matches("/authorize");
        let Ok(mut back) = url::Url::parse(&redirect_uri) else {
            return Answer::status(400);
        };
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &given("state"))
            .append_pair("iss", &self.url(issuer));
        Answer::status(302).with("location", back)
    }

    /// What the driver says: who the replicas are, the weather, a cut of the network.
    async fn controlled(self: Arc<Self>, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(request) = wire::read(&mut stream).await else {
                continue;
            };
            let answer = self.control(&request);
            wire::write(&mut stream, &answer.bytes()).await;
            // Closed by the client first, as everywhere here.
            wire::closing(&mut stream, &mut self.cut.subscribe()).await;
            wire::reset(stream);
        }
    }

    fn control(self: &Arc<Self>, request: &Request) -> Answer {
        let said = serde_json::from_slice::<Value>(&request.body).unwrap_or(Value::Null);
        if let Ok(pids) = serde_json::from_value(said["pids"].clone()) {
            self.state().pids = pids;
        }
        if let Ok(weather) = serde_json::from_value(said["weather"].clone()) {
            self.state().weather = weather;
        }
        if let Some(length) = said["cut"].as_u64() {
            let provider = Arc::clone(self);
            provider.journal.write(Saw::Cut);
            provider.cut.send_replace(true);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(length)).await;
                provider.cut.send_replace(false);
                provider.journal.write(Saw::Mended);
            });
        }
        Answer::json(200, &json!({ "open": self.state().open }))
    }
}
