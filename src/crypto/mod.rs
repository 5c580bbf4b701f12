//! Keys and sealed bytes. Knows no rows and no time; the plaintext it sees leaves it only as the
//! secret types of `domain`.
//!
//! The scheme: a value is sealed with AES-256-GCM under a **data key** of its tenant; data keys are
//! wrapped by a **root key**. An envelope is
//!
//! ```text
//! version (1 byte) | data key id (16) | nonce (12, random) | ciphertext and tag
//! ```
//!
//! and its associated data binds version, tenant, table, column, row and owner: copied to another
//! place, it does not open. Nothing is derived per value; opening costs one AEAD call.
//!
//! Root keys are a list: the first wraps, all open. A root key is named by a hash of its bytes, and
//! remembered by a **canary**, so that a wrong key is noticed at start and not at the first read.

mod envelope;
mod error;
mod identity;
mod payload;
mod root;
mod signing;
mod verifying;

pub use envelope::DataKeyMaterial;
pub use error::{Error, Result};
pub use identity::{IdentitySeed, IdentitySigner};
pub use payload::{ClientKey, Flow, HeaderValues, Parked, Payload};
pub use root::RootKeys;
pub use signing::{SigningKey, UnusableKey};
pub use verifying::{KeySet, UnusableKeys};
