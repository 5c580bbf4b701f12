//! Following connections in a test: events that must come within a second, and what they come to.

use std::collections::BTreeMap;
use std::time::Duration;

use stationmaster::client::{Client, Error, answer, v1};
use tonic::Streaming;
use v1::ChangeKind as Kind;

use super::client::actor;

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

impl Watch {
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
