//! `grpc.health.v1`: serving, until the process drains. It speaks of this process only, so that a
//! slow database or an overload does not take every replica out at once.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::lifecycle::Tasks;
use crate::grpc;

/// What tells how we are. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Status(HealthReporter);

impl Status {
    /// Serving.
    pub(super) async fn serving() -> Self {
        let reporter = HealthReporter::new();
        grpc::report(&reporter, ServingStatus::Serving).await;
        Self(reporter)
    }

    /// What answers those who ask.
    pub(super) fn service(&self) -> HealthServer<impl Health> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }

    /// Says `NOT_SERVING` from draining on. When doors end, so do the streams of those who watch,
    /// for otherwise their connections would never be finished.
    pub(super) fn follow(mut self, tasks: &Tasks) {
        let (draining, stopping) = (tasks.draining().clone(), tasks.stopping().clone());
        tasks.tracker().spawn(async move {
            draining.cancelled().await;
            grpc::report(&self.0, ServingStatus::NotServing).await;
            stopping.cancelled().await;
            for name in grpc::HEALTH_NAMES {
                self.0.clear_service_status(name).await;
            }
        });
    }
}
