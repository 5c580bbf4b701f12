//! Servers that are told whom a request is for, by headers.

use stationmaster::client::{Error, answer, v1};
use v1::IdentityHeaderPreset as Preset;
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::client::{actor, fields};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open, with_auth};
use crate::walks::rows;

on_both_engines! {
    each_header_is_sent_where_there_is_something_to_say,
    a_turn_says_of_itself_which_chat_it_belongs_to,
    nothing_is_said_to_who_did_not_ask_or_is_not_ready,
    headers_are_called_as_the_administrator_chose,
    what_authorizes_wins_over_an_identity_header_of_its_name,
    what_no_header_takes_is_encoded,
    a_turn_names_no_other_chat_than_its_own,
    who_triggered_a_turn_is_on_record_with_what_it_chose,
}

/// A server that wants to know.
pub(super) fn asking(slug: &str) -> v1::Server {
    v1::Server {
        forward_identity_headers: true,
        availability: v1::Availability::ForceOn.into(),
        allow_in_subagents: true,
        ..open(slug)
    }
}

pub(super) fn named(preset: Preset) -> v1::IdentityForwarding {
    v1::IdentityForwarding {
        preset: preset.into(),
        ..v1::IdentityForwarding::default()
    }
}

pub(super) fn context(chat: &str, subchat: &str, workspace: &str) -> v1::IdentityContext {
    v1::IdentityContext {
        chat_id: chat.to_owned(),
        subchat_id: subchat.to_owned(),
        workspace_id: workspace.to_owned(),
        triggered_by: String::new(),
    }
}

pub(super) async fn resolve(
    world: &World,
    (user, server): (&str, &str),
    identity: v1::IdentityContext,
) -> v1::ResolvedServer {
    let request = v1::ResolveCredentialsRequest {
        actor: actor(user),
        servers: vec![server.to_owned()],
        identity: Some(identity),
        ..v1::ResolveCredentialsRequest::default()
    };
    let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;
    resolved.unwrap().servers.swap_remove(0)
}

fn turn() -> v1::ResolveChatRequest {
    v1::ResolveChatRequest {
        actor: actor("ann"),
        chat_id: "c1".to_owned(),
        ..v1::ResolveChatRequest::default()
    }
}

async fn take(
    world: &World,
    turn: v1::ResolveChatRequest,
) -> Result<v1::ResolveChatResponse, Error> {
    answer(world.daemon.chats().resolve_chat(turn)).await
}

/// The headers of a server that is ready, as lines in order.
fn lines(resolved: &v1::ResolvedServer) -> Vec<String> {
    assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
    let line = |header: &v1::Header| format!("{}: {}", header.name, header.value);
    resolved.headers.iter().map(line).collect()
}

async fn each_header_is_sent_where_there_is_something_to_say(engine: Engine) {
    let world = World::start(engine).await;
    world.create(asking("tools")).await.unwrap();
    for (identity, wanted) in [
        (context("", "", ""), &["Owner-Id: ann"][..]),
        (context("c1", "", ""), &["Owner-Id: ann", "Chat-Id: c1"]),
        (
            context("c1", "s1", " w1 "),
            &[
                "Owner-Id: ann",
                "Chat-Id: c1",
                "Subchat-Id: s1",
                "Workspace-Id: w1",
            ],
        ),
        (
            context("", "", "w1"),
            &["Owner-Id: ann", "Workspace-Id: w1"],
        ),
    ] {
        let resolved = resolve(&world, ("ann", "tools"), identity.clone()).await;

        let wanted = wanted.iter().map(|line| format!("X-Stationmaster-{line}"));
        assert_eq!(lines(&resolved), wanted.collect::<Vec<_>>(), "{identity:?}");
        assert_eq!(resolved.reuse(), v1::HeaderReuse::Reusable);
        assert_eq!(resolved.expire_time, None);
        assert_eq!(resolved.signing_key, None);
    }
}

async fn a_turn_says_of_itself_which_chat_it_belongs_to(engine: Engine) {
    let world = World::start(engine).await;
    world.create(asking("tools")).await.unwrap();
    let sub = v1::ResolveChatRequest {
        subagent: Some(v1::Subagent {
            subchat_id: "s1".to_owned(),
        }),
        identity: Some(context("c1", "s1", "w1")),
        ..turn()
    };

    let root = take(&world, turn()).await.unwrap();
    let sub = take(&world, sub).await.unwrap();

    let ids = |resolved: v1::ResolveChatResponse| {
        let lines = lines(&resolved.servers[0]).into_iter();
        let value = lines.map(|line| line.split(": ").nth(1).unwrap().to_owned());
        value.collect::<Vec<_>>()
    };
    assert_eq!(ids(root), ["ann", "c1"]);
    assert_eq!(ids(sub), ["ann", "c1", "s1", "w1"]);
}

async fn nothing_is_said_to_who_did_not_ask_or_is_not_ready(engine: Engine) {
    let world = World::start(engine).await;
    let token = v1::IdentityForwarding {
        signed_token: true,
        ..named(Preset::Stationmaster)
    };
    let silent = v1::Server {
        identity_forwarding: Some(token.clone()),
        signing_secret: Some("hush".to_owned()),
        ..open("silent")
    };
    world.create(silent).await.unwrap();
    let unready = v1::Server {
        forward_identity_headers: true,
        identity_forwarding: Some(token),
        signing_secret: Some("hush".to_owned()),
        ..world.automatic("unready")
    };
    world.create(unready).await.unwrap();

    for (server, status) in [("silent", Status::Ready), ("unready", Status::NotConnected)] {
        let resolved = resolve(&world, ("ann", server), context("c1", "", "w1")).await;

        assert_eq!(resolved.status(), status);
        assert!(resolved.headers.is_empty(), "{server}");
        assert_eq!(resolved.signing_key, None, "{server}");
        assert_eq!(resolved.expire_time, None, "{server}");
    }
}

async fn headers_are_called_as_the_administrator_chose(engine: Engine) {
    let world = World::start(engine).await;
    let custom = v1::IdentityForwarding {
        owner_header: "X-Who".to_owned(),
        workspace_header: " x-where ".to_owned(),
        ..named(Preset::Custom)
    };
    for (slug, forwarding, wanted) in [
        (
            "coder",
            named(Preset::Coder),
            &[
                "X-Coder-Owner-Id: ann",
                "X-Coder-Chat-Id: c1",
                "X-Coder-Subchat-Id: s1",
                "X-Coder-Workspace-Id: w1",
            ][..],
        ),
        ("custom", custom, &["X-Who: ann", "x-where: w1"]),
    ] {
        let server = v1::Server {
            identity_forwarding: Some(forwarding),
            ..asking(slug)
        };
        world.create(server).await.unwrap();

        let resolved = resolve(&world, ("ann", slug), context("c1", "s1", "w1")).await;

        assert_eq!(lines(&resolved), wanted, "{slug}");
    }
}

async fn what_authorizes_wins_over_an_identity_header_of_its_name(engine: Engine) {
    let world = World::start(engine).await;
    let header = |name: &str| v1::CustomHeader {
        name: name.to_owned(),
        value: Some("theirs".to_owned()),
    };
    let headers = v1::CustomHeadersAuth {
        headers: vec![
            header("x-coder-CHAT-id"),
            header("X-Key"),
            header("x-id-token"),
        ],
        ..v1::CustomHeadersAuth::default()
    };
    let server = v1::Server {
        forward_identity_headers: true,
        identity_forwarding: Some(v1::IdentityForwarding {
            signed_token: true,
            signed_token_header: "X-Id-Token".to_owned(),
            ..named(Preset::Coder)
        }),
        ..with_auth(
            "tools",
            "https://tools.example.com/mcp".to_owned(),
            Auth::CustomHeaders(headers),
        )
    };
    world.create(server).await.unwrap();

    let resolved = resolve(&world, ("ann", "tools"), context("c1", "", "w1")).await;

    assert_eq!(
        lines(&resolved),
        [
            "x-coder-CHAT-id: theirs",
            "X-Key: theirs",
            "x-id-token: theirs",
            "X-Coder-Owner-Id: ann",
            "X-Coder-Workspace-Id: w1",
        ]
    );
    assert_eq!(resolved.expire_time, None, "no token was sent");
}

async fn what_no_header_takes_is_encoded(engine: Engine) {
    let world = World::start(engine).await;
    world.create(asking("tools")).await.unwrap();

    let resolved = resolve(&world, ("Zoë 100%", "tools"), context("a/b", "", "日")).await;

    assert_eq!(
        lines(&resolved),
        [
            "X-Stationmaster-Owner-Id: Zo%C3%AB%20100%25",
            "X-Stationmaster-Chat-Id: a/b",
            "X-Stationmaster-Workspace-Id: %E6%97%A5",
        ]
    );
}

async fn a_turn_names_no_other_chat_than_its_own(engine: Engine) {
    let world = World::start(engine).await;
    world.create(asking("tools")).await.unwrap();
    let with = |identity| v1::ResolveChatRequest {
        identity: Some(identity),
        ..turn()
    };
    let wordy = v1::IdentityContext {
        triggered_by: " bob".to_owned(),
        ..context("c1", "", &"w".repeat(256))
    };

    let other = fields(take(&world, with(context("c2", "s1", ""))).await);
    let wordy = fields(take(&world, with(wordy)).await);

    assert_eq!(other, ["identity.chat_id", "identity.subchat_id"]);
    assert_eq!(wordy, ["identity.workspace_id", "identity.triggered_by"]);
}

async fn who_triggered_a_turn_is_on_record_with_what_it_chose(engine: Engine) {
    const RECORDED: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'chat.select' \
        AND user_id = 'ann' AND detail LIKE '%\"triggered_by\":\"bob\"%'";
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(asking("tools")).await.unwrap();
    let by_bob = v1::ResolveChatRequest {
        selection: Some(v1::ServerSelection {
            servers: vec!["tools".to_owned()],
        }),
        identity: Some(v1::IdentityContext {
            triggered_by: "bob".to_owned(),
            ..context("", "", "")
        }),
        ..turn()
    };

    // The chat acts as its owner, and what is chosen again is not stored again.
    for _ in 0..2 {
        let resolved = take(&world, by_bob.clone()).await.unwrap();
        assert_eq!(
            lines(&resolved.servers[0])[0],
            "X-Stationmaster-Owner-Id: ann"
        );
    }

    let mut raw = rows::raw(&database).await;
    assert_eq!(raw.number(RECORDED).await, 1);
    world.service.stop().await;
}
