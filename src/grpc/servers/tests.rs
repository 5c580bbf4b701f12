//! Configurations through the wire form and back, what is refused on the way, and what is redacted.

use super::*;
use crate::app::ServerView;
use crate::domain::ids::ServerId;
use crate::domain::servers::{Auth, Edit, Spec};
use crate::domain::text::Slug;
use crate::domain::time::Timestamp;
use crate::pb::v1::server::Auth as Wire;

fn text(text: &str) -> String {
    text.to_owned()
}

/// One of each kind, with every setting that this release stores.
fn kinds() -> Vec<Wire> {
    let method = i32::from(pb::TokenEndpointAuthMethod::ClientSecretPost);
    let overrides = pb::OAuth2Overrides {
        omit_resource: true,
        ..Default::default()
    };
    let declaration = pb::UserHeaderDeclaration {
        name: text("X-User"),
        description: text("yours"),
        can_be_missing: true,
    };
    vec![
        Wire::None(pb::NoAuth {}),
        Wire::Oauth2(pb::OAuth2Auth {
            client_id: text("id"),
            authorization_endpoint: text("https://as.test/authorize"),
            token_endpoint: text("https://as.test/token"),
            token_endpoint_auth_method: method,
            private_key_id: text("kid"),
            scopes: vec![text("a"), text("b")],
            revocation_endpoint: text("https://as.test/revoke"),
            issuer: text("https://as.test"),
            extra_authorize_params: [(text("prompt"), text("consent"))].into(),
            redirect: pb::RedirectKind::Explicit.into(),
            explicit_redirect_uri: text("https://x.test/cb"),
            provider_profile: text("github"),
            issuer_change: pb::IssuerChange::Approve.into(),
            overrides: Some(overrides),
            ..Default::default()
        }),
        Wire::Oauth2(pb::OAuth2Auth {
            preregistered: Some(pb::PreregisteredClient {
                client_id: text("id"),
                issuer: text("https://as.test"),
            }),
            redirect: pb::RedirectKind::Shared.into(),
            issuer_change: pb::IssuerChange::Follow.into(),
            ..Default::default()
        }),
        Wire::ApiKey(pb::ApiKeyAuth {
            header: text("X-Key"),
            value: None,
            per_user: true,
            description: text("from your profile"),
        }),
        Wire::CustomHeaders(pb::CustomHeadersAuth {
            headers: vec![pb::CustomHeader {
                name: text("X-A"),
                value: None,
            }],
            user_headers: vec![declaration],
        }),
        Wire::UserOidc(pb::UserOidcAuth {
            token_kind: pb::IdentityTokenKind::IdToken.into(),
            exchange: Some(pb::TokenExchange {
                token_endpoint: text("https://idp.test/token"),
                audience: text("aud"),
                resource: text("res"),
                scopes: vec![text("a")],
                client_id: text("id"),
                client_secret: None,
                token_endpoint_auth_method: method,
            }),
            issuer: text("https://idp.test"),
        }),
        Wire::ClientCredentials(pb::ClientCredentialsAuth {
            client_id: text("id"),
            private_key_id: text("kid"),
            signing_algorithm: text("ES256"),
            token_endpoint_auth_method: method,
            token_endpoint: text("https://as.test/token"),
            issuer: text("https://as.test"),
            scopes: vec![text("a")],
            provider_profile: text("slack"),
            overrides: Some(overrides),
            ..Default::default()
        }),
        Wire::Enterprise(pb::EnterpriseAuth {
            client_id: text("id"),
            token_endpoint_auth_method: method,
            issuer: text("https://as.test"),
            idp_issuer: text("https://idp.test"),
            idp_token_endpoint: text("https://idp.test/token"),
            idp_client_id: text("idp-id"),
            idp_token_endpoint_auth_method: method,
            scopes: vec![text("a")],
            ..Default::default()
        }),
        Wire::Workload(pb::WorkloadAuth {
            client_id: text("id"),
            issuer: text("https://as.test"),
            scopes: vec![text("a")],
            identity_source: text("cluster"),
            ..Default::default()
        }),
    ]
}

fn wire(auth: Option<Wire>) -> pb::Server {
    pb::Server {
        slug: text("s"),
        display_name: text("S"),
        url: text("https://mcp.test/mcp"),
        transport: pb::Transport::Sse.into(),
        availability: pb::Availability::ForceOn.into(),
        managed_by: text("terraform"),
        tool_allow_list: vec![text("get_*")],
        allowed_users: vec![text("ann")],
        enabled: true,
        identity_forwarding: Some(pb::IdentityForwarding {
            preset: pb::IdentityHeaderPreset::Custom.into(),
            owner_header: text("X-Owner"),
            chat_header: text("X-Chat"),
            subchat_header: text("X-Subchat"),
            workspace_header: text("X-Workspace"),
            signed_token: true,
            signed_token_header: text("X-Token"),
        }),
        auth,
        ..pb::Server::default()
    }
}

/// The offending fields of a server that is to be created.
fn offences(server: pb::Server) -> Vec<String> {
    let refused = from_proto::draft(server, &SealedSecrets::default());
    let found = refused.err().map(Violations::into_vec).unwrap_or_default();
    found.into_iter().map(|violation| violation.field).collect()
}

fn secret() -> SealedSecrets {
    let key = crate::domain::ids::DataKeyId::from_bytes([1; 16]);
    let sealed = crate::domain::secrets::Sealed {
        key,
        bytes: vec![1],
    };
    SealedSecrets {
        client_secret: Some(sealed),
        ..SealedSecrets::default()
    }
}

fn spec(auth: Option<Wire>) -> Spec {
    from_proto::draft(wire(auth), &secret()).unwrap().spec
}

fn stored(auth: Option<Wire>) -> Server {
    Server {
        id: ServerId::from_bytes([7; 16]),
        tenant: Slug::parse("default").unwrap(),
        owner: None,
        spec: spec(auth),
        secrets: secret(),
        discovered: None,
        auth_version: 3,
        version: 9,
        created_by: text("key_a"),
        updated_by: text("key_b"),
        created_at: Timestamp::from_secs(1),
        updated_at: Timestamp::from_secs(2),
    }
}

fn view(full: bool, auth: Option<Wire>) -> pb::Server {
    to_proto::view(&ServerView {
        server: stored(auth),
        full,
        connected: Some(true),
        redirect_uri: Some(text("https://here.test/cb")),
        registration: None,
    })
}

#[test]
fn every_kind_of_authorisation_reads_back() {
    for auth in kinds() {
        let binding = pb::AccountBinding {
            policy: pb::AccountPolicy::Warn.into(),
            upstream_claim: text("sub"),
            user_claim: String::new(),
        };
        let connects = matches!(auth, Wire::Oauth2(_));
        let server = pb::Server {
            account_binding: connects.then_some(binding),
            ..wire(Some(auth))
        };

        let draft = from_proto::draft(server.clone(), &secret()).unwrap();

        assert_eq!(to_proto::document(&draft.spec), server);
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let server = pb::Server {
        display_name: text("Git Hub!"),
        ..pb::Server::default()
    };

    let spec = from_proto::draft(server, &SealedSecrets::default())
        .unwrap()
        .spec;

    assert_eq!(spec.slug.as_str(), "git-hub");
    assert_eq!(spec.auth, Auth::None);
    assert_eq!(transport(spec.transport), pb::Transport::StreamableHttp);
    assert_eq!(
        availability(spec.availability),
        pb::Availability::DefaultOff
    );
    assert!(!spec.enabled);
}

#[test]
fn secrets_are_kept_cleared_or_set() {
    let edit = |value: Option<&str>| {
        let auth = pb::OAuth2Auth {
            client_secret: value.map(text),
            ..Default::default()
        };
        let server = wire(Some(Wire::Oauth2(auth)));
        from_proto::draft(server, &SealedSecrets::default())
            .unwrap()
            .secrets
            .client_secret
    };

    assert!(matches!(edit(None), Edit::Keep));
    assert!(matches!(edit(Some("")), Edit::Clear));
    assert!(matches!(edit(Some("hush")), Edit::Set(_)));
}

#[test]
fn features_of_later_releases_are_refused_and_named() {
    let oauth2 = pb::OAuth2Auth {
        dpop: pb::DpopPolicy::Always.into(),
        device_authorization_endpoint: text("https://as.test/device"),
        ..Default::default()
    };
    let server = pb::Server {
        account_binding: Some(pb::AccountBinding {
            user_claim: text("email"),
            ..Default::default()
        }),
        ..wire(Some(Wire::Oauth2(oauth2)))
    };

    assert_eq!(offences(server).len(), 3);
}

#[test]
fn offences_of_wire_and_domain_are_told_together() {
    let server = pb::Server {
        slug: text("Not A Slug"),
        transport: 99,
        ..pb::Server::default()
    };

    let offences = offences(server);

    for field in [
        "server.slug",
        "server.transport",
        "server.display_name",
        "server.url",
    ] {
        assert!(
            offences.iter().any(|offence| offence == field),
            "{field} in {offences:?}"
        );
    }
}

#[test]
fn a_client_needs_a_secret_or_a_key_and_a_workload_one_source() {
    let client = pb::ClientCredentialsAuth {
        client_id: text("id"),
        ..Default::default()
    };
    let workload = pb::WorkloadAuth {
        assertion: Some(text("jwt")),
        identity_source: text("cluster"),
        ..Default::default()
    };

    let of_client = offences(wire(Some(Wire::ClientCredentials(client))));
    let of_workload = offences(wire(Some(Wire::Workload(workload))));
    let of_nothing = offences(wire(Some(Wire::Workload(pb::WorkloadAuth::default()))));

    assert_eq!(of_client, ["server.client_credentials.client_secret"]);
    assert_eq!(of_workload, ["server.workload.assertion"]);
    assert_eq!(of_nothing, ["server.workload.assertion"]);
}

#[test]
fn who_does_not_configure_sees_neither_place_nor_authorisation() {
    let seen = view(false, Some(kinds().swap_remove(4)));

    assert_eq!(
        seen,
        pb::Server {
            id: text("srv_07070707070707070707070707070707"),
            tenant: text("default"),
            slug: text("s"),
            display_name: text("S"),
            enabled: true,
            availability: pb::Availability::ForceOn.into(),
            tool_allow_list: vec![text("get_*")],
            auth_kind: pb::AuthKind::CustomHeaders.into(),
            user_headers: seen.user_headers.clone(),
            tool_name_prefix: text("s__"),
            connected: Some(true),
            create_time: seen.create_time,
            update_time: seen.update_time,
            ..pb::Server::default()
        }
    );
    assert_eq!(seen.user_headers.len(), 1);
}

#[test]
fn who_configures_sees_everything_but_secrets() {
    let seen = view(true, Some(kinds().swap_remove(1)));

    assert_eq!(seen.url, "https://mcp.test/mcp");
    assert!(!seen.etag.is_empty());
    assert_eq!(seen.redirect_uri, "https://here.test/cb");
    assert_eq!((seen.created_by.as_str(), seen.auth_version), ("key_a", 3));
    assert!(seen.has_client_secret);
    assert!(matches!(seen.auth, Some(Wire::Oauth2(auth)) if auth.client_secret.is_none()));
}

#[test]
fn an_update_keeps_what_its_mask_does_not_name() {
    let server = stored(Some(kinds().swap_remove(1)));
    let auth = pb::OAuth2Auth {
        scopes: vec![text("c")],
        ..Default::default()
    };
    let patch = pb::Server {
        auth: Some(Wire::Oauth2(auth)),
        ..pb::Server::default()
    };

    let draft = merged(&server, &patch, Some(&[text("oauth2.scopes")])).unwrap();

    let oauth2 = draft.spec.auth.oauth2().unwrap();
    assert_eq!(oauth2.scopes.to_string(), "c");
    assert_eq!(
        Spec {
            auth: server.spec.auth.clone(),
            ..draft.spec.clone()
        },
        server.spec
    );
    assert!(oauth2.endpoints.is_some());
    assert!(matches!(draft.secrets.client_secret, Edit::Keep));
}

#[test]
fn the_same_creation_has_the_same_bytes_whatever_the_order_of_its_map() {
    let ask = |names: &[&str], request_id: &str| {
        let params = names.iter().map(|&name| (text(name), text("v"))).collect();
        let auth = pb::OAuth2Auth {
            extra_authorize_params: params,
            ..Default::default()
        };
        fingerprint::canonical(&pb::CreateServerRequest {
            server: Some(wire(Some(Wire::Oauth2(auth)))),
            server_id: String::new(),
            request_id: text(request_id),
        })
    };

    assert_eq!(
        ask(&["a", "b", "c", "d"], "1"),
        ask(&["d", "c", "b", "a"], "2")
    );
    assert_ne!(ask(&["a", "b"], "1"), ask(&["a", "c"], "1"));
}
