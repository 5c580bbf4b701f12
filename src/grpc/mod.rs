//! The gRPC door: translates calls into use cases and answers back. Decides nothing but whether a
//! message says what it may.
//!
//! [`routes`] has the services, reflection and health; [`layer`] goes around them and knows the
//! caller. Limits of load and time belong to whoever runs the server. A call goes through `layer`,
//! then the file of its service, then `app`; a failure comes back through `error`.

mod access;
mod audit;
mod auth;
mod call;
mod chats;
mod connections;
mod convert;
mod error;
mod handshakes;
mod identities;
mod imports;
mod inline_servers;
mod layer;
mod operations;
mod reports;
mod resolve;
mod servers;
mod tenants;
mod tokens;
mod trace;
mod user_headers;

pub use layer::{CallLayer, Calls, layer};

use std::sync::Arc;

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::app::App;
use crate::domain::time::Clock;
use crate::pb;
use crate::pb::v1::access_service_server::AccessServiceServer;
use crate::pb::v1::audit_service_server::AuditServiceServer;
use crate::pb::v1::chat_service_server::ChatServiceServer;
use crate::pb::v1::config_service_server::ConfigServiceServer;
use crate::pb::v1::handshake_service_server::HandshakeServiceServer;
use crate::pb::v1::operations_service_server::OperationsServiceServer;
use crate::pb::v1::tenant_service_server::TenantServiceServer;
use crate::pb::v1::token_service_server::TokenServiceServer;

/// The largest message taken, in bytes.
pub const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;

/// What health is asked about: everything, then each service.
pub const HEALTH_NAMES: [&str; 9] = [
    "",
    "stationmaster.v1.AccessService",
    "stationmaster.v1.AuditService",
    "stationmaster.v1.ChatService",
    "stationmaster.v1.ConfigService",
    "stationmaster.v1.HandshakeService",
    "stationmaster.v1.OperationsService",
    "stationmaster.v1.TenantService",
    "stationmaster.v1.TokenService",
];

/// Every service of the API, reflection (v1 and v1alpha), and the health service given. To be
/// served inside [`layer`], without which every call of the API is refused.
pub fn routes<H: Health>(app: App, clock: Arc<dyn Clock>, health: HealthServer<H>) -> Routes {
    macro_rules! services {
        ($($server:ident: $service:expr;)+) => {
            Routes::new(health)
                $(.add_service($server::new($service).max_decoding_message_size(MESSAGE_LIMIT)))+
        };
    }
    let routes = services! {
        AuditServiceServer: audit::Audit(app.clone());
        ChatServiceServer: chats::Chats(app.clone());
        ConfigServiceServer: servers::Servers(app.clone());
        HandshakeServiceServer: handshakes::Handshakes(app.clone());
        OperationsServiceServer: operations::Operations;
        TenantServiceServer: tenants::Tenants(app.clone());
        TokenServiceServer: tokens::Tokens(app.clone());
        AccessServiceServer: access::Access { app, clock };
    };
    reflected(routes).prepare()
}

#[expect(
    clippy::expect_used,
    reason = "the descriptors are compiled in, and held by a test"
)]
fn reflected(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    routes
        .add_service(builder().build_v1().expect("descriptors"))
        .add_service(builder().build_v1alpha().expect("descriptors"))
}

/// Says of everything, and of each service, that it is serving or not.
pub async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        reporter.set_service_status(name, status).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::METHODS;

    /// The layer fits around the routes in a server of tonic's.
    const _: fn(CallLayer, Routes) = |layer, routes| {
        let mut server = tonic::transport::Server::builder().layer(layer);
        drop(server.add_routes(routes).serve(([127, 0, 0, 1], 0).into()));
    };

    #[test]
    fn the_descriptors_reflect() {
        reflected(Routes::default());
    }

    #[test]
    fn health_knows_every_service() {
        for row in METHODS {
            let name = format!("stationmaster.v1.{}", row.service);
            assert!(HEALTH_NAMES.contains(&name.as_str()), "{name}");
        }
    }
}
