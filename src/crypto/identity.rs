//! Keys that sign whom a request is for: Ed25519 (RFC 8032), as JWS has it (RFC 8037).
//!
//! A key is made of 32 random bytes, so that it comes from [`crate::domain::random::Random`] like all that
//! is random, and its signatures need no randomness at all.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::payload::Payload;
use crate::domain::random::Random;
use crate::domain::secrets::HeaderSecret;

/// The length of a seed (RFC 8032, section 5.1.5).
const SEED: usize = 32;

/// What a key is made of: its private half.
pub struct IdentitySeed(Zeroizing<[u8; SEED]>);

impl IdentitySeed {
    /// A new one.
    pub fn draw(random: &dyn Random) -> Self {
        let mut seed = Zeroizing::new([0; SEED]);
        random.fill(&mut *seed);
        Self(seed)
    }
}

impl fmt::Debug for IdentitySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentitySeed(redacted)")
    }
}

impl Payload for IdentitySeed {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|seed| Self(Zeroizing::new(seed)))
    }
}

/// A key that signs.
pub struct IdentitySigner {
    pair: Ed25519KeyPair,
    id: String,
}

impl fmt::Debug for IdentitySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentitySigner({}, redacted)", self.id)
    }
}

impl From<&IdentitySeed> for IdentitySigner {
    #[expect(clippy::expect_used, reason = "32 bytes are always a seed")]
    fn from(seed: &IdentitySeed) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed.0).expect("the seed has its length");
        let id = thumbprint(&public(&pair));
        Self { pair, id }
    }
}

impl IdentitySigner {
    /// Its name: the thumbprint of its public half (RFC 7638; RFC 8037, appendix A.3).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half: `x` (RFC 8037, section 2).
    pub fn public(&self) -> String {
        public(&self.pair)
    }

    /// A JWT of these claims in compact form (RFC 7515, section 7.1).
    pub fn sign(&self, r#type: &str, claims: &Value) -> HeaderSecret {
        let header = json!({ "alg": "EdDSA", "typ": r#type, "kid": self.id });
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(message.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        HeaderSecret::new(format!("{message}.{signature}"))
    }
}

fn public(pair: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(pair.public_key())
}

fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::random::SeededRandom;

    /// The key of RFC 8037, appendix A.1.
    fn documented() -> IdentitySigner {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        IdentitySigner::from(&IdentitySeed::from_bytes(&seed.unwrap()).unwrap())
    }

    #[test]
    fn a_key_is_named_and_published_as_the_specification_has_it() {
        let signer = documented();

        assert_eq!(
            signer.public(),
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        assert_eq!(signer.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let shown = format!("{signer:?}");
        assert!(shown.ends_with("redacted)"), "{shown}");
    }

    #[test]
    fn a_token_is_what_was_claimed_signed_by_the_key() {
        let signer = documented();
        let token = signer.sign("t+jwt", &json!({ "sub": "Zoë" }));

        let token = token.expose_secret();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let read = |part| URL_SAFE_NO_PAD.decode(part).unwrap();
        let json = |part| serde_json::from_slice::<Value>(&read(part)).unwrap();
        let expected = json!({ "alg": "EdDSA", "typ": "t+jwt", "kid": signer.id() });
        assert_eq!(json(header), expected);
        assert_eq!(json(claims), json!({ "sub": "Zoë" }));
        let public = signer.public();
        let key = UnparsedPublicKey::new(&ED25519, read(&public));
        assert!(key.verify(message.as_bytes(), &read(signature)).is_ok());
        assert!(key.verify(b"another", &read(signature)).is_err());
    }

    #[test]
    fn a_seed_reads_back_and_is_told_to_nobody() {
        let seed = IdentitySeed::draw(&SeededRandom::new(1));

        let back = IdentitySeed::from_bytes(&seed.to_bytes()).unwrap();

        assert_eq!(*back.0, *seed.0);
        assert_eq!(format!("{seed:?}"), "IdentitySeed(redacted)");
        assert!(IdentitySeed::from_bytes(&[1; 31]).is_none());
    }
}
