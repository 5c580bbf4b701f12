//! `grpc.health.v1`: serving, until the process drains. It speaks of this process only, so that a
//! slow database or an overload does not take every replica out at once.

use std::collections::BTreeSet;

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::lifecycle::Tasks;
use crate::domain::access::METHODS;

/// The names that may be asked for: the process as a whole, and each service.
fn names() -> BTreeSet<String> {
    let services = METHODS
        .iter()
        .map(|method| format!("stationmaster.v1.{}", method.service));
    services.chain([String::new()]).collect()
}

/// What tells how we are. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Status(HealthReporter);

impl Status {
    /// Serving.
    pub(super) async fn serving() -> Self {
        let status = Self(HealthReporter::new());
        status.set(ServingStatus::Serving).await;
        status
    }

    /// What answers those who ask.
    pub(super) fn service(&self) -> HealthServer<impl Health> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in names() {
            self.0.set_service_status(name, status).await;
        }
    }

    /// Says `NOT_SERVING` from draining on. When doors end, so do the streams of those who watch,
    /// for otherwise their connections would never be finished.
    pub(super) fn follow(mut self, tasks: &Tasks) {
        let (draining, stopping) = (tasks.draining().clone(), tasks.stopping().clone());
        tasks.tracker().spawn(async move {
            draining.cancelled().await;
            self.set(ServingStatus::NotServing).await;
            stopping.cancelled().await;
            for name in names() {
                self.0.clear_service_status(&name).await;
            }
        });
    }
}
