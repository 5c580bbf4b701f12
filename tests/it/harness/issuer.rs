//! An issuer of JWTs on loopback: publishes metadata and keys, signs what a test wants.

use serde_json::{Value, json};
use stationmaster::client::Client;

use super::keys::Key;
use super::service::{Engine, TestService};
use super::web::{Reply, Web};
use super::world::World;

/// When the service's clock starts, in seconds.
pub(crate) const START: i64 = 1_767_225_600;
/// Where the keys are.
pub(crate) const JWKS: &str = "/jwks";
/// Where the metadata is.
pub(crate) const METADATA: &str = "/.well-known/openid-configuration";

/// The issuer.
pub(crate) struct TestIssuer {
    pub(crate) web: Web,
}

impl TestIssuer {
    /// One that publishes an ES256 key by the id `one`.
    pub(crate) async fn start() -> Self {
        let issuer = Self {
            web: Web::start().await,
        };
        let metadata = json!({ "issuer": issuer.name(), "jwks_uri": issuer.web.url(JWKS) });
        issuer.web.on(METADATA, Reply::json(200, &metadata));
        issuer.publish(&[("one", Key::Es256)]);
        issuer
    }

    /// Its identifier.
    pub(crate) fn name(&self) -> String {
        self.web.url("")
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: &[(&str, Key)]) {
        let keys: Vec<_> = keys.iter().map(|(kid, key)| key.jwk(kid)).collect();
        self.web
            .on(JWKS, Reply::json(200, &json!({ "keys": keys })));
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.web.seen_at(JWKS).len()
    }

    /// Its table in the file of issuers, with more lines.
    pub(crate) fn table(&self, more: &str) -> String {
        format!(
            "[[issuers]]\nissuer = \"{}\"\naudiences = [\"stationmaster\"]\n{more}\n",
            self.name()
        )
    }

    /// A world whose service trusts it, with more lines in its table.
    pub(crate) async fn world(&self, engine: Engine, more: &str) -> World {
        self.world_with(engine, more, &[]).await
    }

    /// The same, with settings of the test's own.
    pub(crate) async fn world_with(
        &self,
        engine: Engine,
        more: &str,
        settings: &[(&str, &str)],
    ) -> World {
        let file = self.table(more);
        let file = ("callers.issuers", file.as_str());
        let service = TestService::start_with_file(engine, file, settings).await;
        World::around(service).await
    }

    /// What a token of Ann's claims, which holds for five minutes, with these changes.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.name(),
            "aud": "stationmaster",
            "sub": "ann",
            "iat": START,
            "exp": START + 300,
        });
        let all = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            all.insert(name.clone(), value.clone());
        }
        claims
    }

    /// A token of hers with these changes, signed with the key `one`.
    pub(crate) fn token(&self, changes: &Value) -> String {
        self.signed("one", Key::Es256, changes)
    }

    /// The same by another key.
    pub(crate) fn signed(&self, kid: &str, key: Key, changes: &Value) -> String {
        let header = json!({ "alg": key.algorithm(), "kid": kid, "typ": "JWT" });
        key.sign(&header, &self.claims(changes))
    }

    /// A client that calls with a token of hers, with these changes.
    pub(crate) async fn client(&self, world: &World, changes: &Value) -> Client {
        world.service.client(&self.token(changes)).await
    }
}
