//! Users and groups are added to who may use a server, and taken away.

use futures_util::future::join_all;
use stationmaster::client::{Error, answer, v1};

use crate::harness::client::{actor, fields, reason};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, list, on_both_engines, open, resolve_many};
use crate::walks::rows;

on_both_engines! {
    changes_made_at_the_same_time_add_up,
    groups_come_and_go,
    each_change_has_its_record,
    login_tokens_stay_the_operators_matter,
    who_loses_access_has_lost_it_at_the_next_resolve,
    nobody_opens_a_server_by_taking_the_last_one_away,
    what_changes_nothing_is_not_written,
    what_makes_no_sense_is_named,
    nobody_opens_a_server_by_an_empty_entry,
    an_administrator_sees_what_a_user_does,
}

async fn modify(
    world: &World,
    ask: v1::ModifyServerAccessRequest,
) -> Result<v1::ModifyServerAccessResponse, Error> {
    Box::pin(answer(world.admin.config().modify_server_access(ask))).await
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn add(users: &[&str]) -> v1::ModifyServerAccessRequest {
    v1::ModifyServerAccessRequest {
        server: "tools".to_owned(),
        add_users: texts(users),
        ..v1::ModifyServerAccessRequest::default()
    }
}

fn remove(users: &[&str]) -> v1::ModifyServerAccessRequest {
    v1::ModifyServerAccessRequest {
        server: "tools".to_owned(),
        remove_users: texts(users),
        ..v1::ModifyServerAccessRequest::default()
    }
}

async fn may_use(world: &World, user: &str) -> bool {
    let resolved = resolve_many(&world.daemon, user, &["tools"]).await.unwrap();
    resolved.unknown_servers.is_empty()
}

async fn changes_made_at_the_same_time_add_up(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let users: Vec<String> = (0..12).map(|n| format!("user-{n:02}")).collect();

    let changes = users.iter().map(|user| modify(&world, add(&[user])));
    for change in join_all(changes).await {
        change.unwrap();
    }

    let mut held = world.get("tools").await.unwrap().allowed_users;
    held.sort_unstable();
    assert_eq!(held, users);
}

async fn who_loses_access_has_lost_it_at_the_next_resolve(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    assert!(may_use(&world, "bob").await);

    modify(&world, add(&["ann", "bob"])).await.unwrap();
    assert!(may_use(&world, "bob").await);
    assert!(!may_use(&world, "eve").await);
    let changed = modify(&world, remove(&["bob"])).await.unwrap();

    assert_eq!(changed.server.unwrap().allowed_users, ["ann"]);
    assert!(!may_use(&world, "bob").await);
    assert!(may_use(&world, "ann").await);
}

async fn nobody_opens_a_server_by_taking_the_last_one_away(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    modify(&world, add(&["ann"])).await.unwrap();

    let refused = modify(&world, remove(&["ann"])).await;

    assert_eq!(fields(refused), ["allow_everyone"]);
    assert!(!may_use(&world, "eve").await);
    let meant = v1::ModifyServerAccessRequest {
        allow_everyone: true,
        ..remove(&["ann"])
    };
    modify(&world, meant).await.unwrap();
    assert!(may_use(&world, "eve").await);
}

async fn what_changes_nothing_is_not_written(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let first = modify(&world, add(&["ann"])).await.unwrap();
    let etag = first.server.unwrap().etag;

    let again = modify(&world, add(&[" ann ", ""])).await.unwrap();
    let other = modify(&world, remove(&["bob"])).await.unwrap();

    assert_eq!(again.server.unwrap().etag, etag);
    assert_eq!(other.server.unwrap().etag, etag);
    assert_eq!(other.revision, first.revision);
    let stale = v1::ModifyServerAccessRequest {
        etag: "v1".to_owned(),
        ..add(&["bob"])
    };
    assert_eq!(reason(modify(&world, stale).await), "ETAG_MISMATCH");
}

async fn what_makes_no_sense_is_named(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let both = v1::ModifyServerAccessRequest {
        remove_users: texts(&["ann"]),
        add_groups: texts(&["a\u{0}b"]),
        remove_groups: texts(&[&"x".repeat(256)]),
        ..add(&["ann"])
    };

    let refused = modify(&world, both).await;

    let mut named = fields(refused);
    named.sort_unstable();
    assert_eq!(named, ["add_groups", "remove_groups", "remove_users"]);
    let nowhere = v1::ModifyServerAccessRequest {
        server: "nowhere".to_owned(),
        ..add(&["ann"])
    };
    assert_eq!(reason(modify(&world, nowhere).await), "SERVER_NOT_FOUND");
}

async fn groups_come_and_go(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let groups = |add: &[&str], remove: &[&str]| v1::ModifyServerAccessRequest {
        server: "tools".to_owned(),
        add_groups: texts(add),
        remove_groups: texts(remove),
        ..v1::ModifyServerAccessRequest::default()
    };
    let may_use = async |groups: &[&str]| {
        let ask = v1::ResolveCredentialsRequest {
            actor: Some(v1::Actor {
                user: "eve".to_owned(),
                groups: texts(groups),
            }),
            servers: texts(&["tools"]),
            ..v1::ResolveCredentialsRequest::default()
        };
        let resolved = answer(world.daemon.tokens().resolve_credentials(ask)).await;
        resolved.unwrap().unknown_servers.is_empty()
    };
    modify(&world, add(&["ann"])).await.unwrap();
    modify(&world, groups(&["staff", "ops"], &[]))
        .await
        .unwrap();

    assert!(may_use(&["ops"]).await && !may_use(&["sales"]).await && !may_use(&[]).await);
    modify(&world, groups(&[], &["ops"])).await.unwrap();
    assert!(!may_use(&["ops"]).await && may_use(&["staff"]).await);
    // A group is left: nobody is let in by accident.
    let changed = modify(&world, remove(&["ann"])).await.unwrap();
    assert_eq!(changed.server.unwrap().allowed_groups, ["staff"]);
    assert!(!may_use(&[]).await);
}

async fn each_change_has_its_record(engine: Engine) {
    const RECORDS: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'server.access'";
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(open("tools")).await.unwrap();

    modify(&world, add(&["ann"])).await.unwrap();
    modify(&world, add(&["ann"])).await.unwrap();
    modify(&world, add(&["bob"])).await.unwrap();

    assert_eq!(rows::raw(&database).await.number(RECORDS).await, 2);
}

async fn login_tokens_stay_the_operators_matter(engine: Engine) {
    let world = World::start(engine).await;
    let forwarding = v1::Server {
        auth: Some(v1::server::Auth::UserOidc(v1::UserOidcAuth::default())),
        ..open("tools")
    };
    world.create(forwarding).await.unwrap();
    let admin = world.service.client_as(v1::Role::Admin, "").await;

    let refused = answer(admin.config().modify_server_access(add(&["ann"]))).await;

    assert_eq!(reason(refused), "ROLE_NOT_ALLOWED");
    modify(&world, add(&["ann"])).await.unwrap();
}

/// Two replicas, each told to add half of the users while the other does.
async fn replicas_add_up(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(open("tools")).await.unwrap();
    let other = world.service.replica_on(&database).await;
    let beside = other.client(world.service.admin_key()).await;
    let users: Vec<String> = (0..10).map(|n| format!("user-{n}")).collect();

    let changes = users.iter().enumerate().map(async |(n, user)| {
        let client = if n % 2 == 0 { &world.admin } else { &beside };
        Box::pin(answer(client.config().modify_server_access(add(&[user])))).await
    });
    for change in join_all(changes).await {
        change.unwrap();
    }

    let mut held = world.get("tools").await.unwrap().allowed_users;
    held.sort_unstable();
    assert_eq!(held, users);
}

#[tokio::test]
async fn changes_made_at_two_replicas_add_up() {
    Box::pin(replicas_add_up(Engine::Postgres)).await;
}

async fn nobody_opens_a_server_by_an_empty_entry(engine: Engine) {
    let world = World::start(engine).await;
    let empty = || vec![String::new(), " ".to_owned()];
    let guarded = v1::Server {
        allowed_users: vec!["alice".to_owned(), String::new()],
        ..open("tools")
    };
    let server = world.create(guarded).await.unwrap();
    let blank = v1::Server {
        id: "tools".to_owned(),
        allowed_users: empty(),
        tool_allow_list: empty(),
        ..v1::Server::default()
    };

    let updated = world
        .update(blank, &["allowed_users", "tool_allow_list"])
        .await;
    let made = v1::Server {
        allowed_groups: empty(),
        ..open("others")
    };
    let made = world.create(made).await;
    let key = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "narrow".to_owned(),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: empty(),
            methods: empty(),
            source_cidrs: empty(),
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let key = answer(world.admin.access().create_api_key(key)).await;

    assert_eq!(server.allowed_users, ["alice"]);
    assert_eq!(
        fields(updated),
        ["server.tool_allow_list", "server.allowed_users"]
    );
    assert_eq!(fields(made), ["server.allowed_groups"]);
    assert_eq!(
        fields(key),
        [
            "narrowing.methods",
            "narrowing.source_cidrs",
            "narrowing.servers"
        ]
    );
    assert!(!may_use(&world, "bob").await);
}

async fn an_administrator_sees_what_a_user_does(engine: Engine) {
    let world = World::start(engine).await;
    for (slug, users) in [("all", vec![]), ("some", vec!["alice".to_owned()])] {
        let server = v1::Server {
            allowed_users: users,
            ..open(slug)
        };
        world.create(server).await.unwrap();
    }
    let off = v1::Server {
        enabled: false,
        ..open("off")
    };
    world.create(off).await.unwrap();
    let seen = async |user: &str| {
        let request = v1::ListServersRequest {
            actor: actor(user),
            ..v1::ListServersRequest::default()
        };
        let listed = answer(world.admin.config().list_servers(request)).await;
        let servers = listed.unwrap().servers.into_iter();
        servers.map(|server| server.slug).collect::<Vec<_>>()
    };

    assert_eq!(seen("alice").await, ["all", "some"]);
    assert_eq!(seen("bob").await, ["all"]);
    assert_eq!(list(&world.admin).await.len(), 3);
}
