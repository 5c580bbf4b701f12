//! Which fields the flags of an authorization set.

use crate::client::v1::server::Auth as Kind;

/// The path of the field that a flag sets.
pub(super) fn path(kind: &Kind, flag: &str) -> &'static str {
    match (kind, flag) {
        (Kind::Oauth2(auth), "--client-id") if auth.preregistered.is_some() => {
            "oauth2.preregistered"
        }
        (Kind::Oauth2(_), "--client-id") => "oauth2.client_id",
        (Kind::Oauth2(_), "--client-secret-*") => "oauth2.client_secret",
        (Kind::Oauth2(_), "--private-key-file") => "oauth2.private_key",
        (Kind::Oauth2(_), "--private-key-id") => "oauth2.private_key_id",
        (Kind::Oauth2(_), "--client-auth") => "oauth2.token_endpoint_auth_method",
        (Kind::Oauth2(_), "--authorization-endpoint") => "oauth2.authorization_endpoint",
        (Kind::Oauth2(_), "--token-endpoint") => "oauth2.token_endpoint",
        (Kind::Oauth2(_), "--revocation-endpoint") => "oauth2.revocation_endpoint",
        (Kind::Oauth2(_), "--issuer") => "oauth2.issuer",
        (Kind::Oauth2(_), "--scope") => "oauth2.scopes",
        (Kind::Oauth2(_), "--provider-profile") => "oauth2.provider_profile",
        (Kind::Oauth2(_), "--redirect") => "oauth2.redirect",
        (Kind::Oauth2(_), "--redirect-uri") => "oauth2.explicit_redirect_uri",
        (Kind::Oauth2(_), "--issuer-change") => "oauth2.issuer_change",
        (Kind::ClientCredentials(_), "--client-id") => "client_credentials.client_id",
        (Kind::ClientCredentials(_), "--client-secret-*") => "client_credentials.client_secret",
        (Kind::ClientCredentials(_), "--private-key-file") => "client_credentials.private_key",
        (Kind::ClientCredentials(_), "--private-key-id") => "client_credentials.private_key_id",
        (Kind::ClientCredentials(_), "--signing-algorithm") => {
            "client_credentials.signing_algorithm"
        }
        (Kind::ClientCredentials(_), "--client-auth") => {
            "client_credentials.token_endpoint_auth_method"
        }
        (Kind::ClientCredentials(_), "--token-endpoint") => "client_credentials.token_endpoint",
        (Kind::ClientCredentials(_), "--issuer") => "client_credentials.issuer",
        (Kind::ClientCredentials(_), "--scope") => "client_credentials.scopes",
        (Kind::ClientCredentials(_), "--provider-profile") => "client_credentials.provider_profile",
        (Kind::ApiKey(_), "--api-key-header") => "api_key.header",
        (Kind::ApiKey(_), "--header-value-*") => "api_key.value",
        (Kind::ApiKey(_), "--per-user") => "api_key.per_user",
        (Kind::ApiKey(_), "--header-description") => "api_key.description",
        (Kind::CustomHeaders(_), "--header-file" | "--header-env") => "custom_headers.headers",
        (Kind::CustomHeaders(_), _) => "custom_headers.user_headers",
        // `hold` has refused every other flag.
        _ => "auth",
    }
}
