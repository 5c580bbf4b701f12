//! A daemon asks, turn by turn, what one chat may use.

use stationmaster::client::{Error, answer, v1};
use v1::Availability;

use crate::harness::client::{actor, fields, reason};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, open};

on_both_engines! {
    a_new_chat_has_what_is_on_by_default,
    what_is_forced_cannot_be_stripped,
    what_is_forced_is_not_stored_though_named,
    who_may_not_use_a_forced_server_has_it_not,
    an_absent_selection_keeps_and_an_empty_one_clears,
    a_selection_given_is_stored_without_what_does_not_exist,
    plan_mode_and_sub_agents_have_what_is_allowed_there,
    a_sub_agent_chooses_nothing,
    a_chat_belongs_to_its_owner,
    a_deleted_server_leaves_the_chat,
    a_forgotten_chat_is_new_again,
    a_turn_gets_every_server_with_its_own_answer,
}

async fn create(world: &World, slug: &str, availability: Availability) -> v1::Server {
    let server = v1::Server {
        availability: availability.into(),
        ..open(slug)
    };
    world.create(server).await.unwrap()
}

/// A deployment with one server of each availability.
async fn three(engine: Engine) -> World {
    let world = World::start(engine).await;
    create(&world, "forced", Availability::ForceOn).await;
    create(&world, "default", Availability::DefaultOn).await;
    create(&world, "optional", Availability::DefaultOff).await;
    world
}

fn turn(user: &str) -> v1::ResolveChatRequest {
    v1::ResolveChatRequest {
        actor: actor(user),
        chat_id: "chat-1".to_owned(),
        ..v1::ResolveChatRequest::default()
    }
}

fn choosing(servers: &[&str]) -> v1::ResolveChatRequest {
    v1::ResolveChatRequest {
        selection: Some(v1::ServerSelection {
            servers: servers.iter().map(|name| (*name).to_owned()).collect(),
        }),
        ..turn("alice")
    }
}

async fn ask(
    world: &World,
    request: v1::ResolveChatRequest,
) -> Result<v1::ResolveChatResponse, Error> {
    answer(world.daemon.chats().resolve_chat(request)).await
}

/// The slugs of a turn.
async fn slugs(world: &World, request: v1::ResolveChatRequest) -> Vec<String> {
    let servers = ask(world, request).await.unwrap().servers;
    servers.into_iter().map(|server| server.slug).collect()
}

async fn set(
    world: &World,
    user: &str,
    servers: &[&str],
) -> Result<v1::SetChatServersResponse, Error> {
    let request = v1::SetChatServersRequest {
        actor: actor(user),
        chat_id: "chat-1".to_owned(),
        servers: servers.iter().map(|name| (*name).to_owned()).collect(),
    };
    answer(world.daemon.chats().set_chat_servers(request)).await
}

async fn stored(world: &World, user: &str) -> Result<v1::Chat, Error> {
    let request = v1::GetChatServersRequest {
        actor: actor(user),
        chat_id: "chat-1".to_owned(),
    };
    let read = answer(world.daemon.chats().get_chat_servers(request)).await;
    read.map(|read| read.chat.unwrap())
}

async fn a_new_chat_has_what_is_on_by_default(engine: Engine) {
    let world = three(engine).await;

    assert_eq!(slugs(&world, turn("alice")).await, ["default", "forced"]);
}

async fn what_is_forced_cannot_be_stripped(engine: Engine) {
    let world = three(engine).await;

    assert_eq!(slugs(&world, choosing(&[])).await, ["forced"]);
    assert_eq!(
        slugs(&world, choosing(&["optional"])).await,
        ["forced", "optional"]
    );
    set(&world, "alice", &[]).await.unwrap();
    assert_eq!(slugs(&world, turn("alice")).await, ["forced"]);
}

async fn what_is_forced_is_not_stored_though_named(engine: Engine) {
    let world = three(engine).await;
    let id = world.get("optional").await.unwrap().id;

    let named = choosing(&["forced", "optional"]);
    let resolved = ask(&world, named).await.unwrap();
    let by_turn = stored(&world, "alice").await.unwrap().servers;
    let set = set(&world, "alice", &["optional", "forced"]).await.unwrap();

    assert_eq!(resolved.unknown_servers, Vec::<String>::new());
    assert_eq!(resolved.servers.len(), 2);
    assert_eq!(by_turn, std::slice::from_ref(&id));
    assert_eq!(set.chat.unwrap().servers, [id]);
}

async fn who_may_not_use_a_forced_server_has_it_not(engine: Engine) {
    let world = three(engine).await;
    let closed = v1::Server {
        availability: Availability::ForceOn.into(),
        allowed_users: vec!["bob".to_owned()],
        ..open("bobs")
    };
    world.create(closed).await.unwrap();
    let of_bob = v1::ResolveChatRequest {
        chat_id: "chat-2".to_owned(),
        ..turn("bob")
    };

    assert_eq!(slugs(&world, turn("alice")).await, ["default", "forced"]);
    assert_eq!(slugs(&world, of_bob).await, ["bobs", "default", "forced"]);
    assert_eq!(
        reason(set(&world, "alice", &["bobs"]).await),
        "SERVER_NOT_FOUND"
    );
}

async fn an_absent_selection_keeps_and_an_empty_one_clears(engine: Engine) {
    let world = three(engine).await;
    set(&world, "alice", &["optional"]).await.unwrap();

    assert_eq!(slugs(&world, turn("alice")).await, ["forced", "optional"]);
    assert_eq!(slugs(&world, choosing(&[])).await, ["forced"]);
    assert_eq!(slugs(&world, turn("alice")).await, ["forced"]);
    assert!(stored(&world, "alice").await.unwrap().servers.is_empty());
}

async fn a_selection_given_is_stored_without_what_does_not_exist(engine: Engine) {
    let world = three(engine).await;
    let id = world.get("optional").await.unwrap().id;

    let chosen = choosing(&["nowhere", "optional", &id, "nowhere"]);
    let resolved = ask(&world, chosen).await.unwrap();
    let refused = set(&world, "alice", &["optional", "nowhere"]).await;

    assert_eq!(resolved.unknown_servers, ["nowhere"]);
    let chat = stored(&world, "alice").await.unwrap();
    assert_eq!((chat.servers, chat.owner), (vec![id], "alice".to_owned()));
    assert_eq!(reason(refused), "SERVER_NOT_FOUND");
}

async fn plan_mode_and_sub_agents_have_what_is_allowed_there(engine: Engine) {
    let world = World::start(engine).await;
    let with = |slug: &str, plan, sub| v1::Server {
        availability: Availability::ForceOn.into(),
        allow_in_plan_mode: plan,
        allow_in_subagents: sub,
        ..open(slug)
    };
    world.create(with("neither", false, false)).await.unwrap();
    world.create(with("plan", true, false)).await.unwrap();
    world.create(with("sub", false, true)).await.unwrap();
    let subagent = Some(v1::Subagent {
        subchat_id: "sub-1".to_owned(),
    });
    let plan = v1::ResolveChatRequest {
        mode: v1::ChatMode::Plan.into(),
        ..turn("alice")
    };
    let sub = v1::ResolveChatRequest {
        subagent: subagent.clone(),
        ..turn("alice")
    };
    let both = v1::ResolveChatRequest {
        subagent,
        ..plan.clone()
    };

    assert_eq!(
        slugs(&world, turn("alice")).await,
        ["neither", "plan", "sub"]
    );
    assert_eq!(slugs(&world, plan).await, ["plan"]);
    assert_eq!(slugs(&world, sub).await, ["sub"]);
    assert_eq!(slugs(&world, both).await, Vec::<String>::new());
}

async fn a_sub_agent_chooses_nothing(engine: Engine) {
    let world = three(engine).await;
    let request = v1::ResolveChatRequest {
        subagent: Some(v1::Subagent {
            subchat_id: "sub-1".to_owned(),
        }),
        ..choosing(&["optional"])
    };

    assert_eq!(fields(ask(&world, request).await), ["selection"]);
    assert_eq!(reason(stored(&world, "alice").await), "CHAT_NOT_FOUND");
}

async fn a_chat_belongs_to_its_owner(engine: Engine) {
    let world = three(engine).await;
    set(&world, "alice", &["optional"]).await.unwrap();
    let delete = |user: &str| v1::DeleteChatRequest {
        actor: actor(user),
        chat_id: "chat-1".to_owned(),
    };

    let taken = "CHAT_OWNED_BY_ANOTHER_USER";
    assert_eq!(reason(ask(&world, turn("bob")).await), taken);
    assert_eq!(reason(set(&world, "bob", &[]).await), taken);
    assert_eq!(reason(stored(&world, "bob").await), taken);
    let deleted = answer(world.daemon.chats().delete_chat(delete("bob"))).await;
    assert_eq!(reason(deleted), taken);
    assert_eq!(slugs(&world, turn("alice")).await, ["forced", "optional"]);
}

async fn a_deleted_server_leaves_the_chat(engine: Engine) {
    let world = three(engine).await;
    set(&world, "alice", &["optional", "default"])
        .await
        .unwrap();
    let default = world.get("default").await.unwrap().id;
    let request = v1::DeleteServerRequest {
        server: "optional".to_owned(),
        etag: String::new(),
    };

    answer(world.admin.config().delete_server(request))
        .await
        .unwrap();

    assert_eq!(stored(&world, "alice").await.unwrap().servers, [default]);
    assert_eq!(slugs(&world, turn("alice")).await, ["default", "forced"]);
}

async fn a_forgotten_chat_is_new_again(engine: Engine) {
    let world = three(engine).await;
    set(&world, "alice", &[]).await.unwrap();
    let delete = || v1::DeleteChatRequest {
        actor: actor("alice"),
        chat_id: "chat-1".to_owned(),
    };

    answer(world.daemon.chats().delete_chat(delete()))
        .await
        .unwrap();
    answer(world.daemon.chats().delete_chat(delete()))
        .await
        .unwrap();

    assert_eq!(reason(stored(&world, "alice").await), "CHAT_NOT_FOUND");
    assert_eq!(slugs(&world, turn("alice")).await, ["default", "forced"]);
    set(&world, "bob", &[]).await.unwrap();
}

async fn a_turn_gets_every_server_with_its_own_answer(engine: Engine) {
    let world = three(engine).await;
    world.found("tools").await;
    world.found("unconnected").await;
    world.connect("alice", "tools").await;

    let turn = ask(&world, choosing(&["tools", "unconnected"]))
        .await
        .unwrap();

    let found: Vec<_> = turn
        .servers
        .iter()
        .map(|s| (s.slug.as_str(), s.status()))
        .collect();
    let ready = v1::ServerStatus::Ready;
    let missing = v1::ServerStatus::NotConnected;
    assert_eq!(
        found,
        [
            ("forced", ready),
            ("tools", ready),
            ("unconnected", missing)
        ]
    );
    assert!(world.idp.accepts(&turn.servers[1].headers[0].value));
}
