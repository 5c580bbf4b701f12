//! A provider forgets its clients, as when it is set up anew: one registration mends that for all
//! users, who connect again. A client made by hand is an administrator's to mend.

use std::time::Duration;

use stationmaster::client::v1;
use v1::{HandshakeState, ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::browser::Browser;
use crate::harness::idp::Fault;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, resolve};
use crate::walks::rows;

on_both_engines! {
    one_registration_serves_all_users_who_connect_again,
    a_provider_that_refuses_every_client_is_not_asked_for_more_than_one_an_hour,
    a_client_refused_at_the_exchange_is_replaced,
    a_refused_client_made_by_hand_registers_nothing,
}

const USERS: [&str; 2] = ["alice", "bob"];
const HOUR: u64 = 3600;

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    for user in USERS {
        world.connect(user, "tools").await;
    }
    world
}

fn told(resolved: &v1::ResolvedServer) -> (Status, Reason) {
    (resolved.status(), resolved.reason())
}

const CONNECT_AGAIN: (Status, Reason) = (Status::ReconnectRequired, Reason::ServerChanged);
const MEND_IT: (Status, Reason) = (Status::ConfigError, Reason::RegistrationRefused);

async fn one_registration_serves_all_users_who_connect_again(engine: Engine) {
    let world = connected(engine).await;
    let unspent = world.begin("alice", "tools").await;
    world.idp.forget_clients();
    world.pass(HOUR + 1);

    for user in USERS {
        let resolved = world.resolve(user, "tools").await;
        assert_eq!(told(&resolved), CONNECT_AGAIN, "{resolved:?}");
    }

    assert_eq!(world.idp.registered().len(), 2);
    let reported = world.rejected("alice", "tools", 1).await;
    assert_eq!(reported.action(), Action::Authorize);
    let step = reported.authorize.unwrap();
    assert_ne!(step.connect_url, unspent.connect_url);
    for user in USERS {
        world.connect(user, "tools").await;
        let header = world.header(user, "tools").await;
        assert!(world.idp.accepts(&header));
    }
    world.pass(HOUR);
    world.header("alice", "tools").await;
    assert_eq!(world.idp.registered().len(), 2);
}

async fn a_provider_that_refuses_every_client_is_not_asked_for_more_than_one_an_hour(
    engine: Engine,
) {
    let world = connected(engine).await;
    world.idp.lifetime(Some(600));
    world.idp.forget_clients();
    world.pass(HOUR + 1);
    world.resolve("alice", "tools").await;
    world.connect("alice", "tools").await;
    world.idp.forget_clients();
    world.pass(700);

    let soon = world.resolve("alice", "tools").await;
    let meanwhile = world.idp.registered().len();
    world.pass(HOUR);
    let later = world.resolve("alice", "tools").await;

    assert_eq!(told(&soon), MEND_IT);
    assert_eq!(meanwhile, 2);
    assert_eq!(told(&later), CONNECT_AGAIN);
    assert_eq!(world.idp.registered().len(), 3);
}

async fn a_client_refused_at_the_exchange_is_replaced(engine: Engine) {
    let world = connected(engine).await;
    world.pass(HOUR + 1);
    let started = world.begin("carol", "tools").await;
    world.idp.once(Fault::InvalidClient);

    let page = Browser::default().connect(&started.connect_url).await;

    assert_ne!(page.status, 200);
    let failed = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(failed.state(), HandshakeState::Failed);
    World::until("there is a new client", async || {
        world.idp.registered().len() == 2
    })
    .await;
    // The old client is known after all, and its grants go on.
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_refused_client_made_by_hand_registers_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(world.manual("tools")).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    world.idp.forget_clients();
    world.pass(HOUR + 1);

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(told(&resolved), MEND_IT);
    assert!(world.idp.registered().is_empty());
}

#[tokio::test]
async fn two_replicas_keep_one_new_client_and_take_the_other_back() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    let other = second.client(world.service.daemon_key()).await;
    world.idp.manages();
    world.found("tools").await;
    for user in USERS {
        world.connect(user, "tools").await;
    }
    world.idp.forget_clients();
    world.pass(HOUR + 1);
    second.clock().advance(Duration::from_secs(HOUR + 1));
    let gate = world.idp.hold_registrations();

    let (ours, theirs, ()) = tokio::join!(
        world.resolve("alice", "tools"),
        resolve(&other, "bob", "tools"),
        async {
            World::until("both register", async || world.idp.registered().len() == 3).await;
            gate.close();
        }
    );

    assert_eq!(told(&ours), CONNECT_AGAIN);
    assert_eq!(told(&theirs), CONNECT_AGAIN);
    let stored = "SELECT COUNT(*) FROM registrations";
    assert_eq!(rows::raw(&database).await.number(stored).await, 2);
    World::until("the other one is taken back", async || {
        world.work().await;
        world.idp.unregistered().len() == 1
    })
    .await;
    for user in USERS {
        world.connect(user, "tools").await;
        world.header(user, "tools").await;
    }
    world.service.stop().await;
    second.stop().await;
}
