//! The envelope: one value sealed under one data key, bound to its place.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::payload::Payload;
use crate::domain::ids::DataKeyId;
use crate::domain::keys::Place;
use crate::domain::random::Random;
use crate::domain::secrets::Sealed;

/// The version this release writes.
const VERSION: u8 = 1;
/// Version, key id and nonce.
const HEADER: usize = 1 + 16 + NONCE_LEN;

/// A data key, ready to seal and open. Wiped on drop.
pub struct DataKeyMaterial {
    id: DataKeyId,
    key: LessSafeKey,
}

impl fmt::Debug for DataKeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKeyMaterial({})", self.id)
    }
}

/// An AES-256-GCM key of 32 bytes.
pub(super) fn aead(bytes: &[u8]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| Error::Malformed)
}

/// Encrypts in place; answers nonce, ciphertext and tag behind `header`.
#[expect(
    clippy::expect_used,
    reason = "AES-GCM refuses only more than 64 GiB at once"
)]
pub(super) fn encrypt(
    key: &LessSafeKey,
    header: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    random: &dyn Random,
) -> Vec<u8> {
    let mut nonce = [0_u8; NONCE_LEN];
    random.fill(&mut nonce);
    let mut body = Zeroizing::new(plaintext.to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut body,
        )
        .expect("the value fits into one AEAD message");
    [header, &nonce, &body, tag.as_ref()].concat()
}

/// Decrypts nonce, ciphertext and tag.
pub(super) fn decrypt(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::Malformed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Malformed)?;
    let mut body = Zeroizing::new(body.to_vec());
    let len = key
        .open_in_place(nonce, Aad::from(aad), &mut body)
        .map_err(|_| Error::DoesNotOpen)?
        .len();
    body.truncate(len);
    Ok(body)
}

/// Texts joined so that no two different lists give the same bytes.
pub(super) fn bind(parts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for part in parts {
        let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// The associated data of a place.
fn bind_place(place: &Place<'_>) -> Vec<u8> {
    let Place {
        tenant,
        column,
        row,
        owner,
    } = place;
    let column = column.sealed_as();
    bind(&[tenant.as_str(), column.table(), column.column(), row, owner])
}

impl DataKeyMaterial {
    /// The key of these 32 bytes.
    pub(super) fn new(id: DataKeyId, bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            id,
            key: aead(bytes)?,
        })
    }

    /// Its id.
    pub fn id(&self) -> DataKeyId {
        self.id
    }

    /// Seals a value for a place, under a random nonce.
    pub fn seal<T: Payload>(&self, place: &Place<'_>, value: &T, random: &dyn Random) -> Sealed {
        let header = [&[VERSION][..], self.id.as_bytes()].concat();
        let aad = bind_place(place);
        let bytes = encrypt(&self.key, &header, &aad, &value.to_bytes(), random);
        Sealed {
            key: self.id,
            bytes,
        }
    }

    /// Opens a value at the place it was sealed for.
    pub fn open<T: Payload>(&self, place: &Place<'_>, sealed: &Sealed) -> Result<T> {
        let (header, body) = sealed
            .bytes
            .split_at_checked(HEADER - NONCE_LEN)
            .ok_or(Error::Malformed)?;
        let (version, id) = header.split_first().ok_or(Error::Malformed)?;
        if *version != VERSION {
            return Err(Error::Malformed);
        }
        let id: [u8; 16] = id.try_into().map_err(|_| Error::Malformed)?;
        let id = DataKeyId::from_bytes(id);
        if id != self.id || sealed.key != self.id {
            return Err(Error::OtherDataKey(id));
        }
        let plaintext = decrypt(&self.key, &bind_place(place), body)?;
        T::from_bytes(&plaintext).ok_or(Error::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::keys::SealedColumn;
    use crate::domain::random::SeededRandom;
    use crate::domain::secrets::AccessToken;
    use crate::domain::tenants::TenantId;
    use crate::domain::time::FixedClock;

    fn key(seed: u64) -> DataKeyMaterial {
        let id = DataKeyId::mint(&FixedClock::default(), &SeededRandom::new(seed));
        DataKeyMaterial::new(id, &[7; 32]).unwrap()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    const COLUMN: SealedColumn = SealedColumn::ConnectionAccessToken;

    #[test]
    fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let (key, acme, other) = (key(1), tenant("acme"), tenant("other"));
        let home = Place {
            tenant: &acme,
            column: COLUMN,
            row: "con_1",
            owner: "ann",
        };
        let value = AccessToken::new("hush".into());

        let sealed = key.seal(&home, &value, &SeededRandom::new(2));

        let opened: AccessToken = key.open(&home, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "hush");
        let moved = Place {
            column: SealedColumn::RevocationAccessToken,
            ..home.clone()
        };
        assert!(key.open::<AccessToken>(&moved, &sealed).is_ok());
        for elsewhere in [
            Place {
                tenant: &other,
                ..home.clone()
            },
            Place {
                column: SealedColumn::ConnectionRefreshToken,
                ..home.clone()
            },
            Place {
                row: "con_2",
                ..moved.clone()
            },
            Place {
                row: "con_2",
                ..home.clone()
            },
            Place {
                owner: "bob",
                ..home.clone()
            },
            Place {
                row: "con_1a",
                owner: "nn",
                ..home.clone()
            },
        ] {
            let opened = key.open::<AccessToken>(&elsewhere, &sealed);
            assert_eq!(opened.err(), Some(Error::DoesNotOpen), "{elsewhere:?}");
        }
    }

    #[test]
    fn another_data_key_is_named() {
        let acme = tenant("acme");
        let place = Place {
            tenant: &acme,
            column: COLUMN,
            row: "r",
            owner: "",
        };
        let sealed = key(1).seal(&place, &AccessToken::new("x".into()), &SeededRandom::new(2));

        let opened = key(9).open::<AccessToken>(&place, &sealed);

        assert_eq!(opened.err(), Some(Error::OtherDataKey(key(1).id())));
    }

    proptest! {
        #[test]
        fn tampering_with_any_bit_fails(byte in 0_usize..60, bit in 0_u8..8) {
            let acme = tenant("acme");
            let place = Place { tenant: &acme, column: COLUMN, row: "r", owner: "o" };
            let key = key(1);
            let value = AccessToken::new("a token of some length".into());
            let mut sealed = key.seal(&place, &value, &SeededRandom::new(2));
            let byte = byte % sealed.bytes.len();

            sealed.bytes[byte] ^= 1 << bit;

            prop_assert!(key.open::<AccessToken>(&place, &sealed).is_err());
        }

        #[test]
        fn foreign_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let acme = tenant("acme");
            let place = Place { tenant: &acme, column: COLUMN, row: "r", owner: "o" };
            let key = key(1);

            let opened = key.open::<AccessToken>(&place, &Sealed { key: key.id(), bytes });

            prop_assert!(opened.is_err());
        }
    }
}
