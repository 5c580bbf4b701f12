//! Revocations where something cannot be opened or read: by this replica, which may lack a key that
//! another one has, or by any.

use stationmaster::client::{answer, v1};

use crate::harness::database::Raw;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    tokens_that_cannot_be_opened_are_kept_and_tried_again,
    a_client_that_cannot_be_opened_leaves_its_grants_in_sight,
    a_client_that_cannot_be_read_keeps_nobody_from_disconnecting,
    a_client_that_cannot_be_read_keeps_no_server_from_being_deleted,
    a_client_that_cannot_be_read_keeps_nobody_from_connecting_again,
}

/// Each token stands where it does not open; done twice, all is as before.
const SWAP: &str = "UPDATE revocations SET refresh_token = access_token, \
    access_token = refresh_token";
const FOREIGN_SECRET: &str = "UPDATE servers SET client_secret = \
    (SELECT refresh_token FROM connections)";
const DAMAGE: &str = "UPDATE registrations SET kind = 'odd' WHERE generation = 1";

async fn started(engine: Engine) -> (World, Raw, TestDatabase) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.idp.revokes();
    let raw = raw(&database).await;
    (world, raw, database)
}

async fn tokens_that_cannot_be_opened_are_kept_and_tried_again(engine: Engine) {
    let (world, mut raw, _database) = started(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.idp.revoke_once(Reply::status(503));
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;
    raw.execute(SWAP).await;
    world.pass(60);

    world.puts_off(2).await;

    raw.execute(SWAP).await;
    world.pass(3600);
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0);
    world.service.stop().await;
}

async fn delete(world: &World) -> v1::DeleteServerResponse {
    let request = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap()
}

async fn a_client_that_cannot_be_opened_leaves_its_grants_in_sight(engine: Engine) {
    let (world, mut raw, _database) = started(engine).await;
    let mut manual = world.manual("tools");
    if let Some(v1::server::Auth::Oauth2(oauth2)) = &mut manual.auth {
        oauth2.revocation_endpoint = world.idp.revocation_endpoint();
    }
    let server = world.create(manual).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    raw.execute(FOREIGN_SECRET).await;

    delete(&world).await;

    world.outbox_is((0, 1)).await;
    assert!(world.idp.revocations().is_empty());
    world.service.stop().await;
}

/// Ann is connected by a client whose row cannot be read, bob by the one that followed.
async fn damaged(engine: Engine) -> (World, TestDatabase) {
    let (world, mut raw, database) = started(engine).await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    let redirect = v1::Server {
        id: "tools".to_owned(),
        auth: Some(v1::server::Auth::Oauth2(v1::OAuth2Auth {
            redirect: v1::RedirectKind::Explicit.into(),
            explicit_redirect_uri: format!("{}/oauth2/callback", world.service.public_url()),
            ..v1::OAuth2Auth::default()
        })),
        ..v1::Server::default()
    };
    let mask = ["oauth2.redirect", "oauth2.explicit_redirect_uri"];
    world.update(redirect, &mask).await.unwrap();
    world.connect("bob", "tools").await;
    raw.execute(DAMAGE).await;
    (world, database)
}

async fn a_client_that_cannot_be_read_keeps_nobody_from_disconnecting(engine: Engine) {
    let (world, _database) = damaged(engine).await;

    for user in ["ann", "bob"] {
        world.disconnect(user, "tools").await;
        let resolved = world.resolve(user, "tools").await;
        assert_eq!(resolved.status(), v1::ServerStatus::NotConnected);
    }

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    world.service.stop().await;
}

async fn a_client_that_cannot_be_read_keeps_no_server_from_being_deleted(engine: Engine) {
    let (world, _database) = damaged(engine).await;

    delete(&world).await;

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    world.service.stop().await;
}

async fn a_client_that_cannot_be_read_keeps_nobody_from_connecting_again(engine: Engine) {
    let (world, _database) = damaged(engine).await;

    world.connect("ann", "tools").await;

    world.header("ann", "tools").await;
    world.service.stop().await;
}
