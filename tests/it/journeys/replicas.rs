//! Two replicas at one grant, together and when the first one is late, and a process that ends amid a renewal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stationmaster::client::Client;
use stationmaster::runtime::lifecycle::Outcome;
use tokio::sync::Semaphore;

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines, resolve};
use crate::walks::rows;

use stationmaster::client::v1::ServerStatus as Status;

on_both_engines! {
    a_process_that_ends_amid_a_renewal_leaves_it_to_the_next,
}

const OLD_LEASES: &str = "UPDATE connections SET lease_until = 1 WHERE intent IS NOT NULL";

/// A world with a second replica, and a daemon of it. Alice's token has ended.
struct Two {
    database: TestDatabase,
    world: World,
    second: TestService,
    other: Client,
}

impl Two {
    async fn start() -> Self {
        let database = TestDatabase::new(Engine::Postgres).await;
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        let second = world.service.replica_on(&database).await;
        world.found("tools").await;
        world.connect("alice", "tools").await;
        world.pass(3600);
        second.clock().advance(Duration::from_hours(1));
        let other = second.client(world.service.daemon_key()).await;
        Self {
            database,
            world,
            second,
            other,
        }
    }

    /// The next redemption is refused, once the gate is closed.
    fn refuse_late(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let refusal = Reply::json(400, &json!({ "error": "invalid_grant" }));
        let held = Reply::Held(Arc::clone(&gate), Box::new(refusal));
        self.world.idp.web().once("/as/token", held);
        gate
    }

    /// The lease of the first replica ends while it waits for its answer.
    async fn lease_ends(&self) {
        self.world.redeemed(1).await;
        rows::raw(&self.database).await.execute(OLD_LEASES).await;
    }

    async fn stop(self) {
        self.world.service.stop().await;
        self.second.stop().await;
    }
}

#[tokio::test]
async fn two_replicas_redeem_once() {
    let two = Two::start().await;

    let ours = (0..10).map(|_| two.world.resolve("alice", "tools"));
    let theirs = (0..10).map(|_| resolve(&two.other, "alice", "tools"));
    let (ours, theirs) = tokio::join!(join_all(ours), join_all(theirs));

    for resolved in ours.iter().chain(&theirs) {
        assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
        assert_eq!(resolved.headers, ours[0].headers);
    }
    assert_eq!(two.world.idp.redemptions().len(), 1);
    two.stop().await;
}

#[tokio::test]
async fn a_late_refusal_leaves_the_attempt_of_the_next_replica() {
    let two = Two::start().await;
    let late = two.refuse_late();
    let gate = two.world.idp.hold();

    let (ours, theirs, ()) = tokio::join!(
        two.world.resolve("alice", "tools"),
        async {
            two.lease_ends().await;
            resolve(&two.other, "alice", "tools").await
        },
        async {
            two.world.redeemed(2).await;
            late.close();
            World::until("the refusal was judged", async || {
                two.world.refreshes("refused").await == 1
            })
            .await;
            gate.close();
        }
    );

    for resolved in [&ours, &theirs] {
        assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
        assert_eq!(resolved.credential_version, 2);
    }
    assert_eq!(two.world.idp.redemptions().len(), 2);
    two.stop().await;
}

#[tokio::test]
async fn who_was_refused_adopts_what_the_next_replica_stored() {
    let two = Two::start().await;
    let late = two.refuse_late();

    let (ours, theirs) = tokio::join!(two.world.resolve("alice", "tools"), async {
        two.lease_ends().await;
        let theirs = resolve(&two.other, "alice", "tools").await;
        late.close();
        theirs
    });

    assert_eq!(theirs.status(), Status::Ready, "{theirs:?}");
    assert_eq!(ours, theirs);
    assert!(two.world.idp.accepts(&ours.headers[0].value));
    assert_eq!(two.world.idp.redemptions().len(), 2);
    two.stop().await;
}

async fn a_process_that_ends_amid_a_renewal_leaves_it_to_the_next(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    let gate = world.idp.hold();
    let asking = world.resolve("alice", "tools");
    tokio::select! {
        resolved = asking => panic!("{resolved:?}"),
        () = world.redeemed(1) => {}
    }
    let World { service, idp, .. } = world;
    service.ask_once();
    service.ask_once();
    assert_eq!(service.outcome().await, Outcome::Aborted);
    gate.close();
    rows::raw(&database).await.execute(OLD_LEASES).await;

    let world = World::beside(TestService::start_on(&database, &[]).await, idp).await;
    world.pass(3600);
    let first = world.resolve("alice", "tools").await;
    let again = world.resolve("alice", "tools").await;

    // The provider had not come to the first one; whoever it had would have been told so.
    assert_eq!(first.status(), Status::Ready, "{first:?}");
    assert_eq!(again, first);
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 2);
    assert_eq!(redeemed[0], redeemed[1]);
    world.service.stop().await;
}
