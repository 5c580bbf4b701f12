//! The operations listener: probes and metrics, for the machines that look after this one.
//!
//! `/livez` says that the process runs, `/readyz` that it can work, and what is amiss if it cannot;
//! health in gRPC is served beside them, in clear text.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::warn;

use super::health::Status;
use crate::app::{App, metrics};

/// How long the database may take to answer a probe.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
struct Door {
    app: App,
    draining: CancellationToken,
}

/// The operations pages.
pub(super) fn router(app: App, health: &Status, draining: CancellationToken) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Door { app, draining })
        .merge(
            Routes::new(health.service())
                .into_axum_router()
                .reset_fallback(),
        )
}

/// Whether work should be sent here, each condition by its name.
async fn ready(State(door): State<Door>) -> Response {
    let database = match timeout(DATABASE_PATIENCE, door.app.ready()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            warn!(%error, "not ready: the database");
            "does not answer"
        }
        Err(_) => "is too slow",
    };
    let draining = door.draining.is_cancelled();
    let ready = database == "ok" && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    // Without its keys and its tables the process does not start, and neither can be taken away.
    let body = json!({
        "ready": ready,
        "database": database,
        "keys": "ok",
        "migrations": "ok",
        // Work goes on with a feed that lags: what others change is seen later.
        "feed": if door.app.feed_lags() { "lags" } else { "ok" },
        "draining": draining,
    });
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

async fn metrics_text(State(door): State<Door>) -> Response {
    let metrics = door.app.metrics();
    metrics.set_feed_lag(door.app.feed_lag());
    let text = metrics.render();
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}
