//! Access: who is calling, and which methods their role may call at all.
//!
//! [`METHODS`] is the one table of roles; a method without a row is refused to everyone.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::audit::{Origin, Who};
use super::authorization::Issuer;
use super::ids::{ApiKeyId, ServerId};
use super::secrets::SecretHash;
use super::tenants::TenantId;
use super::text::{GroupId, UserId};
use super::time::Timestamp;

mod methods;

pub use methods::{METHODS, Method, Roles, method};

/// What a caller may do, in the large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything about one tenant's configuration; never reads a secret back.
    Admin,
    /// Resolves for the users it names.
    Daemon,
    /// Acts for itself.
    User,
    /// Reads, redacted.
    Auditor,
    /// Everything an administrator may, in every tenant, and the tenants themselves.
    Operator,
}

/// Every role, in the order they are shown.
pub const ROLES: [Role; 5] = [
    Role::Operator,
    Role::Admin,
    Role::Auditor,
    Role::Daemon,
    Role::User,
];

impl Role {
    /// The name it is stored and shown under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Daemon => "daemon",
            Self::User => "user",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }

    /// The role of a name.
    pub fn parse(name: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.as_str() == name)
    }
}

/// What an API key is narrowed to. Empty lists narrow nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Full method names (`/stationmaster.v1.TokenService/ResolveCredentials`).
    pub methods: Vec<String>,
    /// Servers.
    pub servers: Vec<ServerId>,
    /// Where calls may come from.
    pub source_cidrs: Vec<IpNet>,
    /// Whether the user's own token must accompany what is about a user.
    pub requires_user_token: bool,
}

impl Narrowing {
    /// Whether this narrows at least as much as `outer` does.
    pub fn is_within(&self, outer: &Self) -> bool {
        fn within<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
            outer.is_empty() || (!inner.is_empty() && inner.iter().all(|one| outer.contains(one)))
        }
        let nets = outer.source_cidrs.is_empty()
            || (!self.source_cidrs.is_empty()
                && self
                    .source_cidrs
                    .iter()
                    .all(|net| outer.source_cidrs.iter().any(|outer| outer.contains(net))));
        let token = self.requires_user_token || !outer.requires_user_token;
        within(&self.methods, &outer.methods)
            && within(&self.servers, &outer.servers)
            && nets
            && token
    }

    /// Whether the key may call this method.
    pub fn admits_method(&self, path: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|method| method == path)
    }

    /// Whether the key may touch this server.
    pub fn admits_server(&self, server: ServerId) -> bool {
        self.servers.is_empty() || self.servers.contains(&server)
    }

    /// Whether the key may be used from this address. An unknown address is admitted only where
    /// nothing is narrowed.
    pub fn admits_address(&self, address: Option<IpAddr>) -> bool {
        self.source_cidrs.is_empty()
            || address.is_some_and(|ip| self.source_cidrs.iter().any(|net| net.contains(&ip)))
    }
}

/// A stored API key: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public half.
    pub id: ApiKeyId,
    /// Whose it is; `None` for operators, who belong to no tenant.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub role: Role,
    /// What people call it; at most 200 bytes.
    pub name: String,
    /// The hash of its secret half.
    pub hash: SecretHash,
    /// The one user it may act for.
    pub user: Option<UserId>,
    /// What it is narrowed to.
    pub narrowing: Narrowing,
    /// The principal that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, within a minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it may be used at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The user a call is about, with the groups asserted for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: UserId,
    /// Their groups: as their own token says, or else as the caller asserts them.
    pub groups: Vec<GroupId>,
}

impl Actor {
    /// The groups as texts.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(GroupId::as_str)
    }
}

/// How a caller proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By an API key.
    ApiKey(ApiKeyId),
    /// By a JWT of a trusted issuer.
    Jwt {
        /// The issuer.
        issuer: Issuer,
        /// Whom the issuer says it is about.
        subject: String,
    },
}

impl Credential {
    /// The key, if it is one.
    pub fn key(&self) -> Option<ApiKeyId> {
        match self {
            Self::ApiKey(key) => Some(*key),
            Self::Jwt { .. } => None,
        }
    }
}

impl fmt::Display for Credential {
    /// A key's id, or issuer and subject with `#` between them, which no issuer contains (RFC 8414,
    /// section 2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(key) => write!(f, "{key}"),
            Self::Jwt { issuer, subject } => write!(f, "{}#{subject}", issuer.as_str()),
        }
    }
}

/// Who is asking.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant the call is about.
    pub tenant: TenantId,
    /// What the caller may do.
    pub role: Role,
    /// What it proved itself by.
    pub credential: Credential,
    /// The key's name; of a JWT its subject.
    pub name: String,
    /// The one user it may act for.
    pub user: Option<UserId>,
    /// That user's groups, where the user's own token is there to say so; nobody else's word counts then.
    pub groups: Option<Arc<[GroupId]>>,
    /// What it is narrowed to.
    pub narrowing: Narrowing,
    /// When its credential ends by itself, or the user's token beside it.
    pub expires_at: Option<Timestamp>,
    /// The request's id.
    pub request_id: String,
    /// Where it calls from, when known.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The caller as audit and `created_by` name it.
    pub fn principal(&self) -> String {
        self.credential.to_string()
    }

    /// The circumstances of the call, for its audit records.
    pub fn origin(&self) -> Origin {
        Origin {
            who: Who::Caller {
                principal: self.principal(),
                name: self.name.clone(),
            },
            request_id: Some(self.request_id.clone()),
            address: self.address,
        }
    }

    /// Whether it may act for this user.
    pub fn may_act_for(&self, user: &UserId) -> bool {
        self.user.as_ref().is_none_or(|own| own == user)
    }

    /// Whether it lacks the user's own token that its key demands beside it.
    pub fn lacks_user_token(&self) -> bool {
        self.narrowing.requires_user_token && self.groups.is_none()
    }

    /// The user it is bound to, with the groups that their token says.
    pub fn own_actor(&self) -> Option<Actor> {
        let user = self.user.clone()?;
        let groups = self.groups.as_deref().map(<[GroupId]>::to_vec);
        Some(Actor {
            user,
            groups: groups.unwrap_or_default(),
        })
    }

    /// Whether it sees configurations in full, disabled ones included.
    pub fn sees_configuration(&self) -> bool {
        matches!(self.role, Role::Admin | Role::Operator | Role::Auditor)
    }
}
