//! Keys: shown once, narrowed, ended.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use stationmaster::client::{Client, Error, answer, v1};

use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, create, get, list, on_both_engines, open, resolve_many};

on_both_engines! {
    a_key_is_shown_once,
    the_same_request_at_the_same_time_makes_one_key,
    a_revoked_key_is_refused_at_once,
    a_key_ends_by_itself,
    a_users_key_acts_for_its_user_only,
    a_key_is_narrowed_to_methods,
    a_key_is_narrowed_to_servers,
    a_narrowed_key_makes_no_wider_one,
    a_key_is_narrowed_to_addresses,
    a_daemons_key_may_be_bound_to_one_user,
    an_administrator_makes_no_operator,
    who_calls_with_no_key_of_ours_is_refused,
}

async fn make(
    client: &Client,
    role: v1::Role,
    narrowing: v1::ApiKeyNarrowing,
) -> Result<v1::CreateApiKeyResponse, Error> {
    let request = v1::CreateApiKeyRequest {
        role: role.into(),
        name: "a test's".to_owned(),
        narrowing: Some(narrowing),
        ..v1::CreateApiKeyRequest::default()
    };
    answer(client.access().create_api_key(request)).await
}

/// A client whose key is narrowed.
async fn narrowed(world: &World, role: v1::Role, narrowing: v1::ApiKeyNarrowing) -> Client {
    let made = make(&world.admin, role, narrowing).await.unwrap();
    world.service.client(&made.secret).await
}

async fn who(client: &Client) -> Result<v1::WhoAmIResponse, Error> {
    answer(client.access().who_am_i(v1::WhoAmIRequest {})).await
}

async fn a_key_is_shown_once(engine: Engine) {
    let world = World::start(engine).await;
    let request = || v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "mine".to_owned(),
        request_id: "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0003".to_owned(),
        ..v1::CreateApiKeyRequest::default()
    };

    let first = answer(world.admin.access().create_api_key(request()))
        .await
        .unwrap();
    let again = answer(world.admin.access().create_api_key(request()))
        .await
        .unwrap();

    assert_eq!(
        (again.secret.as_str(), &again.api_key),
        ("", &first.api_key)
    );
    let all = v1::ListApiKeysRequest::default();
    let all = answer(world.admin.access().list_api_keys(all))
        .await
        .unwrap();
    let id = first.api_key.unwrap().id;
    assert!(all.api_keys.iter().any(|key| key.id == id));
    let half = first.secret.rsplit('_').next().unwrap();
    assert!(!format!("{all:?}").contains(half));
    let own = who(&world.service.client(&first.secret).await)
        .await
        .unwrap();
    assert_eq!((own.role(), own.name.as_str()), (v1::Role::Daemon, "mine"));
    assert_eq!((own.tenant.as_str(), own.principal), ("default", id));
}

async fn the_same_request_at_the_same_time_makes_one_key(engine: Engine) {
    let world = World::start(engine).await;
    let request = || v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "one".to_owned(),
        request_id: "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0003".to_owned(),
        ..v1::CreateApiKeyRequest::default()
    };
    let ask = || async { answer(world.admin.access().create_api_key(request())).await };

    let made = join_all((0..4).map(|_| ask())).await;

    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    let ids: BTreeSet<_> = made
        .iter()
        .map(|made| made.api_key.clone().unwrap().id)
        .collect();
    let shown = made.iter().filter(|made| !made.secret.is_empty());
    assert_eq!(ids.len(), 1);
    assert_eq!(shown.count(), 1);
}

async fn a_revoked_key_is_refused_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let made = make(
        &world.admin,
        v1::Role::Auditor,
        v1::ApiKeyNarrowing::default(),
    )
    .await;
    let made = made.unwrap();
    let client = world.service.client(&made.secret).await;
    who(&client).await.unwrap();
    let request = || v1::RevokeApiKeyRequest {
        api_key: made.api_key.clone().unwrap().id,
    };

    let revoked = answer(world.admin.access().revoke_api_key(request()))
        .await
        .unwrap();
    let again = answer(world.admin.access().revoke_api_key(request()))
        .await
        .unwrap();

    assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID");
    assert!(revoked.api_key.as_ref().unwrap().revoke_time.is_some());
    assert_eq!(
        again.api_key.unwrap().revoke_time,
        revoked.api_key.unwrap().revoke_time
    );
}

async fn a_key_ends_by_itself(engine: Engine) {
    let world = World::start(engine).await;
    let end = |seconds: i64| prost_types::Timestamp {
        seconds: 1_767_225_600 + seconds,
        nanos: 0,
    };
    let request = |seconds| v1::CreateApiKeyRequest {
        role: v1::Role::Auditor.into(),
        name: "short".to_owned(),
        expire_time: Some(end(seconds)),
        ..v1::CreateApiKeyRequest::default()
    };

    let made = answer(world.admin.access().create_api_key(request(60)))
        .await
        .unwrap();
    let past = answer(world.admin.access().create_api_key(request(0))).await;

    assert_eq!(fields(past), ["expire_time"]);
    let client = world.service.client(&made.secret).await;
    assert_eq!(who(&client).await.unwrap().expire_time, Some(end(60)));
    world.pass(60);
    assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID");
}

async fn a_users_key_acts_for_its_user_only(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    let bob = world.service.client_as(v1::Role::User, "bob").await;
    let request = |user: &str| v1::GetConnectionRequest {
        actor: (!user.is_empty()).then(|| actor(user)).flatten(),
        server: "tools".to_owned(),
    };

    let own = answer(alice.tokens().get_connection(request(""))).await;
    let foreign = answer(bob.tokens().get_connection(request("alice"))).await;
    let none = answer(bob.tokens().get_connection(request(""))).await;

    assert_eq!(own.unwrap().connection.unwrap().user, "alice");
    assert_eq!(reason(foreign), "USER_NOT_ALLOWED");
    assert_eq!(reason(none), "CONNECTION_NOT_FOUND");
    let resolved = resolve_many(&alice, "alice", &["tools"]).await;
    assert_eq!(reason(resolved), "ROLE_NOT_ALLOWED");
    assert_eq!(get(&alice, "tools").await.unwrap().connected, Some(true));
    let nobody = make(&world.admin, v1::Role::User, v1::ApiKeyNarrowing::default()).await;
    assert_eq!(fields(nobody), ["narrowing.user"]);
}

async fn a_key_is_narrowed_to_methods(engine: Engine) {
    let world = World::start(engine).await;
    let narrowing = v1::ApiKeyNarrowing {
        methods: vec!["/stationmaster.v1.ConfigService/ListServers".to_owned()],
        ..v1::ApiKeyNarrowing::default()
    };
    let client = narrowed(&world, v1::Role::Auditor, narrowing).await;

    let refused = refusal(get(&client, "tools").await);

    assert_eq!(list(&client).await, []);
    assert_eq!(refused.reason, "KEY_NARROWED");
    assert_eq!(refused.metadata["narrowing"], "methods");
}

async fn a_key_is_narrowed_to_servers(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("one")).await.unwrap();
    world.create(open("two")).await.unwrap();
    let narrowing = || v1::ApiKeyNarrowing {
        servers: vec!["one".to_owned()],
        ..v1::ApiKeyNarrowing::default()
    };
    let daemon = narrowed(&world, v1::Role::Daemon, narrowing()).await;
    let auditor = narrowed(&world, v1::Role::Auditor, narrowing()).await;

    let resolved = resolve_many(&daemon, "alice", &["one", "two"])
        .await
        .unwrap();

    assert_eq!(resolved.servers[0].slug, "one");
    assert_eq!(resolved.unknown_servers, ["two"]);
    assert_eq!(list(&auditor).await.len(), 1);
    assert_eq!(reason(get(&auditor, "two").await), "SERVER_NOT_FOUND");
    let admin = narrowed(&world, v1::Role::Admin, narrowing()).await;
    let another = v1::CreateServerRequest {
        server: Some(open("three")),
        ..v1::CreateServerRequest::default()
    };
    let another = refusal(create(&admin, another).await);
    assert_eq!(another.reason, "KEY_NARROWED");
    assert_eq!(another.metadata["narrowing"], "servers");
    assert_eq!(list(&world.admin).await.len(), 2);
}

async fn a_narrowed_key_makes_no_wider_one(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("one")).await.unwrap();
    let narrowing = || v1::ApiKeyNarrowing {
        servers: vec!["one".to_owned()],
        source_cidrs: vec!["127.0.0.0/8".to_owned()],
        ..v1::ApiKeyNarrowing::default()
    };
    let admin = narrowed(&world, v1::Role::Admin, narrowing()).await;
    let elsewhere = v1::ApiKeyNarrowing {
        source_cidrs: vec!["10.0.0.0/8".to_owned()],
        ..narrowing()
    };
    let closer = v1::ApiKeyNarrowing {
        source_cidrs: vec!["127.0.0.1/32".to_owned()],
        ..narrowing()
    };

    let wide = make(&admin, v1::Role::Admin, v1::ApiKeyNarrowing::default()).await;
    let other = make(&admin, v1::Role::Daemon, elsewhere).await;
    let narrow = make(&admin, v1::Role::Daemon, closer).await;

    assert_eq!(fields(wide), ["narrowing"]);
    assert_eq!(fields(other), ["narrowing"]);
    assert!(narrow.is_ok(), "{narrow:?}");
}

async fn a_key_is_narrowed_to_addresses(engine: Engine) {
    let world = World::start(engine).await;
    let from = |network: &str| v1::ApiKeyNarrowing {
        source_cidrs: vec![network.to_owned()],
        ..v1::ApiKeyNarrowing::default()
    };

    let here = narrowed(&world, v1::Role::Auditor, from("127.0.0.0/8")).await;
    let there = narrowed(&world, v1::Role::Auditor, from("10.0.0.0/8")).await;

    assert!(who(&here).await.is_ok());
    let refused = refusal(who(&there).await);
    assert_eq!(refused.reason, "KEY_NARROWED");
    assert_eq!(refused.metadata["narrowing"], "source_cidrs");
}

async fn a_daemons_key_may_be_bound_to_one_user(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let narrowing = v1::ApiKeyNarrowing {
        user: "alice".to_owned(),
        ..v1::ApiKeyNarrowing::default()
    };
    let refused = make(&world.admin, v1::Role::Auditor, narrowing.clone()).await;

    let daemon = narrowed(&world, v1::Role::Daemon, narrowing).await;

    assert_eq!(fields(refused), ["narrowing.user"]);
    assert_eq!(who(&daemon).await.unwrap().user, "alice");
    assert!(resolve_many(&daemon, "alice", &["tools"]).await.is_ok());
    assert!(resolve_many(&daemon, "", &["tools"]).await.is_ok());
    let foreign = resolve_many(&daemon, "bob", &["tools"]).await;
    assert_eq!(reason(foreign), "USER_NOT_ALLOWED");
}

async fn an_administrator_makes_no_operator(engine: Engine) {
    let world = World::start(engine).await;
    let admin = world.service.client_as(v1::Role::Admin, "").await;

    let operator = make(&admin, v1::Role::Operator, v1::ApiKeyNarrowing::default()).await;
    let request = v1::RevokeApiKeyRequest {
        api_key: who(&world.admin).await.unwrap().principal,
    };
    let revoked = answer(admin.access().revoke_api_key(request)).await;

    assert_eq!(reason(operator), "ROLE_NOT_ALLOWED");
    assert_eq!(reason(revoked), "API_KEY_NOT_FOUND");
}

async fn who_calls_with_no_key_of_ours_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let mut wrong = world.service.daemon_key().to_owned();
    let last = if wrong.pop() == Some('A') { 'E' } else { 'A' };
    wrong.push(last);

    for key in [wrong.as_str(), "stm_x", "a.b.c"] {
        let client = world.service.client(key).await;
        assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID", "{key}");
    }
    let channel = world.service.grpc_channel().await;
    let mut bare = v1::access_service_client::AccessServiceClient::new(channel);
    let refused = answer(bare.who_am_i(v1::WhoAmIRequest {})).await;
    assert_eq!(reason(refused), "CREDENTIALS_MISSING");
}
