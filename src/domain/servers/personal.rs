//! Personal servers: one user's own, seen by nobody else but who configures. What they may be is little, since no
//! administrator has looked at them.

use url::Url;

use super::check::UNREACHED;
use super::{Auth, Availability, Draft, OAuth2};
use crate::domain::headers;
use crate::domain::ids::ServerId;
use crate::domain::text::{Slug, Violations};

/// How many digits of its id end the slug of a personal server.
const DIGITS: usize = 8;

/// The slug of a personal server: what was asked for, and the end of its id, always. Whether another server has the
/// slug that was asked for is so told to nobody.
pub fn personal_slug(asked: &Slug, id: ServerId) -> Slug {
    let id = id.to_string();
    let mark = &id[id.len() - DIGITS..];
    let asked_for = asked.as_str();
    let is_marked = asked_for
        .rsplit_once('-')
        .is_some_and(|(_, end)| end == mark);
    if is_marked {
        return asked.clone();
    }
    let kept = &asked_for[..asked_for.len().min(Slug::MAX - DIGITS - 1)];
    Slug::parse(&format!("{kept}-{mark}")).unwrap_or_else(|_| asked.clone())
}

/// Notes names by which somebody would pass for us: daemons send these headers from where servers believe them.
fn check_names(found: &mut Violations, field: &str, names: &[&str]) {
    let is_ours = |name: &str| headers::name(name).is_ok() && headers::callers_name(name).is_err();
    if names.iter().any(|name| is_ours(name)) {
        found.add(field, "has a reserved header name");
    }
}

/// Notes what a personal server may not be: in a chat that did not choose it, in a plan, asking why, telling who the
/// user is, anybody else's, or authorized by more than a client that is registered by itself or the
/// owner's own key; nor where the deployment lets nobody reach, as `reached` says.
pub fn check_personal(found: &mut Violations, draft: &Draft, reached: impl Fn(&Url) -> bool) {
    const NOT: &str = "is not for personal servers";
    let spec = &draft.spec;
    if Url::parse(&spec.url).is_ok_and(|url| !reached(&url)) {
        found.add("server.url", UNREACHED);
    }
    for (field, is_said) in [
        (
            "server.availability",
            spec.availability != Availability::DefaultOff,
        ),
        ("server.allow_in_plan_mode", spec.allow_in_plan_mode),
        ("server.model_intent", spec.model_intent),
        (
            "server.forward_identity_headers",
            spec.forward_identity_headers,
        ),
        (
            "server.identity_forwarding",
            spec.identity_forwarding.is_some(),
        ),
        (
            "server.signing_secret",
            draft.secrets.signing_secret.is_set(),
        ),
        ("server.allowed_users", !spec.access.users.is_empty()),
        ("server.allowed_groups", !spec.access.groups.is_empty()),
        ("server.account_binding", spec.account_binding.is_some()),
    ] {
        if is_said {
            found.add(field, NOT);
        }
    }
    match &spec.auth {
        Auth::ApiKey(api_key) if api_key.per_user => {
            found.add("server.api_key.per_user", NOT);
        }
        Auth::CustomHeaders(custom) if !custom.user_headers.is_empty() => {
            found.add("server.custom_headers.user_headers", NOT);
        }
        Auth::ApiKey(api_key) => check_names(found, "server.api_key.header", &[&api_key.header]),
        Auth::CustomHeaders(custom) => {
            let names: Vec<_> = custom.names.iter().map(String::as_str).collect();
            check_names(found, "server.custom_headers.headers", &names);
        }
        Auth::None => {}
        // Nothing but what is asked for, and whom to follow: the rest is an administrator's to weigh.
        Auth::OAuth2(oauth2) => {
            let plain = OAuth2 {
                scopes: oauth2.scopes.clone(),
                provider_profile: oauth2.provider_profile.clone(),
                ..OAuth2::default()
            };
            if **oauth2 != plain || draft.secrets.client_secret.is_set() {
                found.add(
                    "server.oauth2",
                    "of a personal server may have scopes and provider_profile only",
                );
            }
        }
        Auth::UserOidc(_)
        | Auth::ClientCredentials(_)
        | Auth::Enterprise(_)
        | Auth::Workload(_) => {
            found.add(format!("server.{}", spec.auth.kind().as_str()), NOT);
        }
    }
}

#[cfg(test)]
#[path = "personal_tests.rs"]
mod tests;
