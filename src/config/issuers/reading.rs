//! One issuer of the file: what its keys mean, and every way in which they mean nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::Entry;
use crate::config::{Mode, secret};
use crate::domain::access::{ROLES, Role};
use crate::domain::authorization::{ClientAuthMethod, Issuer};
use crate::domain::issuers::{Claim, IssuerClient, RoleRule, TenantRule, TrustedIssuer};
use crate::domain::jws::Algorithm;
use crate::domain::secrets::ClientSecret;
use crate::domain::tenants::{DEFAULT_TENANT, TenantId};
use crate::domain::text;
use crate::domain::time::parse_duration;

/// The longest issuer, in bytes: with its subject it names callers in keys of tables.
const LONGEST_ISSUER: usize = 512;
/// How far clocks may differ where nobody says, and at most.
const SKEW: Duration = Duration::from_mins(1);
const MOST_SKEW: Duration = Duration::from_mins(5);
/// How tokens may be signed where nobody says.
const USUAL: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// Notes what is wrong with one issuer.
pub(super) struct Reading {
    pub(super) mode: Mode,
    pub(super) wrong: Vec<String>,
}

impl Reading {
    fn note(&mut self, wrong: impl Into<String>) {
        self.wrong.push(wrong.into());
    }

    /// The issuer; only to be used where nothing is wrong.
    pub(super) fn issuer(&mut self, entry: Entry) -> TrustedIssuer {
        self.name(&entry.issuer);
        if entry.audiences.is_empty() || entry.audiences.iter().any(|one| one.trim().is_empty()) {
            self.note("`audiences` must name at least one: whom its tokens are for");
        }
        for claim in entry.required_claims.keys() {
            self.claim("required_claims", Some(claim), "");
        }
        TrustedIssuer {
            tenant: self.tenant(&entry),
            role: self.role(&entry),
            client: self.client(&entry),
            jwks_uri: self.url("jwks_uri", entry.jwks_uri.as_deref()),
            algorithms: self.algorithms(entry.algorithms.as_deref()),
            user_claim: self.claim("user_claim", entry.user_claim.as_ref(), "sub"),
            user_prefix: self.prefix("user_prefix", entry.user_prefix),
            groups_claim: self.claim("groups_claim", entry.groups_claim.as_ref(), "groups"),
            groups_prefix: self.prefix("groups_prefix", entry.groups_prefix),
            clock_skew: self.skew(entry.clock_skew.as_deref()),
            max_age: self.max_age(entry.max_age.as_deref()),
            issuer: Issuer::new(entry.issuer),
            audiences: entry.audiences,
            required_claims: entry.required_claims,
            shared_users: entry.shared_users,
            shared_groups: entry.shared_groups,
        }
    }

    /// The issuer's name is not parsed to be written back: tokens say it as it is.
    fn name(&mut self, issuer: &str) {
        self.url("issuer", Some(issuer));
        if issuer.len() > LONGEST_ISSUER {
            self.note(format!("`issuer` must be at most {LONGEST_ISSUER} bytes"));
        }
        // RFC 8414, section 2.
        if issuer.contains(['?', '#']) || issuer.contains(char::is_whitespace) {
            self.note("`issuer` must have neither query nor fragment nor white space");
        }
    }

    fn url(&mut self, key: &str, text: Option<&str>) -> Option<Url> {
        let text = text?;
        let url = Url::parse(text).ok().filter(|url| {
            let plain = url.scheme() == "http" && self.mode == Mode::Dev;
            (url.scheme() == "https" || plain)
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if url.is_none() {
            self.note(format!(
                "`{key}` must be an https URL (http only with `--dev`)"
            ));
        }
        url
    }

    fn algorithms(&mut self, names: Option<&[String]>) -> Vec<Algorithm> {
        let Some(names) = names else {
            return USUAL.to_vec();
        };
        let known = Algorithm::ALL.iter().map(|one| one.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        let read = names.iter().filter_map(|name| Algorithm::parse(name));
        let read: Vec<_> = read.collect();
        if read.is_empty() || read.len() < names.len() {
            self.note(format!("`algorithms` must be some of {known}"));
        }
        read
    }

    fn claim(&mut self, key: &str, name: Option<&String>, usual: &str) -> Claim {
        let name = name.map_or(usual, String::as_str);
        if text::required(name, 255).is_err() {
            self.note(format!("`{key}` must name a claim in 1 to 255 bytes"));
        }
        Claim::new(name)
    }

    fn prefix(&mut self, key: &str, prefix: Option<String>) -> String {
        let prefix = prefix.unwrap_or_default();
        if text::line(&prefix, 100).is_err() || prefix.starts_with(char::is_whitespace) {
            self.note(format!(
                "`{key}` must be at most 100 bytes, without control characters, and not begin with a \
                 space"
            ));
        }
        prefix
    }

    fn skew(&mut self, text: Option<&str>) -> Duration {
        let skew = text.map_or(Some(SKEW), parse_duration);
        let skew = skew.filter(|skew| *skew <= MOST_SKEW);
        if skew.is_none() {
            self.note("`clock_skew` must be a duration of at most 5m, such as `60s`");
        }
        skew.unwrap_or(SKEW)
    }

    fn max_age(&mut self, text: Option<&str>) -> Option<Duration> {
        let age = parse_duration(text?).filter(|age| !age.is_zero());
        if age.is_none() {
            self.note("`max_age` must be a duration such as `12h`");
        }
        age
    }

    fn tenant(&mut self, entry: &Entry) -> TenantRule {
        let mut tenant = |key: &str, name: &str| {
            let tenant = TenantId::parse(name);
            tenant
                .map_err(|why| self.note(format!("`{key}`: a tenant's name {why}")))
                .ok()
        };
        match (&entry.tenant, &entry.tenant_claim) {
            (named, None) => {
                let name = named.as_deref().unwrap_or(DEFAULT_TENANT);
                let found = tenant("tenant", name);
                if entry.tenants.is_some() {
                    self.note("`tenants` needs `tenant_claim`, whose values it translates");
                }
                // What is not named rightly is noted, and names nobody.
                found.map_or_else(
                    || TenantRule::Claim {
                        claim: Claim::new(""),
                        tenants: Some(BTreeMap::new()),
                    },
                    TenantRule::Fixed,
                )
            }
            (named, Some(claim)) => {
                let tenants = entry.tenants.as_ref().map(|table| {
                    let read = table.iter().filter_map(|(value, name)| {
                        Some((value.clone(), tenant("tenants", name)?))
                    });
                    read.collect()
                });
                if named.is_some() {
                    self.note("`tenant` and `tenant_claim` are both there; keep one");
                }
                let claim = self.claim("tenant_claim", Some(claim), "");
                TenantRule::Claim { claim, tenants }
            }
        }
    }

    fn role(&mut self, entry: &Entry) -> RoleRule {
        let mut role = |key: &str, name: &str| {
            let role = Role::parse(name);
            if role.is_none() {
                let roles = ROLES.map(Role::as_str).join(", ");
                self.note(format!("`{key}`: {name:?} is none of {roles}"));
            }
            role
        };
        match (&entry.role, &entry.role_claim) {
            (named, None) => {
                let found = named
                    .as_deref()
                    .map_or(Some(Role::User), |name| role("role", name));
                if entry.roles.is_some() {
                    self.note("`roles` needs `role_claim`, whose values it translates");
                }
                RoleRule::Fixed(found.unwrap_or(Role::User))
            }
            (named, Some(claim)) => {
                let table = entry.roles.iter().flatten();
                let read =
                    table.filter_map(|(value, name)| Some((value.clone(), role("roles", name)?)));
                let roles: BTreeMap<_, _> = read.collect();
                if entry.roles.as_ref().is_none_or(BTreeMap::is_empty) {
                    self.note(
                        "`role_claim` needs a table `roles`: which value of the claim gives which role",
                    );
                }
                if named.is_some() {
                    self.note("`role` and `role_claim` are both there; keep one");
                }
                let claim = self.claim("role_claim", Some(claim), "");
                RoleRule::Claim { claim, roles }
            }
        }
    }

    fn client(&mut self, entry: &Entry) -> Option<IssuerClient> {
        let token_endpoint = self.url("token_endpoint", entry.token_endpoint.as_deref());
        let method = entry.token_endpoint_auth_method.as_deref();
        let method = method.and_then(|name| self.method(name));
        let file = entry.client_secret_file.as_deref();
        let secret = file.and_then(|path| self.secret(Path::new(path)));
        let Some(id) = &entry.client_id else {
            if file.is_some()
                || entry.token_endpoint.is_some()
                || entry.token_endpoint_auth_method.is_some()
            {
                self.note(
                    "`client_secret_file`, `token_endpoint` and `token_endpoint_auth_method` need \
                     `client_id`",
                );
            }
            return None;
        };
        if text::required(id, 1024).is_err() {
            self.note("`client_id` must be 1 to 1024 bytes");
        }
        match method {
            Some(ClientAuthMethod::None) if file.is_some() => {
                self.note("a client that says `none` has no `client_secret_file`");
            }
            Some(ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost)
                if file.is_none() =>
            {
                self.note("`token_endpoint_auth_method` needs a `client_secret_file`");
            }
            Some(_) | None => {}
        }
        Some(IssuerClient {
            id: id.clone(),
            secret,
            token_endpoint,
            method,
        })
    }

    fn method(&mut self, name: &str) -> Option<ClientAuthMethod> {
        let spoken = |method: &ClientAuthMethod| *method != ClientAuthMethod::PrivateKeyJwt;
        let method = ClientAuthMethod::parse(name).filter(spoken);
        if method.is_none() {
            self.note(
                "`token_endpoint_auth_method` must be `client_secret_basic`, `client_secret_post` or \
                 `none`",
            );
        }
        method
    }

    fn secret(&mut self, path: &Path) -> Option<ClientSecret> {
        match secret::content(path) {
            Ok(mut lines) if lines.len() == 1 => lines.pop().map(ClientSecret::new),
            Ok(_) => {
                let path = path.display();
                self.note(format!("`client_secret_file`: {path} must hold one line"));
                None
            }
            Err(why) => {
                self.note(format!("`client_secret_file`: {why}"));
                None
            }
        }
    }
}
