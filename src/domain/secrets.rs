//! Secret values as types. None can be printed, compared or serialised; `Debug` is redacted and
//! the memory is wiped on drop. [`Sealed`] is what a secret looks like outside `crypto`.

use std::fmt;

use ring::digest;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::ids::DataKeyId;

macro_rules! secret_text {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text over.
            pub fn new(text: String) -> Self {
                Self(SecretString::from(text))
            }

            /// Whether both are the same text; told in constant time for texts of one length.
            pub fn is(&self, other: &Self) -> bool {
                let (one, other) = (self.expose_secret(), other.expose_secret());
                one.as_bytes().ct_eq(other.as_bytes()).into()
            }

            /// What it is recognised by when it comes again.
            pub fn hash(&self) -> SecretHash {
                SecretHash::of(self.expose_secret())
            }
        }

        impl ExposeSecret<str> for $name {
            fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )+};
}

secret_text! {
    /// An access token (RFC 6749, section 1.4).
    AccessToken;
    /// A refresh token (RFC 6749, section 1.5). Redeemed at most once.
    RefreshToken;
    /// The secret of a confidential client (RFC 6749, section 2.3.1).
    ClientSecret;
    /// The key that signs a client's assertions: PKCS#8 in PEM.
    PrivateKey;
    /// A signed assertion of who a client is (RFC 7523, section 2.2). Sent at most once.
    ClientAssertion;
    /// The token that manages a dynamic registration (RFC 7592, section 1.3).
    RegistrationAccessToken;
    /// An authorization code (RFC 6749, section 1.3.1). Redeemed at most once.
    AuthorizationCode;
    /// An ID token (`OpenID` Connect Core 1.0, section 2). That of a grant is looked at once and never kept;
    /// that of a user's own login is.
    IdToken;
    /// The value of a header that carries a credential.
    HeaderSecret;
    /// Anything else that must not be shown: API keys as presented, states, links, codes.
    Opaque;
}

/// The PKCE verifier of one handshake (RFC 7636, section 4.1). Not `Clone`: it is used once.
pub struct PkceVerifier(SecretString);

impl PkceVerifier {
    /// Takes the text over; 43 to 128 unreserved characters.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl ExposeSecret<str> for PkceVerifier {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PkceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PkceVerifier(redacted)")
    }
}

/// A secret we made and show to its owner once: an API key, a connect link. Not `Clone`.
pub struct ShownOnce(SecretString);

impl ShownOnce {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// A text followed by a secret: a link.
    pub fn below(base: &str, secret: &Opaque) -> Self {
        Self::new(format!("{base}{}", secret.expose_secret()))
    }

    /// The text, to be put into the one answer that shows it.
    pub fn show(self) -> String {
        self.0.expose_secret().to_owned()
    }
}

impl fmt::Debug for ShownOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownOnce(redacted)")
    }
}

/// A sealed value: opaque bytes, and the data key that opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The data key it is sealed under; stored in the column's `_key` companion.
    pub key: DataKeyId,
    /// The envelope.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes under {})", self.bytes.len(), self.key)
    }
}

/// SHA-256 of a secret that arrives from outside: what is stored and looked up in its place.
///
/// The secrets hashed are 256 random bits, so no salt or stretching is needed.
#[derive(Clone, Copy, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// The hash of several, whichever of them are there, in this order.
    pub fn of_each(hashes: &[Option<Self>]) -> Self {
        let mut all = digest::Context::new(&digest::SHA256);
        for hash in hashes {
            all.update(&[u8::from(hash.is_some())]);
            all.update(hash.as_ref().map_or(&[][..], Self::as_bytes));
        }
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(all.finish().as_ref());
        Self(bytes)
    }

    /// The hash of a secret.
    pub fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// The hash as stored; `None` unless it is 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash, to store or to look up by.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_a_secret() {
        let shown = format!(
            "{:?} {:?} {:?}",
            AccessToken::new("hush".to_owned()),
            PkceVerifier::new("hush".to_owned()),
            SecretHash::of("hush"),
        );

        assert!(!shown.contains("hush"));
    }

    #[test]
    fn a_secret_is_the_same_as_its_like_only() {
        let secret = |text: &str| RefreshToken::new(text.to_owned());

        assert!(secret("hush").is(&secret("hush")));
        for other in ["hush ", "hus", "Hush", ""] {
            assert!(!secret("hush").is(&secret(other)), "{other}");
        }
    }

    #[test]
    fn equal_secrets_have_equal_hashes() {
        assert_eq!(SecretHash::of("a"), SecretHash::of("a"));
        assert_ne!(SecretHash::of("a"), SecretHash::of("b"));
    }

    #[test]
    fn the_hash_of_several_says_which_is_which() {
        let (a, b) = (Some(SecretHash::of("a")), Some(SecretHash::of("b")));
        let of = SecretHash::of_each;

        assert_eq!(of(&[a, b, None]), of(&[a, b, None]));
        for other in [[b, a, None], [a, None, b], [a, None, None], [None, a, b]] {
            assert_ne!(of(&[a, b, None]), of(&other));
        }
    }
}
