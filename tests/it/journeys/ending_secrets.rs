//! Secrets of registered clients that end: renewed before that where the client is managed, else
//! another client takes its place. No grant is lost to it.

use std::time::Duration;

use stationmaster::client::v1;
use stationmaster::domain::time::Clock as _;
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows;

on_both_engines! {
    a_managed_client_is_renewed_before_its_secret_ends_and_nobody_notices,
    a_client_that_is_not_managed_is_replaced_before_its_secret_ends,
    a_client_whose_management_is_refused_is_replaced,
    a_renewal_that_renews_nothing_is_as_good_as_refused,
    a_provider_in_trouble_is_asked_again,
    a_handshake_after_the_end_of_a_secret_begins_with_a_new_client,
    an_ended_secret_is_told_as_such_where_no_client_is_to_be_had,
    an_ended_secret_that_is_refused_is_renewed_at_once,
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const CONNECT_AGAIN: (Status, Reason) = (Status::ReconnectRequired, Reason::ServerChanged);
const EXPIRED: (Status, Reason) = (Status::ConfigError, Reason::RegistrationExpired);

/// Secrets given from now on live for so long.
fn live(world: &World, seconds: u64) {
    let now = world.service.clock().now().as_micros() / 1_000_000;
    let seconds = i64::try_from(seconds).unwrap();
    world.idp.gives_secrets_until(now + seconds);
}

/// A user who is connected by a client with a secret for ten days.
async fn connected(world: &World) {
    live(world, 10 * DAY);
    world.found("tools").await;
    world.connect("alice", "tools").await;
}

/// One turn of the worker that renews clients: how many it renewed.
async fn renew(service: &TestService) -> u64 {
    let done = service.within(|app| async move {
        let turn = app.renew_clients().await;
        turn.map_err(|error| error.to_string())
    });
    done.await.unwrap()
}

fn told(resolved: &v1::ResolvedServer) -> (Status, Reason) {
    (resolved.status(), resolved.reason())
}

async fn works(world: &World, user: &str) {
    let header = world.header(user, "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_managed_client_is_renewed_before_its_secret_ends_and_nobody_notices(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.idp.manages();
        connected(&world).await;

        world.pass(8 * DAY);
        assert_eq!(renew(&world.service).await, 0);
        works(&world, "alice").await;
        for turn in 1..=2 {
            live(&world, 11 * DAY);
            world.pass(DAY + 2 * HOUR);
            assert_eq!(
                renew(&world.service).await,
                1,
                "by the newest token, every time"
            );
            assert_eq!(renew(&world.service).await, 0);
            assert_eq!(world.idp.updates().len(), turn);
            works(&world, "alice").await;
            world.pass(9 * DAY);
        }

        assert_eq!(world.idp.registered().len(), 1);
        let audited = "SELECT COUNT(*) FROM audit_events WHERE action = 'registration.renew'";
        assert_eq!(rows::raw(&database).await.number(audited).await, 2);
        world.service.stop().await;
    }
}

async fn a_client_that_is_not_managed_is_replaced_before_its_secret_ends(engine: Engine) {
    let world = World::start(engine).await;
    connected(&world).await;
    world.pass(9 * DAY + HOUR);
    live(&world, 10 * DAY);

    assert_eq!(renew(&world.service).await, 0);

    assert_eq!(world.idp.registered().len(), 2);
    works(&world, "alice").await;
    world.connect("bob", "tools").await;
    assert_eq!(renew(&world.service).await, 0);
    assert_eq!(world.idp.registered().len(), 2);
    world.pass(DAY);
    world.idp.forget_clients();
    let ended = world.resolve("alice", "tools").await;
    assert_eq!(told(&ended), CONNECT_AGAIN);
}

async fn a_client_whose_management_is_refused_is_replaced(engine: Engine) {
    for status in [401, 404] {
        let world = World::start(engine).await;
        world.idp.manages();
        connected(&world).await;
        world.pass(9 * DAY + HOUR);
        live(&world, 10 * DAY);
        world.idp.manage_once(Reply::status(status));

        assert_eq!(renew(&world.service).await, 0);

        assert_eq!(world.idp.registered().len(), 2);
        works(&world, "alice").await;
        world.connect("bob", "tools").await;
        assert_eq!(renew(&world.service).await, 0);
        assert_eq!(world.idp.updates().len(), 1, "not again so soon");
    }
}

async fn a_renewal_that_renews_nothing_is_as_good_as_refused(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.manages();
    connected(&world).await;
    world.pass(9 * DAY + HOUR);

    assert_eq!(renew(&world.service).await, 0);

    assert_eq!(world.idp.registered().len(), 2);
    // What was answered is kept: the old secret is void.
    works(&world, "alice").await;
}

async fn a_provider_in_trouble_is_asked_again(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.manages();
    connected(&world).await;
    world.pass(9 * DAY + HOUR);
    live(&world, 10 * DAY);
    world
        .idp
        .manage_once(Reply::status(503).with("retry-after", "600"));

    assert_eq!(renew(&world.service).await, 0);
    assert_eq!(renew(&world.service).await, 0);
    assert_eq!(world.idp.updates().len(), 1);
    world.pass(601);
    assert_eq!(renew(&world.service).await, 1);

    works(&world, "alice").await;
    assert_eq!(world.idp.registered().len(), 1);
}

async fn a_handshake_after_the_end_of_a_secret_begins_with_a_new_client(engine: Engine) {
    let world = World::start(engine).await;
    connected(&world).await;
    world.pass(11 * DAY);
    world.idp.forget_clients();
    live(&world, 10 * DAY);

    world.connect("bob", "tools").await;

    assert_eq!(world.idp.registered().len(), 2);
    works(&world, "bob").await;
    let ended = world.resolve("alice", "tools").await;
    assert_eq!(told(&ended), CONNECT_AGAIN);
    world.connect("alice", "tools").await;
    works(&world, "alice").await;
    assert_eq!(world.idp.registered().len(), 2);
}

async fn an_ended_secret_is_told_as_such_where_no_client_is_to_be_had(engine: Engine) {
    let world = World::start(engine).await;
    connected(&world).await;
    world.pass(11 * DAY);
    world.idp.void_secrets();
    world.idp.closes_registration();

    let ended = world.resolve("alice", "tools").await;
    let denied = world.rejected("alice", "tools", 1).await;

    assert_eq!(told(&ended), EXPIRED);
    let denied = (denied.action(), denied.reason());
    assert_eq!(denied, (Action::Denied, Reason::RegistrationExpired));
    assert!(world.connection("alice", "tools").await.is_ok());
    live(&world, 10 * DAY);
    world.idp.opens_registration();
    world.pass(HOUR);
    let replaced = world.resolve("alice", "tools").await;
    assert_eq!(told(&replaced), CONNECT_AGAIN);
    world.connect("alice", "tools").await;
    works(&world, "alice").await;
}

async fn an_ended_secret_that_is_refused_is_renewed_at_once(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.manages();
    connected(&world).await;
    world.pass(11 * DAY);
    world.idp.void_secrets();
    live(&world, 10 * DAY);

    World::until("the grant is renewed by the new secret", async || {
        let resolved = world.resolve("alice", "tools").await;
        resolved.status() == Status::Ready
    })
    .await;

    assert_eq!(world.idp.updates().len(), 1);
    assert_eq!(world.idp.registered().len(), 1);
    works(&world, "alice").await;
}

#[tokio::test]
async fn two_replicas_renew_a_client_once() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    world.idp.manages();
    connected(&world).await;
    world.pass(9 * DAY + HOUR);
    second.clock().advance(Duration::from_secs(9 * DAY + HOUR));
    live(&world, 10 * DAY);
    let gate = world.idp.hold_management();

    let (ours, theirs) = tokio::join!(renew(&world.service), async {
        World::until("the first one asks", async || {
            world.idp.updates().len() == 1
        })
        .await;
        let renewed = renew(&second).await;
        gate.close();
        renewed
    });

    assert_eq!((ours, theirs), (1, 0));
    assert_eq!(world.idp.updates().len(), 1);
    works(&world, "alice").await;
    world.service.stop().await;
    second.stop().await;
}
