//! `audit`: a table for people, JSON lines for machines.

use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, run, stationmaster, write};
use crate::harness::service::Engine;
use crate::harness::world::{World, open};

/// A command that an operator gives.
async fn asked(world: &World, line: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    write(&folder, "key", world.service.admin_key(), 0o600);
    let endpoint = world.service.grpc_url();
    let mut words = vec!["audit"];
    words.extend(line);
    words.extend(["--api-key-file", "key", "--endpoint", &endpoint]);
    let command = stationmaster(&folder, &words);
    let ended = tokio::task::spawn_blocking(move || run(command)).await;
    ended.unwrap()
}

fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_newest_events_are_listed_and_narrowed_down() {
    let world = World::start(Engine::Sqlite).await;
    let one = world.create(open("one")).await.unwrap();
    world.pass(60);
    let two = world.create(open("two")).await.unwrap();

    let all = asked(&world, &["list", "--action", "server.*"]).await;
    let last = asked(&world, &["list", "--action", "server.*", "--limit", "1"]).await;
    let early = [
        "list",
        "--action",
        "server.*",
        "--until",
        "2026-01-01T00:01:00Z",
    ];
    let early = asked(&world, &early).await;

    assert_eq!(all.code, Some(0), "{}", all.stderr);
    let rows: Vec<_> = all.stdout.lines().collect();
    assert!(rows[0].starts_with("TIME"), "{}", all.stdout);
    assert!(
        rows[1].contains(&two.id) && rows[2].contains(&one.id),
        "{}",
        all.stdout
    );
    assert!(rows[1].starts_with("2026-01-01T00:01:00Z") && rows.len() == 3);
    assert!(last.stdout.contains(&two.id) && last.stdout.contains("raise --limit"));
    assert!(early.stdout.contains(&one.id) && !early.stdout.contains(&two.id));
}

#[tokio::test]
async fn an_export_is_a_line_of_json_for_each_event() {
    let world = World::start(Engine::Sqlite).await;
    let one = world.create(open("one")).await.unwrap();

    let all = lines(&asked(&world, &["export"]).await);
    let one_only = lines(&asked(&world, &["export", "--subject", &one.id]).await);
    let none = lines(&asked(&world, &["export", "--since", "2100-01-01"]).await);

    assert!(all.len() > 3 && none.is_empty());
    let [event] = &one_only[..] else {
        panic!("{one_only:#?}")
    };
    assert_eq!(event["action"], "server.create");
    assert_eq!(event["actor_kind"], "AUDIT_ACTOR_KIND_CALLER");
    assert_eq!(event["event_time"], "2026-01-01T00:00:00Z");
    assert_eq!(event["detail"]["after"]["slug"], "one");
    assert!(all.contains(event));
}

#[tokio::test]
async fn an_export_goes_through_every_page() {
    let world = World::start(Engine::Sqlite).await;
    // A page of an export holds 200.
    let call = || async {
        let request = stationmaster::client::v1::CreateTenantRequest::default();
        let made = world.daemon.tenants().create_tenant(request).await;
        assert!(made.is_err());
    };
    for _ in 0..21 {
        futures_util::future::join_all((0..10).map(|_| call())).await;
    }

    let refused = asked(&world, &["export", "--verdict", "refused"]).await;

    let refused = lines(&refused);
    assert_eq!(refused.len(), 210);
    let mut ids: Vec<_> = refused
        .iter()
        .map(|event| event["id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 210);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_an_export_quietly() {
    let world = World::start(Engine::Sqlite).await;
    let folder = TempDir::new().unwrap();
    write(&folder, "key", world.service.admin_key(), 0o600);
    let mut command = Command::new(cargo_bin("stationmaster"));
    command
        .args(["audit", "export", "--api-key-file", "key"])
        .args(["--endpoint", &world.service.grpc_url()])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());

    let exporting = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    });
    let ended = exporting.await.unwrap();

    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[tokio::test]
async fn what_is_no_time_is_refused() {
    let refused = super::ended(&["audit", "list", "--since", "yesterday"]);

    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("2026-01-31"), "{}", refused.stderr);
}
