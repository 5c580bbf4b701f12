//! What a connection tells of itself, over its life.

use stationmaster::client::{answer, v1};
use stationmaster::domain::time::Clock as _;
use v1::{ConnectionState as State, StatusReason as Reason};

use crate::harness::client::{actor, fields, reason};
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    every_turn_of_a_life_is_seen,
    a_list_keeps_to_a_state,
    who_is_connected_to_a_server_is_listed_by_user,
}

fn seconds(at: Option<&prost_types::Timestamp>) -> Option<i64> {
    at.map(|at| at.seconds)
}

fn now(world: &World) -> i64 {
    world.service.clock().now().as_secs()
}

async fn read(world: &World) -> v1::Connection {
    world.connection("alice", "tools").await.unwrap()
}

async fn every_turn_of_a_life_is_seen(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let start = Some(now(&world));

    world.connect("alice", "tools").await;
    let connected = read(&world).await;
    world.pass(600);
    let used_at = Some(now(&world));
    world.header("alice", "tools").await;
    let written = world.service.within(|app| async move {
        let written = app.write_uses().await;
        written.map(drop).map_err(|error| error.to_string())
    });
    written.await.unwrap();
    let used = read(&world).await;
    world.pass(3000);
    let renewed_at = Some(now(&world));
    world.header("alice", "tools").await;
    let renewed = read(&world).await;
    world.pass(3600);
    let failed_at = Some(now(&world));
    world.idp.once(Fault::Busy(90));
    world.resolve("alice", "tools").await;
    let failed = read(&world).await;
    world.pass(90);
    let refused_at = Some(now(&world));
    world.idp.once(Fault::InvalidGrant);
    world.resolve("alice", "tools").await;
    let refused = read(&world).await;

    assert_eq!(connected.origin(), v1::ConnectionOrigin::Handshake);
    for (told, generation) in [
        (&connected, 1),
        (&used, 1),
        (&renewed, 2),
        (&failed, 2),
        (&refused, 2),
    ] {
        assert_eq!(seconds(told.obtain_time.as_ref()), start);
        assert_eq!(seconds(told.create_time.as_ref()), start);
        assert_eq!(told.generation, generation);
        assert!(told.renewable);
        assert_eq!(told.reconnect_before_time, None);
    }
    for told in [&connected, &used, &renewed] {
        assert_eq!(
            (told.state(), told.reason()),
            (State::Active, Reason::Unspecified)
        );
        assert_eq!((told.failures, told.last_error_code.as_str()), (0, ""));
        assert_eq!(told.last_failure_time, None);
    }
    assert_eq!(connected.refresh_time, None);
    assert_eq!(connected.last_use_time, None);
    assert_eq!(connected.next_attempt_time, None);
    assert_eq!(seconds(connected.update_time.as_ref()), start);
    assert_eq!(seconds(used.last_use_time.as_ref()), used_at);
    assert_eq!(seconds(used.update_time.as_ref()), start);
    // Two to three margins, of two minutes, before its end.
    let end = seconds(used.expire_time.as_ref()).unwrap();
    let next = seconds(used.next_attempt_time.as_ref()).unwrap();
    assert!((end - 360..=end - 240).contains(&next), "{next} of {end}");
    assert_eq!(seconds(renewed.refresh_time.as_ref()), renewed_at);
    assert_eq!(seconds(renewed.update_time.as_ref()), renewed_at);
    assert_eq!(
        seconds(renewed.expire_time.as_ref()),
        renewed_at.map(|at| at + 3600)
    );
    assert_eq!((failed.state(), failed.failures), (State::Active, 1));
    assert_eq!(seconds(failed.last_failure_time.as_ref()), failed_at);
    assert_eq!(
        seconds(failed.next_attempt_time.as_ref()),
        failed_at.map(|at| at + 90)
    );
    assert_ne!(failed.last_error_code, "");
    assert_eq!(seconds(failed.refresh_time.as_ref()), renewed_at);
    assert_eq!(refused.state(), State::ReconnectRequired);
    assert_eq!(refused.reason(), Reason::RefreshRefused);
    assert_eq!(refused.last_error_code, "invalid_grant");
    assert_eq!(seconds(refused.last_failure_time.as_ref()), refused_at);
    assert_eq!(refused.next_attempt_time, None);
}

async fn a_list_keeps_to_a_state(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    for user in ["alice", "bob"] {
        world.connect(user, "tools").await;
    }
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    world.resolve("bob", "tools").await;
    let list = async |state: i32, user: Option<&str>| {
        let request = v1::ListConnectionsRequest {
            actor: user.and_then(actor),
            state,
            ..v1::ListConnectionsRequest::default()
        };
        let found = answer(world.admin.tokens().list_connections(request)).await;
        found.map(|found| {
            let users = found.connections.into_iter();
            let mut users: Vec<_> = users.map(|connection| connection.user).collect();
            users.sort();
            users
        })
    };

    assert_eq!(list(0, None).await.unwrap(), ["alice", "bob"]);
    assert_eq!(list(State::Active.into(), None).await.unwrap(), ["alice"]);
    let broken = State::ReconnectRequired.into();
    assert_eq!(list(broken, None).await.unwrap(), ["bob"]);
    assert_eq!(list(broken, Some("bob")).await.unwrap(), ["bob"]);
    assert!(list(broken, Some("alice")).await.unwrap().is_empty());
    assert!(
        list(State::Unreadable.into(), None)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(fields(list(99, None).await), ["state"]);
}

async fn who_is_connected_to_a_server_is_listed_by_user(engine: Engine) {
    let world = World::start(engine).await;
    for server in ["tools", "wiki"] {
        world.found(server).await;
    }
    for (user, server) in [("carol", "tools"), ("alice", "tools"), ("bob", "wiki")] {
        world.connect(user, server).await;
    }
    world.connect("bob", "tools").await;
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    world.resolve("bob", "tools").await;
    let list = async |server: &str, state: State, page_token: &str| {
        let request = v1::ListServerConnectionsRequest {
            server: server.to_owned(),
            page_size: 2,
            page_token: page_token.to_owned(),
            state: state.into(),
        };
        answer(world.admin.config().list_server_connections(request)).await
    };
    let users = |found: &v1::ListServerConnectionsResponse| -> Vec<String> {
        let all = found.connections.iter();
        all.map(|one| format!("{}@{}", one.user, one.server_slug))
            .collect()
    };

    let first = list("tools", State::Unspecified, "").await.unwrap();
    let next = first.next_page_token.as_str();
    let second = list("tools", State::Unspecified, next).await.unwrap();
    let broken = list("tools", State::ReconnectRequired, "").await.unwrap();
    let wiki = list("wiki", State::Active, "").await.unwrap();

    assert_eq!(users(&first), ["alice@tools", "bob@tools"]);
    assert_eq!(users(&second), ["carol@tools"]);
    assert_eq!(second.next_page_token, "");
    assert_eq!(users(&broken), ["bob@tools"]);
    assert_eq!(users(&wiki), ["bob@wiki"]);
    let nowhere = list("nowhere", State::Unspecified, "").await;
    assert_eq!(reason(nowhere), "SERVER_NOT_FOUND");
}
