//! Tokens are renewed before anybody asks: those in use ahead of their end, those of grants that
//! would be forgotten now and then, the others not at all.

use stationmaster::client::v1;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_token_in_use_is_renewed_ahead_of_its_end,
    a_token_that_nobody_uses_is_left_to_end,
    a_token_that_was_used_before_its_renewal_only_is_left_to_end,
    an_idle_grant_is_kept_alive,
    an_idle_grant_of_a_provider_that_forgets_nothing_is_left_alone,
    a_failed_renewal_ahead_of_time_is_not_repeated_before_its_pause,
    a_grant_refused_for_good_is_never_due_again,
    after_a_lost_answer_what_still_lives_is_not_risked,
    the_last_use_is_told,
    what_nobody_may_use_any_more_is_not_renewed_ahead_of_time,
}

const DAY: u64 = 24 * 3600;

/// Alice is connected with a token of an hour, which was handed out.
async fn used(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.header("alice", "tools").await;
    world.write_uses().await;
    world
}

/// Three margins (of two minutes, as set by default) before the end of an hour nothing is due yet,
/// two margins before it everything in use.
const NOT_YET: u64 = 3600 - 361;
const BY_NOW: u64 = 121;

async fn a_token_in_use_is_renewed_ahead_of_its_end(engine: Engine) {
    let world = used(engine).await;
    world.pass(NOT_YET);
    assert_eq!(world.renew_ahead().await, 0);
    world.pass(BY_NOW);

    world.renew_ahead().await;

    world.renewed("alice", "tools", 2).await;
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.credential_version, 2);
    assert!(world.idp.accepts(&resolved.headers[0].value));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_token_that_nobody_uses_is_left_to_end(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.write_uses().await;

    for seconds in [3600 - 60, 60, 30 * DAY] {
        world.pass(seconds);
        assert_eq!(world.renew_ahead().await, 0);
    }

    assert!(world.idp.redemptions().is_empty());
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
}

async fn a_token_that_was_used_before_its_renewal_only_is_left_to_end(engine: Engine) {
    let world = used(engine).await;
    world.pass(3600 - 120);
    world.renew_ahead().await;
    world.renewed("alice", "tools", 2).await;

    for seconds in [3600 - 60, 60, 3600] {
        world.pass(seconds);
        assert_eq!(world.renew_ahead().await, 0);
    }

    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn an_idle_grant_is_kept_alive(engine: Engine) {
    let world = World::knowing(engine, "idle_limit = \"10d\"").await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(7 * DAY - 1);
    assert_eq!(world.renew_ahead().await, 0);

    world.pass(DAY);
    world.renew_ahead().await;
    world.renewed("alice", "tools", 2).await;
    // From then on, nobody using it still: again and again.
    world.pass(8 * DAY);
    world.renew_ahead().await;

    world.renewed("alice", "tools", 3).await;
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn an_idle_grant_of_a_provider_that_forgets_nothing_is_left_alone(engine: Engine) {
    let world = World::knowing(engine, "keeps_refresh_tokens = true").await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(400 * DAY);

    let begun = world.renew_ahead().await;

    assert_eq!(begun, 0);
    assert!(world.idp.redemptions().is_empty());
}

async fn a_failed_renewal_ahead_of_time_is_not_repeated_before_its_pause(engine: Engine) {
    let world = used(engine).await;
    world.idp.once(Fault::Busy(40));
    world.pass(3600 - 120);

    world.renew_ahead().await;
    World::until("the failure is written", async || {
        world.connection("alice", "tools").await.unwrap().failures == 1
    })
    .await;
    world.pass(39);
    assert_eq!(world.renew_ahead().await, 0);
    assert_eq!(world.idp.redemptions().len(), 1);
    world.pass(1);
    world.renew_ahead().await;

    world.renewed("alice", "tools", 2).await;
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn a_grant_refused_for_good_is_never_due_again(engine: Engine) {
    let world = used(engine).await;
    world.idp.once(Fault::InvalidGrant);
    world.pass(3600 - 120);
    world.renew_ahead().await;
    World::until("the refusal is written", async || {
        let connection = world.connection("alice", "tools").await.unwrap();
        connection.state() == v1::ConnectionState::ReconnectRequired
    })
    .await;
    let refused = world.connection("alice", "tools").await.unwrap();

    for seconds in [60, 60, DAY, 400 * DAY] {
        world.pass(seconds);
        assert_eq!(world.renew_ahead().await, 0);
        let resolved = world.resolve("alice", "tools").await;
        if seconds > 60 {
            assert_eq!(resolved.reason(), Reason::RefreshRefused);
        }
    }

    assert_eq!(world.idp.redemptions().len(), 1);
    let still = world.connection("alice", "tools").await.unwrap();
    assert_eq!(still.failures, refused.failures);
}

async fn after_a_lost_answer_what_still_lives_is_not_risked(engine: Engine) {
    let world = used(engine).await;
    world.idp.once(Fault::Ignored);
    world.pass(3600 - 120);
    world.renew_ahead().await;
    World::until("the loss is written", async || {
        world.connection("alice", "tools").await.unwrap().failures == 1
    })
    .await;

    world.pass(119);
    assert_eq!(world.renew_ahead().await, 0);
    world.pass(1);
    world.renew_ahead().await;

    world.renewed("alice", "tools", 2).await;
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn the_last_use_is_told(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(100);
    let before = world.connection("alice", "tools").await.unwrap();
    world.header("alice", "tools").await;
    world.pass(5);

    world.write_uses().await;

    let after = world.connection("alice", "tools").await.unwrap();
    assert_eq!(before.last_use_time, None);
    assert_eq!(after.last_use_time.unwrap().seconds, 1_767_225_600 + 100);
}

async fn what_nobody_may_use_any_more_is_not_renewed_ahead_of_time(engine: Engine) {
    for (groups, renewed) in [(Vec::new(), 0), (vec!["staff".to_owned()], 1)] {
        let world = used(engine).await;
        let closed = v1::Server {
            allowed_users: vec!["bob".to_owned()],
            allowed_groups: groups,
            ..world.get("tools").await.unwrap()
        };
        let mask = ["allowed_users", "allowed_groups"];
        world.update(closed, &mask).await.unwrap();
        world.pass(3600 - 120);

        world.renew_ahead().await;

        // Groups are not known here: whoever may belong to one is renewed.
        if renewed > 0 {
            world.renewed("alice", "tools", 2).await;
        }
        world.service.stop().await;
        assert_eq!(world.idp.redemptions().len(), renewed);
    }
}
