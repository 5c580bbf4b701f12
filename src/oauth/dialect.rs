//! How one provider's OAuth deviates from the protocol as written: what to add, leave out and
//! understand otherwise in requests and answers. Data of a provider's profile; without one it is
//! plain. What a provider does with grants over time is [`crate::domain::profiles`]' instead.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::outcome::About;
use crate::domain::authorization::{Resource, Scopes};

/// The scope that asks for a refresh token (`OpenID` Connect Core 1.0, section 11).
const OFFLINE_ACCESS: &str = "offline_access";

/// The deviations of one provider. The default is the plain protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialect {
    /// What every authorization request says besides, unless an administrator says it otherwise.
    pub authorize_parameters: BTreeMap<String, String>,
    /// What every request for tokens of a user says besides.
    pub token_parameters: BTreeMap<String, String>,
    /// The parameter that scopes are asked for in, where that is not `scope`.
    pub scope_parameter: Option<String>,
    /// What stands between the scopes asked for, where that is not a space.
    pub scope_separator: Option<String>,
    /// Whether `offline_access` is asked for.
    pub offline_access: OfflineAccess,
    /// Whether the resource (RFC 8707) is named in requests.
    pub resource: ResourceParameter,
    /// The member of an answer that may hold the user's tokens in place of the answer itself.
    pub token_path: Option<String>,
    /// Error codes of its own.
    pub error_aliases: BTreeMap<String, Meaning>,
    /// How long an access token lives of which nothing says it.
    pub access_lifetime: Option<Duration>,
}

/// Whether the scope `offline_access` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OfflineAccess {
    /// Beside other scopes, where the authorization server lists it.
    #[default]
    Listed,
    /// Beside other scopes, listed or not.
    Always,
    /// Not even where something lists it.
    Never,
}

/// Whether the resource (RFC 8707) is named in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResourceParameter {
    /// It is, as the MCP specification wants.
    #[default]
    Sent,
    /// It is left out of all of them.
    Omitted,
}

/// What an error code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// As `invalid_grant`: the code or the refresh token is worthless for good.
    Grant,
    /// As `invalid_client`: our client is not known, or not by this secret.
    Client,
    /// As `temporarily_unavailable`: nothing was done.
    Later,
}

impl Meaning {
    /// What a refusal of this meaning is about; `None` for what is no refusal.
    pub(super) fn about(self) -> Option<About> {
        match self {
            Self::Grant => Some(About::Grant),
            Self::Client => Some(About::Client),
            Self::Later => None,
        }
    }
}

impl OfflineAccess {
    /// Chosen scopes with `offline_access` as it belongs, given what the authorization server lists.
    /// It asks for nothing by itself: it is added beside other scopes only.
    pub(super) fn settle(self, chosen: &Scopes, listed: Option<&Scopes>) -> Scopes {
        let added = match self {
            Self::Always => true,
            Self::Listed => listed.is_some_and(|listed| listed.contains(OFFLINE_ACCESS)),
            Self::Never => {
                let others = chosen.iter().filter(|scope| *scope != OFFLINE_ACCESS);
                return others.collect();
            }
        };
        if added {
            chosen.union(&Scopes::parse(OFFLINE_ACCESS))
        } else {
            chosen.clone()
        }
    }
}

impl Dialect {
    /// What a code means here that means nothing elsewhere.
    pub(super) fn meaning(&self, code: &str) -> Option<Meaning> {
        self.error_aliases.get(code).copied()
    }

    /// The resource to name, of one there is.
    pub fn resource<'a>(&self, resource: Option<&'a Resource>) -> Option<&'a Resource> {
        match self.resource {
            ResourceParameter::Sent => resource,
            ResourceParameter::Omitted => None,
        }
    }

    /// What an authorization request says besides: an administrator's word goes before the
    /// provider's.
    pub fn authorize_parameters(&self, extra: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut all = self.authorize_parameters.clone();
        all.extend(extra.clone());
        all.into_iter().collect()
    }

    /// The parameter for scopes, and these as it wants them.
    pub(super) fn scope(&self, scopes: &Scopes) -> (&str, String) {
        let name = self.scope_parameter.as_deref().unwrap_or("scope");
        let separator = self.scope_separator.as_deref().unwrap_or(" ");
        let scopes: Vec<&str> = scopes.iter().collect();
        (name, scopes.join(separator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_access_is_settled_beside_others_only() {
        let settle = |offline: OfflineAccess, chosen: &str, listed: &str| {
            let chosen = Scopes::parse(chosen);
            offline
                .settle(&chosen, Some(&Scopes::parse(listed)))
                .to_string()
        };
        let (listed, always, never) = (
            OfflineAccess::Listed,
            OfflineAccess::Always,
            OfflineAccess::Never,
        );

        assert_eq!(settle(listed, "a", "b offline_access"), "a offline_access");
        assert_eq!(settle(listed, "a offline_access", "b"), "a offline_access");
        assert_eq!(settle(listed, "a", "b"), "a");
        assert_eq!(settle(always, "a", "b"), "a offline_access");
        assert_eq!(settle(never, "offline_access a", "b offline_access"), "a");
    }

    #[test]
    fn an_administrators_parameter_goes_before_the_providers() {
        let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let dialect = Dialect {
            authorize_parameters: BTreeMap::from([said("prompt", "consent"), said("a", "b")]),
            ..Dialect::default()
        };

        let all = dialect.authorize_parameters(&BTreeMap::from([said("prompt", "none")]));

        assert_eq!(all, [said("a", "b"), said("prompt", "none")]);
    }
}
