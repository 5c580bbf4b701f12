//! Root keys: they wrap data keys and do nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::LessSafeKey;
use ring::digest;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::envelope::{DataKeyMaterial, aead, bind, decrypt, encrypt};
use super::error::{Error, Result};
use crate::domain::ids::DataKeyId;
use crate::domain::keys::{DataKey, RootKeyId};
use crate::domain::random::Random;
use crate::domain::secrets::ShownOnce;
use crate::domain::tenants::TenantId;

/// What a canary says. Its meaning is that it opens.
const CANARY: &[u8] = b"stationmaster";
/// The only format of a wrapped key.
const FORMAT: [u8; 1] = [1];

struct RootKey {
    id: RootKeyId,
    key: LessSafeKey,
}

/// The configured root keys, in order: the first wraps, all open.
pub struct RootKeys(Vec<RootKey>);

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|root| &root.id.0))
            .finish()
    }
}

impl RootKeys {
    /// The keys of a list of base64 texts, each of 32 bytes.
    pub fn parse<S: ExposeSecret<str>>(texts: &[S]) -> Result<Self> {
        if texts.is_empty() {
            return Err(Error::NoRootKey);
        }
        let keys = texts.iter().enumerate().map(|(index, text)| {
            let malformed = || Error::MalformedRootKey {
                position: index + 1,
            };
            let bytes = STANDARD
                .decode(text.expose_secret().trim())
                .map_err(|_| malformed())?;
            let bytes = Zeroizing::new(bytes);
            let key = aead(&bytes).map_err(|_| malformed())?;
            Ok(RootKey {
                id: name(&bytes),
                key,
            })
        });
        keys.collect::<Result<_>>().map(Self)
    }

    /// A new root key as text, for `keys generate` and `serve --dev`.
    pub fn generate(random: &dyn Random) -> ShownOnce {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        random.fill(&mut *bytes);
        ShownOnce::new(STANDARD.encode(*bytes))
    }

    /// The names of the keys, in order.
    pub fn ids(&self) -> impl Iterator<Item = &RootKeyId> {
        self.0.iter().map(|root| &root.id)
    }

    fn first(&self) -> Result<&RootKey> {
        self.0.first().ok_or(Error::NoRootKey)
    }

    fn find(&self, id: &RootKeyId) -> Result<&RootKey> {
        let found = self.0.iter().find(|root| root.id == *id);
        found.ok_or_else(|| Error::UnknownRootKey(id.0.clone()))
    }

    /// A canary of the wrapping key.
    pub fn canary(&self, random: &dyn Random) -> Result<(RootKeyId, Vec<u8>)> {
        let root = self.first()?;
        let aad = bind(&["canary", &root.id.0]);
        Ok((
            root.id.clone(),
            encrypt(&root.key, &FORMAT, &aad, CANARY, random),
        ))
    }

    /// Opens a canary: whether the key of this name is configured and is the one it was.
    pub fn check_canary(&self, id: &RootKeyId, canary: &[u8]) -> Result<()> {
        let root = self.find(id)?;
        let body = canary.strip_prefix(&FORMAT[..]).ok_or(Error::Malformed)?;
        let opened = decrypt(&root.key, &bind(&["canary", &id.0]), body)?;
        if opened.as_slice() == CANARY {
            Ok(())
        } else {
            Err(Error::DoesNotOpen)
        }
    }

    /// Makes a data key for a tenant: ready to use, and wrapped to be stored.
    pub fn make_data_key(
        &self,
        tenant: &TenantId,
        id: DataKeyId,
        random: &dyn Random,
    ) -> Result<(DataKeyMaterial, RootKeyId, Vec<u8>)> {
        let root = self.first()?;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        random.fill(&mut *bytes);
        let wrapped = encrypt(&root.key, &FORMAT, &bind_key(tenant, id), &*bytes, random);
        Ok((DataKeyMaterial::new(id, &*bytes)?, root.id.clone(), wrapped))
    }

    /// Unwraps a stored data key.
    pub fn unwrap_data_key(&self, stored: &DataKey) -> Result<DataKeyMaterial> {
        let root = self.find(&stored.root_key)?;
        let body = stored
            .wrapped
            .strip_prefix(&FORMAT[..])
            .ok_or(Error::Malformed)?;
        let bytes = decrypt(&root.key, &bind_key(&stored.tenant, stored.id), body)?;
        DataKeyMaterial::new(stored.id, &bytes)
    }
}

/// A wrapped key opens only as the key it is, for the tenant it belongs to.
fn bind_key(tenant: &TenantId, id: DataKeyId) -> Vec<u8> {
    bind(&["data_keys", tenant.as_str(), &id.to_string()])
}

/// The name of a root key: 128 bits of a hash of it.
fn name(bytes: &[u8]) -> RootKeyId {
    let labelled = Zeroizing::new([b"stationmaster root key\0", bytes].concat());
    let hash = digest::digest(&digest::SHA256, &labelled);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    RootKeyId(format!("rk_{}", uuid::Uuid::from_bytes(bytes).as_simple()))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::random::SeededRandom;
    use crate::domain::time::{Clock as _, FixedClock};

    fn text(seed: u64) -> SecretString {
        RootKeys::generate(&SeededRandom::new(seed)).show().into()
    }

    fn keys(seeds: &[u64]) -> RootKeys {
        let texts: Vec<_> = seeds.iter().map(|seed| text(*seed)).collect();
        RootKeys::parse(&texts).unwrap()
    }

    fn stored(roots: &RootKeys) -> DataKey {
        let (clock, random) = (FixedClock::default(), SeededRandom::new(5));
        let tenant = TenantId::parse("acme").unwrap();
        let id = DataKeyId::mint(&clock, &random);
        let (_, root_key, wrapped) = roots.make_data_key(&tenant, id, &random).unwrap();
        let created_at = clock.now();
        DataKey {
            id,
            tenant,
            root_key,
            wrapped,
            active: true,
            reserved_uses: 0,
            created_at,
        }
    }

    #[test]
    fn the_first_wraps_and_all_open() {
        let data_key = stored(&keys(&[1]));

        assert!(keys(&[2, 1]).unwrap_data_key(&data_key).is_ok());
        let missing = keys(&[2]).unwrap_data_key(&data_key).err();
        assert_eq!(missing, Some(Error::UnknownRootKey(data_key.root_key.0)));
    }

    #[test]
    fn a_wrapped_key_does_not_open_for_another_tenant() {
        let mut data_key = stored(&keys(&[1]));
        data_key.tenant = TenantId::parse("other").unwrap();

        assert_eq!(
            keys(&[1]).unwrap_data_key(&data_key).err(),
            Some(Error::DoesNotOpen)
        );
    }

    #[test]
    fn a_canary_tells_a_wrong_key() {
        let (id, canary) = keys(&[1]).canary(&SeededRandom::new(3)).unwrap();

        assert_eq!(keys(&[1]).check_canary(&id, &canary), Ok(()));
        assert!(keys(&[2]).check_canary(&id, &canary).is_err());
        assert_eq!(keys(&[1]).check_canary(&id, &[]), Err(Error::Malformed));
    }

    #[test]
    fn a_malformed_key_is_named_by_its_place() {
        let texts = [text(1), SecretString::from("short")];

        let error = RootKeys::parse(&texts).err();

        assert_eq!(error, Some(Error::MalformedRootKey { position: 2 }));
    }
}
