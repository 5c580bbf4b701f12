//! A server wants more scopes than a credential has: late reports, and challenges on several lines.

use stationmaster::client::v1;
use v1::{ReportAction as Action, StatusReason as Reason};

use crate::harness::browser::Browser;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_late_403_is_retried_with_what_was_granted_meanwhile,
    a_403_of_a_credential_that_ended_is_not_retried,
    scopes_are_missing_whichever_line_says_so,
    scopes_and_metadata_may_be_on_different_lines,
}

const WRITE: &str = r#"Bearer error="insufficient_scope", scope="write""#;
const FORBIDDEN: &str = r#"Bearer error="invalid_request""#;
/// What a gateway in front of a server adds.
const GATEWAY: &str = r#"Bearer resource_metadata="https://gateway.test/metadata""#;

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

/// Goes where an answer sends the user.
async fn follow(answer: v1::ReportResponseResponse) {
    assert_eq!(answer.action(), Action::Authorize, "{answer:?}");
    let link = answer.authorize.unwrap().connect_url;
    Browser::default().connect(&link).await;
}

async fn a_late_403_is_retried_with_what_was_granted_meanwhile(engine: Engine) {
    let world = connected(engine).await;
    let first = world.answered((403, &[WRITE]), ("alice", "tools", 1)).await;
    follow(first).await;

    for challenge in [WRITE, FORBIDDEN] {
        let late = (403, &[challenge][..]);
        let late = world.answered(late, ("alice", "tools", 1)).await;

        assert_eq!(
            (late.action(), late.credential_version),
            (Action::Retry, 2),
            "{challenge}"
        );
    }
    let again = world.answered((403, &[WRITE]), ("alice", "tools", 2)).await;
    assert_eq!(
        (again.action(), again.reason()),
        (Action::Denied, Reason::ScopesAlreadyGranted)
    );
    assert!(world.idp.redemptions().is_empty());
}

async fn a_403_of_a_credential_that_ended_is_not_retried(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.renews(false);
    world.found("tools").await;
    for _ in 0..2 {
        world.connect("alice", "tools").await;
    }
    world.pass(3600);

    let answer = world.answered((403, &[WRITE]), ("alice", "tools", 1)).await;

    assert_eq!(answer.action(), Action::Authorize);
}

async fn scopes_are_missing_whichever_line_says_so(engine: Engine) {
    let world = connected(engine).await;

    for lines in [[GATEWAY, WRITE], [WRITE, GATEWAY], [FORBIDDEN, WRITE]] {
        let answer = world.answered((403, &lines), ("alice", "tools", 1)).await;

        assert_eq!(answer.action(), Action::Authorize, "{lines:?}");
        assert_eq!(answer.authorize.unwrap().scopes, ["write"], "{lines:?}");
    }
}

async fn scopes_and_metadata_may_be_on_different_lines(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let lines = [GATEWAY, r#"Bearer scope="mcp:basic""#];

    let answer = world.answered((401, &lines), ("alice", "tools", 0)).await;

    assert_eq!(answer.authorize.unwrap().scopes, ["mcp:basic"]);
}
