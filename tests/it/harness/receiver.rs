//! A server as a receiver of identity tokens: it knows nothing but where keys are published, and
//! checks with them what a token says.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use super::http;
use super::service::TestService;

/// A token, taken apart.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    message: String,
    signature: Vec<u8>,
}

impl Token {
    /// Its parts.
    pub(crate) fn read(text: &str) -> Self {
        let (message, signature) = text.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let json = |part| serde_json::from_slice(&decoded(part)).unwrap();
        Self {
            header: json(header),
            claims: json(claims),
            message: message.to_owned(),
            signature: decoded(signature),
        }
    }

    /// The key it names.
    pub(crate) fn key(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    /// Whether it is signed by the key that it names, and that key is published.
    pub(crate) async fn holds(&self, service: &TestService) -> bool {
        let keys = published(service).await;
        let Some(key) = keys.iter().find(|key| key["kid"] == self.header["kid"]) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, decoded(key["x"].as_str().unwrap()));
        key.verify(self.message.as_bytes(), &self.signature).is_ok()
    }
}

fn decoded(part: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// The answer where keys are published.
pub(crate) async fn fetched(service: &TestService) -> http::Answer {
    let url = format!("{}/.well-known/jwks.json", service.public_listener());
    http::get(&url, &[]).await
}

/// The keys that are published.
pub(crate) async fn published(service: &TestService) -> Vec<Value> {
    let answer = fetched(service).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut set: Value = serde_json::from_str(&answer.text).unwrap();
    let Value::Array(keys) = set["keys"].take() else {
        panic!("{}", answer.text);
    };
    keys
}
