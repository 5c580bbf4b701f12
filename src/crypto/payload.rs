//! What can be sealed: how each secret becomes bytes and comes back. A new field of a stored form
//! gets a default, so that older values still open.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::domain::authorization::{Scopes, TokenSet};
use crate::domain::secrets::{
    AccessToken, ClientSecret, HeaderSecret, IdToken, Opaque, PkceVerifier, PrivateKey,
    RefreshToken, RegistrationAccessToken,
};
use crate::domain::time::Timestamp;

/// A value that can be sealed.
pub trait Payload: Sized {
    /// The bytes to seal; wiped when dropped.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>>;

    /// The value of opened bytes; `None` when they are not of its form.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! text_payloads {
    ($($name:ident,)+) => {$(
        impl Payload for $name {
            fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
                Zeroizing::new(self.expose_secret().as_bytes().to_vec())
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                std::str::from_utf8(bytes).ok().map(|text| Self::new(text.to_owned()))
            }
        }
    )+};
}

text_payloads! {
    AccessToken, IdToken, RefreshToken, ClientSecret, PrivateKey, RegistrationAccessToken, HeaderSecret,
    Opaque,
}

fn json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Only maps with keys that are no strings fail, and there are none here.
    Zeroizing::new(serde_json::to_vec(value).unwrap_or_default())
}

/// Headers with their values, in order.
#[derive(Debug, Clone)]
pub struct HeaderValues(pub Vec<(String, HeaderSecret)>);

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredHeaders(Vec<(String, String)>);

impl Payload for HeaderValues {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let pairs = self.0.iter();
        let pairs = pairs.map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        json(&StoredHeaders(pairs.collect()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut stored: StoredHeaders = serde_json::from_slice(bytes).ok()?;
        let pairs = stored
            .0
            .drain(..)
            .map(|(name, value)| (name, HeaderSecret::new(value)));
        Some(Self(pairs.collect()))
    }
}

/// A client's key, with what its assertions say besides who the client is.
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// The key.
    pub key: PrivateKey,
    /// Its name to the authorization server, if it has one there.
    pub key_id: Option<String>,
    /// Whom its assertions are for, byte for byte.
    pub audience: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredClientKey {
    key: String,
    key_id: Option<String>,
    audience: String,
}

impl Payload for ClientKey {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        json(&StoredClientKey {
            key: self.key.expose_secret().to_owned(),
            key_id: self.key_id.clone(),
            audience: self.audience.clone(),
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut stored: StoredClientKey = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            key: PrivateKey::new(std::mem::take(&mut stored.key)),
            key_id: stored.key_id.take(),
            audience: std::mem::take(&mut stored.audience),
        })
    }
}

/// What a handshake must not forget until its code is redeemed.
#[derive(Debug)]
pub struct Flow {
    /// The `state` parameter.
    pub state: Opaque,
    /// The PKCE verifier.
    pub verifier: PkceVerifier,
    /// The secret part of the connect link, so that it can be shown again while it is open.
    pub link: Opaque,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredFlow {
    state: String,
    verifier: String,
    link: String,
}

impl Payload for Flow {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        json(&StoredFlow {
            state: self.state.expose_secret().to_owned(),
            verifier: self.verifier.expose_secret().to_owned(),
            link: self.link.expose_secret().to_owned(),
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut stored: StoredFlow = serde_json::from_slice(bytes).ok()?;
        let state = Opaque::new(std::mem::take(&mut stored.state));
        let verifier = PkceVerifier::new(std::mem::take(&mut stored.verifier));
        let link = Opaque::new(std::mem::take(&mut stored.link));
        Some(Self {
            state,
            verifier,
            link,
        })
    }
}

/// A grant that waits to be confirmed.
#[derive(Debug)]
pub struct Parked {
    /// The tokens.
    pub tokens: TokenSet,
    /// When they were obtained: their lifetime counts from here.
    pub obtained_at: Timestamp,
}

impl Payload for Parked {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let at = self.obtained_at.as_micros().to_be_bytes();
        Zeroizing::new([&at[..], &self.tokens.to_bytes()].concat())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, tokens) = bytes.split_first_chunk()?;
        let obtained_at = Timestamp::from_micros(i64::from_be_bytes(*at));
        Some(Self {
            tokens: TokenSet::from_bytes(tokens)?,
            obtained_at,
        })
    }
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredTokens {
    access_token: String,
    refresh_token: Option<String>,
    token_type: String,
    expires_in_micros: Option<u64>,
    #[serde(default)]
    refresh_expires_in_micros: Option<u64>,
    scopes: Option<Vec<String>>,
}

impl Payload for TokenSet {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let micros =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        json(&StoredTokens {
            access_token: self.access_token.expose_secret().to_owned(),
            refresh_token: self
                .refresh_token
                .as_ref()
                .map(|t| t.expose_secret().to_owned()),
            token_type: self.token_type.clone(),
            expires_in_micros: self.expires_in.map(micros),
            refresh_expires_in_micros: self.refresh_expires_in.map(micros),
            scopes: self.scopes.as_ref().map(Scopes::to_vec),
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut stored: StoredTokens = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            access_token: AccessToken::new(std::mem::take(&mut stored.access_token)),
            refresh_token: stored.refresh_token.take().map(RefreshToken::new),
            token_type: std::mem::take(&mut stored.token_type),
            expires_in: stored
                .expires_in_micros
                .map(std::time::Duration::from_micros),
            refresh_expires_in: stored
                .refresh_expires_in_micros
                .map(std::time::Duration::from_micros),
            scopes: stored.scopes.take().map(|scopes| scopes.iter().collect()),
            // Not kept: what it says was read when it came.
            id_token: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_set_reads_back() {
        let tokens = TokenSet {
            access_token: AccessToken::new("a".into()),
            refresh_token: Some(RefreshToken::new("r".into())),
            token_type: "Bearer".into(),
            expires_in: Some(std::time::Duration::from_mins(1)),
            refresh_expires_in: Some(std::time::Duration::from_hours(1)),
            scopes: Some(Scopes::parse("x y")),
            id_token: None,
        };

        let back = TokenSet::from_bytes(&tokens.to_bytes()).unwrap();

        assert_eq!(back.access_token.expose_secret(), "a");
        assert_eq!(back.refresh_token.unwrap().expose_secret(), "r");
        assert_eq!(
            (back.expires_in, back.refresh_expires_in, back.scopes),
            (tokens.expires_in, tokens.refresh_expires_in, tokens.scopes)
        );
    }

    #[test]
    fn a_token_set_of_an_older_release_reads_back() {
        let older = br#"{"access_token":"a","refresh_token":null,"token_type":"Bearer",
            "expires_in_micros":60000000,"scopes":null}"#;

        let back = TokenSet::from_bytes(older).unwrap();

        assert_eq!(back.expires_in, Some(std::time::Duration::from_mins(1)));
        assert_eq!(back.refresh_expires_in, None);
    }

    #[test]
    fn a_clients_key_reads_back() {
        let key = ClientKey {
            key: PrivateKey::new("pem\n".into()),
            key_id: Some("k".into()),
            audience: "https://as.test".into(),
        };

        let back = ClientKey::from_bytes(&key.to_bytes()).unwrap();

        assert!(back.key.is(&key.key));
        assert_eq!((back.key_id, back.audience), (key.key_id, key.audience));
    }

    #[test]
    fn headers_keep_their_order() {
        let value = |text: &str| HeaderSecret::new(text.to_owned());
        let headers = HeaderValues(vec![("B".into(), value("1")), ("A".into(), value("2"))]);

        let back = HeaderValues::from_bytes(&headers.to_bytes()).unwrap();

        let names: Vec<_> = back.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["B", "A"]);
    }
}
