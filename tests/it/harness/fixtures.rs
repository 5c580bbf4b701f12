//! Valid values of the domain in which everything optional is absent. Their full twins: `full.rs`.

use std::time::Duration;

use serde_json::json;
use stationmaster::domain::access::{ApiKey, Narrowing, Role};
use stationmaster::domain::audit::{NewAuditEvent, Origin, Verdict};
use stationmaster::domain::authorization::{ClientAuthMethod, Issuer, Resource, Scopes};
use stationmaster::domain::chats::Chat;
use stationmaster::domain::connections::{self, Attempt, Connection, Lifecycle};
use stationmaster::domain::handshakes::{Binding, Handshake, Snapshot, State};
use stationmaster::domain::identities::Identity;
use stationmaster::domain::ids::{
    ApiKeyId, AuditEventId, ConnectionId, DataKeyId, HandshakeId, HeaderValueId, IdentityId,
    IntentId, RegistrationId, ReplicaId, ServerId,
};
use stationmaster::domain::keys::{DataKey, RootKey, RootKeyId};
use stationmaster::domain::random::{SeededRandom, token};
use stationmaster::domain::registrations::{Registration, RegistrationKind};
use stationmaster::domain::secrets::{Sealed, SecretHash};
use stationmaster::domain::servers::{
    Access, Auth, Availability, SealedSecrets, Server, Spec, ToolPolicy, Transport,
};
use stationmaster::domain::tenants::{Tenant, TenantId, TenantState};
use stationmaster::domain::text::{ChatId, UserId};
use stationmaster::domain::time::{FixedClock, Timestamp};
use stationmaster::domain::user_headers::HeaderValue;
use stationmaster::store::Store;

/// When everything here happens.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);

/// So many seconds after [`NOW`].
pub(crate) fn later(secs: u64) -> Timestamp {
    NOW.after(Duration::from_secs(secs))
}

pub(crate) fn tenant_id(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn chat_id(name: &str) -> ChatId {
    ChatId::parse(name).unwrap()
}

/// A tenant in use.
pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant {
        id: tenant_id(name),
        display_name: format!("The {name}"),
        state: TenantState::Active,
        created_at: NOW,
        updated_at: later(1),
    }
}

/// The root key that wraps every data key of these tests.
pub(crate) fn root_key() -> RootKey {
    RootKey {
        id: RootKeyId("root-1".into()),
        canary: vec![0, 255, 7],
        created_at: NOW,
    }
}

/// A tenant with a data key, stored; makes values that belong to it.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) tenant: TenantId,
    pub(crate) key: DataKeyId,
    clock: FixedClock,
    random: SeededRandom,
}

impl Home {
    /// Stores the tenant, the root key and a data key.
    pub(crate) async fn settle(store: &Store, name: &str) -> Self {
        let seed = name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
        let clock = FixedClock::default();
        let random = SeededRandom::new(seed);
        let key = DataKeyId::mint(&clock, &random);
        let home = Self {
            tenant: tenant_id(name),
            key,
            clock,
            random,
        };
        let mut tx = store.write().await.unwrap();
        tx.tenants_mut().insert(&tenant(name)).await.unwrap();
        tx.keys_mut().insert_root(&root_key()).await.unwrap();
        let key = home.data_key(key);
        tx.keys_mut().insert_active(&key).await.unwrap();
        tx.commit(&home.event()).await.unwrap();
        home
    }

    /// The time that ids are minted from.
    pub(crate) fn clock(&self) -> &FixedClock {
        &self.clock
    }

    /// The randomness that ids are minted from.
    pub(crate) fn random(&self) -> &SeededRandom {
        &self.random
    }

    pub(crate) fn secret(&self) -> SecretHash {
        SecretHash::of(&token(&self.random))
    }

    /// A value sealed under the tenant's key.
    #[expect(clippy::unnecessary_wraps, reason = "as every sealed field holds it")]
    pub(crate) fn sealed(&self, bytes: &[u8]) -> Option<Sealed> {
        Some(Sealed {
            key: self.key,
            bytes: bytes.to_vec(),
        })
    }

    /// An id for another data key.
    pub(crate) fn data_key_id(&self) -> DataKeyId {
        DataKeyId::mint(&self.clock, &self.random)
    }

    /// A data key of the tenant.
    pub(crate) fn data_key(&self, id: DataKeyId) -> DataKey {
        DataKey {
            id,
            tenant: self.tenant.clone(),
            root_key: root_key().id,
            wrapped: vec![1, 2, 0, 255],
            active: true,
            reserved_uses: 0,
            created_at: NOW,
        }
    }

    /// A record of something done to the tenant.
    pub(crate) fn event(&self) -> NewAuditEvent {
        NewAuditEvent {
            id: AuditEventId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            at: NOW,
            origin: Origin::service(),
            action: "test.change",
            subject: self.tenant.to_string(),
            verdict: Verdict::Done,
            reason: None,
            user: None,
            detail: json!({}),
            count: 1,
        }
    }

    /// A key in which everything optional is absent.
    pub(crate) fn api_key(&self, name: &str) -> ApiKey {
        ApiKey {
            id: ApiKeyId::mint(&self.clock, &self.random),
            tenant: Some(self.tenant.clone()),
            role: Role::Daemon,
            name: name.into(),
            hash: self.secret(),
            user: None,
            narrowing: Narrowing::default(),
            created_by: "machine".into(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    /// A server in which everything optional is absent.
    pub(crate) fn server(&self, slug: &str) -> Server {
        Server {
            id: ServerId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            owner: None,
            spec: Spec {
                slug: tenant_id(slug),
                display_name: slug.into(),
                description: String::new(),
                icon_url: String::new(),
                url: "https://mcp.test/".into(),
                transport: Transport::StreamableHttp,
                enabled: true,
                availability: Availability::DefaultOff,
                allow_in_plan_mode: false,
                allow_in_subagents: false,
                model_intent: false,
                forward_identity_headers: false,
                identity_forwarding: None,
                tools: ToolPolicy::default(),
                access: Access::default(),
                managed_by: String::new(),
                auth: Auth::None,
                account_binding: None,
            },
            secrets: SealedSecrets::default(),
            discovered: None,
            auth_version: 1,
            version: 1,
            created_by: "key_a".into(),
            updated_by: "key_b".into(),
            created_at: NOW,
            updated_at: later(1),
        }
    }

    /// A registration in which everything optional is absent.
    pub(crate) fn registration(&self, server: &Server) -> Registration {
        Registration {
            id: RegistrationId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            server: server.id,
            issuer: Issuer::new("https://as.test"),
            generation: 1,
            kind: RegistrationKind::Dynamic,
            client_id: "client".into(),
            client_secret: None,
            secret_expires_at: None,
            renew_at: None,
            auth_method: ClientAuthMethod::None,
            method_assumed: false,
            redirect_uri: "https://us.test/cb".into(),
            scopes: None,
            management_token: None,
            management_uri: None,
            created_at: NOW,
        }
    }

    /// A connection in which everything optional is absent.
    pub(crate) fn connection(&self, registration: &Registration, name: &str) -> Connection {
        Connection {
            id: ConnectionId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            user: user(name),
            server: registration.server,
            registration: registration.id,
            issuer: registration.issuer.clone(),
            resource: None,
            scopes: Scopes::default(),
            token_type: "Bearer".into(),
            token_endpoint: "https://as.test/token".into(),
            auth_version: 1,
            life: Lifecycle {
                generation: 1,
                ..Lifecycle::granted(NOW, None, false)
            },
            access_token: None,
            refresh_token: None,
            origin: connections::Origin::Handshake,
            profile: None,
            account: None,
            account_differs: false,
            connected_at: NOW,
            refreshed_at: None,
            used_at: None,
            reconnect_before: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: NOW,
            version: 1,
        }
    }

    /// A value of a user for a header of a server.
    pub(crate) fn header_value(&self, server: &Server, name: &str, header: &str) -> HeaderValue {
        HeaderValue {
            id: HeaderValueId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            user: user(name),
            server: server.id,
            name: header.into(),
            value: Sealed {
                key: self.key,
                bytes: b"value".to_vec(),
            },
            updated_at: later(3),
        }
    }

    /// An identity in which everything optional is absent.
    pub(crate) fn identity(&self, name: &str, issuer: &str) -> Identity {
        Identity {
            id: IdentityId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            user: user(name),
            issuer: Issuer::new(issuer),
            life: Lifecycle {
                generation: 1,
                ..Lifecycle::granted(NOW, None, false)
            },
            access_token: None,
            access_token_ends: None,
            id_token: None,
            id_token_ends: None,
            refresh_token: None,
            deposit_hash: SecretHash::of("deposit"),
            refresh_hashes: Vec::new(),
            deposited_at: NOW,
            refreshed_at: None,
            used_at: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: NOW,
            version: 1,
        }
    }

    /// The first attempt to redeem.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            intent: IntentId::mint(&self.clock, &self.random),
            owner: ReplicaId::mint(&self.clock, &self.random),
            until: later(60),
            serial: 1,
        }
    }

    /// An id for another handshake.
    pub(crate) fn handshake_id(&self) -> HandshakeId {
        HandshakeId::mint(&self.clock, &self.random)
    }

    /// A pending handshake in which everything optional is absent.
    pub(crate) fn handshake(&self, registration: &Registration, name: &str) -> Handshake {
        Handshake {
            id: HandshakeId::mint(&self.clock, &self.random),
            tenant: self.tenant.clone(),
            user: user(name),
            server: registration.server,
            created_by: "key_a".into(),
            binding: Binding::Link,
            state: State::Pending,
            registration: registration.id,
            auth_version: 1,
            snapshot: snapshot(),
            flow: None,
            link_hash: self.secret(),
            state_hash: self.secret(),
            browser_hash: None,
            return_url: None,
            opener_origin: None,
            completion_url: None,
            code_hash: None,
            parked: None,
            account: None,
            created_at: NOW,
            expires_at: later(600),
            finished_at: None,
        }
    }

    /// A chat with these servers.
    pub(crate) fn chat(&self, id: &str, owner: &str, servers: &[&Server]) -> Chat {
        Chat {
            tenant: self.tenant.clone(),
            id: chat_id(id),
            owner: user(owner),
            selection: Some(servers.iter().map(|server| server.id).collect()),
            created_at: NOW,
            updated_at: NOW,
        }
    }
}

/// What a callback needs.
fn snapshot() -> Snapshot {
    Snapshot {
        issuer: Some(Issuer::new("https://as.test")),
        iss_required: true,
        authorization_endpoint: "https://as.test/authorize".into(),
        token_endpoint: "https://as.test/token".into(),
        revocation_endpoint: None,
        userinfo_endpoint: Some("https://as.test/userinfo".into()),
        account_claim: Some("email".into()),
        client_id: "client".into(),
        auth_method: ClientAuthMethod::None,
        redirect_uri: "https://us.test/cb".into(),
        resource: Some(Resource::new("https://mcp.test")),
        scopes: Some(Scopes::parse("a")),
        extra_params: vec![("prompt".into(), "consent".into())],
        profile: None,
    }
}
