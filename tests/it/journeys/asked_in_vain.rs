//! Upstreams that are never content, and users who say no: nobody is asked for ever.

use v1::{ReportAction as Action, StatusReason as Reason};

use stationmaster::client::v1;

use crate::harness::browser::Browser;
use crate::harness::idp::Consent;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    scopes_that_are_never_granted_are_asked_for_twice,
    who_declines_twice_is_left_alone_for_a_while,
    a_server_that_accepts_no_credential_is_not_connected_for_ever,
    the_same_scopes_in_another_order_are_the_same,
    a_provider_in_trouble_is_asked_again,
    who_is_sent_back_with_an_error_twice_is_left_alone_for_a_while,
}

const INSUFFICIENT: &str = r#"Bearer error="insufficient_scope""#;
const ADMIN: &str = r#"Bearer error="insufficient_scope", scope="admin""#;
const OTHER: &str = r#"Bearer error="insufficient_scope", scope="other""#;
const LIMIT: (Action, Reason) = (Action::Denied, Reason::ScopeRetryLimit);

async fn world(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world
}

fn told(answer: &v1::ReportResponseResponse) -> (Action, Reason) {
    (answer.action(), answer.reason())
}

/// Goes where an answer sends the user.
async fn follow(answer: v1::ReportResponseResponse) {
    assert_eq!(answer.action(), Action::Authorize, "{answer:?}");
    let link = answer.authorize.unwrap().connect_url;
    Browser::default().connect(&link).await;
}

async fn scopes_that_are_never_granted_are_asked_for_twice(engine: Engine) {
    let world = world(engine).await;
    world.idp.grants_only("read");
    world.connect("alice", "tools").await;
    for version in 1..=2 {
        let asked = world
            .answered((403, &[ADMIN]), ("alice", "tools", version))
            .await;
        follow(asked).await;
    }

    let third = world.answered((403, &[ADMIN]), ("alice", "tools", 3)).await;
    let other = world.answered((403, &[OTHER]), ("alice", "tools", 3)).await;

    assert_eq!(told(&third), LIMIT);
    assert_eq!(other.action(), Action::Authorize);
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    world.pass(3601);
    let later = world.answered((403, &[ADMIN]), ("alice", "tools", 3)).await;
    assert_eq!(later.action(), Action::Authorize);
}

async fn who_declines_twice_is_left_alone_for_a_while(engine: Engine) {
    let world = world(engine).await;
    world.idp.consent(Consent::Denied);
    for _ in 0..2 {
        follow(world.rejected("alice", "tools", 0).await).await;
    }

    let third = world.rejected("alice", "tools", 0).await;
    let others = world.rejected("bob", "tools", 0).await;

    assert_eq!(told(&third), LIMIT);
    assert_eq!(others.action(), Action::Authorize);
    // Who wants to may.
    world.idp.consent(Consent::Given);
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
}

async fn a_server_that_accepts_no_credential_is_not_connected_for_ever(engine: Engine) {
    let world = world(engine).await;
    world.idp.renews(false);
    world.connect("alice", "tools").await;
    follow(world.rejected("alice", "tools", 1).await).await;

    let third = world.rejected("alice", "tools", 2).await;

    assert_eq!(told(&third), LIMIT);
    world.pass(601);
    let later = world.rejected("alice", "tools", 2).await;
    assert_eq!(later.action(), Action::Authorize);
}

async fn the_same_scopes_in_another_order_are_the_same(engine: Engine) {
    let world = world(engine).await;
    world.idp.grants_only("read");
    world.connect("alice", "tools").await;
    let wanting = ["a b c", "b c a", "c a b"].map(|s| format!("{INSUFFICIENT}, scope=\"{s}\""));
    let [first, second, third] = wanting.each_ref().map(|line| [line.as_str()]);

    let asked = world.answered((403, &first), ("alice", "tools", 1)).await;
    let open = world.answered((403, &second), ("alice", "tools", 1)).await;

    assert_eq!(open.authorize, asked.authorize);
    follow(open).await;
    follow(world.answered((403, &second), ("alice", "tools", 2)).await).await;
    let last = world.answered((403, &third), ("alice", "tools", 3)).await;
    assert_eq!(told(&last), LIMIT);
}

async fn a_provider_in_trouble_is_asked_again(engine: Engine) {
    let world = world(engine).await;
    world.connect("alice", "tools").await;
    world.idp.consent(Consent::Broken);

    for _ in 0..3 {
        let asked = world.answered((403, &[ADMIN]), ("alice", "tools", 1)).await;

        assert_eq!(asked.action(), Action::Authorize, "{asked:?}");
        follow(asked).await;
    }
}

async fn who_is_sent_back_with_an_error_twice_is_left_alone_for_a_while(engine: Engine) {
    let world = world(engine).await;
    world.connect("alice", "tools").await;
    world.idp.consent(Consent::Refused);
    for _ in 0..2 {
        let asked = world.answered((403, &[ADMIN]), ("alice", "tools", 1)).await;
        follow(asked).await;
    }

    let third = world.answered((403, &[ADMIN]), ("alice", "tools", 1)).await;

    assert_eq!(told(&third), LIMIT);
    world.pass(3601);
    let later = world.answered((403, &[ADMIN]), ("alice", "tools", 1)).await;
    assert_eq!(later.action(), Action::Authorize);
}
