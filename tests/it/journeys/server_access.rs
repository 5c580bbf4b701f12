//! Users and groups are added to who may use a server, and taken away.

use futures_util::future::join_all;
use stationmaster::client::{Error, answer, v1};

use crate::harness::client::{fields, reason};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, open, resolve_many};

on_both_engines! {
    changes_made_at_the_same_time_add_up,
    who_loses_access_has_lost_it_at_the_next_resolve,
    nobody_opens_a_server_by_taking_the_last_one_away,
    what_changes_nothing_is_not_written,
    what_makes_no_sense_is_named,
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
