//! Organisations side by side, and one that goes.

use futures_util::future::join_all;
use stationmaster::client::{Client, Error, answer, v1};

use crate::harness::client::{actor, reason};
use crate::harness::idp::Idp;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{self, World, get, list, on_both_engines, open, resolve_many};
use crate::walks::rows;

on_both_engines! {
    a_tenant_is_created_once,
    equal_names_in_two_tenants_do_not_meet,
    a_deleted_tenant_leaves_nothing_and_its_name_is_not_used_again,
    a_server_made_while_its_tenant_goes_leaves_nothing,
    a_client_registered_while_its_tenant_goes_is_not_sealed,
    tenants_are_the_operators,
    many_are_made_at_once,
}

/// What a tenant has that is sealed, or seals.
const LEFT: &str = "SELECT (SELECT COUNT(*) FROM data_keys WHERE tenant = 'acme') \
    + (SELECT COUNT(*) FROM servers WHERE tenant = 'acme') \
    + (SELECT COUNT(*) FROM registrations WHERE tenant = 'acme')";

async fn create(client: &Client, id: &str, request_id: &str) -> Result<v1::Tenant, Error> {
    let request = v1::CreateTenantRequest {
        tenant_id: id.to_owned(),
        display_name: String::new(),
        request_id: request_id.to_owned(),
    };
    let made = answer(client.tenants().create_tenant(request)).await;
    made.map(|made| made.tenant.unwrap())
}

async fn delete(client: &Client, id: &str) -> Result<v1::Tenant, Error> {
    let request = v1::DeleteTenantRequest {
        tenant: id.to_owned(),
        etag: String::new(),
    };
    let gone = answer(client.tenants().delete_tenant(request)).await;
    gone.map(|gone| gone.tenant.unwrap())
}

/// An operator and a daemon of a tenant.
async fn callers(world: &World, tenant: &str) -> (Client, Client) {
    let key = world
        .service
        .key_in(Some(tenant), v1::Role::Daemon, "")
        .await;
    let operator = world.service.admin_key();
    let operator = world.service.client_in(operator, Some(tenant)).await;
    (operator, world.service.client(&key).await)
}

async fn a_tenant_is_created_once(engine: Engine) {
    let world = World::start(engine).await;
    let id = "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0002";

    let first = create(&world.admin, "acme", id).await.unwrap();
    let again = create(&world.admin, "acme", id).await.unwrap();
    let other = create(&world.admin, "other", id).await;
    let taken = create(&world.admin, "acme", "").await;

    assert_eq!(first, again);
    assert_eq!(
        (first.id.as_str(), first.display_name.as_str()),
        ("acme", "acme")
    );
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
    assert_eq!(reason(taken), "TENANT_EXISTS");
}

async fn equal_names_in_two_tenants_do_not_meet(engine: Engine) {
    let world = World::start(engine).await;
    create(&world.admin, "acme", "").await.unwrap();
    let (acme, daemon) = callers(&world, "acme").await;
    let ours = world.found("tools").await;
    world.connect("alice", "tools").await;

    let request = v1::CreateServerRequest {
        server: Some(open("tools")),
        ..v1::CreateServerRequest::default()
    };
    let theirs = world::create(&acme, request).await;

    let theirs = theirs.unwrap().server.unwrap();
    assert_eq!(theirs.tenant, "acme");
    assert_ne!(theirs.id, ours.id);
    assert_eq!(list(&acme).await, std::slice::from_ref(&theirs));
    assert_eq!(reason(get(&acme, &ours.id).await), "SERVER_NOT_FOUND");
    let resolved = resolve_many(&daemon, "alice", &["tools", &ours.id])
        .await
        .unwrap();
    assert_eq!(resolved.servers.len(), 1);
    assert_eq!(resolved.servers[0].server, theirs.id);
    assert_eq!(resolved.unknown_servers, [ours.id]);
}

async fn a_deleted_tenant_leaves_nothing_and_its_name_is_not_used_again(engine: Engine) {
    let world = World::start(engine).await;
    create(&world.admin, "acme", "").await.unwrap();
    let (acme, daemon) = callers(&world, "acme").await;
    let request = v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        ..v1::CreateServerRequest::default()
    };
    world::create(&acme, request).await.unwrap();

    let gone = delete(&world.admin, "acme").await.unwrap();
    let again = delete(&world.admin, "acme").await.unwrap();

    assert_eq!(gone.state(), v1::TenantState::Deleted);
    assert_eq!(again, gone);
    assert_eq!(
        reason(delete(&world.admin, "never").await),
        "TENANT_NOT_FOUND"
    );
    assert_eq!(
        reason(create(&world.admin, "acme", "").await),
        "TENANT_EXISTS"
    );
    assert_eq!(reason(get(&acme, "tools").await), "TENANT_NOT_FOUND");
    let request = v1::ListConnectionsRequest {
        actor: actor("alice"),
        ..v1::ListConnectionsRequest::default()
    };
    let refused = answer(daemon.tokens().list_connections(request)).await;
    assert_eq!(reason(refused), "CREDENTIALS_INVALID");
    let request = v1::ListTenantsRequest::default();
    let listed = answer(world.admin.tenants().list_tenants(request))
        .await
        .unwrap();
    let listed: Vec<_> = listed
        .tenants
        .iter()
        .map(|tenant| tenant.id.as_str())
        .collect();
    assert_eq!(listed, ["default"]);
}

async fn a_server_made_while_its_tenant_goes_leaves_nothing(engine: Engine) {
    nothing_is_left(engine, |_| {}).await;
}

async fn a_client_registered_while_its_tenant_goes_is_not_sealed(engine: Engine) {
    nothing_is_left(engine, Idp::manages).await;
}

/// Deletes a tenant while a client is registered for a server of it, at a provider prepared so.
async fn nothing_is_left(engine: Engine, prepare: fn(&Idp)) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        prepare(&world.idp);
        create(&world.admin, "acme", "").await.unwrap();
        let (acme, _) = callers(&world, "acme").await;
        let gate = world.idp.hold_registrations();
        let request = v1::CreateServerRequest {
            server: Some(world.automatic("tools")),
            ..v1::CreateServerRequest::default()
        };
        let (made, gone) = tokio::join!(world::create(&acme, request), async {
            World::until("a client is being registered", async || {
                !world.idp.registered().is_empty()
            })
            .await;
            let gone = delete(&world.admin, "acme").await;
            gate.close();
            gone
        });

        assert_eq!(gone.unwrap().state(), v1::TenantState::Deleted);
        assert_eq!(reason(made), "TENANT_NOT_FOUND");
        let mut raw = rows::raw(&database).await;
        assert_eq!(raw.number(LEFT).await, 0);
    }
}

async fn tenants_are_the_operators(engine: Engine) {
    let world = World::start(engine).await;
    create(&world.admin, "acme", "").await.unwrap();
    let admin = world.service.client_as(v1::Role::Admin, "").await;
    let request = |id: &str| v1::GetTenantRequest {
        tenant: id.to_owned(),
    };

    let own = answer(admin.tenants().get_tenant(request(""))).await;
    let other = answer(admin.tenants().get_tenant(request("acme"))).await;

    assert_eq!(own.unwrap().tenant.unwrap().id, "default");
    assert_eq!(reason(other), "TENANT_NOT_FOUND");
    assert_eq!(reason(create(&admin, "mine", "").await), "ROLE_NOT_ALLOWED");
    assert_eq!(reason(delete(&admin, "acme").await), "ROLE_NOT_ALLOWED");
    assert!(delete(&world.admin, "default").await.is_err());
}

async fn many_are_made_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let ids: Vec<String> = (0..40).map(|number| format!("tenant-{number}")).collect();

    let made = join_all(ids.iter().map(|id| create(&world.admin, id, ""))).await;

    for made in made {
        assert!(made.is_ok(), "{made:?}");
    }
}
