//! Servers are made to be as somebody describes them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use stationmaster::client::{Error, answer, v1};
use v1::ApplyAction as Action;
use v1::server::Auth;

use crate::harness::client::{fields, reason, refusal};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open, resolve_many, with_auth};
use crate::walks::rows;

on_both_engines! {
    what_is_missing_is_made_what_differs_is_changed_and_the_rest_goes,
    the_same_again_changes_nothing,
    a_dry_run_says_what_would_be_done_and_does_nothing,
    all_is_done_or_nothing,
    the_servers_of_others_are_left_alone,
    every_offence_of_every_server_is_named_at_once,
    the_same_request_is_answered_alike,
    each_change_has_a_record_of_its_own,
    two_at_the_same_time_come_to_one_end,
    what_ends_connections_says_how_many,
}

fn ask(servers: Vec<v1::Server>) -> v1::ApplyServersRequest {
    v1::ApplyServersRequest {
        manager: "git".to_owned(),
        servers,
        prune: true,
        ..v1::ApplyServersRequest::default()
    }
}

fn keyed(slug: &str, value: Option<&str>) -> v1::Server {
    let api_key = v1::ApiKeyAuth {
        value: value.map(str::to_owned),
        ..v1::ApiKeyAuth::default()
    };
    with_auth(
        slug,
        "https://keyed.test/mcp".to_owned(),
        Auth::ApiKey(api_key),
    )
}

async fn apply(
    world: &World,
    ask: v1::ApplyServersRequest,
) -> Result<v1::ApplyServersResponse, Error> {
    Box::pin(answer(world.admin.config().apply_servers(ask))).await
}

/// What was done, by slug.
fn done(applied: &v1::ApplyServersResponse) -> Vec<(&str, Action)> {
    let servers = applied.servers.iter();
    servers
        .map(|server| (server.slug.as_str(), server.action()))
        .collect()
}

async fn what_is_missing_is_made_what_differs_is_changed_and_the_rest_goes(engine: Engine) {
    let world = World::start(engine).await;
    let first = vec![open("one"), open("two"), keyed("three", Some("Bearer k"))];
    let made = apply(&world, ask(first)).await.unwrap();
    let all_made = [
        ("one", Action::Create),
        ("three", Action::Create),
        ("two", Action::Create),
    ];
    assert_eq!(done(&made), all_made);

    let described = v1::Server {
        description: "described".to_owned(),
        tool_deny_list: vec!["rm".to_owned()],
        ..open("one")
    };
    let rotated = keyed("three", Some("Bearer other"));
    let next = vec![described, rotated, open("four")];
    let applied = apply(&world, ask(next)).await.unwrap();

    assert_eq!(
        done(&applied),
        [
            ("four", Action::Create),
            ("one", Action::Update),
            ("three", Action::Update),
            ("two", Action::Delete),
        ]
    );
    let paths: BTreeMap<_, _> = applied
        .servers
        .iter()
        .map(|server| (server.slug.as_str(), server.changed_paths.join(" ")))
        .collect();
    assert_eq!(paths["one"], "description tool_deny_list");
    assert_eq!(paths["three"], "api_key.value");
    let one = world.get("one").await.unwrap();
    assert_eq!(one.id, made.servers[0].server_id);
    assert_eq!(one.description, "described");
    assert_eq!(one.managed_by, "git");
    assert_eq!(reason(world.get("two").await), "SERVER_NOT_FOUND");
    let resolved = resolve_many(&world.daemon, "ann", &["three"]).await;
    assert_eq!(
        resolved.unwrap().servers[0].headers[0].value,
        "Bearer other"
    );
}

async fn the_same_again_changes_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let servers = || {
        vec![
            open("one"),
            keyed("two", Some("Bearer k")),
            world.automatic("three"),
            world.manual("four"),
        ]
    };
    let first = apply(&world, ask(servers())).await.unwrap();
    let registered = world.idp.registered().len();

    let again = apply(&world, ask(servers())).await.unwrap();
    let without_secret = v1::ApplyServersRequest {
        prune: false,
        ..ask(vec![keyed("two", None)])
    };
    let without_secret = apply(&world, without_secret).await.unwrap();

    let unchanged = |applied: &v1::ApplyServersResponse| {
        let mut servers = applied.servers.iter();
        servers.all(|server| server.action() == Action::Unchanged)
    };
    assert!(unchanged(&again), "{again:?}");
    assert!(unchanged(&without_secret), "{without_secret:?}");
    assert_eq!(again.revision, first.revision);
    assert_eq!(world.idp.registered().len(), registered);
}

async fn a_dry_run_says_what_would_be_done_and_does_nothing(engine: Engine) {
    let world = World::start(engine).await;
    apply(&world, ask(vec![open("one"), open("two")]))
        .await
        .unwrap();
    let changed = v1::Server {
        enabled: false,
        ..open("one")
    };
    let dry = |servers| v1::ApplyServersRequest {
        dry_run: true,
        ..ask(servers)
    };

    let planned = apply(&world, dry(vec![changed, world.automatic("three")])).await;
    let undiscovered = v1::Server {
        url: format!("{}/nothing-here", world.idp.issuer()),
        ..world.automatic("four")
    };
    let refused = refusal(apply(&world, dry(vec![undiscovered])).await);

    let planned = planned.unwrap();
    assert_eq!(
        done(&planned),
        [
            ("one", Action::Update),
            ("three", Action::Create),
            ("two", Action::Delete),
        ]
    );
    assert_eq!(planned.servers[0].changed_paths, ["enabled"]);
    assert_eq!(planned.servers[1].server_id, "");
    assert_eq!(planned.revision, 0);
    assert_eq!(refused.reason, "DISCOVERY_FAILED");
    assert_eq!(refused.metadata["slug"], "four");
    assert!(world.idp.registered().is_empty());
    assert!(world.get("one").await.unwrap().enabled);
    assert!(world.get("two").await.is_ok());
    assert_eq!(reason(world.get("three").await), "SERVER_NOT_FOUND");
}

async fn all_is_done_or_nothing(engine: Engine) {
    let world = World::start(engine).await;
    apply(&world, ask(vec![open("old")])).await.unwrap();
    let undiscovered = v1::Server {
        url: format!("{}/nothing-here", world.idp.issuer()),
        ..world.automatic("two")
    };

    let refused = apply(&world, ask(vec![open("one"), undiscovered])).await;

    let refused = refusal(refused);
    assert_eq!(refused.reason, "DISCOVERY_FAILED");
    assert_eq!(refused.metadata["slug"], "two");
    assert_eq!(reason(world.get("one").await), "SERVER_NOT_FOUND");
    assert!(world.get("old").await.is_ok());
}

async fn the_servers_of_others_are_left_alone(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("by-hand")).await.unwrap();
    let other = v1::ApplyServersRequest {
        manager: "other".to_owned(),
        ..ask(vec![open("theirs")])
    };
    apply(&world, other).await.unwrap();

    let applied = apply(&world, ask(vec![open("ours")])).await.unwrap();
    let taken = refusal(apply(&world, ask(vec![open("ours"), open("theirs")])).await);

    assert_eq!(done(&applied), [("ours", Action::Create)]);
    assert_eq!(taken.reason, "SLUG_TAKEN");
    assert_eq!(taken.metadata["slug"], "theirs");
    for slug in ["by-hand", "theirs"] {
        assert!(world.get(slug).await.is_ok(), "{slug}");
    }
}

async fn every_offence_of_every_server_is_named_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let nameless = v1::Server {
        display_name: String::new(),
        ..open("one")
    };
    let nowhere = v1::Server {
        url: "ftp://x".to_owned(),
        ..open("two")
    };

    let judged = fields(apply(&world, ask(vec![nameless, open("fine"), nowhere])).await);
    let twice = vec![open("one"), open("one"), open("")];
    let unnamed = v1::ApplyServersRequest {
        manager: String::new(),
        request_id: "no-uuid".to_owned(),
        ..ask(twice)
    };
    let mut wrong = fields(apply(&world, unnamed).await);

    assert_eq!(judged, ["servers[0].display_name", "servers[2].url"]);
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        [
            "manager",
            "request_id",
            "servers[1].slug",
            "servers[2].slug"
        ]
    );
    assert_eq!(reason(world.get("fine").await), "SERVER_NOT_FOUND");
}

async fn the_same_request_is_answered_alike(engine: Engine) {
    let world = World::start(engine).await;
    let request = |servers| v1::ApplyServersRequest {
        request_id: "01234567-89ab-7cde-8f01-23456789abcd".to_owned(),
        ..ask(servers)
    };
    let first = apply(&world, request(vec![open("one")])).await.unwrap();
    apply(&world, ask(Vec::new())).await.unwrap();

    let again = apply(&world, request(vec![open("one")])).await.unwrap();
    let other = apply(&world, request(vec![open("two")])).await;

    assert_eq!(again.servers, first.servers);
    assert_eq!(reason(world.get("one").await), "SERVER_NOT_FOUND");
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
}

async fn each_change_has_a_record_of_its_own(engine: Engine) {
    const RECORDS: &str = "SELECT COUNT(*) FROM audit_events WHERE action IN \
        ('server.create', 'server.update', 'server.delete')";
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    apply(&world, ask(vec![open("one"), open("two")]))
        .await
        .unwrap();
    let disabled = v1::Server {
        enabled: false,
        ..open("one")
    };

    apply(&world, ask(vec![disabled, open("three")]))
        .await
        .unwrap();

    assert_eq!(rows::raw(&database).await.number(RECORDS).await, 5);
}

async fn two_at_the_same_time_come_to_one_end(engine: Engine) {
    let world = World::start(engine).await;
    let servers = || (0..6).map(|n| open(&format!("server-{n}"))).collect();

    let applied = join_all((0..3).map(|_| apply(&world, ask(servers())))).await;

    let created: usize = applied
        .iter()
        .map(|applied| {
            let done = done(applied.as_ref().unwrap());
            done.iter().filter(|(_, a)| *a == Action::Create).count()
        })
        .sum();
    assert_eq!(created, 6);
}

async fn what_ends_connections_says_how_many(engine: Engine) {
    let world = World::start(engine).await;
    let servers = vec![world.automatic("tools"), world.automatic("wiki")];
    apply(&world, ask(servers)).await.unwrap();
    for user in ["alice", "bob"] {
        world.connect(user, "tools").await;
    }
    world.connect("alice", "wiki").await;
    let moved = v1::Server {
        url: world.idp.mcp("elsewhere"),
        ..world.automatic("tools")
    };

    let applied = apply(&world, ask(vec![moved])).await.unwrap();

    assert_eq!(
        done(&applied),
        [("tools", Action::Update), ("wiki", Action::Delete)]
    );
    let ended: Vec<_> = applied
        .servers
        .iter()
        .map(|s| s.ended_connections)
        .collect();
    assert_eq!(ended, [2, 1]);
    assert_eq!(applied.servers[0].changed_paths, ["url"]);
}
