//! The authorisation of a server as it is answered: every setting, no secret.

use super::super::convert::timestamp;
use crate::domain::authorization::{ClientAuthMethod, Discovered, Issuer};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::servers::{
    ApiKey, Auth, ClientCredentials, CustomHeaders, Enterprise, IdentityToken, IssuerChange,
    OAuth2, Overrides, Redirect, UserHeader, UserOidc, Workload,
};
use crate::pb::v1 as pb;
use crate::pb::v1::server::Auth as Wire;

/// The authorisation.
pub(super) fn write(auth: &Auth) -> Wire {
    match auth {
        Auth::None => Wire::None(pb::NoAuth {}),
        Auth::OAuth2(from) => Wire::Oauth2(oauth2(from)),
        Auth::ApiKey(from) => Wire::ApiKey(api_key(from)),
        Auth::CustomHeaders(from) => Wire::CustomHeaders(custom_headers(from)),
        Auth::UserOidc(from) => Wire::UserOidc(user_oidc(from)),
        Auth::ClientCredentials(from) => Wire::ClientCredentials(client_credentials(from)),
        Auth::Enterprise(from) => Wire::Enterprise(enterprise(from)),
        Auth::Workload(from) => Wire::Workload(workload(from)),
    }
}

/// The headers whose values each user supplies.
pub(super) fn user_headers(auth: &Auth) -> Vec<pb::UserHeaderDeclaration> {
    auth.user_headers().iter().map(declaration).collect()
}

fn declaration(header: &UserHeader) -> pb::UserHeaderDeclaration {
    pb::UserHeaderDeclaration {
        name: header.name.clone(),
        description: header.description.clone(),
        can_be_missing: header.can_be_missing,
    }
}

/// Adds what discovery found, and our client there.
pub(super) fn add_discovered(auth: &mut Wire, found: &Discovered, client: Option<&Registration>) {
    let slot = match auth {
        Wire::Oauth2(auth) => &mut auth.discovered,
        Wire::ClientCredentials(auth) => &mut auth.discovered,
        Wire::Enterprise(auth) => &mut auth.discovered,
        Wire::Workload(auth) => &mut auth.discovered,
        Wire::None(_) | Wire::ApiKey(_) | Wire::CustomHeaders(_) | Wire::UserOidc(_) => return,
    };
    *slot = Some(self::found(found, client));
}

/// What discovery found, with our client there.
pub(super) fn found(found: &Discovered, client: Option<&Registration>) -> pb::Discovered {
    let (resource, server) = (&found.resource, &found.authorization_server);
    let warnings = found.warnings.iter().map(|detail| pb::Warning {
        reason: pb::StatusReason::MetadataTolerated.into(),
        detail: detail.clone(),
    });
    let named = resource.authorization_servers.iter();
    let kind = client.map_or(pb::RegistrationKind::Unspecified, |client| {
        registration_kind(client.kind)
    });
    pb::Discovered {
        issuer: server.issuer.to_string(),
        resource: resource.resource.to_string(),
        resource_metadata_url: resource.metadata_url.clone().unwrap_or_default(),
        authorization_endpoint: server.authorization_endpoint.clone(),
        token_endpoint: server.token_endpoint.clone(),
        registration_endpoint: server.registration_endpoint.clone().unwrap_or_default(),
        revocation_endpoint: server.revocation_endpoint.clone().unwrap_or_default(),
        scopes_supported: resource
            .scopes_supported
            .clone()
            .unwrap_or_default()
            .to_vec(),
        registration_kind: kind.into(),
        warnings: warnings.collect(),
        discover_time: found.found_at.map(timestamp),
        device_authorization_endpoint: String::new(),
        client_id: client
            .map(|client| client.client_id.clone())
            .unwrap_or_default(),
        registration_id: client
            .map(|client| client.id.to_string())
            .unwrap_or_default(),
        client_secret_expire_time: client.and_then(|c| c.secret_expires_at).map(timestamp),
        authorization_servers: named.map(ToString::to_string).collect(),
        pending_issuer: issuer(found.pending_issuer.as_ref()),
    }
}

/// How a client came to be.
pub(super) fn registration_kind(kind: RegistrationKind) -> pb::RegistrationKind {
    match kind {
        // An imported one is no server's present client.
        RegistrationKind::Preregistered | RegistrationKind::Imported => {
            pb::RegistrationKind::Preregistered
        }
        RegistrationKind::MetadataDocument => pb::RegistrationKind::MetadataDocument,
        RegistrationKind::Dynamic => pb::RegistrationKind::Dynamic,
    }
}

fn oauth2(from: &OAuth2) -> pb::OAuth2Auth {
    let by_hand = from.endpoints.as_ref();
    let (redirect, explicit) = match &from.redirect {
        Redirect::PerServer => (pb::RedirectKind::PerServer, ""),
        Redirect::Shared => (pb::RedirectKind::Shared, ""),
        Redirect::Explicit(uri) => (pb::RedirectKind::Explicit, uri.as_str()),
    };
    let issuer_change = match from.issuer_change {
        IssuerChange::Follow => pb::IssuerChange::Follow,
        IssuerChange::Approve => pb::IssuerChange::Approve,
    };
    pb::OAuth2Auth {
        client_id: by_hand.map(|e| e.client_id.clone()).unwrap_or_default(),
        authorization_endpoint: by_hand
            .map(|e| e.authorization_endpoint.clone())
            .unwrap_or_default(),
        token_endpoint: by_hand
            .map(|e| e.token_endpoint.clone())
            .unwrap_or_default(),
        preregistered: from
            .preregistered
            .as_ref()
            .map(|client| pb::PreregisteredClient {
                client_id: client.client_id.clone(),
                issuer: client.issuer.to_string(),
            }),
        token_endpoint_auth_method: method(from.token_endpoint_auth_method),
        private_key_id: text(from.private_key_id.as_ref()),
        scopes: from.scopes.to_vec(),
        revocation_endpoint: text(from.revocation_endpoint.as_ref()),
        issuer: issuer(from.issuer.as_ref()),
        extra_authorize_params: from.extra_authorize_params.clone().into_iter().collect(),
        redirect: redirect.into(),
        explicit_redirect_uri: explicit.to_owned(),
        provider_profile: text(from.provider_profile.as_ref()),
        issuer_change: issuer_change.into(),
        overrides: overrides(from.overrides),
        trusted_metadata_origins: from.trusted_metadata_origins.clone(),
        ..pb::OAuth2Auth::default()
    }
}

fn api_key(from: &ApiKey) -> pb::ApiKeyAuth {
    pb::ApiKeyAuth {
        header: from.header.clone(),
        value: None,
        per_user: from.per_user,
        description: from.description.clone(),
    }
}

fn custom_headers(from: &CustomHeaders) -> pb::CustomHeadersAuth {
    let headers = from.names.iter();
    pb::CustomHeadersAuth {
        headers: headers
            .map(|name| pb::CustomHeader {
                name: name.clone(),
                value: None,
            })
            .collect(),
        user_headers: from.user_headers.iter().map(declaration).collect(),
    }
}

fn user_oidc(from: &UserOidc) -> pb::UserOidcAuth {
    let token_kind = match from.token {
        IdentityToken::Access => pb::IdentityTokenKind::AccessToken,
        IdentityToken::Id => pb::IdentityTokenKind::IdToken,
    };
    let exchange = from
        .exchange_token_endpoint
        .as_ref()
        .map(|endpoint| pb::TokenExchange {
            token_endpoint: endpoint.clone(),
            audience: text(from.exchange_audience.as_ref()),
            resource: text(from.exchange_resource.as_ref()),
            scopes: from.scopes.to_vec(),
            client_id: text(from.client_id.as_ref()),
            client_secret: None,
            token_endpoint_auth_method: method(from.token_endpoint_auth_method),
        });
    pb::UserOidcAuth {
        token_kind: token_kind.into(),
        exchange,
        issuer: issuer(from.issuer.as_ref()),
    }
}

fn client_credentials(from: &ClientCredentials) -> pb::ClientCredentialsAuth {
    pb::ClientCredentialsAuth {
        client_id: from.client_id.clone(),
        private_key_id: text(from.private_key_id.as_ref()),
        signing_algorithm: text(from.signing_algorithm.as_ref()),
        token_endpoint_auth_method: method(from.token_endpoint_auth_method),
        token_endpoint: text(from.token_endpoint.as_ref()),
        issuer: issuer(from.issuer.as_ref()),
        scopes: from.scopes.to_vec(),
        provider_profile: text(from.provider_profile.as_ref()),
        overrides: overrides(from.overrides),
        ..pb::ClientCredentialsAuth::default()
    }
}

fn enterprise(from: &Enterprise) -> pb::EnterpriseAuth {
    pb::EnterpriseAuth {
        client_id: from.client_id.clone(),
        token_endpoint_auth_method: method(from.token_endpoint_auth_method),
        issuer: issuer(from.issuer.as_ref()),
        idp_issuer: from.idp_issuer.to_string(),
        idp_token_endpoint: from.idp_token_endpoint.clone(),
        idp_client_id: from.idp_client_id.clone(),
        idp_token_endpoint_auth_method: method(from.idp_token_endpoint_auth_method),
        scopes: from.scopes.to_vec(),
        ..pb::EnterpriseAuth::default()
    }
}

fn workload(from: &Workload) -> pb::WorkloadAuth {
    pb::WorkloadAuth {
        client_id: text(from.client_id.as_ref()),
        issuer: issuer(from.issuer.as_ref()),
        scopes: from.scopes.to_vec(),
        identity_source: text(from.identity_source.as_ref()),
        ..pb::WorkloadAuth::default()
    }
}

/// Absent when nothing is weakened, as a caller who weakens nothing writes it.
fn overrides(from: Overrides) -> Option<pb::OAuth2Overrides> {
    (from != Overrides::default()).then_some(pb::OAuth2Overrides {
        allow_missing_pkce_metadata: from.allow_missing_pkce_metadata,
        legacy_2025_03_26: from.legacy_2025_03_26,
        omit_resource: from.omit_resource,
        allow_foreign_endpoints: from.allow_foreign_endpoints,
    })
}

fn method(from: Option<ClientAuthMethod>) -> i32 {
    use pb::TokenEndpointAuthMethod as To;
    let method = from.map_or(To::Unspecified, |method| match method {
        ClientAuthMethod::None => To::None,
        ClientAuthMethod::ClientSecretBasic => To::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost => To::ClientSecretPost,
        ClientAuthMethod::PrivateKeyJwt => To::PrivateKeyJwt,
    });
    method.into()
}

fn text(from: Option<&String>) -> String {
    from.cloned().unwrap_or_default()
}

fn issuer(from: Option<&Issuer>) -> String {
    from.map(ToString::to_string).unwrap_or_default()
}
