//! Values in which every field holds something of its own, so that no two columns can be confused.

use stationmaster::domain::accounts::{AccountBinding, AccountPolicy};
use stationmaster::domain::authorization::{
    AuthorizationServer, ClientAuthMethod, Discovered, FormerIssuer, Issuer, ProtectedResource,
    Resource, Scopes,
};
use stationmaster::domain::connections::{Connection, Lifecycle, Origin};
use stationmaster::domain::forwarding::{Forwarding, Names, Naming};
use stationmaster::domain::identities::Identity;
use stationmaster::domain::registrations::Registration;
use stationmaster::domain::servers::{
    Access, Auth, Availability, FormerSecret, OAuth2, SealedSecrets, Server, Spec, ToolPolicy,
    Transport,
};
use stationmaster::domain::time::Timestamp;

use super::fixtures::{Home, later, user};

impl Home {
    /// A server in which every field holds something of its own.
    pub(crate) fn full_server(&self, slug: &str) -> Server {
        let mut server = self.server(slug);
        server.owner = Some(user("Ann"));
        server.spec = Spec {
            display_name: "Größe 日本 🚉".into(),
            description: "two\nlines".into(),
            icon_url: "🚂".into(),
            url: "https://mcp.test:8443/a%20b?c=d".into(),
            transport: Transport::Sse,
            enabled: false,
            availability: Availability::ForceOn,
            allow_in_plan_mode: true,
            allow_in_subagents: true,
            model_intent: true,
            forward_identity_headers: true,
            identity_forwarding: Some(Forwarding {
                naming: Naming::Custom(Names {
                    owner: "X-Owner".into(),
                    chat: "X-Chat".into(),
                    subchat: String::new(),
                    workspace: "X-Workspace".into(),
                }),
                signed_token: true,
                token_header: "X-Token".into(),
            }),
            tools: ToolPolicy {
                allow: vec!["read_*".into()],
                deny: vec!["\"quoted\"".into()],
            },
            access: Access {
                users: vec!["Ann".into(), "ann".into()],
                groups: vec!["ops".into()],
            },
            managed_by: "terraform".into(),
            auth: Auth::OAuth2(Box::new(OAuth2 {
                scopes: Scopes::parse("a b"),
                issuer: Some(Issuer::new("https://as.test")),
                ..OAuth2::default()
            })),
            account_binding: Some(AccountBinding {
                policy: AccountPolicy::Warn,
                claim: "sub".into(),
            }),
            ..server.spec
        };
        server.secrets = SealedSecrets {
            client_secret: self.sealed(b"1"),
            private_key: self.sealed(b"2"),
            api_key: self.sealed(b"3"),
            custom_headers: self.sealed(b"4"),
            signing_secret: self.sealed(b"5"),
            idp_client_secret: self.sealed(b"6"),
            assertion: self.sealed(b"7\0\xff"),
            former_client_secret: self.sealed(b"8").map(|secret| FormerSecret {
                secret,
                until: later(86_400),
            }),
        };
        server.discovered = Some(discovered());
        server.auth_version = 5;
        server.version = 7;
        server
    }

    fn full_life(&self, plain: Lifecycle) -> Lifecycle {
        let attempt = self.attempt();
        Lifecycle {
            generation: 3,
            renewable: true,
            expires_at: Some(later(3600)),
            rejected: true,
            forced: true,
            forced_at: [Some(later(5)), Some(later(4)), Some(later(3))],
            attempt: Some(attempt),
            attempts: attempt.serial,
            redeemed_by: 1,
            keeps: true,
            unknown_outcomes: 4,
            unknown_since: Some(later(1)),
            unclear_refusals: 2,
            client_refused: true,
            failures: 5,
            next_attempt_at: Some(later(6)),
            ..plain
        }
    }

    /// An identity in which every field holds something of its own.
    pub(crate) fn full_identity(&self, name: &str, issuer: &str) -> Identity {
        let plain = self.identity(name, issuer);
        Identity {
            life: self.full_life(plain.life),
            access_token: self.sealed(b"access"),
            access_token_ends: Some(later(3600)),
            id_token: self.sealed(b"id"),
            id_token_ends: Some(later(4000)),
            refresh_token: self.sealed(b"refresh"),
            deposit_hash: self.secret(),
            refresh_hashes: vec![self.secret(), self.secret()],
            deposited_at: later(12),
            refreshed_at: Some(later(2)),
            used_at: Some(later(7)),
            last_error: Some("http_503".into()),
            failed_at: Some(later(9)),
            due_at: Some(later(10)),
            updated_at: later(11),
            version: 9,
            ..plain
        }
    }

    /// A connection in which every field holds something of its own.
    pub(crate) fn full_connection(&self, registration: &Registration, name: &str) -> Connection {
        let plain = self.connection(registration, name);
        Connection {
            resource: Some(Resource::new("https://mcp.test/")),
            scopes: Scopes::parse("a b"),
            auth_version: 2,
            life: self.full_life(plain.life),
            access_token: self.sealed(b"access"),
            refresh_token: self.sealed(b"refresh"),
            origin: Origin::Import,
            profile: Some("linear".into()),
            account: Some("ann@as.test".into()),
            account_differs: true,
            refreshed_at: Some(later(2)),
            used_at: Some(later(7)),
            reconnect_before: Some(later(8)),
            last_error: Some("http_503".into()),
            failed_at: Some(later(9)),
            due_at: Some(later(10)),
            updated_at: later(11),
            version: 9,
            ..plain
        }
    }
}

/// What discovery finds, with everything in it.
fn discovered() -> Discovered {
    Discovered {
        resource: ProtectedResource {
            metadata_url: Some("https://mcp.test/.well-known/oauth-protected-resource".into()),
            resource: Resource::new("https://mcp.test"),
            authorization_servers: vec![Issuer::new("https://as.test")],
            scopes_supported: Some(Scopes::parse("a b")),
        },
        authorization_server: AuthorizationServer {
            issuer: Issuer::new("https://as.test"),
            metadata_url: None,
            authorization_endpoint: "https://as.test/authorize".into(),
            token_endpoint: "https://as.test/token".into(),
            registration_endpoint: None,
            revocation_endpoint: Some("https://as.test/revoke".into()),
            userinfo_endpoint: Some("https://as.test/userinfo".into()),
            scopes_supported: None,
            token_endpoint_auth_methods: Some(vec![ClientAuthMethod::ClientSecretPost]),
            code_challenge_methods: Some(vec!["S256".into()]),
            iss_parameter_supported: true,
            client_id_metadata_document_supported: false,
        },
        challenged_scopes: None,
        warnings: vec!["careful".into()],
        pending_issuer: Some(Issuer::new("https://other.test")),
        found_at: Some(Timestamp::from_secs(1_795_230_000)),
        former: vec![FormerIssuer {
            issuer: Issuer::new("https://before.test"),
            revocation_endpoint: "https://before.test/revoke".into(),
        }],
    }
}
