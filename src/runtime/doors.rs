//! How the listeners serve: bounds that hold for every connection, and an end in order.

use std::io;
use std::time::Duration;

use axum::Router;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::{BoxError, Layer, Service};

/// The longest an RPC may take, whatever deadline its caller names; a stream may take this long to
/// begin.
const RPC_DEADLINE: Duration = Duration::from_mins(1);
/// RPCs of one connection that run at a time; more are refused.
const RPCS_AT_ONCE: usize = 1024;
/// Streams of one connection, HTTP/2's own bound. A little above ours, so that ours says why.
const STREAMS: u32 = 1088;
/// After this a connection is asked to be made anew, so that load spreads over new replicas.
const CONNECTION_AGE: Duration = Duration::from_mins(30);
/// How long streams of such a connection may go on; longer than a handshake is usually watched.
const CONNECTION_GRACE: Duration = Duration::from_mins(15);
/// When a silent connection is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_PATIENCE: Duration = Duration::from_secs(10);
/// Metadata of one RPC, in bytes.
const HEADERS: u32 = 16 * 1024;

/// Serves the API, each call inside `layer`, until `stopping`; what runs is finished.
pub(super) async fn grpc<L>(
    listener: TcpListener,
    routes: Routes,
    layer: L,
    stopping: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    L: Layer<Routes> + Clone,
    L::Service: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send,
    <L::Service as Service<Request<Body>>>::Error: Into<BoxError> + Send + 'static,
{
    let incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(KEEPALIVE));
    Server::builder()
        .timeout(RPC_DEADLINE)
        .concurrency_limit_per_connection(RPCS_AT_ONCE)
        .load_shed(true)
        .max_concurrent_streams(STREAMS)
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(CONNECTION_GRACE)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_PATIENCE))
        .http2_max_header_list_size(HEADERS)
        .layer(layer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopping.cancelled_owned())
        .await
}

/// Serves pages until `stopping`; what runs is finished.
pub(super) async fn pages(
    listener: TcpListener,
    router: Router,
    stopping: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
}
