//! Keys of clients. The files beside this one were made by openssl and protect nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use stationmaster::crypto::SigningKey;
use stationmaster::domain::secrets::PrivateKey;

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
        let (by, length): (&'static dyn VerificationAlgorithm, _) = match self {
            Self::Es256 => (&ECDSA_P256_SHA256_FIXED, 65),
            Self::Rs256 => (&RSA_PKCS1_2048_8192_SHA256, 270),
            Self::EdDsa => (&ED25519, 32),
        };
        let pem = self.public_pem().as_bytes();
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).unwrap();
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

/// Tokens of issuers.
impl Key {
    /// The public half as it is published.
    pub(crate) fn jwk(self, kid: &str) -> Value {
        let b64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (_, half) = self.public();
        match self {
            Self::Es256 => json!({
                "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
                "x": b64(&half[1..33]), "y": b64(&half[33..]),
            }),
            // In DER: the modulus with its sign, then the exponent.
            Self::Rs256 => json!({
                "kty": "RSA", "kid": kid, "use": "sig",
                "n": b64(&half[9..265]), "e": b64(&half[267..]),
            }),
            Self::EdDsa => json!({
                "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": b64(&half),
            }),
        }
    }

    /// What anybody can take for a secret: the public half in PEM.
    pub(crate) fn public_pem(self) -> &'static str {
        match self {
            Self::Es256 => include_str!("keys/es256.pub.pem"),
            Self::Rs256 => include_str!("keys/rs256.pub.pem"),
            Self::EdDsa => include_str!("keys/eddsa.pub.pem"),
        }
    }

    /// A token with this header, signed.
    pub(crate) fn sign(self, header: &Value, claims: &Value) -> String {
        let key = SigningKey::from_pem(&PrivateKey::new(self.pem().to_owned())).unwrap();
        let message = unsigned(header, claims);
        let signature = key.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What a token's signature is over.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encoded(header), encoded(claims))
}
