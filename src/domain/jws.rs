//! A signed JWT in compact form (RFC 7515, section 7.1; RFC 7519), taken apart. Nothing of it may be
//! believed before its signature was verified; what is refused here need not be.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The longest token looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

macro_rules! algorithms {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// How a token may be signed: with a key pair. What is keyed by a shared secret (`HS256`) and what
        /// is not signed (`none`) has no value here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Algorithm {$(
            $(#[doc = $doc])+
            $variant,
        )+}

        impl Algorithm {
            /// Every algorithm, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The registered name (RFC 7518, section 3.1; RFC 8037, section 3.1).
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

algorithms! {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = "RS256";
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = "RS384";
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = "RS512";
    /// RSASSA-PSS with SHA-256.
    Ps256 = "PS256";
    /// RSASSA-PSS with SHA-384.
    Ps384 = "PS384";
    /// RSASSA-PSS with SHA-512.
    Ps512 = "PS512";
    /// ECDSA over P-256 with SHA-256.
    Es256 = "ES256";
    /// ECDSA over P-384 with SHA-384.
    Es384 = "ES384";
    /// Ed25519.
    EdDsa = "EdDSA";
}

impl Algorithm {
    /// The algorithm of a registered name, if it is one of these.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|algorithm| algorithm.as_str() == name)
    }
}

/// A token taken apart.
pub struct Jws<'a> {
    /// How it says that it is signed.
    pub algorithm: Algorithm,
    /// Which key it says that it is signed with.
    pub key_id: Option<String>,
    /// What it claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: Vec<u8>,
}

impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jws({}, redacted)", self.algorithm.as_str())
    }
}

impl<'a> Jws<'a> {
    /// Takes a token apart. `None` unless it is one of at most [`MAX_TOKEN`] bytes that says to be a JWT
    /// or an access token (RFC 9068, section 2.1) or says nothing, by one of our algorithms, without
    /// extensions that must be understood (RFC 7515, section 4.1.11), and with no member twice (section 4;
    /// RFC 7519, section 4).
    pub fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = members(header)?;
        let is_jwt = match header.get("typ") {
            None => true,
            Some(typ) => typ.as_str().is_some_and(is_jwt),
        };
        if !is_jwt || header.contains_key("crit") {
            return None;
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        Some(Self {
            algorithm: Algorithm::parse(header.get("alg")?.as_str()?)?,
            key_id,
            claims: members(claims)?,
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

/// Whether a media type is a JWT's, with or without `application/` (RFC 7515, section 4.1.9).
fn is_jwt(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    matches!(typ, "jwt" | "at+jwt")
}

fn members(part: &str) -> Option<Map<String, Value>> {
    // What has a dot is no base64url: a fourth part is refused here.
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    let object: Object = serde_json::from_slice(&text).ok()?;
    Some(object.0)
}

/// A JSON object that holds no member twice: of two readers each could believe another one.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Object, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = from.next_entry::<String, Value>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let encoded = |text| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encoded(header), encoded(claims), encoded("s"))
    }

    fn is_read(header: &str, claims: &str) -> bool {
        Jws::parse(&token(header, claims)).is_some()
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token = token(r#"{"alg":"ES256","kid":"1"}"#, r#"{"sub":"ann"}"#);

        let jws = Jws::parse(&token).unwrap();

        assert_eq!(jws.algorithm, Algorithm::Es256);
        assert_eq!(jws.key_id.as_deref(), Some("1"));
        assert_eq!(jws.claims["sub"], "ann");
        assert_eq!(jws.signature, b"s");
        let message = token.rsplit_once('.').unwrap().0;
        assert_eq!(jws.message, message.as_bytes());
        assert!(!format!("{jws:?}").contains("ann"));
    }

    #[test]
    fn only_signed_tokens_without_extensions_are_read() {
        for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            let header = format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#);
            assert!(is_read(&header, "{}"), "{typ}");
        }
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"rs256"}"#,
            r#"{"alg":7}"#,
            r#"{"kid":"1"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            r#"{"alg":"RS256","typ":1}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256","alg":"RS256"}"#,
            "[]",
            "",
        ] {
            assert!(!is_read(header, "{}"), "{header}");
        }
        for claims in [r#"{"sub":"a","sub":"b"}"#, "[]", "7", ""] {
            assert!(!is_read(r#"{"alg":"RS256"}"#, claims), "{claims}");
        }
    }

    #[test]
    fn what_has_another_number_of_parts_or_is_too_long_is_not_read() {
        let good = token(r#"{"alg":"RS256"}"#, "{}");
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let long = format!(r#"{{"sub":"{}"}}"#, "x".repeat(MAX_TOKEN));

        assert!(Jws::parse(&good).is_some());
        for bad in [
            unsigned.to_owned(),
            format!("{good}.{good}"),
            format!("{good}="),
            format!("{unsigned}.*"),
            token(r#"{"alg":"RS256"}"#, &long),
        ] {
            assert!(Jws::parse(&bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(
            text in ".{0,60}",
            header in ".{0,40}",
            claims in ".{0,40}",
        ) {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&token(&header, &claims));
        }

        #[test]
        fn what_is_read_names_one_of_the_pinned_algorithms(name in "[A-Za-z0-9]{1,6}") {
            let read = is_read(&format!(r#"{{"alg":"{name}"}}"#), "{}");

            prop_assert_eq!(read, Algorithm::parse(&name).is_some());
        }
    }
}
