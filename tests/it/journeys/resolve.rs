//! A daemon asks what it needs to talk to servers, and gets headers or the exact reason why not.

use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, create, on_both_engines, open, resolve_many, with_auth};

on_both_engines! {
    fixed_headers_are_handed_out_as_they_are,
    a_grant_is_handed_out_with_its_end,
    a_user_who_never_connected_is_told_so,
    what_does_not_exist_for_the_user_is_listed_as_it_was_named,
    entries_come_by_display_name_and_once,
    a_revision_to_come_is_waited_for_elsewhere,
    what_users_must_supply_is_named,
    kinds_of_later_releases_say_so,
    a_login_token_is_the_operators_to_configure,
    groups_open_what_is_for_them,
    a_grant_of_a_server_switched_off_comes_back_with_it,
    one_users_grant_is_nobody_elses,
}

const URL: &str = "https://a.example.com/mcp";

fn header(name: &str, value: &str) -> v1::CustomHeader {
    v1::CustomHeader {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    }
}

async fn fixed_headers_are_handed_out_as_they_are(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("open")).await.unwrap();
    let api_key = Auth::ApiKey(v1::ApiKeyAuth {
        value: Some("Bearer hush".to_owned()),
        ..v1::ApiKeyAuth::default()
    });
    world
        .create(with_auth("key", URL.to_owned(), api_key))
        .await
        .unwrap();
    let custom = Auth::CustomHeaders(v1::CustomHeadersAuth {
        headers: vec![header("X-Second", "2 "), header("X-First", "1")],
        user_headers: Vec::new(),
    });
    world
        .create(with_auth("custom", URL.to_owned(), custom))
        .await
        .unwrap();

    let mut found = Vec::new();
    for server in ["open", "key", "custom"] {
        let resolved = world.resolve("alice", server).await;
        assert_eq!(resolved.status(), Status::Ready);
        // The server's own version, where anything is sent.
        let version = i64::from(server != "open");
        assert_eq!(
            (resolved.expire_time, resolved.credential_version),
            (None, version)
        );
        let headers = resolved.headers.into_iter();
        found.push(
            headers
                .map(|h| format!("{}: {}", h.name, h.value))
                .collect::<Vec<_>>(),
        );
    }

    assert_eq!(found[0], Vec::<String>::new());
    assert_eq!(found[1], ["Authorization: Bearer hush"]);
    assert_eq!(found[2], ["X-Second: 2 ", "X-First: 1"]);
}

async fn a_grant_is_handed_out_with_its_end(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    world.connect("alice", "tools").await;

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.transport(), v1::Transport::StreamableHttp);
    assert_eq!(resolved.reuse(), v1::HeaderReuse::Reusable);
    assert_eq!((resolved.server, resolved.url), (server.id, server.url));
    assert_eq!(resolved.credential_version, 1);
    let [header] = resolved.headers.as_slice() else {
        panic!("{:?}", resolved.headers);
    };
    assert_eq!(header.name, "Authorization");
    assert!(world.idp.accepts(&header.value));
    // An hour after the service's first second.
    assert_eq!(resolved.expire_time.unwrap().seconds, 1_767_225_600 + 3600);
}

async fn a_user_who_never_connected_is_told_so(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.status(), Status::NotConnected);
    assert_eq!(
        (resolved.headers, resolved.credential_version),
        (Vec::new(), 0)
    );
}

async fn what_does_not_exist_for_the_user_is_listed_as_it_was_named(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("here")).await.unwrap();
    let off = v1::Server {
        enabled: false,
        ..open("off")
    };
    world.create(off).await.unwrap();
    let hers = v1::Server {
        allowed_users: vec!["alice".to_owned()],
        ..open("hers")
    };
    let hers = world.create(hers).await.unwrap().id;

    let named = [
        "here",
        "off",
        &hers,
        "nowhere",
        "srv_0198c0de000070008000000000000009",
    ];
    let bob = resolve_many(&world.daemon, "bob", &named).await.unwrap();
    let alice = resolve_many(&world.daemon, "alice", &named).await.unwrap();

    assert_eq!(bob.servers.len(), 1);
    assert_eq!(bob.unknown_servers, &named[1..]);
    assert_eq!(alice.servers.len(), 2);
}

async fn entries_come_by_display_name_and_once(engine: Engine) {
    let world = World::start(engine).await;
    let id = world.create(open("bbb")).await.unwrap().id;
    world.create(open("aaa")).await.unwrap();

    let resolved = resolve_many(
        &world.daemon,
        "bob",
        &["bbb", "aaa", &id, "aaa", "no", "no"],
    )
    .await;

    let resolved = resolved.unwrap();
    let slugs: Vec<_> = resolved
        .servers
        .iter()
        .map(|server| server.slug.as_str())
        .collect();
    assert_eq!(slugs, ["aaa", "bbb"]);
    assert_eq!(resolved.unknown_servers, ["no"]);
}

async fn a_revision_to_come_is_waited_for_elsewhere(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let request = |min_revision| v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["tools".to_owned()],
        min_revision,
        ..v1::ResolveCredentialsRequest::default()
    };
    let now = answer(world.daemon.tokens().resolve_credentials(request(0))).await;
    let now = now.unwrap().revision;

    let seen = answer(world.daemon.tokens().resolve_credentials(request(now))).await;
    let to_come = answer(world.daemon.tokens().resolve_credentials(request(now + 1))).await;

    assert_eq!(seen.unwrap().servers.len(), 1);
    let to_come = refusal(to_come);
    assert_eq!(to_come.reason, "REVISION_NOT_REACHED");
    assert!(to_come.retry_after.is_some());
    assert_eq!(to_come.metadata["revision"], now.to_string());
}

async fn what_users_must_supply_is_named(engine: Engine) {
    let world = World::start(engine).await;
    let own_key = Auth::ApiKey(v1::ApiKeyAuth {
        header: "X-Key".to_owned(),
        per_user: true,
        ..v1::ApiKeyAuth::default()
    });
    world
        .create(with_auth("key", URL.to_owned(), own_key))
        .await
        .unwrap();
    let own = v1::UserHeaderDeclaration {
        name: "X-Own".to_owned(),
        ..v1::UserHeaderDeclaration::default()
    };
    let mixed = Auth::CustomHeaders(v1::CustomHeadersAuth {
        headers: vec![header("X-Ours", "1")],
        user_headers: vec![own],
    });
    world
        .create(with_auth("mixed", URL.to_owned(), mixed))
        .await
        .unwrap();

    for (server, missing) in [("key", "X-Key"), ("mixed", "X-Own")] {
        let resolved = world.resolve("alice", server).await;

        assert_eq!(resolved.status(), Status::MissingUserHeaders);
        assert_eq!(resolved.missing_headers, [missing]);
        assert!(resolved.headers.is_empty());
    }
}

async fn kinds_of_later_releases_say_so(engine: Engine) {
    let world = World::start(engine).await;
    let workload = v1::WorkloadAuth {
        assertion: Some("header.claims.signature".to_owned()),
        ..v1::WorkloadAuth::default()
    };
    let robot = with_auth("robot", URL.to_owned(), Auth::Workload(workload));
    let made = world.create(robot).await.unwrap();

    let resolved = world.resolve("alice", "robot").await;

    assert_eq!(resolved.status(), Status::ConfigError);
    assert_eq!(resolved.reason(), Reason::AuthKindUnsupported);
    assert_eq!(made.problems[0].reason(), Reason::AuthKindUnsupported);
}

async fn a_login_token_is_the_operators_to_configure(engine: Engine) {
    let world = World::start(engine).await;
    let server = with_auth(
        "login",
        URL.to_owned(),
        Auth::UserOidc(v1::UserOidcAuth::default()),
    );
    let admin = world.service.client_as(v1::Role::Admin, "").await;
    let request = v1::CreateServerRequest {
        server: Some(server.clone()),
        ..v1::CreateServerRequest::default()
    };

    let refused = create(&admin, request).await;
    world.create(server).await.unwrap();

    assert_eq!(reason(refused), "ROLE_NOT_ALLOWED");
    let resolved = world.resolve("alice", "login").await;
    assert_eq!(resolved.status(), Status::NoUserIdentity);
}

async fn groups_open_what_is_for_them(engine: Engine) {
    let world = World::start(engine).await;
    let for_ops = v1::Server {
        allowed_groups: vec!["ops".to_owned()],
        ..open("tools")
    };
    world.create(for_ops).await.unwrap();
    let request = |groups: &[&str]| v1::ResolveCredentialsRequest {
        actor: Some(v1::Actor {
            user: "alice".to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    };

    let member = answer(
        world
            .daemon
            .tokens()
            .resolve_credentials(request(&["dev", "ops"])),
    )
    .await;
    let other = answer(world.daemon.tokens().resolve_credentials(request(&["Ops"]))).await;

    assert_eq!(member.unwrap().servers.len(), 1);
    assert_eq!(other.unwrap().unknown_servers, ["tools"]);
    let none = v1::ResolveCredentialsRequest::default();
    let none = answer(world.daemon.tokens().resolve_credentials(none)).await;
    assert_eq!(fields(none), ["actor.user", "servers"]);
}

async fn a_grant_of_a_server_switched_off_comes_back_with_it(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let before = world.header("alice", "tools").await;
    let switch = |enabled| v1::Server {
        id: "tools".to_owned(),
        enabled,
        ..v1::Server::default()
    };

    let off = world.update(switch(false), &["enabled"]).await.unwrap();
    let gone = resolve_many(&world.daemon, "alice", &["tools"])
        .await
        .unwrap();
    world.update(switch(true), &["enabled"]).await.unwrap();

    assert_eq!(off.ended_connections, 0);
    assert_eq!(gone.unknown_servers, ["tools"]);
    assert_eq!(world.header("alice", "tools").await, before);
}

async fn one_users_grant_is_nobody_elses(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;

    for other in ["bob", "Alice", "alice "] {
        let resolved = resolve_many(&world.daemon, other, &["tools"]).await;
        let Ok(resolved) = resolved else {
            continue;
        };
        let user = other.trim();
        let expected = if user == "alice" {
            Status::Ready
        } else {
            Status::NotConnected
        };
        assert_eq!(resolved.servers[0].status(), expected, "{other}");
    }
}
