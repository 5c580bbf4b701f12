//! The end of a service that is at work: told to those who watch, in order, or at once.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use stationmaster::client::v1;
use stationmaster::runtime::lifecycle::Outcome;
use tokio::sync::mpsc;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::http;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::{Reply, Web};
use crate::harness::world::World;
use crate::walks::wire::{As, Wire};
use crate::walks::world::{browse, text};

#[tokio::test]
async fn a_first_stop_is_told_while_work_is_taken_and_a_second_aborts() {
    let service = TestService::start_with(Engine::Sqlite, &[("lifecycle.drain_delay", "5m")]).await;
    let api = service.grpc_channel().await;
    let beside = service.channel_to(&service.operations_url()).await;
    let mut watches = Vec::new();
    for channel in [api.clone(), beside] {
        let watch = HealthClient::new(channel)
            .watch(HealthCheckRequest::default())
            .await;
        let mut watch = watch.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
        watches.push(watch);
    }

    service.ask_once();

    for watch in &mut watches {
        assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    }
    let ready = http::get(&format!("{}/readyz", service.operations_url()), &[]).await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    let live = http::get(&format!("{}/livez", service.operations_url()), &[]).await;
    assert_eq!(live.status, 200, "{}", live.text);
    let wire = Wire::new(api);
    let daemon = As::key(service.daemon_key());
    wire.call("AccessService/WhoAmI", daemon, json!({}))
        .await
        .ok();
    service.ask_once();
    assert_eq!(service.outcome().await, Outcome::Aborted);
}

async fn wiki(service: &TestService, web: &Web, wire: &Wire) -> String {
    let ask = json!({ "server": {
        "slug": "wiki", "displayName": "Wiki", "enabled": true, "url": web.url("/mcp"),
        "oauth2": {
            "clientId": "client", "authorizationEndpoint": web.url("/authorize"),
            "tokenEndpoint": web.url("/token"),
        },
    }});
    let made = wire
        .call(
            "ConfigService/CreateServer",
            As::key(service.admin_key()),
            ask,
        )
        .await;
    text(&made.ok()["server"]["id"])
}

fn grant(access: &str) -> Reply {
    let granted = json!({
        "access_token": access, "refresh_token": "refresh", "token_type": "Bearer",
        "expires_in": 3600,
    });
    Reply::json(200, &granted)
}

async fn resolve(service: &TestService, wire: &Wire) -> Value {
    let ask = json!({ "actor": { "user": "ann" }, "servers": ["wiki"] });
    let answer = wire.call(
        "TokenService/ResolveCredentials",
        As::key(service.daemon_key()),
        ask,
    );
    answer.await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_under_way_is_finished_and_stored() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let service = TestService::start_on(&database, &[]).await;
    let web = Web::start().await;
    let wire = Wire::new(service.grpc_channel().await);
    let server = wiki(&service, &web, &wire).await;
    let daemon = As::key(service.daemon_key());
    let start = json!({ "actor": { "user": "ann" }, "server": "wiki" });
    let began = wire
        .call("HandshakeService/StartHandshake", daemon, start)
        .await
        .ok();
    web.once("/token", grant("first"));
    let (_, page) = browse(&service, &server, &text(&began["connectUrl"]), "code").await;
    assert_eq!(page.status, 200, "{}", page.text);
    service.clock().advance(Duration::from_hours(2));
    let daemon = service.daemon_key().to_owned();
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let (go, going) = std::sync::mpsc::channel::<()>();
    let going = Mutex::new(going);
    web.once(
        "/token",
        Reply::made(move |_| {
            arrive.send(()).unwrap();
            tokio::task::block_in_place(|| going.lock().unwrap().recv().unwrap());
            grant("second")
        }),
    );

    let stop = async {
        arrived.recv().await.unwrap();
        let beside = service.channel_to(&service.operations_url()).await;
        let watch = HealthClient::new(beside)
            .watch(HealthCheckRequest::default())
            .await;
        let mut watch = watch.unwrap().into_inner();
        service.ask_once();
        while watch
            .message()
            .await
            .unwrap()
            .is_some_and(|health| health.status == 1)
        {}
        go.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(resolve(&service, &wire), stop);
    assert!(answer.to_string().contains("Bearer second"), "{answer}");
    assert_eq!(service.outcome().await, Outcome::Finished);

    let again = TestService::start_on(&database, &[]).await;
    let wire = Wire::new(again.grpc_channel().await);
    again.clock().advance(Duration::from_hours(2));
    let ask = json!({ "actor": { "user": "ann" }, "servers": ["wiki"] });
    let kept = wire
        .call("TokenService/ResolveCredentials", As::key(&daemon), ask)
        .await
        .ok();
    assert!(kept.to_string().contains("Bearer second"), "{kept}");
    assert_eq!(web.seen_at("/token").len(), 2);
    again.stop().await;
}

#[tokio::test]
async fn an_open_watch_does_not_hold_up_the_stop_and_is_told() {
    let world = World::start(Engine::Sqlite).await;
    world.found("tools").await;
    let handshake = world.begin("alice", "tools").await.handshake.unwrap();
    let request = v1::WatchHandshakeRequest {
        handshake: handshake.id.clone(),
    };
    let watch = world.daemon.handshakes().watch_handshake(request).await;
    let mut watch = watch.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap().handshake.unwrap();

    let World { service, .. } = world;
    let (told, ()) = tokio::join!(watch.message(), service.stop());

    assert_eq!(first.id, handshake.id);
    assert!(first.revision > 0);
    assert_eq!(told.unwrap_err().code(), tonic::Code::Unavailable);
}
