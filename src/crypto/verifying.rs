//! Keys that others sign with: a set as its owner publishes it (RFC 7517, section 5), of which the keys
//! that verify signatures are kept.
//!
//! The algorithm is the token's word, and is believed only as far as the key is one for it: a key of
//! one kind never verifies for another, so that a public key cannot be taken for a shared secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::jws::{Algorithm, Jws};

/// The most keys of a set.
const MAX_KEYS: usize = 100;

/// Why a document is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKeys {
    /// It is no JSON object with `keys`.
    #[error("what is published is no set of keys")]
    NoSet,
    /// It holds more than a hundred.
    #[error("more than {MAX_KEYS} keys are published")]
    TooMany,
}

/// Keys that verify signatures.
pub struct KeySet(Vec<VerifyingKey>);

struct VerifyingKey {
    id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    half: Half,
}

/// A public half.
enum Half {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

impl KeySet {
    /// The keys of a document. One that is of a kind we do not know, not for signatures, or damaged, is
    /// left out (RFC 7517, section 5).
    pub fn parse(document: &[u8]) -> Result<Self, UnusableKeys> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document =
            serde_json::from_slice(document).map_err(|_error| UnusableKeys::NoSet)?;
        if document.keys.len() > MAX_KEYS {
            return Err(UnusableKeys::TooMany);
        }
        let read = document.keys.into_iter().filter_map(|key| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            key.read()
        });
        Ok(Self(read.collect()))
    }

    /// Whether there is a key that the token may be signed with: of the id that it names, or the only
    /// one for its algorithm where it names none.
    pub fn knows(&self, token: &Jws<'_>) -> bool {
        !self.meant(token).is_empty()
    }

    /// Whether the token is signed with one of these keys.
    pub fn verify(&self, token: &Jws<'_>) -> bool {
        let meant = self.meant(token);
        meant.iter().any(|key| key.half.verify(token))
    }

    fn meant(&self, token: &Jws<'_>) -> Vec<&VerifyingKey> {
        let fits = |key: &&VerifyingKey| {
            key.half.verifies_by(token.algorithm)
                && key.algorithm.is_none_or(|own| own == token.algorithm)
                && (token.key_id.is_none() || key.id == token.key_id)
        };
        let found: Vec<_> = self.0.iter().filter(fits).collect();
        if token.key_id.is_none() && found.len() > 1 {
            return Vec::new();
        }
        found
    }
}

impl Half {
    fn verifies_by(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    fn verify(&self, token: &Jws<'_>) -> bool {
        let by = |how: &'static dyn VerificationAlgorithm, half: &[u8]| {
            let key = UnparsedPublicKey::new(how, half);
            key.verify(token.message, &token.signature).is_ok()
        };
        match self {
            Self::Rsa { n, e } => rsa(token.algorithm).is_some_and(|how| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(how, token.message, &token.signature).is_ok()
            }),
            Self::P256(point) => by(&ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => by(&ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(point) => by(&ED25519, point),
        }
    }
}

/// How an RSA key verifies; 2048 bits at least (RFC 7518, section 3.3).
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// A key as it is published (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2). Numbers are
/// in base64url.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn read(&self) -> Option<VerifyingKey> {
        let for_signatures = self
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig");
        let operations = self.key_ops.as_ref();
        if !for_signatures || operations.is_some_and(|all| !all.iter().any(|op| op == "verify")) {
            return None;
        }
        let half = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Half::Rsa {
                n: number(self.n.as_deref())?,
                e: number(self.e.as_deref())?,
            },
            ("EC", Some("P-256")) => Half::P256(self.point(32)?),
            ("EC", Some("P-384")) => Half::P384(self.point(48)?),
            ("OKP", Some("Ed25519")) => Half::Ed25519(coordinate(self.x.as_deref(), 32)?),
            _ => return None,
        };
        let algorithm = match &self.alg {
            None => None,
            // A key for what we do not know is for nothing here.
            Some(name) => Some(Algorithm::parse(name)?),
        };
        Some(VerifyingKey {
            id: self.kid.clone(),
            algorithm,
            half,
        })
    }

    /// The point of a curve, uncompressed (SEC 1, section 2.3.3).
    fn point(&self, length: usize) -> Option<Vec<u8>> {
        let mut point = vec![4];
        point.extend(coordinate(self.x.as_deref(), length)?);
        point.extend(coordinate(self.y.as_deref(), length)?);
        Some(point)
    }
}

fn coordinate(text: Option<&str>, length: usize) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    (bytes.len() == length).then_some(bytes)
}

/// A number, without the zeros that some put before it.
fn number(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[first..].to_vec())
}

#[cfg(test)]
#[path = "verifying_tests.rs"]
mod tests;
