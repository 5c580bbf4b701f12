//! Following connections in a test: events that must come within a second, and what they come to.

use std::collections::BTreeMap;
use std::time::Duration;

use stationmaster::client::{Client, Error, answer, v1};
use tonic::transport::Endpoint;
use tonic::{Request, Streaming};
use v1::ChangeKind as Kind;
use v1::token_service_client::TokenServiceClient;

use super::client::actor;
use super::database::Raw;
use super::http;
use super::service::TestService;

/// How long anything may take that the API promises within a second, or soon.
const SOON: Duration = Duration::from_secs(20);

/// A watch under way.
pub(crate) struct Watch(Streaming<v1::WatchConnectionsResponse>);

/// What to watch: all there is.
pub(crate) fn all() -> v1::WatchConnectionsRequest {
    v1::WatchConnectionsRequest::default()
}

/// What one user has.
pub(crate) fn of(user: &str) -> v1::WatchConnectionsRequest {
    v1::WatchConnectionsRequest {
        actor: actor(user),
        ..all()
    }
}

/// All that changes after a revision.
pub(crate) fn after(revision: i64) -> v1::WatchConnectionsRequest {
    v1::WatchConnectionsRequest {
        after_revision: Some(revision),
        ..all()
    }
}

/// Begins to watch.
pub(crate) async fn watch(
    client: &Client,
    request: v1::WatchConnectionsRequest,
) -> Result<Watch, Error> {
    answer(client.tokens().watch_connections(request))
        .await
        .map(Watch)
}

/// Begins to watch all that ever changed and reads nothing: the service may send a byte, and no more
/// before something is read. Whatever happens after this is told, however late the watch gets going.
pub(crate) async fn unread(service: &TestService, key: &str) -> Watch {
    let endpoint = Endpoint::from_shared(service.grpc_url()).unwrap();
    let endpoint = endpoint.initial_stream_window_size(1);
    let mut request = Request::new(after(0));
    let key = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", key);
    let beginning = service.runtime().spawn(async move {
        let channel = endpoint.connect().await.unwrap();
        let mut tokens = TokenServiceClient::new(channel);
        tokens.watch_connections(request).await.unwrap()
    });
    Watch(beginning.await.unwrap().into_inner())
}

/// How many streams the service serves, as the metrics tell.
pub(crate) async fn served(service: &TestService) -> u64 {
    let metrics = http::get(&format!("{}/metrics", service.operations_url()), &[]).await;
    let mut lines = metrics.text.lines();
    let line = lines.find_map(|line| line.strip_prefix("stationmaster_watches "));
    line.unwrap().parse().unwrap()
}

/// How many go at once in a [`burst`].
pub(crate) const BURST: usize = 1001;

/// So many connections go at once, by the word of the feed.
pub(crate) async fn burst(raw: &mut Raw, service: &TestService) {
    raw.execute("BEGIN").await;
    raw.execute("UPDATE feed_heads SET seq = seq + 1001 WHERE shard = 14")
        .await;
    raw.execute(
        "INSERT INTO changes (shard, seq, tenant, kind, subject, op, at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) \
         SELECT 14, (SELECT seq FROM feed_heads WHERE shard = 14) - 1001 + i, 'default', \
         'connection', 'con_' || i, 'delete', 1767225600000000 FROM n",
    )
    .await;
    raw.execute("COMMIT").await;
    let followed = service.within(async |app| app.follow_feed().await).await;
    followed.unwrap();
}

impl Watch {
    /// One that was begun otherwise.
    pub(crate) fn of(stream: Streaming<v1::WatchConnectionsResponse>) -> Self {
        Self(stream)
    }

    /// All that is told before the end, and why it ends.
    pub(crate) async fn rest(&mut self) -> (Vec<v1::WatchConnectionsResponse>, Error) {
        let mut told = Vec::new();
        let reading = async {
            loop {
                match self.0.message().await {
                    Ok(Some(event)) => told.push(event),
                    Ok(None) => panic!("the watch ends without a reason"),
                    Err(status) => return Error::from(status),
                }
            }
        };
        let ended = tokio::time::timeout(SOON, reading).await;
        let ended = ended.expect("the watch should end");
        (told, ended)
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> v1::WatchConnectionsResponse {
        let next = tokio::time::timeout(SOON, self.0.message()).await;
        let next = next.expect("an event should come, and does not");
        next.unwrap().expect("the watch goes on")
    }

    /// The events up to SYNCED: what exists, and where the feed stands.
    pub(crate) async fn existing(&mut self) -> (Vec<v1::WatchConnectionsResponse>, i64) {
        let mut existing = Vec::new();
        loop {
            let event = self.next().await;
            if event.kind() == Kind::Synced {
                return (existing, event.revision);
            }
            assert_eq!((event.kind(), event.revision), (Kind::Put, 0), "{event:?}");
            existing.push(event);
        }
    }

    /// A watch that has told everything that exists.
    pub(crate) async fn synced(mut self) -> Self {
        self.existing().await;
        self
    }

    /// Why the watch ends; within a second, as the API promises, whatever it tells before.
    pub(crate) async fn end(&mut self) -> Error {
        let ending = async {
            loop {
                match self.0.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the watch ends without a reason"),
                    Err(status) => return Error::from(status),
                }
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(1), ending).await;
        ended.expect("the watch should end within a second")
    }

    /// What is connected once this user is, by user, as the events tell it.
    pub(crate) async fn told_until(&mut self, user: &str) -> BTreeMap<String, String> {
        let mut connected = BTreeMap::new();
        let mut synced = false;
        let mut last = 0;
        while !synced || !connected.values().any(|told| told == user) {
            let event = self.next().await;
            let in_order = event.revision > last || !synced;
            assert!(in_order, "after {last}: {event:?}");
            last = event.revision;
            match event.kind() {
                Kind::Put => {
                    let connection = event.connection.unwrap();
                    connected.insert(connection.id, connection.user);
                }
                Kind::Delete => {
                    connected.remove(&event.connection_id);
                }
                Kind::Synced => synced = true,
                Kind::Heartbeat => {}
                Kind::Unspecified => panic!("{event:?}"),
            }
        }
        connected
    }
}

/// An event in short: what happened to whose connection.
pub(crate) fn said(event: &v1::WatchConnectionsResponse) -> (Kind, String) {
    let connection = event.connection.as_ref();
    let user = connection.map(|connection| connection.user.clone());
    (event.kind(), user.unwrap_or_default())
}
