//! Clients that registered themselves: their secrets, which may end, and how they are managed (RFC 7591,
//! RFC 7592).

use serde_json::{Value, json};

use super::state::{Client, State};
use super::{CLIENT, Idp, REGISTER, lock};
use crate::harness::web::{Reply, Seen};

impl Idp {
    /// From here on every client that registers gets a secret, and secrets given or given anew end then,
    /// in seconds.
    pub(crate) fn gives_secrets_until(&self, ends: i64) {
        lock(&self.state).secret_ends = Some(ends);
        let mut metadata = self.metadata();
        metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
        self.publish(&metadata);
    }

    /// From here on clients get a secret that they must send in the body. Neither metadata nor
    /// registrations say so.
    pub(crate) fn wants_secrets_in_the_body(&self) {
        lock(&self.state).post_only = true;
        let mut metadata = self.metadata();
        let members = metadata.as_object_mut().unwrap();
        members.remove("token_endpoint_auth_methods_supported");
        self.publish(&metadata);
    }

    /// The secrets given so far are void.
    pub(crate) fn void_secrets(&self) {
        for client in lock(&self.state).clients.values_mut() {
            client.secret = client
                .secret
                .take()
                .map(|secret| format!("no-more-{secret}"));
        }
    }

    /// From here on nobody can register.
    pub(crate) fn closes_registration(&self) {
        self.web.on(REGISTER, Reply::status(403));
    }

    /// From here on one can again.
    pub(crate) fn opens_registration(&self) {
        self.serve(REGISTER, State::register);
    }

    /// The next request that manages a client is answered so.
    pub(crate) fn manage_once(&self, reply: Reply) {
        self.web.once(CLIENT, reply);
    }

    /// Every request that manages a client is answered as usual, when the gate is closed, which lets all
    /// through.
    pub(crate) fn hold_management(&self) -> std::sync::Arc<tokio::sync::Semaphore> {
        self.hold_at(CLIENT, State::manage)
    }

    /// The updates of registrations so far.
    pub(crate) fn updates(&self) -> Vec<Seen> {
        let mut seen = self.web.seen_at(CLIENT);
        seen.retain(|one| one.method == "PUT");
        seen
    }
}

impl State {
    pub(super) fn register(&mut self, seen: &Seen) -> Reply {
        let wanted = seen.json();
        let redirect_uris = wanted["redirect_uris"].as_array().into_iter().flatten();
        let redirect_uris = redirect_uris.filter_map(|uri| uri.as_str().map(str::to_owned));
        let redirect_uris = redirect_uris.collect();
        let id = format!("client-{}", self.next());
        let by_secret = wanted["token_endpoint_auth_method"] != "none";
        let client = Client {
            redirect_uris,
            secret: by_secret.then(|| format!("secret-of-{id}")),
            managed_by: self.managed_at.is_some().then(|| format!("manage-{id}")),
            ..Client::default()
        };
        let answer = self.described(&id, &client, wanted);
        self.clients.insert(id, client);
        Reply::json(201, &answer)
    }

    /// What is said of a client besides what it said of itself.
    fn described(&self, id: &str, client: &Client, mut answer: Value) -> Value {
        answer["client_id"] = json!(id);
        if self.post_only {
            let members = answer.as_object_mut().unwrap();
            members.remove("token_endpoint_auth_method");
        }
        if let Some(secret) = &client.secret {
            answer["client_secret"] = json!(secret);
            if let Some(ends) = self.secret_ends {
                answer["client_secret_expires_at"] = json!(ends);
            }
        }
        if let (Some(at), Some(token)) = (&self.managed_at, &client.managed_by) {
            answer["registration_client_uri"] = json!(format!("{at}?id={id}"));
            answer["registration_access_token"] = json!(token);
        }
        answer
    }

    /// Deletes or updates a client that proves itself by its token (RFC 7592, sections 2.2 and 2.3). An
    /// update changes secret and token; the old ones are void.
    pub(super) fn manage(&mut self, seen: &Seen) -> Reply {
        let query = seen.query.clone().unwrap_or_default();
        let id = query.strip_prefix("id=").unwrap_or_default();
        let known = self.clients.get(id).and_then(|one| one.managed_by.as_ref());
        let proof = known.map(|token| format!("Bearer {token}"));
        if proof.is_none() || seen.header("authorization") != proof.as_deref() {
            return Reply::status(401);
        }
        match seen.method.as_str() {
            "DELETE" => {
                self.clients.remove(id);
                self.unregistered.push(id.to_owned());
                Reply::status(204)
            }
            "PUT" => self.update(id, seen.json()),
            _ => Reply::status(405),
        }
    }

    fn update(&mut self, id: &str, wanted: Value) -> Reply {
        let told = ["registration_access_token", "client_secret_expires_at"];
        let wrong = told.iter().any(|name| wanted.get(name).is_some());
        if wrong || wanted["client_id"] != id {
            return Reply::json(400, &json!({ "error": "invalid_client_metadata" }));
        }
        let made = self.next();
        let mut client = self.clients.remove(id).unwrap_or_default();
        client.secret = client.secret.map(|_| format!("secret-{made}-of-{id}"));
        client.managed_by = Some(format!("manage-{made}-{id}"));
        let answer = self.described(id, &client, wanted);
        self.clients.insert(id.to_owned(), client);
        Reply::json(200, &answer)
    }
}
