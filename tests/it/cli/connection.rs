//! `connection`: why a grant works or does not, in one look; and how one comes here.

use super::asked;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::World;

/// The value of a line.
pub(super) fn said<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix("  ")?.trim()))
}

#[tokio::test]
async fn a_refused_grant_tells_its_story_in_one_look() {
    let world = World::start(Engine::Sqlite).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    world.resolve("alice", "tools").await;
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    world.resolve("alice", "tools").await;
    let get = ["connection", "get", "tools", "--user", "alice"];

    let shown = asked(&world, &get, ("unused", "")).await;

    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for (name, value) in [
        ("user", "alice"),
        ("state", "reconnect-required"),
        ("why", "refresh-refused"),
        ("origin", "handshake"),
        ("generation", "2"),
        ("renewable", "yes"),
        ("granted", "2026-01-01T00:00:00Z"),
        ("refreshed", "2026-01-01T01:00:00Z"),
        ("expires", "2026-01-01T02:00:00Z"),
        ("last failure", "2026-01-01T02:00:00Z"),
        ("last error", "invalid_grant"),
        ("next attempt", "none: the user must connect again"),
        ("updated", "2026-01-01T02:00:00Z"),
    ] {
        assert_eq!(said(&shown.stdout, name), Some(value), "{}", shown.stdout);
    }
}

#[tokio::test]
async fn a_list_keeps_to_the_state_that_is_asked_for() {
    let world = World::start(Engine::Sqlite).await;
    world.found("tools").await;
    for user in ["alice", "bob"] {
        world.connect(user, "tools").await;
    }
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    world.resolve("bob", "tools").await;
    let list = ["connection", "list", "--state", "reconnect-required"];

    let shown = asked(&world, &list, ("unused", "")).await;

    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("bob"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("alice"), "{}", shown.stdout);
}

#[tokio::test]
async fn a_grant_is_imported_from_a_file() {
    let world = World::start(Engine::Sqlite).await;
    let server = world.create(world.manual("tools")).await.unwrap();
    let redirect_uri = &server.redirect_uri;
    world.idp.add_client("by-hand", "hush", redirect_uri);
    let (_, refresh) = world.idp.grant("by-hand");
    let line = ["connection", "import", "tools", "--user", "alice"];
    let mut line = line.to_vec();
    line.extend(["--refresh-token-file", "refresh", "--scope", "read"]);

    let shown = asked(&world, &line, ("refresh", &format!("{refresh}\n"))).await;
    let again = asked(&world, &line, ("refresh", "other")).await;

    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(said(&shown.stdout, "origin"), Some("import"));
    assert_eq!(said(&shown.stdout, "scopes"), Some("read"));
    assert!(!shown.stdout.contains(&refresh));
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    assert_eq!(world.idp.redemptions(), [refresh]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("CONNECTION_EXISTS"),
        "{}",
        again.stderr
    );
}

#[test]
fn standard_input_holds_one_secret() {
    let line = ["connection", "import", "x", "-u", "a"];
    let mut line = line.to_vec();
    line.extend(["--refresh-token-file", "-", "--access-token-file", "-"]);

    let refused = super::ended(&line);

    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("one secret"), "{}", refused.stderr);
}
