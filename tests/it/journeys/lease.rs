//! Answers that come late, and grants that are replaced while they are renewed.

use std::time::Duration;

use stationmaster::client::{answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::watching;
use crate::harness::world::{World, on_both_engines, resolve_many};

on_both_engines! {
    an_answer_later_than_its_lease_is_waited_for_by_whom_it_was_asked,
    a_renewal_is_told_to_who_watches,
    who_lost_access_has_nothing_renewed,
    a_new_consent_during_a_renewal_wins,
}

async fn connected(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    world
}

async fn hurried(world: &World) -> v1::ResolvedServer {
    let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    });
    request.set_timeout(Duration::from_millis(1500));
    let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;
    resolved.unwrap().servers.remove(0)
}

async fn an_answer_later_than_its_lease_is_waited_for_by_whom_it_was_asked(engine: Engine) {
    let world = connected(engine).await;
    // One answer was lost before: a second one would end the grant.
    world.idp.once(Fault::Ignored);
    world.resolve("alice", "tools").await;
    world.pass(3);
    let gate = world.idp.hold();
    let first = hurried(&world).await;
    world.redeemed(2).await;
    // Beyond the lease on either engine's clock: PostgreSQL measures leases by its own.
    world.pass(100 * 365 * 24 * 3600);

    let second = hurried(&world).await;
    gate.close();

    for resolved in [first, second] {
        assert_eq!(
            resolved.status(),
            Status::UpstreamUnavailable,
            "{resolved:?}"
        );
        assert_eq!(resolved.reason(), Reason::StillWorking);
    }
    world.renewed("alice", "tools", 2).await;
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.state(), v1::ConnectionState::Active);
    assert_eq!(world.idp.redemptions().len(), 2);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(
        (resolved.status(), resolved.credential_version),
        (Status::Ready, 3)
    );
}

async fn a_renewal_is_told_to_who_watches(engine: Engine) {
    let world = connected(engine).await;
    let other = world.service.client(world.service.daemon_key()).await;
    let watch = watching::watch(&other, watching::all()).await;
    let mut watch = watch.unwrap().synced().await;

    world.header("alice", "tools").await;
    let told = watch.next().await.connection.unwrap();

    assert_eq!((told.user.as_str(), told.generation), ("alice", 2));
}

async fn who_lost_access_has_nothing_renewed(engine: Engine) {
    let world = connected(engine).await;
    let closed = v1::Server {
        id: "tools".to_owned(),
        allowed_users: vec!["bob".to_owned()],
        ..v1::Server::default()
    };
    world.update(closed, &["allowed_users"]).await.unwrap();

    let resolved = resolve_many(&world.daemon, "alice", &["tools"])
        .await
        .unwrap();
    let begun = world.renew_ahead().await;

    assert_eq!(resolved.unknown_servers, ["tools"]);
    assert!(resolved.servers.is_empty());
    assert_eq!(begun, 0);
    assert!(world.idp.redemptions().is_empty());
}

async fn a_new_consent_during_a_renewal_wins(engine: Engine) {
    let world = connected(engine).await;
    let gate = world.idp.hold();
    let late = async {
        world.redeemed(1).await;
        world.connect("alice", "tools").await;
        let header = world.header("alice", "tools").await;
        gate.close();
        header
    };

    let (resolved, header) = tokio::join!(world.resolve("alice", "tools"), late);
    World::until("the late answer is done with", async || {
        world.refreshes("success").await == 1
    })
    .await;

    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.headers[0].value, header);
    assert_eq!(world.header("alice", "tools").await, header);
    assert!(world.idp.accepts(&header));
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.generation, resolved.credential_version);
    assert_eq!(world.idp.redemptions().len(), 1);
}
