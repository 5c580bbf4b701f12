//! Issuers whose JWTs the deployment takes (`OpenID` Connect Core 1.0, section 2; RFC 9068), what the
//! claims of each mean here, and our client at it, if it has one. Pure: signatures and keys are elsewhere.
//!
//! Nothing follows from a token that the deployment did not write down: which tenants it may speak of,
//! which roles it may give, how its users are named. Two issuers that could name one user or one group are
//! refused together unless both say that they share them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::access::{ROLES, Role};
use super::accounts::{DEFAULT_CLAIM, is_unverified};
use super::authorization::{ClientAuthMethod, Issuer};
use super::jws::Algorithm;
use super::secrets::ClientSecret;
use super::tenants::TenantId;
use super::text::{GroupId, UserId};
use super::time::Timestamp;

/// The longest subject taken, in bytes (`OpenID` Connect Core 1.0, section 2).
const MAX_SUBJECT: usize = 255;
/// The most groups a token may name.
const MAX_GROUPS: usize = 1000;

/// The issuers of a deployment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Issuers(Arc<[TrustedIssuer]>);

impl Issuers {
    /// These, each issuer once.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Self {
        Self(issuers.into())
    }

    /// The issuer of this name, compared character for character.
    pub fn find(&self, issuer: &Issuer) -> Option<&TrustedIssuer> {
        self.0.iter().find(|trusted| trusted.issuer == *issuer)
    }

    /// All, as the deployment lists them.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.0.iter()
    }
}

/// An issuer, and what its tokens are worth.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its identifier, exactly as its tokens say it.
    pub issuer: Issuer,
    /// Whom a token must be for: one of these; at least one.
    pub audiences: Vec<String>,
    /// Where its keys are; `None`: where its metadata says.
    pub jwks_uri: Option<Url>,
    /// How its tokens may be signed; at least one.
    pub algorithms: Vec<Algorithm>,
    /// Which tenant a token is about.
    pub tenant: TenantRule,
    /// What names the user.
    pub user_claim: Claim,
    /// What goes before that, so that users of several issuers stay apart.
    pub user_prefix: String,
    /// What names the user's groups.
    pub groups_claim: Claim,
    /// What goes before each.
    pub groups_prefix: String,
    /// What a token's bearer may do.
    pub role: RoleRule,
    /// Claims that must say this, or list it.
    pub required_claims: BTreeMap<String, String>,
    /// How far its clock may be ahead of ours: at most 5 min.
    pub clock_skew: Duration,
    /// How long after it was issued a token is taken at most.
    pub max_age: Option<Duration>,
    /// Whether its users are also those of others that say so.
    pub shared_users: bool,
    /// Whether its groups are.
    pub shared_groups: bool,
    /// Our client there.
    pub client: Option<IssuerClient>,
}

/// Our client at an issuer, made by hand: renews users' identities that were deposited here.
#[derive(Debug, Clone)]
pub struct IssuerClient {
    /// Its id.
    pub id: String,
    /// Its secret; `None` of a public client.
    pub secret: Option<ClientSecret>,
    /// Where it redeems; `None`: where the issuer's metadata says.
    pub token_endpoint: Option<Url>,
    /// How it proves itself; `None`: by HTTP Basic with a secret, else not at all.
    pub method: Option<ClientAuthMethod>,
}

/// A claim by its name; one that begins with `/` is a JSON pointer (RFC 6901) into the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(String);

impl Claim {
    /// The claim of a name or pointer.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Whether it is the one of a name, however it is written.
    fn is(&self, name: &str) -> bool {
        self.0.strip_prefix('/').unwrap_or(&self.0) == name
    }

    fn of<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let Some(path) = self.0.strip_prefix('/') else {
            return claims.get(&self.0);
        };
        let end = path.find('/').unwrap_or(path.len());
        let (first, rest) = path.split_at(end);
        let first = first.replace("~1", "/").replace("~0", "~");
        claims.get(&first)?.pointer(rest)
    }
}

/// Which tenant a token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantRule {
    /// This one.
    Fixed(TenantId),
    /// The one that a claim names, by way of a table if there is one.
    Claim {
        /// The claim.
        claim: Claim,
        /// The tenant of each value; other values are refused. `None`: the value is the tenant's name.
        tenants: Option<BTreeMap<String, TenantId>>,
    },
}

/// What a token's bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleRule {
    /// This.
    Fixed(Role),
    /// What a claim says by way of a table; of several the strongest. Without one the token is refused.
    Claim {
        /// The claim: a text or a list of texts.
        claim: Claim,
        /// The role of each value.
        roles: BTreeMap<String, Role>,
    },
}

/// What issuers vouch for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// A user.
    User,
    /// A group that users are in.
    Group,
}

/// What a token says of its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whom the token is about, as its issuer names them.
    pub subject: String,
    /// The tenant; `None` of operators, who belong to none.
    pub tenant: Option<TenantId>,
    /// What they may do.
    pub role: Role,
    /// The user they are: of role `user` only.
    pub user: Option<UserId>,
    /// The user's groups.
    pub groups: Vec<GroupId>,
    /// When the token ends.
    pub ends: Timestamp,
}

/// Why a token's claims do not do. For the log; holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(&'static str);

impl TrustedIssuer {
    /// What claims say, which must be verified ones of this issuer. The role is the one that is wanted,
    /// if the token gives that, or the strongest it gives.
    ///
    /// The end of a token is taken strictly; its beginning and its age by [`Self::clock_skew`].
    pub fn read(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
        wanted: Option<Role>,
    ) -> Result<Holder, Unfit> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(Unfit("it is another issuer's"));
        }
        let meant = texts(claims.get("aud"));
        if !meant.iter().any(|one| self.audiences.contains(one)) {
            return Err(Unfit("it is for another audience"));
        }
        let ends = self.check_times(claims, now)?;
        for (claim, value) in &self.required_claims {
            let said = texts(Claim::new(claim.as_str()).of(claims));
            if !said.contains(value) {
                return Err(Unfit("a required claim is missing or other"));
            }
        }
        let subject = text(claims.get("sub")).ok_or(Unfit("it has no subject"))?;
        if subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
            return Err(Unfit("its subject is none"));
        }
        let role = self.role_of(claims, wanted)?;
        let tenant = match role {
            Role::Operator => None,
            Role::Admin | Role::Daemon | Role::User | Role::Auditor => {
                Some(self.tenant_of(claims)?)
            }
        };
        let (user, groups) = if role == Role::User {
            (Some(self.user_of(claims)?), self.groups_of(claims)?)
        } else {
            (None, Vec::new())
        };
        Ok(Holder {
            subject,
            tenant,
            role,
            user,
            groups,
            ends,
        })
    }

    fn check_times(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, Unfit> {
        let ends = time(claims, "exp")?.ok_or(Unfit("it does not say when it ends"))?;
        if now >= ends {
            return Err(Unfit("it has ended"));
        }
        let latest = now.after(self.clock_skew);
        let issued = time(claims, "iat")?;
        if [time(claims, "nbf")?, issued]
            .into_iter()
            .flatten()
            .any(|begins| begins > latest)
        {
            return Err(Unfit("it does not hold yet"));
        }
        if let Some(max_age) = self.max_age {
            let issued = issued.ok_or(Unfit("it does not say when it was issued"))?;
            if issued.after(max_age) <= now {
                return Err(Unfit("it is too old"));
            }
            return Ok(ends.min(issued.after(max_age)));
        }
        Ok(ends)
    }

    fn role_of(&self, claims: &Map<String, Value>, wanted: Option<Role>) -> Result<Role, Unfit> {
        let given = match &self.role {
            RoleRule::Fixed(role) => vec![*role],
            RoleRule::Claim { claim, roles } => {
                let said = texts(claim.of(claims)).into_iter();
                said.filter_map(|value| roles.get(&value).copied())
                    .collect()
            }
        };
        let fitting = given.into_iter();
        let fitting = fitting.filter(|role| wanted.is_none_or(|wanted| wanted == *role));
        fitting
            .min_by_key(|role| strength(*role))
            .ok_or(Unfit("it gives no role, or not the one wanted"))
    }

    fn tenant_of(&self, claims: &Map<String, Value>) -> Result<TenantId, Unfit> {
        match &self.tenant {
            TenantRule::Fixed(tenant) => Ok(tenant.clone()),
            TenantRule::Claim { claim, tenants } => {
                let said = text(claim.of(claims)).ok_or(Unfit("it names no tenant"))?;
                let tenant = match tenants {
                    Some(tenants) => tenants.get(&said).cloned(),
                    None => TenantId::parse(&said).ok(),
                };
                tenant.ok_or(Unfit("it names no tenant of this issuer's"))
            }
        }
    }

    fn user_of(&self, claims: &Map<String, Value>) -> Result<UserId, Unfit> {
        if self.user_claim.is(DEFAULT_CLAIM) && is_unverified(claims.get("email_verified")) {
            return Err(Unfit("its mail address is not verified"));
        }
        let said = text(self.user_claim.of(claims)).ok_or(Unfit("it names no user"))?;
        let user = UserId::parse(&format!("{}{said}", self.user_prefix));
        user.map_err(|_invalid| Unfit("what it names is no user"))
    }

    /// Groups that are none, by length or character, are left out: who is in fewer sees less.
    fn groups_of(&self, claims: &Map<String, Value>) -> Result<Vec<GroupId>, Unfit> {
        let said = texts(self.groups_claim.of(claims)).into_iter();
        let named = |said: String| GroupId::parse(&format!("{}{said}", self.groups_prefix)).ok();
        let groups: BTreeSet<GroupId> = said.filter_map(named).collect();
        if groups.len() > MAX_GROUPS {
            return Err(Unfit("it names too many groups"));
        }
        Ok(groups.into_iter().collect())
    }

    /// Whether one token of each could name the same user, or the same group, of the same tenant, without
    /// both saying that they share them. What is named says what it is about.
    pub fn clashes_with(&self, other: &Self) -> Vec<Vouched> {
        // A name of the shorter prefix could be called by the rest of the longer.
        let meet = |one: &str, another: &str| one.starts_with(another) || another.starts_with(one);
        let users = meet(&self.user_prefix, &other.user_prefix);
        let groups = meet(&self.groups_prefix, &other.groups_prefix);
        let share_users = self.shared_users && other.shared_users;
        let share_groups = share_users || (self.shared_groups && other.shared_groups);
        let names = self.names_users() && other.names_users() && self.tenant.meets(&other.tenant);
        let clash = [
            (Vouched::User, users && !share_users),
            (Vouched::Group, groups && !share_groups),
        ];
        let clash = clash.into_iter().filter(|(_, clashes)| names && *clashes);
        clash.map(|(vouched, _)| vouched).collect()
    }

    fn names_users(&self) -> bool {
        match &self.role {
            RoleRule::Fixed(role) => *role == Role::User,
            RoleRule::Claim { roles, .. } => roles.values().any(|role| *role == Role::User),
        }
    }
}

impl TenantRule {
    /// The tenants it may name; `None` for any.
    fn named(&self) -> Option<Vec<&TenantId>> {
        match self {
            Self::Fixed(tenant) => Some(vec![tenant]),
            Self::Claim { tenants, .. } => Some(tenants.as_ref()?.values().collect()),
        }
    }

    /// Whether it may name this tenant.
    pub fn may_name(&self, tenant: &TenantId) -> bool {
        self.named().is_none_or(|named| named.contains(&tenant))
    }

    fn meets(&self, other: &Self) -> bool {
        match (self.named(), other.named()) {
            (Some(own), Some(others)) => own.iter().any(|tenant| others.contains(tenant)),
            (None, _) | (_, None) => true,
        }
    }
}

/// The place of a role in the order of what it may do, the strongest first.
fn strength(role: Role) -> usize {
    ROLES.iter().take_while(|other| **other != role).count()
}

/// A claim as one text: a text that is not blank, a number or a truth value.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A claim as texts: those of a list, or the one.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(values)) => values.iter().filter_map(|one| text(Some(one))).collect(),
        one => text(one).into_iter().collect(),
    }
}

/// A claim that is a time (RFC 7519, section 2, `NumericDate`).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Unfit> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().map(Duration::try_from_secs_f64);
    match seconds {
        Some(Ok(since)) => Ok(Some(Timestamp::default().after(since))),
        Some(Err(_)) | None => Err(Unfit("a time in it is none")),
    }
}

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
