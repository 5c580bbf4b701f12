//! `OperationsService`: part of the API, not of this release.

use tonic::{Request, Response, Status, async_trait};

use super::call::later;
use crate::pb::v1 as pb;
use crate::pb::v1::operations_service_server::OperationsService;

/// The service.
#[derive(Debug)]
pub(super) struct Operations;

#[async_trait]
impl OperationsService for Operations {
    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        later(request)
    }

    async fn rotate_data_keys(
        &self,
        request: Request<pb::RotateDataKeysRequest>,
    ) -> Result<Response<pb::RotateDataKeysResponse>, Status> {
        later(request)
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Result<Response<pb::ListKeysResponse>, Status> {
        later(request)
    }
}
