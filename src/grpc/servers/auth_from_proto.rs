//! The authorisation of a server as a caller wrote it.

use super::from_proto::{Reader, edit, entries, trimmed};
use crate::domain::authorization::{ClientAuthMethod, Issuer, Scopes};
use crate::domain::secrets::{ClientSecret, HeaderSecret, Opaque, PrivateKey};
use crate::domain::servers::{
    ApiKey, Auth, ClientCredentials, CustomHeaders, Edit, Endpoints, Enterprise, IdentityToken,
    IssuerChange, OAuth2, Overrides, PreregisteredClient, Redirect, SealedSecrets, UserHeader,
    UserOidc, Workload,
};
use crate::pb::v1 as pb;
use crate::pb::v1::server::Auth as Wire;

const MAX_CLIENT_ID: usize = 512;
const MAX_CLIENT_SECRET: usize = 8192;
const MAX_PRIVATE_KEY: usize = 16_384;
const MAX_KEY_ID: usize = 256;
const MAX_ASSERTION: usize = 32_768;
const MAX_URL: usize = 2048;
/// The longest name of a provider profile or of a workload identity.
const MAX_NAME: usize = 64;

/// The authorisation; none when absent. `stored` are the secrets of the same kind.
pub(super) fn read(reader: &mut Reader, auth: Option<Wire>, stored: &SealedSecrets) -> Auth {
    match auth {
        None | Some(Wire::None(_)) => Auth::None,
        Some(Wire::Oauth2(from)) => Auth::OAuth2(Box::new(reader.oauth2(from))),
        Some(Wire::ApiKey(from)) => Auth::ApiKey(reader.api_key(from)),
        Some(Wire::CustomHeaders(from)) => Auth::CustomHeaders(reader.custom_headers(from)),
        Some(Wire::UserOidc(from)) => Auth::UserOidc(reader.user_oidc(from)),
        Some(Wire::ClientCredentials(from)) => {
            Auth::ClientCredentials(reader.client_credentials(from, stored))
        }
        Some(Wire::Enterprise(from)) => Auth::Enterprise(reader.enterprise(from)),
        Some(Wire::Workload(from)) => Auth::Workload(reader.workload(from, stored)),
    }
}

impl Reader {
    fn oauth2(&mut self, from: pb::OAuth2Auth) -> OAuth2 {
        self.refuse_later_oauth2(&from);
        self.client_secret("server.oauth2.client_secret", from.client_secret);
        self.private_key("server.oauth2.private_key", from.private_key);
        let by_hand = [
            &from.client_id,
            &from.authorization_endpoint,
            &from.token_endpoint,
        ];
        let endpoints = by_hand
            .iter()
            .any(|part| !part.trim().is_empty())
            .then(|| Endpoints {
                client_id: self
                    .optional("server.oauth2.client_id", &from.client_id, MAX_CLIENT_ID)
                    .unwrap_or_default(),
                authorization_endpoint: trimmed(&from.authorization_endpoint),
                token_endpoint: trimmed(&from.token_endpoint),
            });
        let preregistered = from.preregistered.map(|client| PreregisteredClient {
            client_id: trimmed(&client.client_id),
            issuer: Issuer::new(client.issuer.trim()),
        });
        let profile = "server.oauth2.provider_profile";
        let key_id = "server.oauth2.private_key_id";
        let approves = preregistered.is_some();
        OAuth2 {
            endpoints,
            token_endpoint_auth_method: self.method(
                "server.oauth2.token_endpoint_auth_method",
                from.token_endpoint_auth_method,
            ),
            private_key_id: self.optional(key_id, &from.private_key_id, MAX_KEY_ID),
            scopes: self.scopes("server.oauth2.scopes", &from.scopes),
            revocation_endpoint: present(&from.revocation_endpoint),
            issuer: present(&from.issuer).map(Issuer::new),
            extra_authorize_params: from.extra_authorize_params.into_iter().collect(),
            redirect: self.redirect(from.redirect, &from.explicit_redirect_uri),
            provider_profile: self.optional(profile, &from.provider_profile, MAX_NAME),
            issuer_change: self.issuer_change(from.issuer_change, approves),
            overrides: overrides(from.overrides),
            trusted_metadata_origins: entries(&from.trusted_metadata_origins),
            preregistered,
        }
    }

    fn refuse_later_oauth2(&mut self, from: &pb::OAuth2Auth) {
        let bound = self.choice("server.oauth2.dpop", from.dpop) == Some(pb::DpopPolicy::Always);
        for (field, is_set) in [
            ("server.oauth2.dpop", bound),
            (
                "server.oauth2.device_authorization_endpoint",
                !from.device_authorization_endpoint.is_empty(),
            ),
        ] {
            self.later(field, is_set);
        }
    }

    fn redirect(&mut self, kind: i32, explicit: &str) -> Redirect {
        let field = "server.oauth2.redirect";
        let kind = self
            .choice(field, kind)
            .unwrap_or(pb::RedirectKind::Unspecified);
        let redirect = match kind {
            pb::RedirectKind::Explicit => return Redirect::Explicit(trimmed(explicit)),
            pb::RedirectKind::Shared => Redirect::Shared,
            pb::RedirectKind::Unspecified | pb::RedirectKind::PerServer => Redirect::PerServer,
        };
        if !explicit.is_empty() {
            let field = "server.oauth2.explicit_redirect_uri";
            self.found
                .add(field, "belongs to the redirect kind EXPLICIT only");
        }
        redirect
    }

    fn issuer_change(&mut self, value: i32, preregistered: bool) -> IssuerChange {
        let change = self.choice("server.oauth2.issuer_change", value);
        match (
            change.unwrap_or(pb::IssuerChange::Unspecified),
            preregistered,
        ) {
            (pb::IssuerChange::Approve, _) | (pb::IssuerChange::Unspecified, true) => {
                IssuerChange::Approve
            }
            (pb::IssuerChange::Follow, _) | (pb::IssuerChange::Unspecified, false) => {
                IssuerChange::Follow
            }
        }
    }

    fn api_key(&mut self, from: pb::ApiKeyAuth) -> ApiKey {
        if from.per_user && from.value.as_ref().is_some_and(|value| !value.is_empty()) {
            let why = "must be absent when each user supplies their own";
            self.found.add("server.api_key.value", why);
        }
        self.secrets.api_key = match from.value {
            None => Edit::Keep,
            Some(value) if value.is_empty() => Edit::Clear,
            Some(value) => Edit::Set(HeaderSecret::new(value)),
        };
        let header = present(&from.header).unwrap_or_else(|| "Authorization".to_owned());
        let description = "server.api_key.description";
        ApiKey {
            header,
            per_user: from.per_user,
            description: self
                .optional(description, &from.description, 500)
                .unwrap_or_default(),
        }
    }

    fn custom_headers(&mut self, from: pb::CustomHeadersAuth) -> CustomHeaders {
        let mut names = Vec::new();
        for header in from.headers {
            let name = trimmed(&header.name);
            if let Some(value) = header.value {
                self.secrets
                    .custom_headers
                    .push((name.clone(), HeaderSecret::new(value)));
            }
            names.push(name);
        }
        let user_headers = from.user_headers.iter().map(|header| UserHeader {
            name: trimmed(&header.name),
            description: trimmed(&header.description),
            can_be_missing: header.can_be_missing,
        });
        CustomHeaders {
            names,
            user_headers: user_headers.collect(),
        }
    }

    fn user_oidc(&mut self, from: pb::UserOidcAuth) -> UserOidc {
        use pb::IdentityTokenKind::{AccessToken, IdToken, Unspecified};
        let token = match self.choice("server.user_oidc.token_kind", from.token_kind) {
            Some(IdToken) => IdentityToken::Id,
            Some(AccessToken | Unspecified) | None => IdentityToken::Access,
        };
        let issuer = self.issuer("server.user_oidc.issuer", &from.issuer);
        let Some(exchange) = from.exchange else {
            return UserOidc {
                token,
                issuer,
                ..UserOidc::default()
            };
        };
        let at = |field: &str| format!("server.user_oidc.exchange.{field}");
        self.client_secret(&at("client_secret"), exchange.client_secret);
        let endpoint = self.required(&at("token_endpoint"), &exchange.token_endpoint, MAX_URL);
        let method = exchange.token_endpoint_auth_method;
        UserOidc {
            token,
            issuer,
            exchange_token_endpoint: Some(endpoint),
            exchange_audience: self.optional(&at("audience"), &exchange.audience, MAX_URL),
            exchange_resource: self.optional(&at("resource"), &exchange.resource, MAX_URL),
            client_id: self.optional(&at("client_id"), &exchange.client_id, MAX_CLIENT_ID),
            token_endpoint_auth_method: self.method(&at("token_endpoint_auth_method"), method),
            scopes: self.scopes(&at("scopes"), &exchange.scopes),
        }
    }

    fn client_credentials(
        &mut self,
        from: pb::ClientCredentialsAuth,
        stored: &SealedSecrets,
    ) -> ClientCredentials {
        let at = |field: &str| format!("server.client_credentials.{field}");
        self.client_secret(&at("client_secret"), from.client_secret);
        self.private_key(&at("private_key"), from.private_key);
        let secret = self
            .secrets
            .client_secret
            .leaves(stored.client_secret.is_some());
        if !secret
            && !self
                .secrets
                .private_key
                .leaves(stored.private_key.is_some())
        {
            self.found.add(
                at("client_secret"),
                "is required, or private_key in its place",
            );
        }
        let method = from.token_endpoint_auth_method;
        let (algorithm, profile) = (from.signing_algorithm, from.provider_profile);
        ClientCredentials {
            client_id: trimmed(&from.client_id),
            token_endpoint: present(&from.token_endpoint),
            issuer: self.issuer(&at("issuer"), &from.issuer),
            token_endpoint_auth_method: self.method(&at("token_endpoint_auth_method"), method),
            private_key_id: self.optional(&at("private_key_id"), &from.private_key_id, MAX_KEY_ID),
            signing_algorithm: self.optional(&at("signing_algorithm"), &algorithm, MAX_NAME),
            provider_profile: self.optional(&at("provider_profile"), &profile, MAX_NAME),
            overrides: overrides(from.overrides),
            scopes: self.scopes(&at("scopes"), &from.scopes),
        }
    }

    fn enterprise(&mut self, from: pb::EnterpriseAuth) -> Enterprise {
        let at = |field: &str| format!("server.enterprise.{field}");
        self.client_secret(&at("client_secret"), from.client_secret);
        let idp_secret = self.secret(
            &at("idp_client_secret"),
            from.idp_client_secret,
            MAX_CLIENT_SECRET,
        );
        self.secrets.idp_client_secret = edit(idp_secret, ClientSecret::new);
        let method = from.token_endpoint_auth_method;
        let idp_method = from.idp_token_endpoint_auth_method;
        Enterprise {
            client_id: trimmed(&from.client_id),
            issuer: self.issuer(&at("issuer"), &from.issuer),
            idp_issuer: Issuer::new(from.idp_issuer.trim()),
            idp_token_endpoint: trimmed(&from.idp_token_endpoint),
            idp_client_id: trimmed(&from.idp_client_id),
            token_endpoint_auth_method: self.method(&at("token_endpoint_auth_method"), method),
            idp_token_endpoint_auth_method: self
                .method(&at("idp_token_endpoint_auth_method"), idp_method),
            scopes: self.scopes(&at("scopes"), &from.scopes),
        }
    }

    fn workload(&mut self, from: pb::WorkloadAuth, stored: &SealedSecrets) -> Workload {
        let at = |field: &str| format!("server.workload.{field}");
        self.secrets.assertion =
            opaque(self.secret(&at("assertion"), from.assertion, MAX_ASSERTION));
        let source = self.optional(&at("identity_source"), &from.identity_source, MAX_NAME);
        let deposited = self.secrets.assertion.leaves(stored.assertion.is_some());
        if deposited == source.is_some() {
            let why = "exactly one of assertion and identity_source is required";
            self.found.add(at("assertion"), why);
        }
        Workload {
            client_id: self.optional(&at("client_id"), &from.client_id, MAX_CLIENT_ID),
            issuer: self.issuer(&at("issuer"), &from.issuer),
            identity_source: source,
            scopes: self.scopes(&at("scopes"), &from.scopes),
        }
    }

    fn client_secret(&mut self, field: &str, value: Option<String>) {
        let secret = self.secret(field, value, MAX_CLIENT_SECRET);
        self.secrets.client_secret = edit(secret, ClientSecret::new);
    }

    fn private_key(&mut self, field: &str, value: Option<String>) {
        let key = self.secret(field, value, MAX_PRIVATE_KEY);
        self.secrets.private_key = edit(key, PrivateKey::new);
    }

    fn issuer(&mut self, field: &str, text: &str) -> Option<Issuer> {
        self.optional(field, text, MAX_URL).map(Issuer::new)
    }

    fn method(&mut self, field: &str, value: i32) -> Option<ClientAuthMethod> {
        use pb::TokenEndpointAuthMethod as From;
        match self.choice(field, value)? {
            From::Unspecified => None,
            From::None => Some(ClientAuthMethod::None),
            From::ClientSecretBasic => Some(ClientAuthMethod::ClientSecretBasic),
            From::ClientSecretPost => Some(ClientAuthMethod::ClientSecretPost),
            From::PrivateKeyJwt => Some(ClientAuthMethod::PrivateKeyJwt),
        }
    }

    /// Scopes of RFC 6749, section 3.3: visible ASCII but quotes and backslashes.
    fn scopes(&mut self, field: &str, scopes: &[String]) -> Scopes {
        let scopes = entries(scopes);
        let well_formed = |scope: &String| {
            scope.len() <= 256
                && scope
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
        };
        if scopes.len() > 100 || !scopes.iter().all(well_formed) {
            let why = "must be at most 100 scopes of 256 bytes (RFC 6749, section 3.3)";
            self.found.add(field, why);
        }
        scopes.into_iter().collect()
    }
}

fn overrides(from: Option<pb::OAuth2Overrides>) -> Overrides {
    let from = from.unwrap_or_default();
    Overrides {
        allow_missing_pkce_metadata: from.allow_missing_pkce_metadata,
        legacy_2025_03_26: from.legacy_2025_03_26,
        omit_resource: from.omit_resource,
        allow_foreign_endpoints: from.allow_foreign_endpoints,
    }
}

fn present(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn opaque(from: Edit<String>) -> Edit<Opaque> {
    edit(from, Opaque::new)
}
