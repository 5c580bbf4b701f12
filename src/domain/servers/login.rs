//! What is wrong with servers that are sent users' logins, or what those are exchanged for.

use super::super::authorization::Issuer;
use super::super::text::Violations;
use super::check::endpoint;
use super::{Rules, UserOidc};

pub(super) fn check_user_oidc(found: &mut Violations, oidc: &UserOidc, rules: Rules) {
    let issuer = oidc.issuer.as_ref().map(Issuer::as_str);
    endpoint(found, "server.user_oidc.issuer", issuer, rules);
    let at = |name| format!("server.user_oidc.exchange.{name}");
    let Some(url) = oidc.exchange_token_endpoint.as_deref() else {
        return;
    };
    endpoint(found, &at("token_endpoint"), Some(url), rules);
    endpoint(
        found,
        &at("resource"),
        oidc.exchange_resource.as_deref(),
        rules,
    );
    if oidc.client_id.is_none() {
        found.add(at("client_id"), "is required");
    }
    if oidc.exchange_audience.is_none() && oidc.exchange_resource.is_none() {
        found.add(
            at("audience"),
            "is required, or resource in its place: the new token is to be for this server alone",
        );
    }
}
