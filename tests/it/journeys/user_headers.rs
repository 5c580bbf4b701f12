//! Users supply values for headers that a server declares: they are sent, replaced, cleared and never
//! shown.

use stationmaster::client::{answer, v1};
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::user_headers::{
    URL, custom, delete, found, get, header, missing, per_user_key, sent, set, supply,
};
use crate::harness::world::{World, on_both_engines, with_auth};
use crate::walks::rows;

on_both_engines! {
    what_users_supply_is_sent_after_the_administrators,
    each_user_has_their_own_key,
    what_may_be_missing_keeps_nobody_from_using_a_server,
    values_are_told_of_and_never_told,
    a_value_is_replaced_and_cleared,
    who_supplied_everything_is_connected,
    a_report_about_headers_of_before_is_to_be_retried,
    a_value_that_cannot_be_opened_is_its_users_trouble,
    what_is_written_for_audit_names_headers_only,
}

async fn what_users_supply_is_sent_after_the_administrators(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    assert_eq!(
        missing(&world, "alice", "tools").await,
        ["X-Token", "X-Team"]
    );

    set(&world, ("alice", "tools"), &[("x-TEAM", "blue ")])
        .await
        .unwrap();
    assert_eq!(missing(&world, "alice", "tools").await, ["X-Token"]);
    set(&world, ("alice", "tools"), &[(" X-Token ", "hush")])
        .await
        .unwrap();

    assert_eq!(
        sent(&world, "alice", "tools").await,
        ["X-Ours: ours", "X-Token: hush", "X-Team: blue "]
    );
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.reuse(), v1::HeaderReuse::Reusable);
    assert!(resolved.credential_version > 0);
}

async fn each_user_has_their_own_key(engine: Engine) {
    let world = World::start(engine).await;
    let server = with_auth("tools", URL.to_owned(), per_user_key());
    world.create(server).await.unwrap();

    for (user, value) in [("alice", "Bearer a"), ("bob", "Bearer b")] {
        assert_eq!(missing(&world, user, "tools").await, ["X-Key"]);
        set(&world, (user, "tools"), &[("x-key", value)])
            .await
            .unwrap();
    }

    assert_eq!(sent(&world, "alice", "tools").await, ["X-Key: Bearer a"]);
    assert_eq!(sent(&world, "bob", "tools").await, ["X-Key: Bearer b"]);
    let declared = get(&world, "carol", "tools").await.unwrap();
    assert_eq!(declared[0].description, "yours");
}

async fn what_may_be_missing_keeps_nobody_from_using_a_server(engine: Engine) {
    let world = World::start(engine).await;
    let region = v1::UserHeaderDeclaration {
        can_be_missing: true,
        ..header("X-Region")
    };
    let auth = custom(vec![region, header("X-Token")]);
    world
        .create(with_auth("tools", URL.to_owned(), auth))
        .await
        .unwrap();

    assert_eq!(missing(&world, "alice", "tools").await, ["X-Token"]);
    let whose = ("alice", "tools");
    set(&world, whose, &[("X-Token", "hush")]).await.unwrap();
    assert_eq!(
        sent(&world, "alice", "tools").await,
        ["X-Ours: ours", "X-Token: hush"]
    );
    let told = set(&world, whose, &[("X-Region", "eu")]).await.unwrap();

    assert_eq!(
        sent(&world, "alice", "tools").await,
        ["X-Ours: ours", "X-Region: eu", "X-Token: hush"]
    );
    let required: Vec<_> = told.headers.iter().map(|header| header.required).collect();
    assert_eq!(required, [false, true]);
}

async fn values_are_told_of_and_never_told(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let before = get(&world, "alice", "tools").await.unwrap();
    world.pass(60);

    let told = set(&world, ("alice", "tools"), &[("x-team", "planted-value")])
        .await
        .unwrap();

    let names: Vec<_> = before.iter().map(|header| &*header.name).collect();
    assert_eq!(names, ["X-Token", "X-Team"]);
    assert!(
        before
            .iter()
            .all(|header| header.required && !header.has_value && header.update_time.is_none())
    );
    assert_eq!(before[1].description, "where X-Team is found");
    assert!(!told.headers[0].has_value);
    assert!(told.headers[1].has_value);
    let at = told.headers[1].update_time.unwrap();
    assert_eq!(at.seconds, 1_767_225_600 + 60);
    assert!(!format!("{told:?}").contains("planted-value"));
    assert_eq!(get(&world, "alice", "tools").await.unwrap(), told.headers);
}

async fn a_value_is_replaced_and_cleared(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let whose = ("alice", "tools");
    supply(&world, "alice", "tools", "old").await;
    let first = world.resolve("alice", "tools").await.credential_version;

    set(&world, whose, &[("X-Token", "new")]).await.unwrap();

    assert_eq!(
        sent(&world, "alice", "tools").await,
        ["X-Ours: ours", "X-Token: new", "X-Team: old-team"]
    );
    let second = world.resolve("alice", "tools").await.credential_version;
    assert!(second > first);
    let cleared = set(&world, whose, &[("x-token", "")]).await.unwrap();
    assert!(!cleared.headers[0].has_value);
    assert_eq!(missing(&world, "alice", "tools").await, ["X-Token"]);
    let again = set(&world, whose, &[("X-Token", "")]).await.unwrap();
    assert_eq!(again.revision, cleared.revision, "nothing changed");
    set(&world, whose, &[("X-Token", "new")]).await.unwrap();
    let third = world.resolve("alice", "tools").await.credential_version;
    assert!(third > second);
    let gone = delete(&world, "alice", "tools").await;
    assert_eq!(
        missing(&world, "alice", "tools").await,
        ["X-Token", "X-Team"]
    );
    assert_eq!(delete(&world, "alice", "tools").await, gone);
}

async fn who_supplied_everything_is_connected(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let server = with_auth("key", URL.to_owned(), per_user_key());
    world.create(server).await.unwrap();
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    let connected = async || {
        let request = v1::ListServersRequest::default();
        let listed = answer(alice.config().list_servers(request)).await.unwrap();
        let told = listed.servers.iter().map(v1::Server::connected);
        let told: Vec<_> = told.collect();
        for (server, connected) in listed.servers.iter().zip(&told) {
            let read = crate::harness::world::get(&alice, &server.id).await;
            assert_eq!(read.unwrap().connected(), *connected);
        }
        told
    };
    assert_eq!(connected().await, [false, false]);

    let whose = ("alice", "tools");
    set(&world, whose, &[("X-Token", "hush")]).await.unwrap();
    set(&world, ("bob", "key"), &[("X-Key", "1")])
        .await
        .unwrap();
    assert_eq!(connected().await, [false, false]);
    set(&world, whose, &[("X-Team", "blue")]).await.unwrap();
    assert_eq!(connected().await, [false, true]);
    set(&world, ("alice", "key"), &[("X-Key", "1")])
        .await
        .unwrap();
    assert_eq!(connected().await, [true, true]);
}

async fn a_report_about_headers_of_before_is_to_be_retried(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    let none = world.rejected("alice", "tools", 0).await;
    assert_eq!(
        (none.action(), none.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
    supply(&world, "alice", "tools", "old").await;
    let old = world.resolve("alice", "tools").await.credential_version;
    let current = world.rejected("alice", "tools", old).await;
    assert_eq!(
        (current.action(), current.reason()),
        (Action::Denied, Reason::TokenRejected)
    );

    supply(&world, "alice", "tools", "new").await;

    let new = world.resolve("alice", "tools").await.credential_version;
    for status in [401, 403] {
        let late = world.answered((status, &[]), ("alice", "tools", old)).await;
        assert_eq!(late.action(), Action::Retry, "{status}");
        assert_eq!(late.credential_version, new);
    }
    let forbidden = world.answered((403, &[]), ("alice", "tools", new)).await;
    assert_eq!(
        (forbidden.action(), forbidden.reason()),
        (Action::Denied, Reason::Forbidden)
    );
    // The administrator's value is another one.
    let auth = custom(vec![header("X-Token"), header("X-Team")]);
    let changed = v1::Server {
        id: "tools".to_owned(),
        auth: Some(auth),
        ..v1::Server::default()
    };
    world.update(changed, &["auth"]).await.unwrap();
    let late = world.rejected("alice", "tools", new).await;
    assert_eq!(late.action(), Action::Retry);
    assert!(late.credential_version > new);
    delete(&world, "alice", "tools").await;
    let gone = world.rejected("alice", "tools", new).await;
    assert_eq!(
        gone.action(),
        Action::Denied,
        "there is nothing to retry with"
    );
}

async fn a_value_that_cannot_be_opened_is_its_users_trouble(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    found(&world, "tools").await;
    for user in ["alice", "bob", "carol"] {
        supply(&world, user, "tools", user).await;
    }
    let mut raw = rows::raw(&database).await;

    // One has another's, and one a row that nobody writes.
    raw.execute(
        "UPDATE user_headers SET value = (SELECT value FROM user_headers \
         WHERE user_id = 'bob' AND name = 'x-token') WHERE user_id = 'alice' AND name = 'x-token'",
    )
    .await;
    raw.execute("UPDATE user_headers SET id = 'odd' WHERE user_id = 'carol' AND name = 'x-team'")
        .await;

    for user in ["alice", "carol"] {
        let resolved = world.resolve(user, "tools").await;
        assert_eq!(resolved.status(), Status::Unreadable, "{user}");
        let version = resolved.credential_version;
        let report = world.rejected(user, "tools", version).await;
        assert_eq!(report.action(), Action::Denied, "{user}");
    }
    assert_eq!(sent(&world, "bob", "tools").await[1], "X-Token: bob");
    for user in ["alice", "carol"] {
        assert!(get(&world, user, "tools").await.unwrap()[0].has_value);
        supply(&world, user, "tools", "anew").await;
        assert_eq!(sent(&world, user, "tools").await[1], "X-Token: anew");
    }
    world.service.stop().await;
}

async fn what_is_written_for_audit_names_headers_only(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    found(&world, "tools").await;
    let whose = ("alice", "tools");
    set(
        &world,
        whose,
        &[("X-Token", "planted"), ("X-Team", "planted")],
    )
    .await
    .unwrap();
    set(&world, whose, &[("X-Token", "planted"), ("X-Team", "")])
        .await
        .unwrap();
    delete(&world, "alice", "tools").await;
    delete(&world, "alice", "tools").await;

    let mut raw = rows::raw(&database).await;
    for (count, records) in [
        (
            2,
            "SELECT COUNT(*) FROM audit_events WHERE action = 'user_headers.set'",
        ),
        (
            1,
            "SELECT COUNT(*) FROM audit_events WHERE action = 'user_headers.set' \
             AND detail LIKE '%\"cleared\":[\"x-team\"]%'",
        ),
        (
            1,
            "SELECT COUNT(*) FROM audit_events WHERE action = 'user_headers.delete' \
             AND detail LIKE '%x-token%'",
        ),
        (
            3,
            "SELECT COUNT(*) FROM audit_events WHERE action LIKE 'user_headers.%' \
             AND user_id = 'alice' AND subject LIKE 'srv_%'",
        ),
        (
            0,
            "SELECT COUNT(*) FROM audit_events WHERE detail LIKE '%planted%'",
        ),
    ] {
        assert_eq!(raw.number(records).await, count, "{records}");
    }
    world.service.stop().await;
}
