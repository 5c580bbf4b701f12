//! How domain types become the five column types and come back. An impossible value names its
//! table, column and row.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, Result};
use crate::domain::secrets::{Sealed, SecretHash};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

/// A row being read: where a complaint points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Reading<'_> {
    /// The complaint about a column.
    pub(super) fn corrupt(&self, column: &'static str) -> Error {
        Error::Corrupt {
            table: self.table,
            column,
            id: self.id.to_owned(),
        }
    }

    /// A value, unless it is missing.
    pub(super) fn some<T>(&self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.corrupt(column))
    }

    /// An id, or anything else that is read back from its text.
    pub(super) fn parse<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.corrupt(column))
    }

    /// The name in the column `tenant`.
    pub(super) fn tenant(&self, text: &str) -> Result<TenantId> {
        self.some("tenant", TenantId::parse(text).ok())
    }

    /// The user in the column `user_id`; nobody where it is empty.
    pub(super) fn user(&self, text: &str) -> Result<UserId> {
        if text.is_empty() {
            return Ok(UserId::nobody());
        }
        self.some("user_id", UserId::parse(text).ok())
    }

    /// The user in the column `owner`, if there is one.
    pub(super) fn owner(&self, text: Option<&str>) -> Result<Option<UserId>> {
        let owner = text.map(|text| self.some("owner", UserId::parse(text).ok()));
        owner.transpose()
    }

    /// A value kept as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|_| self.corrupt(column))
    }

    /// A sealed value and its key: both or neither.
    pub(super) fn sealed(
        &self,
        column: &'static str,
        bytes: Option<Vec<u8>>,
        key: Option<String>,
    ) -> Result<Option<Sealed>> {
        match (bytes, key) {
            (None, None) => Ok(None),
            (Some(bytes), Some(key)) => Ok(Some(Sealed {
                key: self.parse(column, &key)?,
                bytes,
            })),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt(column)),
        }
    }

    /// The hash of a secret.
    pub(super) fn hash(&self, column: &'static str, bytes: &[u8]) -> Result<SecretHash> {
        self.some(column, SecretHash::from_bytes(bytes))
    }

    /// Hashes one after the other.
    pub(super) fn hashes(&self, column: &'static str, bytes: &[u8]) -> Result<Vec<SecretHash>> {
        let hashes = bytes.chunks(SecretHash::LEN);
        hashes.map(|bytes| self.hash(column, bytes)).collect()
    }
}

/// Hashes one after the other.
pub(super) fn hashes_column(hashes: &[SecretHash]) -> Vec<u8> {
    let bytes = hashes.iter().flat_map(SecretHash::as_bytes);
    bytes.copied().collect()
}

/// A value as JSON text.
#[expect(
    clippy::expect_used,
    reason = "the domain's serialised types have only string keys"
)]
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a domain value serialises")
}

/// Ids and the like as text.
pub(super) fn text(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// A point in time, if there is one.
pub(super) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

/// A point in time read back, if there is one.
pub(super) fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

/// The two columns of a sealed value: bytes and key.
pub(super) fn sealed_columns(sealed: Option<&Sealed>) -> (Option<&[u8]>, Option<String>) {
    (
        sealed.map(|s| s.bytes.as_slice()),
        sealed.map(|s| s.key.to_string()),
    )
}
