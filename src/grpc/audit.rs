//! `AuditService`: part of the API, not of this release.

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, async_trait};

use super::call::later;
use crate::pb::v1 as pb;
use crate::pb::v1::audit_service_server::AuditService;

/// The service.
#[derive(Debug)]
pub(super) struct Audit;

#[async_trait]
impl AuditService for Audit {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        later(request)
    }

    type WatchAuditEventsStream = BoxStream<'static, Result<pb::WatchAuditEventsResponse, Status>>;

    async fn watch_audit_events(
        &self,
        request: Request<pb::WatchAuditEventsRequest>,
    ) -> Result<Response<Self::WatchAuditEventsStream>, Status> {
        later(request)
    }
}
