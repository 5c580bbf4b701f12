//! Grants that were set aside when their server was followed to another issuer: they end as others do.

use stationmaster::client::{answer, v1};
use v1::StatusReason as Reason;

use crate::harness::idp::Idp;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    what_was_set_aside_is_revoked_where_it_came_from,
}

async fn what_was_set_aside_is_revoked_where_it_came_from(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    for user in ["alice", "bob", "carol"] {
        world.connect(user, "tools").await;
    }
    let other = Idp::start().await;
    other.revokes();
    world.idp.names("tools", &[other.issuer()]);
    world.rejected("alice", "tools", 1).await;
    let resolved = world.resolve("bob", "tools").await;
    assert_eq!(resolved.reason(), Reason::IssuerChanged);
    assert!(world.idp.revocations().is_empty());

    world.disconnect("alice", "tools").await;
    world.connect("bob", "tools").await;
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 1);
    let request = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap();
    // Clients go when what was begun with them is over.
    world.pass(121);
    world.outbox_is((0, 0)).await;

    assert_eq!((world.idp.grants(), other.grants()), (0, 0));
    assert_eq!(world.idp.revocations().len(), 3);
    assert_eq!(other.revocations().len(), 1);
}
