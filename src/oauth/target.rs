//! What discovery is asked for, and how strict it is to be.

use std::time::Duration;

use crate::domain::authorization::{Issuer, Scopes};
use crate::domain::time::Clock;
use crate::fetch::Policy;

/// What a challenge said that steers discovery. Untrusted.
#[derive(Debug, Clone, Default)]
pub struct Hint {
    /// Where the resource's metadata is said to be.
    pub resource_metadata: Option<String>,
    /// The scopes said to be needed.
    pub scopes: Option<Scopes>,
}

/// What to do with a server that publishes no resource metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Legacy {
    /// It cannot be used.
    #[default]
    Refused,
    /// An administrator said that it speaks revision 2025-03-26 (`legacy_2025_03_26`): its own origin
    /// is its authorization server.
    Spoken,
}

/// What to do with endpoints of the legacy form on another origin than the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForeignEndpoints {
    /// They are refused: nothing but the server's own word stands for them.
    #[default]
    Refused,
    /// An administrator allowed them (`allow_foreign_endpoints`).
    Allowed,
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

/// What the authorization server is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To connect users: they are sent to its authorization endpoint, with PKCE.
    #[default]
    Users,
    /// For a grant of our own: no browser goes there (RFC 6749, section 4.4).
    Ourselves,
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
    /// Origins besides the server's own that the hint may point to.
    pub trusted_origins: &'a [String],
    /// Whether the server may do without resource metadata.
    pub legacy: Legacy,
    /// Whether it may then name endpoints elsewhere.
    pub foreign_endpoints: ForeignEndpoints,
    /// What for.
    pub purpose: Purpose,
    /// Whether PKCE metadata may be missing.
    pub missing_pkce: MissingPkce,
    /// The deadline of each document. At most eighteen are tried.
    pub deadline: Duration,
    /// Tells how long each took.
    pub clock: &'a dyn Clock,
}

/// Whether a server at this URL may name an endpoint: one on this machine only if it is there itself.
pub fn may_name(server_url: &str, endpoint: &str) -> bool {
    let local = |url| Policy::on_behalf_of(url) == Policy::Local;
    local(server_url) || !local(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_on_this_machine_names_endpoints_on_it() {
        let (here, there) = ("http://127.0.0.1:1/mcp", "https://mcp.example.com");

        assert!(may_name(here, "http://localhost:2/revoke"));
        assert!(may_name(here, "https://as.example.com/revoke"));
        assert!(may_name(there, "https://as.example.com/revoke"));
        assert!(!may_name(there, "http://127.0.0.1:2/revoke"));
        assert!(!may_name(there, "http://[::1]/revoke"));
    }
}
