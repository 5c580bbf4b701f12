//! Keys of clients. The files beside this one were made by openssl and protect nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

/// A key of each kind that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Es256,
    Rs256,
    EdDsa,
}

impl Key {
    pub(crate) const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    /// The key in PEM.
    pub(crate) fn pem(self) -> &'static str {
        match self {
            Self::Es256 => include_str!("keys/es256.pem"),
            Self::Rs256 => include_str!("keys/rs256.pem"),
            Self::EdDsa => include_str!("keys/eddsa.pem"),
        }
    }

    /// The algorithm it signs by.
    pub(crate) fn algorithm(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// How its signatures are verified, and its public half: the end of what openssl writes.
    fn public(self) -> (&'static dyn VerificationAlgorithm, Vec<u8>) {
        let (by, pem, length): (&'static dyn VerificationAlgorithm, _, _) = match self {
            Self::Es256 => (
                &ECDSA_P256_SHA256_FIXED,
                include_str!("keys/es256.pub.pem"),
                65,
            ),
            Self::Rs256 => (
                &RSA_PKCS1_2048_8192_SHA256,
                include_str!("keys/rs256.pub.pem"),
                270,
            ),
            Self::EdDsa => (&ED25519, include_str!("keys/eddsa.pub.pem"), 32),
        };
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
        (by, info[info.len() - length..].to_vec())
    }

    /// Header and claims of what this key signed; `None` for everything else.
    pub(crate) fn verify(self, assertion: &str) -> Option<(Value, Value)> {
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let (message, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let (by, half) = self.public();
        let half = UnparsedPublicKey::new(by, half);
        half.verify(message.as_bytes(), &decoded(signature)?).ok()?;
        let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
        let claims = serde_json::from_slice(&decoded(claims)?).ok()?;
        let meant = header["alg"] == self.algorithm() && header["typ"] == "JWT";
        meant.then_some((header, claims))
    }
}
