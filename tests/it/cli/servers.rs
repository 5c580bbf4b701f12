//! `server` and `connect`: many servers at once.

use stationmaster::client::v1;

use super::{asked, asked_by};
use crate::harness::service::Engine;
use crate::harness::world::{World, open};

/// Its rows, by words, without the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().skip(1);
    rows.map(|row| row.split_whitespace().collect()).collect()
}

#[tokio::test]
async fn who_comes_new_is_given_one_list_of_links_for_what_needs_a_consent() {
    let world = World::start(Engine::Sqlite).await;
    for slug in ["mail", "tools", "wiki"] {
        world.found(slug).await;
    }
    world.create(open("open")).await.unwrap();
    let others = v1::Server {
        allowed_users: vec!["bob".to_owned()],
        ..world.automatic("others")
    };
    world.create(others).await.unwrap();
    world.connect("alice", "wiki").await;
    let all = ["connect", "--all", "--user", "alice"];

    let daemon = world.service.daemon_key();
    let first = asked_by(&world, daemon, &all, ("unused", "")).await;

    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let links = rows(&first.stdout);
    let servers: Vec<_> = links.iter().map(|row| row[0]).collect();
    assert_eq!(servers, ["mail", "tools"], "{}", first.stdout);
    assert!(links.iter().all(|row| row[2].contains("/connect/")));
    for server in servers {
        world.connect("alice", server).await;
    }
    let again = asked_by(&world, daemon, &all, ("unused", "")).await;
    assert_eq!(again.stdout.trim(), "there is nothing to connect to");
}

#[tokio::test]
async fn servers_are_made_as_a_file_describes_them() {
    let world = World::start(Engine::Sqlite).await;
    let described = r#"{"servers": [
        {"slug": "one", "displayName": "One", "url": "https://one.test/mcp", "enabled": true},
        {"slug": "two", "displayName": "Two", "url": "https://two.test/mcp"}
    ]}"#;
    let changed = described
        .replace("two", "three")
        .replace("\"One\"", "\"First\"");
    let line = [
        "server",
        "apply",
        "--manager",
        "git",
        "--from-file",
        "servers.json",
    ];
    let prune: Vec<_> = line.into_iter().chain(["--prune"]).collect();
    let dry: Vec<_> = prune.iter().copied().chain(["--dry-run"]).collect();

    let made = asked(&world, &line, ("servers.json", described)).await;
    let again = asked(&world, &line, ("servers.json", described)).await;
    let planned = asked(&world, &dry, ("servers.json", &changed)).await;
    let applied = asked(&world, &prune, ("servers.json", &changed)).await;

    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(rows(&made.stdout), [["create", "one"], ["create", "two"]]);
    let unchanged = [["unchanged", "one"], ["unchanged", "two"]];
    assert_eq!(rows(&again.stdout), unchanged);
    assert_eq!(planned.stdout, applied.stdout);
    assert_eq!(
        rows(&applied.stdout),
        [
            vec!["update", "one", "display_name"],
            vec!["create", "three"],
            vec!["delete", "two"],
        ]
    );
    let wrong = described.replace("displayName", "display");
    let refused = asked(&world, &line, ("servers.json", &wrong)).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("servers.json"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn a_redirect_uri_is_written_and_given_up_again() {
    let world = World::start(Engine::Sqlite).await;
    world.create(world.manual("tools")).await.unwrap();
    let uri = world.get("tools").await.unwrap().redirect_uri;
    let kind = async || match world.get("tools").await.unwrap().auth {
        Some(v1::server::Auth::Oauth2(oauth2)) => oauth2.redirect(),
        other => panic!("{other:?}"),
    };

    let explicit = ["server", "update", "tools", "--redirect-uri", &uri];
    let explicit = asked(&world, &explicit, ("unused", "")).await;
    assert_eq!(explicit.code, Some(0), "{}", explicit.stderr);
    assert_eq!(kind().await, v1::RedirectKind::Explicit);
    let own = ["server", "update", "tools", "--redirect", "per-server"];
    let own = asked(&world, &own, ("unused", "")).await;
    assert_eq!(own.code, Some(0), "{}", own.stderr);
    assert_eq!(kind().await, v1::RedirectKind::PerServer);
}

#[tokio::test]
async fn who_may_use_a_server_is_changed_by_flags() {
    let world = World::start(Engine::Sqlite).await;
    world.create(open("tools")).await.unwrap();
    let access = async |line: &[&str]| {
        let line: Vec<_> = ["server", "access", "tools"]
            .iter()
            .chain(line)
            .copied()
            .collect();
        asked(&world, &line, ("unused", "")).await
    };

    let added = access(&["--add-user", "ann", "--add-group", "staff"]).await;
    let left = access(&["--remove-user", "ann"]).await;
    let last = access(&["--remove-group", "staff"]).await;
    let opened = access(&["--remove-group", "staff", "--allow-everyone"]).await;

    assert!(
        added.stdout.contains("user ann, group staff"),
        "{}",
        added.stdout
    );
    assert!(left.stdout.contains("group staff"), "{}", left.stdout);
    assert!(!left.stdout.contains("user ann"), "{}", left.stdout);
    assert_eq!(last.code, Some(1));
    assert!(last.stderr.contains("allow_everyone"), "{}", last.stderr);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    assert!(!opened.stdout.contains("staff"), "{}", opened.stdout);
}

#[tokio::test]
async fn nobody_opens_a_server_to_everybody_unasked() {
    let world = World::start(Engine::Sqlite).await;
    let guarded = v1::Server {
        allowed_users: vec!["alice".to_owned()],
        allowed_groups: vec!["staff".to_owned()],
        ..open("tools")
    };
    world.create(guarded).await.unwrap();
    let clear = |fields: &[&'static str], more: &[&'static str]| {
        let mut line = vec!["server", "update", "tools"];
        for field in fields {
            line.extend(["--clear", field]);
        }
        line.extend(more);
        line
    };

    let one = asked(&world, &clear(&["allow-user"], &[]), ("unused", "")).await;
    let last = asked(&world, &clear(&["allow-group"], &[]), ("unused", "")).await;
    let still = world.get("tools").await.unwrap();
    let meant = clear(&["allow-group"], &["--allow-everyone"]);
    let meant = asked(&world, &meant, ("unused", "")).await;

    assert_eq!(one.code, Some(0), "{}", one.stderr);
    assert_eq!(last.code, Some(2), "{}", last.stderr);
    assert!(last.stderr.contains("--allow-everyone"), "{}", last.stderr);
    assert_eq!(still.allowed_groups, ["staff"]);
    assert_eq!(meant.code, Some(0), "{}", meant.stderr);
    assert!(world.get("tools").await.unwrap().allowed_groups.is_empty());
}
