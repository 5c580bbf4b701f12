//! What an agent that a chat spawned may use is fixed at its first turn, and only ever becomes less.

use futures_util::future::join_all;
use stationmaster::client::{Client, Error, answer, v1};
use v1::Availability;

use crate::harness::client::{actor, reason};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows::raw;

on_both_engines! {
    what_the_chat_chooses_later_changes_nothing_for_a_sub_agent,
    what_is_forced_later_is_for_new_sub_agents_only,
    a_sub_agent_loses_what_is_switched_off_or_closed_or_deleted,
    planning_gives_a_sub_agent_nothing_and_takes_nothing_from_it,
    a_sub_agent_makes_its_chat_known_without_choosing_for_it,
    each_sub_chat_has_its_own_and_goes_with_its_chat,
    many_first_turns_of_a_sub_agent_agree,
}

async fn create(world: &World, slug: &str, availability: Availability) -> v1::Server {
    let server = v1::Server {
        availability: availability.into(),
        allow_in_subagents: true,
        ..open(slug)
    };
    world.create(server).await.unwrap()
}

/// A forced server, a default one and an optional one, all allowed to sub-agents, and one that is not.
async fn four(engine: Engine) -> World {
    let world = World::start(engine).await;
    furnish(&world).await;
    world
}

async fn furnish(world: &World) {
    create(world, "all", Availability::ForceOn).await;
    create(world, "most", Availability::DefaultOn).await;
    create(world, "some", Availability::DefaultOff).await;
    let root = v1::Server {
        availability: Availability::ForceOn.into(),
        ..open("root")
    };
    world.create(root).await.unwrap();
}

fn turn(subchat: &str) -> v1::ResolveChatRequest {
    let subagent = (!subchat.is_empty()).then(|| v1::Subagent {
        subchat_id: subchat.to_owned(),
    });
    v1::ResolveChatRequest {
        actor: actor("alice"),
        chat_id: "chat".to_owned(),
        subagent,
        ..v1::ResolveChatRequest::default()
    }
}

async fn ask(client: &Client, request: v1::ResolveChatRequest) -> Result<Vec<String>, Error> {
    let found = answer(client.chats().resolve_chat(request)).await?;
    let servers = found.servers.into_iter();
    Ok(servers.map(|server| server.slug).collect())
}

async fn slugs(world: &World, subchat: &str) -> Vec<String> {
    ask(&world.daemon, turn(subchat)).await.unwrap()
}

async fn choose(client: &Client, servers: &[&str]) -> v1::Chat {
    let request = v1::SetChatServersRequest {
        actor: actor("alice"),
        chat_id: "chat".to_owned(),
        servers: servers.iter().map(|&name| name.to_owned()).collect(),
    };
    let set = answer(client.chats().set_chat_servers(request)).await;
    set.unwrap().chat.unwrap()
}

async fn update(world: &World, mask: &str, server: v1::Server) {
    let request = v1::UpdateServerRequest {
        server: Some(server),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![mask.to_owned()],
        }),
    };
    Box::pin(answer(world.admin.config().update_server(request)))
        .await
        .unwrap();
}

fn named(id: &str) -> v1::Server {
    v1::Server {
        id: id.to_owned(),
        ..v1::Server::default()
    }
}

async fn what_the_chat_chooses_later_changes_nothing_for_a_sub_agent(engine: Engine) {
    let world = four(engine).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);

    choose(&world.daemon, &["some"]).await;

    assert_eq!(slugs(&world, "").await, ["all", "root", "some"]);
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
    assert_eq!(slugs(&world, "new").await, ["all", "some"]);
}

async fn what_is_forced_later_is_for_new_sub_agents_only(engine: Engine) {
    let world = four(engine).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);

    create(&world, "late", Availability::ForceOn).await;

    assert_eq!(slugs(&world, "").await, ["all", "late", "most", "root"]);
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
    assert_eq!(slugs(&world, "new").await, ["all", "late", "most"]);
}

async fn a_sub_agent_loses_what_is_switched_off_or_closed_or_deleted(engine: Engine) {
    let world = four(engine).await;
    choose(&world.daemon, &["most", "some"]).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most", "some"]);

    update(&world, "enabled", named("some")).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
    let on = v1::Server {
        enabled: true,
        ..named("some")
    };
    update(&world, "enabled", on).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most", "some"]);
    let closed = v1::Server {
        allowed_users: vec!["bob".to_owned()],
        ..named("some")
    };
    update(&world, "allowed_users", closed).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
    update(&world, "allow_in_subagents", named("all")).await;
    assert_eq!(slugs(&world, "sub").await, ["most"]);
    let gone = world.get("most").await.unwrap();
    let request = v1::DeleteServerRequest {
        server: gone.id.clone(),
        etag: String::new(),
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap();
    // Another one under the id of before is another one.
    let request = v1::CreateServerRequest {
        server_id: gone.id,
        server: Some(v1::Server {
            availability: Availability::ForceOn.into(),
            allow_in_subagents: true,
            ..open("again")
        }),
        ..v1::CreateServerRequest::default()
    };
    crate::harness::world::create(&world.admin, request)
        .await
        .unwrap();
    assert_eq!(slugs(&world, "sub").await, Vec::<String>::new());
}

async fn planning_gives_a_sub_agent_nothing_and_takes_nothing_from_it(engine: Engine) {
    let world = four(engine).await;
    let plan = v1::ResolveChatRequest {
        mode: v1::ChatMode::Plan.into(),
        ..turn("sub")
    };

    let planning = ask(&world.daemon, plan).await.unwrap();

    assert_eq!(planning, Vec::<String>::new());
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
}

async fn a_sub_agent_makes_its_chat_known_without_choosing_for_it(engine: Engine) {
    let world = four(engine).await;
    slugs(&world, "sub").await;

    let get = |user: &str| v1::GetChatServersRequest {
        actor: actor(user),
        chat_id: "chat".to_owned(),
    };
    let read = answer(world.daemon.chats().get_chat_servers(get("alice"))).await;
    let bobs = answer(world.daemon.chats().get_chat_servers(get("bob"))).await;

    let chat = read.unwrap().chat.unwrap();
    assert!(!chat.has_selection && chat.servers.is_empty(), "{chat:?}");
    assert_eq!(slugs(&world, "").await, ["all", "most", "root"]);
    assert_eq!(reason(bobs), "CHAT_OWNED_BY_ANOTHER_USER");
    let theirs = v1::ResolveChatRequest {
        actor: actor("bob"),
        ..turn("sub")
    };
    let theirs = ask(&world.daemon, theirs).await;
    assert_eq!(reason(theirs), "CHAT_OWNED_BY_ANOTHER_USER");
    let chosen = choose(&world.daemon, &[]).await;
    assert!(chosen.has_selection, "{chosen:?}");
    assert_eq!(slugs(&world, "").await, ["all", "root"]);
}

async fn each_sub_chat_has_its_own_and_goes_with_its_chat(engine: Engine) {
    let world = four(engine).await;
    assert_eq!(slugs(&world, "sub").await, ["all", "most"]);
    choose(&world.daemon, &["some"]).await;
    let elsewhere = v1::ResolveChatRequest {
        chat_id: "other".to_owned(),
        ..turn("sub")
    };
    let elsewhere = ask(&world.daemon, elsewhere).await.unwrap();
    assert_eq!(elsewhere, ["all", "most"]);

    let request = v1::DeleteChatRequest {
        actor: actor("alice"),
        chat_id: "chat".to_owned(),
    };
    answer(world.daemon.chats().delete_chat(request))
        .await
        .unwrap();
    choose(&world.daemon, &["some"]).await;

    assert_eq!(slugs(&world, "sub").await, ["all", "some"]);
}

async fn many_first_turns_of_a_sub_agent_agree(engine: Engine) {
    let world = four(engine).await;
    agree(&world, &world.daemon).await;
}

#[tokio::test]
async fn first_turns_of_a_sub_agent_at_two_replicas_agree() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    furnish(&world).await;
    let second = world.service.replica_on(&database).await;
    let other = second.client(world.service.daemon_key()).await;

    agree(&world, &other).await;

    let mut raw = raw(&database).await;
    let spawns = raw
        .number("SELECT COUNT(*) FROM audit_events WHERE action = 'chat.spawn'")
        .await;
    assert_eq!(spawns, 4, "one for each sub-chat");
    drop(raw);
    world.service.stop().await;
    second.stop().await;
}

/// First turns of the same sub-agents through two clients, while the chat changes its mind.
async fn agree(world: &World, other: &Client) {
    for subchat in ["one", "two", "three", "four"] {
        let turns = (0..10).map(|at| {
            let client = if at % 2 == 0 { &world.daemon } else { other };
            ask(client, turn(subchat))
        });
        let minds = (0..4).map(|at| {
            let chosen: &[&str] = if at % 2 == 0 { &["some"] } else { &["most"] };
            choose(&world.daemon, chosen)
        });

        let (found, _) = tokio::join!(join_all(turns), join_all(minds));

        let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        assert_eq!(slugs(world, subchat).await, found[0]);
    }
}
