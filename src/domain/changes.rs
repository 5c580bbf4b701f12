//! The change feed: what changed, in commit order, so that watchers and caches can follow.

use super::ids::ServerId;
use super::tenants::TenantId;
use super::text::UserId;
use super::time::Timestamp;

/// A place in a tenant's feed: everything up to it is committed. Grows, with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub i64);

/// How many heads the feed has; a tenant always writes to the same one.
pub const SHARDS: i64 = 16;

/// The head a tenant writes to: FNV-1a of its name, so that it never depends on the build.
pub fn shard_of(tenant: &TenantId) -> i64 {
    let hash = tenant
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    i64::try_from(hash % SHARDS.unsigned_abs()).unwrap_or_default()
}

/// What kind of thing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A tenant.
    Tenant,
    /// An API key.
    ApiKey,
    /// A server configuration.
    Server,
    /// Our OAuth client at an authorization server.
    Registration,
    /// A user's grant.
    Connection,
    /// The tokens of a user's login.
    Identity,
    /// An attempt to obtain a grant.
    Handshake,
    /// A chat's selection.
    Chat,
    /// What a user supplied for a server's headers.
    UserHeaders,
}

impl ChangeKind {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::ApiKey => "api_key",
            Self::Server => "server",
            Self::Registration => "registration",
            Self::Connection => "connection",
            Self::Identity => "identity",
            Self::Handshake => "handshake",
            Self::Chat => "chat",
            Self::UserHeaders => "user_headers",
        }
    }

    /// The kind of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Tenant,
            Self::ApiKey,
            Self::Server,
            Self::Registration,
            Self::Connection,
            Self::Identity,
            Self::Handshake,
            Self::Chat,
            Self::UserHeaders,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// It exists or is different now.
    Put,
    /// It is gone.
    Delete,
}

impl Op {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    /// The operation of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Put, Self::Delete]
            .into_iter()
            .find(|op| op.as_str() == name)
    }
}

/// One change, before it has a place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// Whose it is.
    pub tenant: TenantId,
    /// What kind of thing.
    pub kind: ChangeKind,
    /// Which one: its id.
    pub subject: String,
    /// What happened.
    pub op: Op,
    /// Whose it is, where it is one user's.
    pub owner: Option<Owner>,
}

/// Whose a thing is, so that nobody else learns of it, even when it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user.
    pub user: UserId,
    /// The server it is about.
    pub server: ServerId,
}

/// Where a shard of the feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which shard.
    pub shard: i64,
    /// The last place given.
    pub last: Revision,
    /// The lowest place that can be resumed after; the entries up to it may be gone.
    pub floor: Revision,
}

/// One entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place.
    pub revision: Revision,
    /// What happened to what.
    pub what: NewChange,
    /// When it was committed.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::super::text::Slug;
    use super::*;

    #[test]
    fn a_tenants_shard_never_moves() {
        let shard = |name| Slug::parse(name).map(|slug| shard_of(&slug));

        assert_eq!(shard("default"), Ok(14));
        assert!(shard("acme").is_ok_and(|shard| (0..SHARDS).contains(&shard)));
    }
}
