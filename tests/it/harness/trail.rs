//! Reading the audit trail in a test, and following it.

use std::time::Duration;

use serde_json::Value;
use stationmaster::client::{Client, Error, answer, v1};
use tonic::Streaming;
use v1::ChangeKind as Kind;

/// How long anything may take that the API promises soon.
const SOON: Duration = Duration::from_secs(20);

/// Nothing in particular.
pub(crate) fn any() -> v1::AuditFilter {
    v1::AuditFilter::default()
}

/// What was done by these names.
pub(crate) fn done(actions: &[&str]) -> v1::AuditFilter {
    v1::AuditFilter {
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
        ..any()
    }
}

/// The first page of what is wanted, as large as it may be.
pub(crate) async fn list(
    client: &Client,
    filter: v1::AuditFilter,
) -> Result<Vec<v1::AuditEvent>, Error> {
    let request = v1::ListAuditEventsRequest {
        filter: Some(filter),
        page_size: 500,
        page_token: String::new(),
    };
    let found = answer(client.audit().list_audit_events(request)).await;
    found.map(|found| found.events)
}

/// What was done, the newest first.
pub(crate) async fn actions(client: &Client, filter: v1::AuditFilter) -> Vec<String> {
    let events = list(client, filter).await.unwrap().into_iter();
    events.map(|event| event.action).collect()
}

/// The details of the newest event of an action.
pub(crate) async fn detail(client: &Client, action: &str) -> Value {
    let events = list(client, done(&[action])).await.unwrap();
    let newest = events.first();
    let newest = newest.unwrap_or_else(|| panic!("there is no {action}"));
    serde_json::from_str(&newest.detail_json).unwrap()
}

/// A watch under way.
#[derive(Debug)]
pub(crate) struct Trail(Streaming<v1::WatchAuditEventsResponse>);

impl Trail {
    /// Begins to follow.
    pub(crate) async fn watch(
        client: &Client,
        filter: v1::AuditFilter,
        after_revision: Option<i64>,
    ) -> Result<Self, Error> {
        let request = v1::WatchAuditEventsRequest {
            filter: Some(filter),
            after_revision,
        };
        let watch = answer(client.audit().watch_audit_events(request)).await;
        watch.map(Self)
    }

    /// One that has begun, and where.
    pub(crate) async fn synced(
        client: &Client,
        filter: v1::AuditFilter,
        after_revision: Option<i64>,
    ) -> (Self, i64) {
        let mut trail = Self::watch(client, filter, after_revision).await.unwrap();
        let begun = trail.message().await;
        assert_eq!((begun.kind(), &begun.event), (Kind::Synced, &None));
        (trail, begun.revision)
    }

    async fn message(&mut self) -> v1::WatchAuditEventsResponse {
        let next = tokio::time::timeout(SOON, self.0.message()).await;
        let next = next.expect("an event should come, and does not");
        next.unwrap().expect("the watch goes on")
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> v1::AuditEvent {
        loop {
            let told = self.message().await;
            if told.kind() == Kind::Heartbeat {
                continue;
            }
            assert_eq!(told.kind(), Kind::Put, "{told:?}");
            let event = told.event.expect("what is told is there");
            assert_eq!(event.revision, told.revision);
            return event;
        }
    }

    /// Why it ends; within a second, as the API promises, whatever it tells before.
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
}
