//! What is no value for a header of a server, and whose values are whose.

use stationmaster::client::{answer, v1};

use crate::harness::client::{fields, reason};
use crate::harness::service::Engine;
use crate::harness::user_headers::{delete, found, get, missing, sent, set, supply, values};
use crate::harness::world::{World, on_both_engines, open, resolve_many};

on_both_engines! {
    what_is_not_declared_is_refused_all_at_once,
    values_take_no_injection,
    one_users_values_are_nobody_elses,
    only_servers_that_a_user_may_use_take_values,
    users_supply_for_themselves_only,
}

async fn what_is_not_declared_is_refused_all_at_once(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    world.create(open("open")).await.unwrap();
    let given = [
        ("X-Nope", "1"),
        ("X-Token", "2"),
        ("X-Ours", "3"),
        ("X-Gone", ""),
    ];

    let refused = set(&world, ("alice", "tools"), &given).await;
    let of_nothing = set(&world, ("alice", "open"), &[("X-Token", "1")]).await;

    assert_eq!(
        fields(refused),
        ["headers[0].name", "headers[2].name", "headers[3].name"]
    );
    assert_eq!(
        missing(&world, "alice", "tools").await,
        ["X-Token", "X-Team"]
    );
    assert_eq!(fields(of_nothing), ["server"]);
    assert!(get(&world, "alice", "open").await.unwrap().is_empty());
}

async fn values_take_no_injection(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let whose = ("alice", "tools");

    for bad in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "schlüssel", " "] {
        let refused = set(&world, whose, &[("X-Token", bad)]).await;
        assert_eq!(fields(refused), ["headers[0].value"], "{bad:?}");
    }
    let long = "x".repeat(8193);
    let refused = set(&world, whose, &[("X-Team", "a"), ("X-Token", &*long)]).await;
    assert_eq!(fields(refused), ["headers[1].value"]);
    let twice = set(&world, whose, &[("X-Token", "a"), ("x-token", "b")]).await;
    assert_eq!(fields(twice), ["headers[1].name"]);
    assert_eq!(fields(set(&world, whose, &[]).await), ["headers"]);
    let nobody = values(("", ""), &[("", "")]);
    let nobody = answer(world.daemon.tokens().set_user_headers(nobody)).await;
    assert_eq!(fields(nobody), ["headers[0].name", "actor.user", "server"]);
    assert_eq!(
        missing(&world, "alice", "tools").await,
        ["X-Token", "X-Team"]
    );
}

async fn one_users_values_are_nobody_elses(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    found(&world, "other").await;
    supply(&world, "alice", "tools", "hush").await;

    for (user, server) in [("bob", "tools"), ("Alice", "tools"), ("alice", "other")] {
        assert_eq!(missing(&world, user, server).await.len(), 2, "{user}");
    }
    // The names change places, and values stay with their servers.
    let renamed = |id: &str, slug: &str| v1::Server {
        id: id.to_owned(),
        slug: slug.to_owned(),
        ..v1::Server::default()
    };
    for (id, slug) in [("tools", "swap"), ("other", "tools"), ("swap", "other")] {
        world.update(renamed(id, slug), &["slug"]).await.unwrap();
    }
    assert_eq!(missing(&world, "alice", "tools").await.len(), 2);
    assert_eq!(sent(&world, "alice", "other").await.len(), 3);
}

async fn only_servers_that_a_user_may_use_take_values(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    supply(&world, "alice", "tools", "hush").await;
    let closed = v1::Server {
        id: "tools".to_owned(),
        allowed_users: vec!["bob".to_owned()],
        ..v1::Server::default()
    };
    world.update(closed, &["allowed_users"]).await.unwrap();

    let given = [("X-Token", "1")];
    for server in ["tools", "nowhere", "No Slug"] {
        let refused = set(&world, ("alice", server), &given).await;
        assert_eq!(reason(refused), "SERVER_NOT_FOUND", "{server}");
        let hidden = get(&world, "alice", server).await;
        assert_eq!(reason(hidden), "SERVER_NOT_FOUND", "{server}");
    }
    let bob = resolve_many(&world.daemon, "alice", &["tools"]).await;
    assert_eq!(bob.unwrap().unknown_servers, ["tools"]);
    let off = v1::Server {
        id: "tools".to_owned(),
        ..v1::Server::default()
    };
    world
        .update(off, &["enabled", "allowed_users"])
        .await
        .unwrap();
    let refused = set(&world, ("bob", "tools"), &given).await;
    assert_eq!(reason(refused), "SERVER_NOT_FOUND");

    // It goes all the same, and nobody learns whether it was there.
    let gone = delete(&world, "alice", "tools").await;
    for server in ["tools", "nowhere", "No Slug"] {
        assert_eq!(delete(&world, "alice", server).await, gone, "{server}");
    }
    let on = v1::Server {
        id: "tools".to_owned(),
        enabled: true,
        ..v1::Server::default()
    };
    world.update(on, &["enabled"]).await.unwrap();
    assert_eq!(missing(&world, "alice", "tools").await.len(), 2);
}

async fn users_supply_for_themselves_only(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    let own = v1::SetUserHeadersRequest {
        actor: None,
        ..values(("", "tools"), &[("X-Token", "hush"), ("X-Team", "blue")])
    };

    answer(alice.tokens().set_user_headers(own)).await.unwrap();
    let others = values(("bob", "tools"), &[("X-Token", "mine")]);
    let others = answer(alice.tokens().set_user_headers(others)).await;
    let administrators = values(("alice", "tools"), &[("X-Token", "mine")]);
    let administrators = answer(world.admin.tokens().set_user_headers(administrators)).await;

    assert_eq!(reason(others), "USER_NOT_ALLOWED");
    assert_eq!(reason(administrators), "ROLE_NOT_ALLOWED");
    assert_eq!(sent(&world, "alice", "tools").await[1], "X-Token: hush");
    assert_eq!(missing(&world, "bob", "tools").await.len(), 2);
}
