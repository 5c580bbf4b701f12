//! Why a value could not be sealed or opened. Never says what was in it.

use crate::domain::ids::DataKeyId;

/// The result of sealing and opening.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No root key was given.
    #[error("no root key is configured")]
    NoRootKey,
    /// A root key is not 32 bytes.
    #[error(
        "root key {position} must be 32 bytes, base64-encoded; `stationmaster keys generate` makes one"
    )]
    MalformedRootKey {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// The root key that wraps a data key is not among those given.
    #[error(
        "this database is sealed with root key {0}, which is not among those given; `--dev` keeps its own in \
         `root.key` of the data directory"
    )]
    UnknownRootKey(String),
    /// The envelope names another data key than the one it is opened with.
    #[error("sealed under data key {0}")]
    OtherDataKey(DataKeyId),
    /// Not an envelope of a version this release reads.
    #[error("not an envelope")]
    Malformed,
    /// Tampered with, copied from another place, or sealed under another key.
    #[error("does not open here")]
    DoesNotOpen,
}
