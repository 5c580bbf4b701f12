//! A deleted tenant's grants are revoked, and then its keys are destroyed; or when its time is up.

use stationmaster::client::{Client, answer, v1};

use crate::harness::browser::Browser;
use crate::harness::client::actor;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{self, World, on_both_engines};
use crate::walks::rows;

on_both_engines! {
    keys_are_destroyed_when_the_last_grant_is_revoked,
    keys_are_destroyed_when_the_time_is_up,
}

const KEYS: &str = "SELECT COUNT(*) FROM data_keys WHERE tenant = 'acme'";
const LEFT: &str =
    "SELECT (SELECT COUNT(*) FROM revocations) + (SELECT COUNT(*) FROM retired_clients)";

/// A tenant in which alice is connected.
async fn settle(world: &World) {
    world.idp.revokes();
    let tenant = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(tenant))
        .await
        .unwrap();
    let service = &world.service;
    let key = service.key_in(Some("acme"), v1::Role::Daemon, "").await;
    let daemon: Client = service.client(&key).await;
    let operator = service.client_in(service.admin_key(), Some("acme")).await;
    let server = v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        ..v1::CreateServerRequest::default()
    };
    world::create(&operator, server).await.unwrap();
    let start = v1::StartHandshakeRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(daemon.handshakes().start_handshake(start)).await;
    let url = started.unwrap().connect_url;
    let page = Browser::default().connect(&url).await;
    assert_eq!(page.status, 200, "{}", page.text);
}

async fn delete(world: &World) -> v1::TenantState {
    let request = v1::DeleteTenantRequest {
        tenant: "acme".to_owned(),
        etag: String::new(),
    };
    let gone = answer(world.admin.tenants().delete_tenant(request)).await;
    gone.unwrap().tenant.unwrap().state()
}

async fn keys_are_destroyed_when_the_last_grant_is_revoked(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        settle(&world).await;
        let gate = world.idp.hold_revocations();

        let state = delete(&world).await;

        assert_eq!(state, v1::TenantState::Deleting);
        assert_eq!(delete(&world).await, v1::TenantState::Deleting);
        let mut raw = rows::raw(&database).await;
        assert_eq!(raw.number(KEYS).await, 1);
        gate.close();
        World::until("the tenant is gone", async || {
            world.work().await;
            delete(&world).await == v1::TenantState::Deleted
        })
        .await;
        assert_eq!((raw.number(KEYS).await, raw.number(LEFT).await), (0, 0));
        assert_eq!(world.idp.grants(), 0);
    }
}

async fn keys_are_destroyed_when_the_time_is_up(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        settle(&world).await;
        world.idp.revoke_always(Reply::status(503));
        delete(&world).await;
        world.pass(24 * 3600 - 1);
        world.work().await;
        assert_eq!(delete(&world).await, v1::TenantState::Deleting);

        world.pass(1);
        World::until("the tenant is gone", async || {
            world.work().await;
            delete(&world).await == v1::TenantState::Deleted
        })
        .await;

        let mut raw = rows::raw(&database).await;
        assert_eq!((raw.number(KEYS).await, raw.number(LEFT).await), (0, 0));
        assert_eq!(world.idp.grants(), 1, "the provider never answered");
    }
}
