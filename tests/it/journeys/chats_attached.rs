//! What is attached to a chat where the deployment or the key does not want it, where it cannot be read, and when several write.

use stationmaster::client::{answer, v1};
use v1::{ServerStatus, StatusReason};

use super::chats_inline::{attach, attach_to, inline, on_by_default, resolve, slugs, turn};
use crate::harness::client::reason;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    the_kill_switch_takes_it_out_of_every_turn_and_lets_it_be_removed,
    a_key_narrowed_to_servers_attaches_nothing_and_sees_nothing_attached,
    headers_that_do_not_open_are_told_as_unreadable,
    sets_written_at_the_same_time_leave_one_of_them,
}

async fn the_kill_switch_takes_it_out_of_every_turn_and_lets_it_be_removed(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    attach(&world, vec![inline("a")]).await.unwrap();
    let key = world.service.daemon_key().to_owned();
    world.service.stop().await;
    let off = [("chats.allow_inline_servers", "false")];
    let service = TestService::start_on(&database, &off).await;
    let daemon = service.client(&key).await;

    let refused = attach_to(&daemon, ("chat", "alice"), vec![inline("b")]).await;
    let found = resolve(&daemon, turn("")).await;
    let none = attach_to(&daemon, ("chat", "alice"), vec![]).await;

    assert_eq!(reason(refused), "INLINE_SERVERS_DISABLED");
    assert_eq!(found, []);
    assert_eq!(none.unwrap().inline_servers, []);
    service.stop().await;
}

async fn a_key_narrowed_to_servers_attaches_nothing_and_sees_nothing_attached(engine: Engine) {
    let world = World::start(engine).await;
    on_by_default(&world, "zoo").await;
    attach(&world, vec![inline("a")]).await.unwrap();
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "narrow".to_owned(),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec!["zoo".to_owned()],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    let narrow = world.service.client(&made.unwrap().secret).await;

    let found = resolve(&narrow, turn("")).await;
    let refused = attach_to(&narrow, ("chat", "alice"), vec![inline("b")]).await;

    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(reason(refused), "KEY_NARROWED");
    assert_eq!(slugs(&world, turn("")).await, ["zoo", "a"]);
}

async fn headers_that_do_not_open_are_told_as_unreadable(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    attach(&world, vec![inline("a"), inline("b"), inline("c")])
        .await
        .unwrap();
    let mut raw = raw(&database).await;
    // What was sealed for one does not open as the other's; and a row that makes no sense is no entry.
    raw.execute(
        "UPDATE inline_servers SET headers = (SELECT other.headers FROM inline_servers other \
         WHERE other.slug = 'b') WHERE slug = 'a'",
    )
    .await;
    raw.execute("UPDATE inline_servers SET tools = '{' WHERE slug = 'c'")
        .await;

    let found = resolve(&world.daemon, turn("")).await;
    attach(&world, vec![inline("a"), inline("c")])
        .await
        .unwrap();
    let mended = resolve(&world.daemon, turn("")).await;

    let states = |found: &[v1::ResolvedServer]| -> Vec<_> {
        let one = |one: &v1::ResolvedServer| (one.slug.clone(), one.status());
        found.iter().map(one).collect()
    };
    let state = |slug: &str, status| (slug.to_owned(), status);
    let (ready, unreadable) = (ServerStatus::Ready, ServerStatus::Unreadable);
    assert_eq!(states(&found), [state("a", unreadable), state("b", ready)]);
    assert_eq!(found[0].reason(), StatusReason::KeyMissing);
    assert_eq!(states(&mended), [state("a", ready), state("c", ready)]);
    drop(raw);
    world.service.stop().await;
}

async fn sets_written_at_the_same_time_leave_one_of_them(engine: Engine) {
    let world = World::start(engine).await;
    let sets = [["a", "b"], ["b", "c"], ["c", "a"]];
    let writes = sets.map(|set| attach(&world, set.map(inline).to_vec()));

    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }

    let mut left = slugs(&world, turn("")).await;
    left.sort();
    let sorted = sets.map(|mut set| {
        set.sort_unstable();
        set.map(str::to_owned).to_vec()
    });
    assert!(sorted.contains(&left), "{left:?}");
}
