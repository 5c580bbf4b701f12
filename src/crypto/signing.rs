//! Keys that sign what our clients assert about themselves. Each comes as PKCS#8 in PEM, and its
//! kind says how it signs.
//!
//! What is wrong with a key is said without a word of it. ECDSA takes its nonces from the system and
//! not from [`crate::domain::random::Random`]: one that is guessed or repeated gives the key away.

use std::fmt;

use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::pem::{PemObject, SectionKind};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::domain::authorization::SigningAlgorithm;
use crate::domain::secrets::PrivateKey;

/// What begins a section of PEM (RFC 7468, section 3).
const BEGIN: &str = "-----BEGIN ";

/// The shortest modulus for RS256, in bytes (RFC 7518, section 3.3).
const SHORTEST_MODULUS: usize = 256;

/// Why a key cannot sign. Says nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// It is no PEM, or damaged.
    #[error("must be a private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NotPem,
    /// It is encrypted.
    #[error("must not be encrypted; it is sealed here")]
    Encrypted,
    /// There is more than one key, or a certificate with it.
    #[error("must be one private key and nothing else")]
    Several,
    /// It is another form of key, or none that is private.
    #[error("must be in PKCS#8 (`-----BEGIN PRIVATE KEY-----`); `openssl pkcs8 -topk8` converts")]
    NotPkcs8,
    /// It is of a kind, curve or length that does not sign here.
    #[error(
        "must be an ECDSA key on P-256 (ES256), an RSA key of 2048 to 4096 bits (RS256) or an \
         Ed25519 key (EdDSA)"
    )]
    Kind,
}

/// A key that signs.
pub struct SigningKey(Kind);

enum Kind {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.algorithm().as_str())
    }
}

impl SigningKey {
    /// The key of a PEM text, which holds this one unencrypted PKCS#8 key (RFC 5958) and nothing else.
    pub fn from_pem(pem: &PrivateKey) -> Result<Self, UnusableKey> {
        let der = pkcs8(pem.expose_secret())?;
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &system());
        if let Ok(key) = ecdsa {
            return Ok(Self(Kind::Es256(Box::new(key))));
        }
        // OpenSSL writes Ed25519 keys without their public half; where it is there it is checked.
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Ok(Self(Kind::EdDsa(Box::new(key))));
        }
        match RsaKeyPair::from_pkcs8(&der) {
            Ok(key) if is_long_enough(&key) => Ok(Self(Kind::Rs256(Box::new(key)))),
            Ok(_) | Err(_) => Err(UnusableKey::Kind),
        }
    }

    /// How it signs.
    pub fn algorithm(&self) -> SigningAlgorithm {
        match self.0 {
            Kind::Es256(_) => SigningAlgorithm::Es256,
            Kind::Rs256(_) => SigningAlgorithm::Rs256,
            Kind::EdDsa(_) => SigningAlgorithm::EdDsa,
        }
    }

    /// The signature of a message as JWS has it (RFC 7518, section 3; RFC 8037, section 3.1). `None`
    /// where the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Kind::Es256(key) => {
                let signature = key.sign(&system(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Kind::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &system(), message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            Kind::EdDsa(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "ring takes the randomness of signatures from the system alone"
)]
fn system() -> SystemRandom {
    SystemRandom::new()
}

/// Whether the modulus has its 2048 bits, of which ring would let one be missing.
fn is_long_enough(key: &RsaKeyPair) -> bool {
    let components = PublicKeyComponents::<Vec<u8>>::from(key.public());
    let modulus = &components.n;
    let full = modulus.first().is_some_and(|first| first & 0x80 != 0);
    modulus.len() > SHORTEST_MODULUS || (modulus.len() == SHORTEST_MODULUS && full)
}

/// The one PKCS#8 key of a text, decoded.
fn pkcs8(pem: &str) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
    let mut labels = pem.lines().filter_map(|line| line.strip_prefix(BEGIN));
    let label = labels.next().ok_or(UnusableKey::NotPem)?;
    if labels.next().is_some() {
        return Err(UnusableKey::Several);
    }
    if label.starts_with("ENCRYPTED ") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(UnusableKey::Encrypted);
    }
    match <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()) {
        Ok((SectionKind::PrivateKey, der)) => Ok(Zeroizing::new(der)),
        Ok((_, other)) => {
            drop(Zeroizing::new(other));
            Err(UnusableKey::NotPkcs8)
        }
        Err(_) => Err(UnusableKey::NotPem),
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
