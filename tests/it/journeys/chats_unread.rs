//! A chat does not go in silence without a server whose configuration is damaged.

use stationmaster::client::{answer, v1};
use v1::{Availability, ServerStatus};

use crate::harness::client::{actor, reason};
use crate::harness::database::Raw;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows::raw;

on_both_engines! {
    what_is_damaged_is_told_at_its_place,
    what_is_damaged_can_be_chosen_and_stays_chosen,
    a_forced_server_that_does_not_say_whose_it_is_fails_the_turn,
    a_server_forced_on_nobody_fails_no_turn,
}

/// A forced server, a default and an optional one.
async fn three(engine: Engine) -> (World, Raw, TestDatabase) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    for (slug, availability) in [
        ("all", Availability::ForceOn),
        ("most", Availability::DefaultOn),
        ("some", Availability::DefaultOff),
    ] {
        let server = v1::Server {
            availability: availability.into(),
            ..open(slug)
        };
        world.create(server).await.unwrap();
    }
    let raw = raw(&database).await;
    (world, raw, database)
}

fn turn(user: &str, servers: Option<&[&str]>) -> v1::ResolveChatRequest {
    let selection = servers.map(|servers| v1::ServerSelection {
        servers: servers.iter().map(|&name| name.to_owned()).collect(),
    });
    v1::ResolveChatRequest {
        actor: actor(user),
        chat_id: "chat".to_owned(),
        selection,
        ..v1::ResolveChatRequest::default()
    }
}

async fn states(world: &World, request: v1::ResolveChatRequest) -> Vec<(String, ServerStatus)> {
    let found = answer(world.daemon.chats().resolve_chat(request)).await;
    let servers = found.unwrap().servers.into_iter();
    servers
        .map(|server| (server.slug.clone(), server.status()))
        .collect()
}

fn state(slug: &str, status: ServerStatus) -> (String, ServerStatus) {
    (slug.to_owned(), status)
}

async fn what_is_damaged_is_told_at_its_place(engine: Engine) {
    let (world, mut raw, _database) = three(engine).await;
    raw.execute("UPDATE servers SET transport = 'pigeon' WHERE slug = 'all'")
        .await;

    let states = states(&world, turn("alice", None)).await;

    assert_eq!(
        states,
        [
            state("all", ServerStatus::Unreadable),
            state("most", ServerStatus::Ready)
        ]
    );
    world.service.stop().await;
}

async fn what_is_damaged_can_be_chosen_and_stays_chosen(engine: Engine) {
    let (world, mut raw, _database) = three(engine).await;
    raw.execute("UPDATE servers SET transport = 'pigeon' WHERE slug = 'some'")
        .await;
    let expected = [
        state("all", ServerStatus::Ready),
        state("some", ServerStatus::Unreadable),
    ];

    let by_slug = states(&world, turn("alice", Some(&["some"]))).await;
    let stored = states(&world, turn("alice", None)).await;

    assert_eq!(by_slug, expected);
    assert_eq!(stored, expected);
    world.service.stop().await;
}

async fn a_forced_server_that_does_not_say_whose_it_is_fails_the_turn(engine: Engine) {
    let (world, mut raw, _database) = three(engine).await;

    for damage in [
        "UPDATE servers SET access = '[]' WHERE slug = 'all'",
        "UPDATE servers SET access = '{\"users\":[],\"groups\":[]}', availability = 'odd' WHERE slug = 'all'",
    ] {
        raw.execute(damage).await;

        let turn = answer(world.daemon.chats().resolve_chat(turn("alice", None))).await;

        assert_eq!(reason(turn), "INTERNAL");
    }
    raw.execute("UPDATE servers SET enabled = FALSE WHERE slug = 'all'")
        .await;
    let off = states(&world, turn("alice", None)).await;
    assert_eq!(off, [state("most", ServerStatus::Ready)]);
    world.service.stop().await;
}

async fn a_server_forced_on_nobody_fails_no_turn(engine: Engine) {
    let (world, mut raw, _database) = three(engine).await;
    raw.execute("UPDATE servers SET access = '[]' WHERE slug IN ('most', 'some')")
        .await;

    let states = states(&world, turn("alice", Some(&["some"]))).await;

    assert_eq!(states, [state("all", ServerStatus::Ready)]);
    world.service.stop().await;
}
