//! Servers that a daemon attaches to one chat.

use stationmaster::client::{Client, Error, answer, v1};
use v1::{ReportAction, ServerStatus, StatusReason};

use crate::harness::client::{actor, fields, reason};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open, resolve_many};
use crate::walks::rows::raw;

on_both_engines! {
    what_is_attached_is_resolved_last_with_its_headers,
    header_names_and_values_are_shown_to_nobody,
    a_set_replaces_the_one_before_and_keeps_ids_by_slug,
    what_is_attached_follows_the_rules_of_the_turn,
    whom_a_request_is_for_is_told_where_that_is_wanted,
    a_sub_agent_has_what_was_attached_then,
    what_is_attached_goes_with_its_chat_and_its_owner,
    what_is_attached_is_its_owners_alone,
    every_offence_of_a_set_is_told_and_nothing_stored,
    a_chat_with_the_slug_of_a_server_has_both,
    a_report_of_what_is_attached_is_answered_to_its_owner,
}

pub(super) fn inline(slug: &str) -> v1::InlineServer {
    v1::InlineServer {
        slug: slug.to_owned(),
        url: format!("https://{slug}.example.com/mcp"),
        headers: vec![v1::Header {
            name: "X-Key".to_owned(),
            value: format!("hush-{slug}"),
        }],
        ..v1::InlineServer::default()
    }
}

pub(super) async fn attach_to(
    client: &Client,
    (chat, user): (&str, &str),
    servers: Vec<v1::InlineServer>,
) -> Result<v1::Chat, Error> {
    let request = v1::SetChatInlineServersRequest {
        actor: actor(user),
        chat_id: chat.to_owned(),
        servers,
    };
    let set = answer(client.chats().set_chat_inline_servers(request)).await;
    set.map(|set| set.chat.unwrap())
}

pub(super) async fn attach(
    world: &World,
    servers: Vec<v1::InlineServer>,
) -> Result<v1::Chat, Error> {
    attach_to(&world.daemon, ("chat", "alice"), servers).await
}

pub(super) fn turn(subchat: &str) -> v1::ResolveChatRequest {
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

pub(super) async fn resolve(
    client: &Client,
    request: v1::ResolveChatRequest,
) -> Vec<v1::ResolvedServer> {
    let found = answer(client.chats().resolve_chat(request)).await;
    found.unwrap().servers
}

pub(super) async fn slugs(world: &World, request: v1::ResolveChatRequest) -> Vec<String> {
    let servers = resolve(&world.daemon, request).await.into_iter();
    servers.map(|server| server.slug).collect()
}

async fn read(world: &World, user: &str) -> Result<v1::Chat, Error> {
    let request = v1::GetChatServersRequest {
        actor: actor(user),
        chat_id: "chat".to_owned(),
    };
    let read = answer(world.daemon.chats().get_chat_servers(request)).await;
    read.map(|read| read.chat.unwrap())
}

pub(super) async fn on_by_default(world: &World, slug: &str) -> v1::Server {
    let server = v1::Server {
        availability: v1::Availability::DefaultOn.into(),
        ..open(slug)
    };
    world.create(server).await.unwrap()
}

async fn what_is_attached_is_resolved_last_with_its_headers(engine: Engine) {
    let world = World::start(engine).await;
    on_by_default(&world, "zoo").await;
    let bare = v1::InlineServer {
        headers: Vec::new(),
        tool_deny_list: vec![" drop ".to_owned(), String::new()],
        ..inline("bare")
    };

    let chat = attach(&world, vec![inline("notes"), bare]).await.unwrap();

    assert!(!chat.has_selection, "nobody chose: {chat:?}");
    let found = resolve(&world.daemon, turn("")).await;
    let order: Vec<_> = found.iter().map(|one| (&*one.slug, one.inline)).collect();
    assert_eq!(order, [("zoo", false), ("bare", true), ("notes", true)]);
    let (bare, notes) = (&found[1], &found[2]);
    assert_eq!(notes.url, "https://notes.example.com/mcp");
    assert_eq!(notes.status(), ServerStatus::Ready);
    assert_eq!(notes.transport(), v1::Transport::StreamableHttp);
    assert_eq!(notes.auth_kind(), v1::AuthKind::CustomHeaders);
    assert_eq!(notes.availability(), v1::Availability::Unspecified);
    assert_eq!(notes.headers, inline("notes").headers);
    assert_eq!(notes.reuse(), v1::HeaderReuse::Reusable);
    assert_eq!(notes.credential_version, 1);
    assert_eq!(bare.auth_kind(), v1::AuthKind::None);
    assert_eq!((bare.headers.len(), bare.credential_version), (0, 0));
    assert_eq!(bare.tool_policy.as_ref().unwrap().deny, ["drop"]);
}

async fn header_names_and_values_are_shown_to_nobody(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;

    let set = attach(&world, vec![inline("notes")]).await.unwrap();
    let read = read(&world, "alice").await.unwrap();

    assert_eq!(set, read);
    let one = &read.inline_servers[0];
    assert_eq!((one.header_count, one.headers.len()), (1, 0));
    assert_eq!(one.url, "https://notes.example.com/mcp");
    let mut raw = raw(&database).await;
    for row in crate::walks::rows::dump(&mut raw, "default").await {
        assert!(
            !row.contains("hush-notes") && !row.contains("X-Key"),
            "{row}"
        );
        let told = row.starts_with("audit_events") && row.contains("/mcp");
        assert!(!told, "{row}");
    }
    drop(raw);
    world.service.stop().await;
}

async fn a_set_replaces_the_one_before_and_keeps_ids_by_slug(engine: Engine) {
    let world = World::start(engine).await;
    let before = attach(&world, vec![inline("a"), inline("b")])
        .await
        .unwrap();
    let moved = v1::InlineServer {
        url: "https://elsewhere.example.com/".to_owned(),
        headers: Vec::new(),
        ..inline("b")
    };

    let after = attach(&world, vec![inline("c"), moved]).await.unwrap();

    let slugs: Vec<_> = after.inline_servers.iter().map(|one| &*one.slug).collect();
    assert_eq!(slugs, ["b", "c"]);
    let b = &after.inline_servers[0];
    assert_eq!(b.id, before.inline_servers[1].id);
    assert_eq!(
        (&*b.url, b.header_count),
        ("https://elsewhere.example.com/", 0)
    );
    let again = attach(&world, vec![inline("a")]).await.unwrap();
    assert_ne!(again.inline_servers[0].id, before.inline_servers[0].id);
    attach(&world, vec![inline("a")]).await.unwrap();
    let found = resolve(&world.daemon, turn("")).await;
    assert_eq!(found[0].credential_version, 2);
    let none = attach(&world, vec![]).await.unwrap();
    assert_eq!(none.inline_servers, []);
    assert_eq!(resolve(&world.daemon, turn("")).await, []);
}

async fn what_is_attached_follows_the_rules_of_the_turn(engine: Engine) {
    let world = World::start(engine).await;
    let with = |slug: &str, plan, sub| v1::InlineServer {
        allow_in_plan_mode: plan,
        allow_in_subagents: sub,
        ..inline(slug)
    };
    let servers = vec![
        with("neither", false, false),
        with("plan", true, false),
        with("sub", false, true),
    ];
    attach(&world, servers).await.unwrap();
    let planning = |subchat: &str| v1::ResolveChatRequest {
        mode: v1::ChatMode::Plan.into(),
        ..turn(subchat)
    };
    let choosing = v1::ResolveChatRequest {
        selection: Some(v1::ServerSelection::default()),
        ..turn("")
    };

    let all = ["neither", "plan", "sub"];
    assert_eq!(slugs(&world, turn("")).await, all);
    assert_eq!(slugs(&world, planning("")).await, ["plan"]);
    assert_eq!(slugs(&world, turn("one")).await, ["sub"]);
    assert_eq!(slugs(&world, planning("one")).await, [""; 0]);
    assert_eq!(slugs(&world, choosing).await, all, "nobody chooses these");
}

async fn whom_a_request_is_for_is_told_where_that_is_wanted(engine: Engine) {
    let world = World::start(engine).await;
    let told = v1::InlineServer {
        forward_identity_headers: true,
        ..inline("told")
    };
    attach(&world, vec![inline("not-told"), told])
        .await
        .unwrap();

    let found = resolve(&world.daemon, turn("")).await;

    let names = |at: usize| -> Vec<_> {
        let headers = found[at].headers.iter();
        headers.map(|header| header.name.as_str()).collect()
    };
    assert_eq!(names(0), ["X-Key"]);
    let expected = [
        "X-Key",
        "X-Stationmaster-Owner-Id",
        "X-Stationmaster-Chat-Id",
    ];
    assert_eq!(names(1), expected);
}

async fn a_sub_agent_has_what_was_attached_then(engine: Engine) {
    let world = World::start(engine).await;
    let sub = |slug: &str| v1::InlineServer {
        allow_in_subagents: true,
        ..inline(slug)
    };
    attach(&world, vec![sub("a"), sub("b")]).await.unwrap();
    assert_eq!(slugs(&world, turn("one")).await, ["a", "b"]);

    attach(&world, vec![sub("b"), sub("c")]).await.unwrap();
    assert_eq!(slugs(&world, turn("one")).await, ["b"]);
    assert_eq!(slugs(&world, turn("two")).await, ["b", "c"]);
    attach(&world, vec![inline("b"), sub("a")]).await.unwrap();

    assert_eq!(slugs(&world, turn("one")).await, [""; 0]);
    assert_eq!(slugs(&world, turn("")).await, ["a", "b"]);
}

async fn what_is_attached_goes_with_its_chat_and_its_owner(engine: Engine) {
    let world = World::start(engine).await;
    attach(&world, vec![inline("a")]).await.unwrap();
    let request = v1::DeleteChatRequest {
        actor: actor("alice"),
        chat_id: "chat".to_owned(),
    };
    answer(world.daemon.chats().delete_chat(request))
        .await
        .unwrap();
    assert_eq!(slugs(&world, turn("")).await, [""; 0]);

    attach(&world, vec![inline("a")]).await.unwrap();
    let request = v1::PurgeUserRequest {
        user: "alice".to_owned(),
    };
    let purged = answer(world.admin.tokens().purge_user(request)).await;

    assert_eq!(purged.unwrap().chats, 1);
    assert_eq!(slugs(&world, turn("")).await, [""; 0]);
}

async fn what_is_attached_is_its_owners_alone(engine: Engine) {
    let world = World::start(engine).await;
    attach(&world, vec![inline("a")]).await.unwrap();
    let bobs = v1::ResolveChatRequest {
        actor: actor("bob"),
        chat_id: "bobs".to_owned(),
        ..turn("")
    };

    let taken = "CHAT_OWNED_BY_ANOTHER_USER";
    assert_eq!(reason(read(&world, "bob").await), taken);
    for servers in [vec![], vec![inline("a")]] {
        let set = attach_to(&world.daemon, ("chat", "bob"), servers).await;
        assert_eq!(reason(set), taken);
    }
    assert_eq!(slugs(&world, bobs).await, [""; 0]);
    assert_eq!(slugs(&world, turn("")).await, ["a"]);
    let attached = read(&world, "alice").await.unwrap().inline_servers;
    let id = &attached[0].id;
    let named = resolve_many(&world.daemon, "alice", &[id]).await;
    assert_eq!(named.unwrap().unknown_servers, [attached[0].id.clone()]);
}

async fn every_offence_of_a_set_is_told_and_nothing_stored(engine: Engine) {
    let world = World::start_with(engine, &[("egress.allow_http", "false")]).await;
    let bad = |change: fn(&mut v1::InlineServer)| {
        let mut one = inline("bad");
        change(&mut one);
        one
    };
    let servers = vec![
        bad(|one| "No Slug".clone_into(&mut one.slug)),
        bad(|one| "http://plain.example.com/".clone_into(&mut one.url)),
        bad(|one| "https://169.254.169.254/".clone_into(&mut one.url)),
        inline("good"),
        bad(|one| "X-Coder-Owner-Id".clone_into(&mut one.headers[0].name)),
    ];

    let found = fields(attach(&world, servers).await);

    assert_eq!(
        found,
        [
            "servers[0].slug",
            "servers[1].url",
            "servers[2].slug",
            "servers[2].url",
            "servers[4].slug",
            "servers[4].headers"
        ]
    );
    let six = (0..6).map(|at| inline(&format!("s{at}"))).collect();
    assert_eq!(fields(attach(&world, six).await), ["servers"]);
    assert_eq!(reason(read(&world, "alice").await), "CHAT_NOT_FOUND");
}

async fn a_chat_with_the_slug_of_a_server_has_both(engine: Engine) {
    let world = World::start(engine).await;
    on_by_default(&world, "notes").await;
    attach(&world, vec![inline("notes")]).await.unwrap();

    let found = resolve(&world.daemon, turn("")).await;

    let prefixes: Vec<_> = found.iter().map(|one| &*one.tool_name_prefix).collect();
    assert_eq!(prefixes, ["notes__", "chat_notes__"]);
    assert_ne!(found[0].server, found[1].server);
}

async fn a_report_of_what_is_attached_is_answered_to_its_owner(engine: Engine) {
    let world = World::start(engine).await;
    attach(&world, vec![inline("a")]).await.unwrap();
    let id = resolve(&world.daemon, turn("")).await[0].server.clone();
    let report = |user: &str, server: &str, status| {
        let response = v1::HttpResponse {
            status,
            credential_version: 1,
            ..v1::HttpResponse::default()
        };
        let request = v1::ReportResponseRequest {
            actor: actor(user),
            server: server.to_owned(),
            outcome: Some(v1::report_response_request::Outcome::HttpResponse(response)),
            ..v1::ReportResponseRequest::default()
        };
        async { Box::pin(answer(world.daemon.tokens().report_response(request))).await }
    };

    for (status, action, why) in [
        (401, ReportAction::Denied, StatusReason::TokenRejected),
        (403, ReportAction::Denied, StatusReason::Forbidden),
        (500, ReportAction::NotAuth, StatusReason::Unspecified),
        (200, ReportAction::NotAuth, StatusReason::Unspecified),
    ] {
        let said = report("alice", &id, status).await.unwrap();
        assert_eq!((said.action(), said.reason()), (action, why), "{status}");
    }
    for (user, server) in [("bob", &*id), ("alice", "a")] {
        let said = report(user, server, 401).await;
        assert_eq!(reason(said), "SERVER_NOT_FOUND");
    }
}
