//! `header`: what users supply goes in from a file, and is not shown.

use super::asked_by;
use crate::harness::service::Engine;
use crate::harness::user_headers::{missing, sent};
use crate::harness::world::World;

#[tokio::test]
async fn a_value_goes_in_from_a_file_and_is_not_shown() {
    let world = World::start(Engine::Sqlite).await;
    let (operator, daemon) = (world.service.admin_key(), world.service.daemon_key());
    let url = "https://a.example.com/mcp";
    let create = ["server", "create", "--name", "tools", "--url", url];
    let mut create = create.to_vec();
    create.extend(["--enabled", "--auth", "custom-headers"]);
    create.extend(["--user-header", "X-Token=from your profile"]);
    create.extend(["--optional-user-header", "X-Region=if you have one"]);
    let made = asked_by(&world, operator, &create, ("unused", "")).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let set = ["header", "set", "tools", "--user", "alice"];
    let mut set = set.to_vec();
    set.extend(["--header-file", "x-token=token"]);

    let set = asked_by(&world, daemon, &set, ("token", "hush\n")).await;

    assert_eq!(set.code, Some(0), "{}", set.stderr);
    assert!(!set.stdout.contains("hush"), "{}", set.stdout);
    let list = ["header", "list", "tools", "--user", "alice"];
    let list = asked_by(&world, daemon, &list, ("unused", "")).await;
    assert_eq!(list.stdout, set.stdout);
    for told in ["X-Token", "from your profile", "X-Region", "2026-01-01"] {
        assert!(list.stdout.contains(told), "{told}: {}", list.stdout);
    }
    assert_eq!(sent(&world, "alice", "tools").await, ["X-Token: hush"]);
    for clear in [
        ["header", "clear", "tools", "X-Token", "--user", "alice"].as_slice(),
        &["header", "clear", "tools", "--user", "alice"],
    ] {
        let cleared = asked_by(&world, daemon, clear, ("unused", "")).await;
        assert_eq!(cleared.code, Some(0), "{}", cleared.stderr);
        assert_eq!(missing(&world, "alice", "tools").await, ["X-Token"]);
    }
}

#[test]
fn one_value_comes_from_standard_input() {
    let line = ["header", "set", "x", "-u", "a"];
    let mut line = line.to_vec();
    line.extend(["--header-file", "X-A=-", "--header-file", "X-B=-"]);

    let refused = super::ended(&line);

    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("one secret"), "{}", refused.stderr);
}
