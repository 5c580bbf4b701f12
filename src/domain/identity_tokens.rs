//! Identity tokens: signed statements of whom a request is for, and the keys that sign them.
//!
//! A token is a JWT (RFC 7519) with an Ed25519 signature (RFC 8037). Keys are the deployment's own: a
//! token names its tenant, and everybody finds the public halves in one place. Each signs for
//! [`PERIOD`]; its successor is published [`LEAD`] before it signs, and it stays published for [`KEPT`]
//! after that, so that nobody who keeps a copy for a while misses one.

use std::time::Duration;

use serde_json::{Value, json};

use super::forwarding::IdentityContext;
use super::secrets::Sealed;
use super::servers::Server;
use super::text::{ChatId, UserId};
use super::time::Timestamp;

/// The `typ` of a token (RFC 8725, section 3.11): no other JWT of ours passes for one.
pub const TYPE: &str = "stationmaster-identity+jwt";

/// How long a token is good.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// How long a key signs.
pub const PERIOD: Duration = Duration::from_hours(30 * 24);
/// How long a key is published before it signs, but for the first one and one in place of another that is
/// lost.
pub const LEAD: Duration = Duration::from_hours(24);
/// How long a key is published after its successor began to sign: [`LIFETIME`], what a replica signs on
/// with a key it has at hand, and the difference of two clocks.
pub const KEPT: Duration = Duration::from_hours(1);

/// A key that signs identity tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityKey {
    /// Its name to receivers: its thumbprint (RFC 7638).
    pub id: String,
    /// Its place among all there ever were, from 1.
    pub generation: i64,
    /// The public half: `x` (RFC 8037, section 2).
    pub public: String,
    /// The private half.
    pub private: Sealed,
    /// From when on it signs, until another one does.
    pub signs_from: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl IdentityKey {
    fn rank(&self) -> (Timestamp, i64) {
        (self.signs_from, self.generation)
    }

    /// The public half as receivers read it (RFC 7517, section 4; RFC 8037, section 2).
    pub fn published(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": self.public,
            "kid": self.id, "alg": "EdDSA", "use": "sig",
        })
    }

    /// Whether no token that it signed is good any more.
    pub fn is_over(&self, all: &[Self], now: Timestamp) -> bool {
        all.iter()
            .any(|key| key.rank() > self.rank() && key.signs_from.after(KEPT) <= now)
    }
}

/// The key that signs now: the latest of those whose time has come.
pub fn signing(keys: &[IdentityKey], now: Timestamp) -> Option<&IdentityKey> {
    keys.iter()
        .filter(|key| key.signs_from <= now)
        .max_by_key(|key| key.rank())
}

/// From when on the next key shall sign, if it is to be made now.
pub fn succession(keys: &[IdentityKey], now: Timestamp) -> Option<Timestamp> {
    let last = keys.iter().max_by_key(|key| key.rank())?;
    let end = last.signs_from.after(PERIOD);
    let lead = now.after(LEAD);
    (end <= lead).then(|| end.max(lead))
}

/// What is stated, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// Who states it: the public URL of the deployment.
    pub issuer: &'a str,
    /// To which server.
    pub server: &'a Server,
    /// For whom the request is.
    pub user: &'a UserId,
    /// What else it belongs to.
    pub context: &'a IdentityContext,
    /// Unlike that of any other token.
    pub id: &'a str,
    /// When.
    pub now: Timestamp,
}

impl Statement<'_> {
    /// The claims (RFC 7519, section 4.1): texts as they are, and what is not known left out.
    pub fn claims(&self) -> Value {
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.server.spec.url,
            "sub": self.user.as_str(),
            "tenant": self.server.tenant.as_str(),
            "iat": self.now.as_secs(),
            "exp": self.end().as_secs(),
            "jti": self.id,
        });
        let context = self.context;
        for (name, value) in [
            ("chat", context.chat.as_ref().map(ChatId::as_str)),
            ("subchat", context.subchat.as_ref().map(ChatId::as_str)),
            ("workspace", context.workspace.as_deref()),
        ] {
            if let Some(value) = value {
                claims[name] = Value::from(value);
            }
        }
        claims
    }

    /// When the token ends; whole seconds, as it says itself.
    pub fn end(&self) -> Timestamp {
        Timestamp::from_secs(self.now.as_secs()).after(LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DataKeyId;

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn key(generation: i64, after: Duration) -> IdentityKey {
        IdentityKey {
            id: generation.to_string(),
            generation,
            public: "x".to_owned(),
            private: Sealed {
                key: DataKeyId::from_bytes([1; 16]),
                bytes: vec![1],
            },
            signs_from: START.after(after),
            created_at: START,
        }
    }

    #[test]
    fn the_latest_key_whose_time_has_come_signs() {
        let keys = [
            key(1, Duration::ZERO),
            key(2, PERIOD),
            key(3, Duration::from_secs(5)),
            key(4, Duration::from_secs(5)),
        ];
        for (after, generation) in [
            (Duration::ZERO, Some(1)),
            (Duration::from_secs(5), Some(4)),
            (PERIOD, Some(2)),
        ] {
            let signs = signing(&keys, START.after(after)).map(|key| key.generation);

            assert_eq!(signs, generation, "{after:?}");
        }
        assert_eq!(signing(&keys, START.before(LEAD)), None);
    }

    #[test]
    fn a_successor_is_made_a_day_before_it_signs() {
        let keys = [key(1, Duration::ZERO)];
        let moment = Duration::from_micros(1);
        let early = START.after(PERIOD).before(LEAD).before(moment);
        let late = START.after(PERIOD).after(PERIOD);

        assert_eq!(succession(&[], START), None);
        assert_eq!(succession(&keys, early), None);
        let on_time = succession(&keys, early.after(moment));
        assert_eq!(on_time, Some(START.after(PERIOD)));
        // Nobody looked for long: it is published for a day all the same.
        assert_eq!(succession(&keys, late), Some(late.after(LEAD)));
        let both = [keys[0].clone(), key(2, PERIOD)];
        assert_eq!(succession(&both, START.after(PERIOD)), None);
    }

    #[test]
    fn a_key_is_over_when_its_last_token_surely_is() {
        let keys = [key(1, Duration::ZERO), key(2, PERIOD)];
        let over = |after| {
            let now = START.after(after);
            keys.each_ref().map(|key| key.is_over(&keys, now))
        };

        assert_eq!(over(PERIOD + LIFETIME), [false, false]);
        assert_eq!(over(PERIOD + KEPT), [true, false]);
        assert_eq!(over(PERIOD + PERIOD), [true, false]);
    }
}
