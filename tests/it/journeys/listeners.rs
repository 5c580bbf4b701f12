//! The three listeners before anything is configured: pages, probes, health, and the end.

use std::os::unix::fs::PermissionsExt as _;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::http;
use crate::harness::service::{Engine, TestDatabase, TestService};

#[tokio::test]
async fn a_service_starts_and_ends_in_order_on_either_engine() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let service = TestService::start(engine).await;

        let live = http::get(&format!("{}/livez", service.operations_url()), &[]).await;
        let ready = http::get(&format!("{}/readyz", service.operations_url()), &[]).await;

        assert_eq!((live.status.as_u16(), live.text.as_str()), (200, "ok\n"));
        assert_eq!(ready.status, 200, "{}", ready.text);
        let ready: serde_json::Value = serde_json::from_str(&ready.text).unwrap();
        for part in ["database", "keys", "migrations", "feed"] {
            assert_eq!(ready[part], "ok");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn metrics_are_in_the_format_they_claim() {
    let service = TestService::start(Engine::Sqlite).await;

    let metrics = http::get(&format!("{}/metrics", service.operations_url()), &[]).await;

    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn health_is_told_on_the_api_and_beside_the_probes() {
    let service = TestService::start(Engine::Sqlite).await;
    let beside = service.channel_to(&service.operations_url()).await;

    for channel in [service.grpc_channel().await, beside] {
        for name in ["", "stationmaster.v1.TokenService"] {
            let request = HealthCheckRequest {
                service: name.to_owned(),
            };
            let health = HealthClient::new(channel.clone())
                .check(request)
                .await
                .unwrap();
            assert_eq!(health.into_inner().status, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn who_watches_health_does_not_hold_up_the_end() {
    let service = TestService::start(Engine::Sqlite).await;
    let mut client = HealthClient::new(service.grpc_channel().await);
    let watched = client.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let first = watched.message().await.unwrap().unwrap();

    let (second, ()) = tokio::join!(watched.message(), service.stop());

    assert_eq!(first.status, 1);
    assert_eq!(second.unwrap().map(|health| health.status), Some(2));
}

#[tokio::test]
async fn pages_load_nothing_and_are_not_kept() {
    let service = TestService::start(Engine::Sqlite).await;
    let at = |path: &str| format!("{}{path}", service.public_url());

    for (path, status) in [("/", 200), ("/nowhere", 404), ("/connect/unknown", 404)] {
        let page = http::get(&at(path), &[]).await;

        assert_eq!(page.status, status, "{path}");
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'nonce-"),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("set-cookie"), "");
        let nonce = policy.split('\'').nth(3).unwrap();
        assert!(
            page.text
                .contains(&format!("<style nonce=\"{}\">", &nonce["nonce-".len()..]))
        );
    }
}

#[tokio::test]
async fn who_only_looks_ahead_gets_nothing() {
    let service = TestService::start(Engine::Sqlite).await;
    let link = format!("{}/connect/abc", service.public_url());

    let head = http::send("HEAD", &link, &[]).await;
    let prefetch = http::get(&link, &[("sec-purpose", "prefetch;prerender")]).await;

    assert_eq!(head.status, 204);
    assert_eq!(
        (prefetch.status.as_u16(), prefetch.text.as_str()),
        (403, "")
    );
    assert_eq!(prefetch.header("set-cookie"), "");
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let service = TestService::start(Engine::Sqlite).await;
    let link = format!("{}/connect/abc", service.public_url());

    let foreign = http::send("POST", &link, &[("origin", "https://evil.example")]).await;
    let unknown = http::send("POST", &link, &[("origin", service.public_url())]).await;

    assert_eq!(foreign.status, 403);
    assert!(foreign.text.contains("This did not come from our page"));
    assert_eq!(unknown.status, 403);
    assert!(unknown.text.contains("Your browser is not recognised"));
}

#[tokio::test]
async fn a_callback_that_cannot_be_read_is_refused() {
    let service = TestService::start(Engine::Sqlite).await;

    let url = format!("{}/oauth2/callback?state=a&state=b", service.public_url());
    let page = http::get(&url, &[]).await;

    assert_eq!(page.status, 400);
}

#[tokio::test]
async fn a_second_start_keeps_keys_and_follows_the_endpoint() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let first = TestService::start_on(&database, &[]).await;
    let admin = first.admin_key().to_owned();
    first.stop().await;

    let second = TestService::start_on(&database, &[]).await;

    assert_eq!(second.admin_key(), admin);
    assert!(second.daemon_key().starts_with("stm_"));
    for file in ["root.key", "cli.toml", "stationmaster.db"] {
        let mode = std::fs::metadata(database.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
