//! Typed ids. Each is a `UUIDv7` (RFC 9562, section 5.7) shown as a prefix and 32 hex digits.
//!
//! Ids are minted from `Clock` and `Random` only, so that tests repeat. A prefix holds an
//! underscore, which no slug may: a text is an id or a slug, never both.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::random::Random;
use super::time::Clock;

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `{prefix}` followed by 32 hexadecimal digits")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// Mints the value of a new id: time-ordered, 74 random bits.
fn mint_uuid(clock: &dyn Clock, random: &dyn Random) -> Uuid {
    let millis = u64::try_from(clock.now().as_micros() / 1_000).unwrap_or_default();
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Mints a new id; unique, and ordered by the clock's milliseconds.
            pub fn mint(clock: &dyn Clock, random: &dyn Random) -> Self {
                Self(mint_uuid(clock, random))
            }

            /// The sixteen bytes of the id, as bound into sealed values.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these sixteen bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or(invalid)?;
                let canonical = digits.len() == 32
                    && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !canonical {
                    return Err(invalid);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| invalid)
            }
        }
    )+};
}

ids! {
    /// An MCP server configuration.
    ServerId = "srv_";
    /// Our OAuth client at one authorization server.
    RegistrationId = "reg_";
    /// One user's grant on one server.
    ConnectionId = "con_";
    /// The tokens of a user's login at one identity provider.
    IdentityId = "idn_";
    /// A client as it was when its grants were to be revoked.
    RetiredClientId = "ret_";
    /// One attempt to obtain a grant.
    HandshakeId = "hsk_";
    /// A value that a user supplied for a header.
    HeaderValueId = "hdv_";
    /// A caller's API key (its public half).
    ApiKeyId = "key_";
    /// A key that seals values.
    DataKeyId = "dek_";
    /// A record of the audit trail.
    AuditEventId = "evt_";
    /// One declared attempt to redeem one refresh token.
    IntentId = "int_";
    /// One running process of the service.
    ReplicaId = "rep_";
}

#[cfg(test)]
mod tests {
    use super::super::random::SeededRandom;
    use super::super::time::FixedClock;
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_shown() {
        let id = ServerId::mint(&FixedClock::default(), &SeededRandom::new(1));

        let shown = id.to_string();

        assert!(shown.starts_with("srv_"));
        assert_eq!(shown.parse(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = ServerId::mint(&FixedClock::default(), &SeededRandom::new(1));

        let parsed = id.to_string().parse::<ConnectionId>();

        assert_eq!(parsed, Err(InvalidId { prefix: "con_" }));
    }

    #[test]
    fn only_the_canonical_form_is_an_id() {
        for text in [
            "",
            "srv_",
            "srv_0190C0FFEE00700080000000000000AB",
            "srv_0190c0ff-ee00-7000-8000-0000000000ab",
            "srv_0190c0ffee00700080000000000000a",
        ] {
            assert!(text.parse::<ServerId>().is_err(), "{text}");
        }
    }
}
