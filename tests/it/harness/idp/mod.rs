//! A fake authorization server with the MCP servers it guards, on loopback: metadata of both (RFC
//! 9728, RFC 8414), registration (RFC 7591), consent without a question, codes for one use with
//! PKCE, and refresh tokens that rotate and whose reuse ends the grant. Its clock stands still: an
//! access token is good until its grant ends. Every request stays in the journal.

mod clients;
mod manners;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::keys::Key;
use super::web::{Reply, Seen, Web};
use state::State;

const AUTHORIZE: &str = "/as/authorize";
const TOKEN: &str = "/as/token";
const REGISTER: &str = "/as/register";
const REVOKE: &str = "/as/revoke";
const CLIENT: &str = "/as/client";
const METADATA: &str = "/.well-known/oauth-authorization-server/as";

/// What the person at the consent page does, or what goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    Denied,
    /// `error=server_error`.
    Broken,
    /// `error=invalid_scope`.
    Refused,
    /// Neither code nor error.
    Empty,
    /// Another issuer's name in the answer.
    WrongIssuer,
    /// No issuer in the answer.
    NoIssuer,
}

/// What goes wrong at the token endpoint, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503 with `Retry-After`, in seconds.
    Busy(u32),
    /// `invalid_grant`.
    InvalidGrant,
    /// `invalid_client`.
    InvalidClient,
    /// `invalid_request`.
    InvalidRequest,
    /// The request is read and comes to nothing; the connection ends.
    Ignored,
    /// The request has its effect, but the answer is lost.
    AnswerLost,
}

/// The fake. It ends when dropped.
pub(crate) struct Idp {
    web: Web,
    state: Arc<Mutex<State>>,
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let web = Web::start().await;
        let state = Arc::new(Mutex::new(State::new(web.url("/as"))));
        let idp = Self { web, state };
        idp.web.on(METADATA, Reply::json(200, &idp.metadata()));
        idp.serve(REGISTER, State::register);
        idp.serve(AUTHORIZE, State::authorize);
        idp.serve(TOKEN, State::token);
        idp
    }

    fn serve(&self, path: &str, answer: fn(&mut State, &Seen) -> Reply) {
        let state = Arc::clone(&self.state);
        let reply = Reply::made(move |seen| answer(&mut lock(&state), seen));
        self.web.on(path, reply);
    }

    /// What it says about itself; a test may publish something else with [`Self::publish`].
    pub(crate) fn metadata(&self) -> Value {
        json!({
            "issuer": self.issuer(),
            "authorization_endpoint": self.web.url(AUTHORIZE),
            "token_endpoint": self.web.url(TOKEN),
            "registration_endpoint": self.web.url(REGISTER),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// From here on it takes revocations (RFC 7009) and says so.
    pub(crate) fn revokes(&self) {
        self.serve(REVOKE, State::revoke);
        let mut metadata = self.metadata();
        metadata["revocation_endpoint"] = json!(self.revocation_endpoint());
        self.publish(&metadata);
    }

    /// From here on clients that register can be managed (RFC 7592).
    pub(crate) fn manages(&self) {
        self.serve(CLIENT, State::manage);
        lock(&self.state).managed_at = Some(self.web.url(CLIENT));
    }

    pub(crate) fn revocation_endpoint(&self) -> String {
        self.web.url(REVOKE)
    }

    /// The next revocation is answered so.
    pub(crate) fn revoke_once(&self, reply: Reply) {
        self.web.once(REVOKE, reply);
    }

    /// Every revocation is answered so.
    pub(crate) fn revoke_always(&self, reply: Reply) {
        self.web.on(REVOKE, reply);
    }

    /// Every revocation is answered as usual, when the gate is closed, which lets all through.
    pub(crate) fn hold_revocations(&self) -> Arc<Semaphore> {
        self.hold_at(REVOKE, State::revoke)
    }

    /// Every registration is answered as usual, when the gate is closed, which lets all through.
    pub(crate) fn hold_registrations(&self) -> Arc<Semaphore> {
        self.hold_at(REGISTER, State::register)
    }

    fn hold_at(&self, path: &str, answer: fn(&mut State, &Seen) -> Reply) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let state = Arc::clone(&self.state);
        let answer = Reply::made(move |seen| answer(&mut lock(&state), seen));
        self.web
            .on(path, Reply::Held(Arc::clone(&gate), Box::new(answer)));
        gate
    }

    /// The next registration is answered when the gate is closed.
    pub(crate) fn hold_registration(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let state = Arc::clone(&self.state);
        let answer = Reply::made(move |seen| lock(&state).register(seen));
        let held = Reply::Held(Arc::clone(&gate), Box::new(answer));
        self.web.once(REGISTER, held);
        gate
    }

    /// The tokens whose revocation was asked for so far, each after its hint.
    pub(crate) fn revocations(&self) -> Vec<(String, String)> {
        let seen = self.web.seen_at(REVOKE);
        let asked = |seen: &Seen| Some((seen.form("token_type_hint")?, seen.form("token")?));
        seen.iter().filter_map(asked).collect()
    }

    /// The requests for revocation so far.
    pub(crate) fn revocation_requests(&self) -> Vec<Seen> {
        self.web.seen_at(REVOKE)
    }

    /// The clients deleted so far.
    pub(crate) fn unregistered(&self) -> Vec<String> {
        lock(&self.state).unregistered.clone()
    }

    /// How many grants are good.
    pub(crate) fn grants(&self) -> usize {
        lock(&self.state).grants()
    }

    pub(crate) fn publish(&self, metadata: &Value) {
        self.web.on(METADATA, Reply::json(200, metadata));
    }

    pub(crate) fn issuer(&self) -> String {
        self.web.url("/as")
    }

    pub(crate) fn authorization_endpoint(&self) -> String {
        self.web.url(AUTHORIZE)
    }

    pub(crate) fn token_endpoint(&self) -> String {
        self.web.url(TOKEN)
    }

    /// An MCP server under its guard, by name: the URL.
    pub(crate) fn mcp(&self, name: &str) -> String {
        let path = format!("/mcp/{name}");
        let url = self.web.url(&path);
        let at = format!("/.well-known/oauth-protected-resource{path}");
        self.names(name, &[self.issuer()]);
        let challenge = format!("Bearer resource_metadata=\"{}\"", self.web.url(&at));
        let state = Arc::clone(&self.state);
        let reply = Reply::made(move |seen| {
            let sent = seen.header("authorization").unwrap_or_default();
            if lock(&state).accepts(sent) {
                Reply::status(200)
            } else {
                Reply::status(401).with("www-authenticate", challenge.clone())
            }
        });
        self.web.on(&path, reply);
        url
    }

    /// From here on the metadata of an MCP server of this name names these issuers.
    pub(crate) fn names(&self, name: &str, issuers: &[String]) {
        let path = format!("/mcp/{name}");
        let at = format!("/.well-known/oauth-protected-resource{path}");
        let document = json!({ "resource": self.web.url(&path), "authorization_servers": issuers });
        self.web.on(&at, Reply::json(200, &document));
    }

    /// The web server beneath, for what is not scripted here.
    pub(crate) fn web(&self) -> &Web {
        &self.web
    }

    /// A client made by hand.
    pub(crate) fn add_client(&self, id: &str, secret: &str, redirect_uri: &str) {
        lock(&self.state).add_client(id, secret, redirect_uri);
    }

    /// A client that it knows by the document at this URL.
    pub(crate) fn add_documented_client(&self, url: &str, redirect_uri: &str) {
        lock(&self.state).add_public_client(url, redirect_uri);
    }

    /// From here on it says that it takes clients by their documents.
    pub(crate) fn takes_documents(&self) {
        let mut metadata = self.metadata();
        metadata["client_id_metadata_document_supported"] = json!(true);
        self.publish(&metadata);
    }

    /// A client made by hand that proves itself with a key, to the issuer or whoever `audience` names.
    pub(crate) fn add_signing_client(&self, id: &str, key: Key, to: (&str, &str)) {
        lock(&self.state).add_signing_client(id, key, to);
    }

    /// Another key takes the place of a client's.
    pub(crate) fn change_key(&self, id: &str, key: Key) {
        lock(&self.state).change_key(id, key);
    }

    /// It forgets every client, and nothing else.
    pub(crate) fn forget_clients(&self) {
        lock(&self.state).forget_clients();
    }

    /// A grant that a client obtained elsewhere: an access token and a refresh token.
    pub(crate) fn grant(&self, client: &str) -> (String, String) {
        lock(&self.state).grant(client)
    }

    pub(crate) fn consent(&self, consent: Consent) {
        lock(&self.state).consent = consent;
    }

    /// How long access tokens are said to live, in seconds.
    pub(crate) fn lifetime(&self, seconds: Option<u32>) {
        lock(&self.state).lifetime = seconds;
    }

    /// Whether a refresh is answered with a new refresh token.
    pub(crate) fn rotates(&self, rotates: bool) {
        lock(&self.state).rotates = rotates;
    }

    /// Whether a refresh token that was redeemed already is taken once more without harm.
    pub(crate) fn forgives(&self, forgives: bool) {
        lock(&self.state).forgives = forgives;
    }

    /// These scopes are granted, whatever is asked for.
    pub(crate) fn grants_only(&self, scopes: &str) {
        lock(&self.state).grants_only = Some(scopes.to_owned());
    }

    /// Whether grants come with a refresh token.
    pub(crate) fn renews(&self, renews: bool) {
        lock(&self.state).renews = renews;
    }

    /// The next request to the token endpoint goes wrong.
    pub(crate) fn once(&self, fault: Fault) {
        let refusal = |status, code| Reply::json(status, &json!({ "error": code }));
        let reply = match fault {
            Fault::Busy(seconds) => Reply::status(503).with("retry-after", seconds.to_string()),
            Fault::InvalidGrant => refusal(400, "invalid_grant"),
            Fault::InvalidClient => refusal(401, "invalid_client"),
            Fault::InvalidRequest => refusal(400, "invalid_request"),
            Fault::Ignored => Reply::Reset,
            Fault::AnswerLost => {
                let state = Arc::clone(&self.state);
                Reply::made(move |seen| {
                    lock(&state).token(seen);
                    Reply::Reset
                })
            }
        };
        self.web.once(TOKEN, reply);
    }

    /// The next request to the token endpoint is answered when the gate is closed, which lets
    /// everything through.
    pub(crate) fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let state = Arc::clone(&self.state);
        let answer = Reply::made(move |seen| lock(&state).token(seen));
        let held = Reply::Held(Arc::clone(&gate), Box::new(answer));
        self.web.once(TOKEN, held);
        gate
    }

    /// From here on every request to the token endpoint waits for this gate to be closed, which
    /// lets everything through that came to it.
    pub(crate) fn hold_all(&self) -> Arc<Semaphore> {
        self.hold_at(TOKEN, State::token)
    }

    /// Whether a server would take these words as authorization.
    pub(crate) fn accepts(&self, authorization: &str) -> bool {
        lock(&self.state).accepts(authorization)
    }

    /// The redirect URIs registered so far, in order.
    pub(crate) fn registered(&self) -> Vec<String> {
        let seen = self.web.seen_at(REGISTER);
        let uri = |seen: &Seen| seen.json()["redirect_uris"][0].as_str().map(str::to_owned);
        seen.iter().filter_map(uri).collect()
    }

    /// The codes presented so far.
    pub(crate) fn exchanges(&self) -> usize {
        self.presented("authorization_code").len()
    }

    /// The requests of clients in their own name so far.
    pub(crate) fn own_requests(&self) -> Vec<Seen> {
        self.presented("client_credentials")
    }

    /// The refresh tokens presented so far.
    pub(crate) fn redemptions(&self) -> Vec<String> {
        let seen = self.presented("refresh_token");
        let token = |seen: &Seen| seen.form("refresh_token");
        seen.iter().filter_map(token).collect()
    }

    /// The requests to the token endpoint so far.
    pub(crate) fn token_requests(&self) -> Vec<Seen> {
        self.web.seen_at(TOKEN)
    }

    /// The last request that presented a refresh token.
    pub(crate) fn last_redemption(&self) -> Option<Seen> {
        self.presented("refresh_token").pop()
    }

    fn presented(&self, grant_type: &str) -> Vec<Seen> {
        let mut seen = self.web.seen_at(TOKEN);
        seen.retain(|one| one.form("grant_type").as_deref() == Some(grant_type));
        seen
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
