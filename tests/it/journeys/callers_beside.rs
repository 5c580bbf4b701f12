//! A user's own token beside a daemon's key: whom the daemon acts for then, with which groups, and keys
//! that do nothing for users without it.

use serde_json::{Value, json};
use stationmaster::client::{Client, Error, answer, v1, with_user_token};
use tonic::Request;

use crate::harness::client::{fields, reason, refusal};
use crate::harness::issuer::{START, TestIssuer};
use crate::harness::service::Engine;
use crate::harness::trail;
use crate::harness::watching::{Watch, all};
use crate::harness::world::{World, list, on_both_engines, open};

on_both_engines! {
    the_groups_are_those_of_the_token_whatever_is_asserted,
    the_user_is_the_tokens,
    an_administrator_who_is_a_user_is_one_here,
    a_key_that_demands_the_token_does_nothing_for_users_without,
    a_token_that_is_nobodys_here_is_refused,
    a_narrowed_key_is_bound_to_its_user_with_and_without_token,
    a_stream_ends_with_the_users_token,
    only_keys_of_daemons_demand_the_token,
}

/// The message with a user's token beside the key.
fn with<T>(token: &str, message: T) -> Request<T> {
    with_user_token(token, message).unwrap()
}

fn ask(user: &str, groups: &[&str]) -> v1::ResolveCredentialsRequest {
    v1::ResolveCredentialsRequest {
        actor: Some(v1::Actor {
            user: user.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        }),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    }
}

/// Whether the server is there for the user, with the token.
async fn sees(
    client: &Client,
    token: &str,
    (user, groups): (&str, &[&str]),
) -> Result<bool, Error> {
    let request = with(token, ask(user, groups));
    let resolved = answer(client.tokens().resolve_credentials(request)).await;
    resolved.map(|resolved| resolved.unknown_servers.is_empty())
}

/// A server for one group.
async fn guarded(world: &World) {
    let mut server = open("tools");
    server.allowed_groups = vec!["ops".to_owned()];
    world.create(server).await.unwrap();
}

/// A client with a key of a daemon, narrowed so.
async fn narrowed(world: &World, narrowing: v1::ApiKeyNarrowing) -> (String, Client) {
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "narrow".to_owned(),
        narrowing: Some(narrowing),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    let made = made.unwrap();
    (
        made.api_key.unwrap().id,
        world.service.client(&made.secret).await,
    )
}

fn demanding() -> v1::ApiKeyNarrowing {
    v1::ApiKeyNarrowing {
        requires_user_token: true,
        ..v1::ApiKeyNarrowing::default()
    }
}

async fn the_groups_are_those_of_the_token_whatever_is_asserted(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    guarded(&world).await;
    let inside = issuer.token(&json!({ "groups": ["ops"] }));
    let outside = issuer.token(&json!({ "groups": ["other"] }));
    let daemon = &world.daemon;

    assert!(sees(daemon, &inside, ("ann", &[])).await.unwrap());
    assert!(sees(daemon, &inside, ("", &[])).await.unwrap());
    assert!(!sees(daemon, &outside, ("ann", &["ops"])).await.unwrap());
    // Without a token the daemon's word counts.
    let asserted = answer(daemon.tokens().resolve_credentials(ask("ann", &["ops"]))).await;
    assert!(asserted.unwrap().unknown_servers.is_empty());
    let request = with(&inside, v1::WhoAmIRequest {});
    let me = answer(daemon.access().who_am_i(request)).await.unwrap();
    assert_eq!(me.kind(), v1::CallerKind::ApiKey);
    assert_eq!((me.user.as_str(), me.narrowing), ("ann", None));
    assert_eq!(me.groups, ["ops"]);
    assert_eq!(me.expire_time.unwrap().seconds, START + 300);
}

async fn the_user_is_the_tokens(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.create(open("tools")).await.unwrap();
    let token = issuer.token(&json!({}));

    let foreign = sees(&world.daemon, &token, ("bob", &[])).await;

    assert_eq!(reason(foreign), "USER_NOT_ALLOWED");
    assert!(sees(&world.daemon, &token, ("ann", &[])).await.unwrap());
}

async fn an_administrator_who_is_a_user_is_one_here(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let rules = "role_claim = \"roles\"\nroles = { boss = \"admin\", staff = \"user\" }\n";
    let world = issuer.world(engine, rules).await;
    world.create(open("tools")).await.unwrap();
    let both = issuer.token(&json!({ "roles": ["boss", "staff"] }));
    let only = issuer.token(&json!({ "roles": ["boss"] }));

    assert!(sees(&world.daemon, &both, ("ann", &[])).await.unwrap());
    let refused = sees(&world.daemon, &only, ("ann", &[])).await;
    assert_eq!(reason(refused), "USER_TOKEN_REQUIRED");
    let alone = world.service.client(&both).await;
    let alone = answer(alone.access().who_am_i(v1::WhoAmIRequest {})).await;
    assert_eq!(alone.unwrap().role(), v1::Role::Admin);
}

async fn a_key_that_demands_the_token_does_nothing_for_users_without(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.create(open("tools")).await.unwrap();
    let (_, daemon) = narrowed(&world, demanding()).await;
    let token = issuer.token(&json!({}));

    let alone = answer(daemon.tokens().resolve_credentials(ask("ann", &[]))).await;
    let watching = answer(daemon.tokens().watch_connections(all())).await;
    let request = v1::GetHandshakeRequest {
        handshake: "hsk_0190a4b2000070008000000000000001".to_owned(),
    };
    let handshake = answer(daemon.handshakes().get_handshake(request)).await;
    let me = answer(daemon.access().who_am_i(v1::WhoAmIRequest {})).await;

    let alone = refusal(alone);
    assert_eq!(alone.reason, "USER_TOKEN_REQUIRED");
    assert_eq!(alone.code, tonic::Code::Unauthenticated);
    assert_eq!(reason(watching.map(drop)), "USER_TOKEN_REQUIRED");
    assert_eq!(reason(handshake), "USER_TOKEN_REQUIRED");
    let refused = trail::list(&world.admin, trail::done(&["access.refuse"])).await;
    let refused: Vec<_> = refused
        .unwrap()
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(refused, ["USER_TOKEN_REQUIRED"; 3]);
    assert!(me.unwrap().narrowing.unwrap().requires_user_token);
    assert_eq!(list(&daemon).await.len(), 1);
    assert!(sees(&daemon, &token, ("ann", &[])).await.unwrap());
    assert_eq!(
        reason(sees(&daemon, &token, ("bob", &[])).await),
        "USER_NOT_ALLOWED"
    );
}

async fn a_token_that_is_nobodys_here_is_refused(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let lines = "tenant_claim = \"org\"\nrole_claim = \"role\"\n\
                 roles = { staff = \"user\", boss = \"admin\" }";
    let world = issuer.world(engine, lines).await;
    world.create(open("tools")).await.unwrap();
    let own = |changes: Value| {
        let mut claims = json!({ "org": "default", "role": "staff" });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        issuer.token(&claims)
    };

    for token in [
        own(json!({ "exp": START })),
        own(json!({ "aud": "other" })),
        own(json!({ "org": "acme" })),
        own(json!({ "role": "boss" })),
        "stm_1_2".to_owned(),
        "x".to_owned(),
    ] {
        let refused = sees(&world.daemon, &token, ("ann", &[])).await;
        assert_eq!(reason(refused), "USER_TOKEN_REQUIRED", "{token}");
    }
    let good = own(json!({}));
    assert!(sees(&world.daemon, &good, ("ann", &[])).await.unwrap());
    // From others it is not looked at.
    let request = with("x", v1::WhoAmIRequest {});
    assert!(answer(world.admin.access().who_am_i(request)).await.is_ok());
}

async fn a_narrowed_key_is_bound_to_its_user_with_and_without_token(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.create(open("tools")).await.unwrap();
    let narrowing = v1::ApiKeyNarrowing {
        user: "ann".to_owned(),
        ..demanding()
    };
    let (_, daemon) = narrowed(&world, narrowing).await;
    let bob = issuer.token(&json!({ "sub": "bob" }));

    let foreign = sees(&daemon, &bob, ("bob", &[])).await;
    let own = sees(&daemon, &issuer.token(&json!({})), ("", &[])).await;

    assert_eq!(reason(foreign), "USER_NOT_ALLOWED");
    assert!(own.unwrap());
}

async fn a_stream_ends_with_the_users_token(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.found("tools").await;
    let (id, daemon) = narrowed(&world, demanding()).await;
    let watch = async |ends: i64| {
        let token = issuer.token(&json!({ "exp": START + ends }));
        let begun = answer(daemon.tokens().watch_connections(with(&token, all()))).await;
        Watch::of(begun.unwrap()).synced().await
    };
    let mut short = watch(60).await;
    let mut long = watch(900).await;

    world.pass(60);
    assert_eq!(reason::<()>(Err(short.end().await)), "CREDENTIALS_INVALID");
    world.connect("bob", "tools").await;
    world.connect("ann", "tools").await;
    assert_eq!(long.next().await.connection.unwrap().user, "ann");
    let request = v1::RevokeApiKeyRequest { api_key: id };
    answer(world.admin.access().revoke_api_key(request))
        .await
        .unwrap();

    assert_eq!(reason::<()>(Err(long.end().await)), "CREDENTIALS_INVALID");
}

async fn only_keys_of_daemons_demand_the_token(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let request = |role: v1::Role| v1::CreateApiKeyRequest {
        role: role.into(),
        name: "demanding".to_owned(),
        narrowing: Some(demanding()),
        ..v1::CreateApiKeyRequest::default()
    };

    for role in [v1::Role::Admin, v1::Role::Auditor, v1::Role::Operator] {
        let made = answer(world.admin.access().create_api_key(request(role))).await;
        assert_eq!(fields(made), ["narrowing.requires_user_token"], "{role:?}");
    }
    let listed = answer(
        world
            .admin
            .access()
            .create_api_key(request(v1::Role::Daemon)),
    )
    .await;
    let key = listed.unwrap().api_key.unwrap();
    assert!(key.narrowing.unwrap().requires_user_token);
}
