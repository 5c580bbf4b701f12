//! Grants that were obtained and never became a connection are revoked as well.

use stationmaster::client::{answer, v1};

use crate::harness::browser::Browser;
use crate::harness::client::actor;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_grant_that_may_not_be_stored_is_revoked,
    a_cancelled_grant_is_revoked,
    a_grant_that_nobody_confirms_is_revoked,
    a_parked_grant_of_a_deleted_server_is_revoked,
}

const DONE: &str = "https://chat.example.com/done";
const SETTINGS: &[(&str, &str)] = &[("public.allowed_completion_urls", DONE)];

/// A handshake of alice whose grant is parked.
async fn parked(engine: Engine) -> (World, String) {
    let world = World::start_with(engine, SETTINGS).await;
    world.idp.revokes();
    world.found("tools").await;
    let ask = v1::StartHandshakeRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        binding: v1::HandshakeBinding::Confirm.into(),
        completion_url: DONE.to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(world.daemon.handshakes().start_handshake(ask)).await;
    let started = started.unwrap();
    let page = Browser::default().connect(&started.connect_url).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(world.idp.grants(), 1);
    (world, started.handshake.unwrap().id)
}

async fn a_grant_that_may_not_be_stored_is_revoked(engine: Engine) {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let gate = world.idp.hold();
    let disable = async {
        World::until("the code is presented", async || world.idp.exchanges() == 1).await;
        let off = v1::Server {
            id: "tools".to_owned(),
            enabled: false,
            ..v1::Server::default()
        };
        world.update(off, &["enabled"]).await.unwrap();
        gate.close();
    };

    let browser = Browser::default();
    let (page, ()) = tokio::join!(browser.connect(&started.connect_url), disable);

    assert_eq!(page.status, 400, "{}", page.text);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    assert_eq!(world.idp.grants(), 0);
}

async fn a_cancelled_grant_is_revoked(engine: Engine) {
    let (world, handshake) = parked(engine).await;

    let cancel = v1::CancelHandshakeRequest { handshake };
    answer(world.daemon.handshakes().cancel_handshake(cancel))
        .await
        .unwrap();

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0);
}

async fn a_grant_that_nobody_confirms_is_revoked(engine: Engine) {
    let (world, _) = parked(engine).await;
    let sweep = async || {
        let swept = world.service.within(|app| async move {
            let swept = app.sweep().await;
            swept.map(drop).map_err(|error| error.to_string())
        });
        swept.await.unwrap();
    };
    sweep().await;
    assert_eq!(world.outbox().await, (0, 0));
    assert_eq!(world.idp.grants(), 1, "there is time left");

    world.pass(601);
    sweep().await;

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0);
}

async fn a_parked_grant_of_a_deleted_server_is_revoked(engine: Engine) {
    let (world, _) = parked(engine).await;

    let delete = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(delete))
        .await
        .unwrap();

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    assert_eq!(world.idp.grants(), 0);
}
