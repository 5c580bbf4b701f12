//! What a configuration must hold. Judges the merged result, so that an update is held to the
//! same rules as a creation, and finds every offence at once.

use url::Url;

use super::super::authorization::{Issuer, RESERVED_PARAMETERS};
use super::super::headers;
use super::super::text::{self, Violations};
use super::binding::check_account_binding;
use super::forwarding::check_forwarding;
use super::login::check_user_oidc;
use super::signing::check_signing;
use super::{
    Access, ApiKey, Auth, ClientCredentials, CustomHeaders, Draft, Edit, Endpoints, Enterprise,
    OAuth2, Redirect, UserHeader,
};

/// What the deployment allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// `https` only.
    HttpsOnly,
    /// `http` too (development, closed networks).
    HttpAllowed,
}

/// What is said of a URL that a user named and nobody may reach.
pub(in crate::domain) const UNREACHED: &str = "is where this deployment lets nobody reach";

const MAX_URL: usize = 2048;
const MAX_PARAMS: usize = 16;
const MAX_ORIGINS: usize = 16;

/// What is stored already and may be kept: nothing, for a creation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stored<'a> {
    /// Whether an API key is.
    pub api_key: bool,
    /// Whether a client secret is.
    pub client_secret: bool,
    /// Whether a private key is.
    pub private_key: bool,
    /// The custom headers whose values are.
    pub header_names: &'a [String],
}

/// Every offence of a draft, given what is stored already.
pub fn check(draft: &Draft, stored: Stored<'_>, rules: Rules) -> Violations {
    let mut found = Violations::new();
    let spec = &draft.spec;
    found.keep(
        "server.display_name",
        text::required(&spec.display_name, 200),
    );
    found.keep(
        "server.description",
        text::paragraph(&spec.description, 4096),
    );
    found.keep("server.icon_url", text::line(&spec.icon_url, MAX_URL));
    found.keep("server.managed_by", text::line(&spec.managed_by, 200));
    if let Err(why) = server_url(&spec.url, rules) {
        found.add("server.url", why);
    }
    entries(
        &mut found,
        "server.tool_allow_list",
        &spec.tools.allow,
        (512, 256),
    );
    entries(
        &mut found,
        "server.tool_deny_list",
        &spec.tools.deny,
        (512, 256),
    );
    entries(
        &mut found,
        "server.allowed_users",
        &spec.access.users,
        (Access::MOST, Access::LONGEST),
    );
    entries(
        &mut found,
        "server.allowed_groups",
        &spec.access.groups,
        (Access::MOST, Access::LONGEST),
    );
    match &spec.auth {
        Auth::None | Auth::Workload(_) => {}
        Auth::UserOidc(oidc) => check_user_oidc(&mut found, oidc, rules),
        Auth::OAuth2(oauth2) => check_oauth2(&mut found, oauth2, rules),
        Auth::ApiKey(api_key) => check_api_key(&mut found, api_key, draft, stored),
        Auth::CustomHeaders(custom) => {
            check_custom_headers(&mut found, custom, draft, stored.header_names);
        }
        Auth::ClientCredentials(client) => check_client(&mut found, client, rules),
        Auth::Enterprise(enterprise) => check_enterprise(&mut found, enterprise, rules),
    }
    check_account_binding(&mut found, spec);
    if let Some(forwarding) = &spec.identity_forwarding {
        check_forwarding(&mut found, forwarding);
    }
    check_signing(&mut found, draft, stored);
    found
}

/// Notes a list with too many or too long entries, or control characters in one.
fn entries(found: &mut Violations, field: &str, list: &[String], (count, len): (usize, usize)) {
    if let Err(why) = text::list(list, count, len) {
        found.add(field, why.to_string());
    }
}

/// An absolute URL of a server: http(s), with a host, without user or fragment.
pub(in crate::domain) fn server_url(text: &str, rules: Rules) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is required");
    }
    if text.len() > MAX_URL {
        return Err("must be at most 2048 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    let url = Url::parse(text).map_err(|_| "must be an absolute URL")?;
    match (url.scheme(), rules) {
        ("https", _) | ("http", Rules::HttpAllowed) => {}
        ("http", Rules::HttpsOnly) => return Err("must be https: this deployment allows no http"),
        (_, Rules::HttpsOnly) => return Err("must be an https URL"),
        (_, Rules::HttpAllowed) => return Err("must be an http or https URL"),
    }
    if url.host().is_none() {
        return Err("must name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password");
    }
    if url.fragment().is_some() {
        return Err("must not hold a fragment");
    }
    Ok(())
}

/// Notes an endpoint that is present and no URL we may use.
pub(super) fn endpoint(found: &mut Violations, field: &str, url: Option<&str>, rules: Rules) {
    if let Some(Err(why)) = url.map(|url| server_url(url, rules)) {
        found.add(field, why);
    }
}

fn check_oauth2(found: &mut Violations, oauth2: &OAuth2, rules: Rules) {
    if let Some(endpoints) = &oauth2.endpoints {
        let parts = [
            ("server.oauth2.client_id", &endpoints.client_id),
            (
                "server.oauth2.authorization_endpoint",
                &endpoints.authorization_endpoint,
            ),
            ("server.oauth2.token_endpoint", &endpoints.token_endpoint),
        ];
        if parts.iter().any(|(_, value)| value.is_empty()) {
            for (field, _) in parts.iter().filter(|(_, value)| value.is_empty()) {
                found.add(
                    *field,
                    "give client_id, authorization_endpoint and token_endpoint together (manual), \
                     or none of them (automatic discovery and registration)",
                );
            }
        } else {
            endpoint(found, parts[1].0, Some(parts[1].1), rules);
            endpoint(found, parts[2].0, Some(parts[2].1), rules);
            check_foreign(found, oauth2, endpoints);
        }
        if oauth2.preregistered.is_some() {
            found.add(
                "server.oauth2.preregistered",
                "belongs to automatic discovery; remove it or the endpoints",
            );
        }
    }
    if let Some(client) = &oauth2.preregistered {
        found.keep(
            "server.oauth2.preregistered.client_id",
            text::required(&client.client_id, 512),
        );
        endpoint(
            found,
            "server.oauth2.preregistered.issuer",
            Some(client.issuer.as_str()),
            rules,
        );
    }
    endpoint(
        found,
        "server.oauth2.revocation_endpoint",
        oauth2.revocation_endpoint.as_deref(),
        rules,
    );
    endpoint(
        found,
        "server.oauth2.issuer",
        oauth2.issuer.as_ref().map(Issuer::as_str),
        rules,
    );
    if let Redirect::Explicit(uri) = &oauth2.redirect {
        endpoint(
            found,
            "server.oauth2.explicit_redirect_uri",
            Some(uri),
            rules,
        );
    }
    check_trusted(found, &oauth2.trusted_metadata_origins);
    entries(
        found,
        "server.oauth2.scopes",
        &oauth2.scopes.to_vec(),
        (100, 256),
    );
    if oauth2.extra_authorize_params.len() > MAX_PARAMS {
        found.add(
            "server.oauth2.extra_authorize_params",
            "must hold at most 16 parameters",
        );
    }
    for (name, value) in &oauth2.extra_authorize_params {
        let field = "server.oauth2.extra_authorize_params";
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            found.add(field, format!("`{name}` is set by the protocol"));
        }
        if text::required(name, 64).is_err() || text::line(value, 1024).is_err() {
            found.add(
                field,
                "names are 1 to 64 bytes, values at most 1024, without control characters",
            );
        }
    }
}

/// Notes endpoints written by hand elsewhere than at the issuer: no metadata stands for them, and
/// they receive secrets. Without an issuer the authorization endpoint's origin is its.
fn check_foreign(found: &mut Violations, oauth2: &OAuth2, endpoints: &Endpoints) {
    if oauth2.overrides.allow_foreign_endpoints {
        return;
    }
    let issuer = oauth2.issuer.as_ref().map(Issuer::as_str);
    let home = issuer.unwrap_or(&endpoints.authorization_endpoint);
    let written = [
        (
            "server.oauth2.authorization_endpoint",
            Some(endpoints.authorization_endpoint.as_str()),
        ),
        (
            "server.oauth2.token_endpoint",
            Some(endpoints.token_endpoint.as_str()),
        ),
        (
            "server.oauth2.revocation_endpoint",
            oauth2.revocation_endpoint.as_deref(),
        ),
    ];
    check_home(found, home, written);
}

/// Notes endpoints on another origin than this URL.
fn check_home<'a>(
    found: &mut Violations,
    home: &str,
    written: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) {
    let Ok(home) = Url::parse(home) else { return };
    for (field, url) in written {
        let url = url.and_then(|url| Url::parse(url).ok());
        if url.is_some_and(|url| url.origin() != home.origin()) {
            found.add(
                field,
                format!(
                    "is on another origin than {}; overrides.allow_foreign_endpoints permits that",
                    home.origin().ascii_serialization()
                ),
            );
        }
    }
}

fn check_trusted(found: &mut Violations, origins: &[String]) {
    let field = "server.oauth2.trusted_metadata_origins";
    if origins.len() > MAX_ORIGINS {
        found.add(field, "must hold at most 16 origins");
    }
    let is_origin = |origin: &String| {
        Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin)
    };
    if !origins.iter().all(is_origin) {
        found.add(
            field,
            "an origin is scheme, host, and port unless it is the usual one, such as \
             `https://meta.example.com`",
        );
    }
}

fn check_api_key(found: &mut Violations, api_key: &ApiKey, draft: &Draft, stored: Stored<'_>) {
    found.keep("server.api_key.header", headers::name(&api_key.header));
    if let Edit::Set(value) = &draft.secrets.api_key {
        found.keep("server.api_key.value", headers::check_value(value));
    }
    if !api_key.per_user && !draft.secrets.api_key.leaves(stored.api_key) {
        found.add("server.api_key.value", "is required");
    }
}

fn check_custom_headers(
    found: &mut Violations,
    custom: &CustomHeaders,
    draft: &Draft,
    stored_names: &[String],
) {
    let field = "server.custom_headers.headers";
    if custom.names.is_empty() && custom.user_headers.is_empty() {
        found.add(field, "at least one header is required");
    }
    if custom.names.len() + custom.user_headers.len() > headers::MAX_HEADERS {
        found.add(field, "at most 16 headers may be given");
    }
    let mut seen: Vec<String> = Vec::new();
    let user_names = custom
        .user_headers
        .iter()
        .map(|UserHeader { name, .. }| name);
    for name in custom.names.iter().chain(user_names) {
        found.keep(field, headers::name(name));
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            found.add(field, "header names must differ regardless of case");
        }
        seen.push(lower);
    }
    for header in &custom.user_headers {
        found.keep(
            "server.custom_headers.user_headers",
            text::line(&header.description, 500),
        );
    }
    for (_, value) in &draft.secrets.custom_headers {
        found.keep(field, headers::check_value(value));
    }
    let supplied = |name: &String| draft.secrets.custom_headers.iter().any(|(n, _)| n == name);
    for name in custom
        .names
        .iter()
        .filter(|name| !supplied(name) && !stored_names.contains(name))
    {
        found.add(field, format!("a value for `{name}` is required"));
    }
}

fn check_client(found: &mut Violations, client: &ClientCredentials, rules: Rules) {
    found.keep(
        "server.client_credentials.client_id",
        text::required(&client.client_id, 512),
    );
    let url = client.token_endpoint.as_deref();
    endpoint(
        found,
        "server.client_credentials.token_endpoint",
        url,
        rules,
    );
    let issuer = client.issuer.as_ref().map(Issuer::as_str);
    endpoint(found, "server.client_credentials.issuer", issuer, rules);
    if let Some(home) = issuer.filter(|_| !client.overrides.allow_foreign_endpoints) {
        let written = [("server.client_credentials.token_endpoint", url)];
        check_home(found, home, written);
    }
}

fn check_enterprise(found: &mut Violations, enterprise: &Enterprise, rules: Rules) {
    found.keep(
        "server.enterprise.client_id",
        text::required(&enterprise.client_id, 512),
    );
    found.keep(
        "server.enterprise.idp_client_id",
        text::required(&enterprise.idp_client_id, 512),
    );
    let idp = Some(enterprise.idp_token_endpoint.as_str());
    endpoint(found, "server.enterprise.idp_token_endpoint", idp, rules);
    endpoint(
        found,
        "server.enterprise.idp_issuer",
        Some(enterprise.idp_issuer.as_str()),
        rules,
    );
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
