//! What a client asserts about itself to prove who it is (RFC 7523, sections 2.2 and 3; `OpenID`
//! Connect Core 1.0, section 9). Forms the text; who holds the key signs it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::domain::authorization::SigningAlgorithm;
use crate::domain::secrets::ClientAssertion;
use crate::domain::time::Timestamp;

/// What kind of assertion it is (RFC 7521, section 4.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good: a request and the difference of two clocks.
const LIFETIME: Duration = Duration::from_mins(2);

/// What is asserted for one request.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// Who asserts, about itself.
    pub client_id: &'a str,
    /// To whom: the issuer, byte for byte; the token endpoint where no issuer is known.
    pub audience: &'a str,
    /// Unlike that of any other assertion of this client.
    pub id: &'a str,
    /// When.
    pub now: Timestamp,
}

/// An assertion that lacks its signature.
#[derive(Debug)]
pub struct Unsigned(String);

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

impl Unsigned {
    /// The assertion of these claims, to be signed so, by the key of this name.
    pub fn new(algorithm: SigningAlgorithm, key_id: Option<&str>, claims: &Claims<'_>) -> Self {
        let header = Header {
            alg: algorithm.as_str(),
            typ: "JWT",
            kid: key_id,
        };
        let payload = Payload {
            iss: claims.client_id,
            sub: claims.client_id,
            aud: claims.audience,
            jti: claims.id,
            iat: claims.now.as_secs(),
            exp: claims.now.after(LIFETIME).as_secs(),
        };
        Self(format!("{}.{}", part(&header), part(&payload)))
    }

    /// What is to be signed (RFC 7515, section 5.1).
    pub fn message(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The assertion with its signature.
    pub fn signed(self, signature: &[u8]) -> ClientAssertion {
        let signature = URL_SAFE_NO_PAD.encode(signature);
        ClientAssertion::new(format!("{}.{signature}", self.0))
    }
}

fn part(value: &impl Serialize) -> String {
    // Only maps with keys that are no strings fail, and there are none here.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::*;

    const CLAIMS: Claims<'_> = Claims {
        client_id: "the client",
        audience: "https://AS.example/",
        id: "once",
        now: Timestamp::from_micros(1_795_230_000_999_999),
    };

    fn parts(key_id: Option<&str>) -> (Value, Value, Vec<u8>) {
        let unsigned = Unsigned::new(SigningAlgorithm::EdDsa, key_id, &CLAIMS);
        let message = unsigned.message().to_vec();
        let signed = unsigned.signed(b"\xff\xfe\xfd");
        let text = signed.expose_secret();
        let [header, payload, signature] = text
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert!(text.as_bytes().starts_with(&message));
        let json = |part: &[u8]| serde_json::from_slice(part).unwrap();
        (json(&header), json(&payload), signature)
    }

    #[test]
    fn an_assertion_says_what_the_specification_wants_and_no_more() {
        let (header, payload, signature) = parts(Some("k1"));

        assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}));
        assert_eq!(
            payload,
            json!({
                "iss": "the client", "sub": "the client", "aud": "https://AS.example/",
                "jti": "once", "iat": 1_795_230_000, "exp": 1_795_230_120,
            })
        );
        assert_eq!(signature, b"\xff\xfe\xfd");
    }

    #[test]
    fn a_key_without_a_name_is_not_named() {
        let (header, ..) = parts(None);

        assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT"}));
    }
}
