//! What discovery is asked for, and how strict it is to be.

use std::time::Duration;

use crate::domain::authorization::{Issuer, Scopes};

/// What a challenge said that steers discovery. Untrusted.
#[derive(Debug, Clone, Default)]
pub struct Hint {
    /// Where the resource's metadata is said to be.
    pub resource_metadata: Option<String>,
    /// The scopes said to be needed.
    pub scopes: Option<Scopes>,
}

/// Whether a challenge may point to metadata on another origin than the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherOrigins {
    /// Such a pointer is noted and not followed.
    #[default]
    Ignored,
    /// An administrator allowed it.
    Followed,
}

/// What to do with an authorization server that does not advertise PKCE with S256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingPkce {
    /// Refuse it, as the specification demands.
    #[default]
    Refused,
    /// An administrator allowed it (`allow_missing_pkce_metadata`); S256 is sent anyway.
    Allowed,
}

/// What is to be discovered.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The MCP server's URL as configured.
    pub server_url: &'a str,
    /// What its challenge said, if it was asked.
    pub hint: Option<&'a Hint>,
    /// The issuer that the client at hand belongs to; no other will do then. Without one, the first
    /// usable is chosen anew each time, so that an outage may change the choice.
    pub issuer: Option<&'a Issuer>,
    /// Whether the hint may lead elsewhere.
    pub other_origins: OtherOrigins,
    /// Whether PKCE metadata may be missing.
    pub missing_pkce: MissingPkce,
    /// The deadline of each document. At most eighteen are tried.
    pub deadline: Duration,
}
