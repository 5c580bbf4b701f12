//! Every method, every role, by JWTs: let in exactly where the table says so, like the holders of keys.

use serde_json::json;
use stationmaster::domain::access::{ROLES, method};
use tonic::Code;

use super::wire::{API, As, Wire};
use crate::harness::issuer::TestIssuer;
use crate::harness::service::Engine;

#[tokio::test]
async fn every_method_admits_tokens_of_the_roles_of_its_row() {
    let issuer = TestIssuer::start().await;
    let roles = ROLES.map(|role| format!("{0} = \"{0}\"", role.as_str()));
    let lines = format!("role_claim = \"role\"\nroles = {{ {} }}", roles.join(", "));
    let world = issuer.world(Engine::Sqlite, &lines).await;
    let wire = Wire::new(world.service.grpc_channel().await);
    let tokens = ROLES.map(|role| (role, issuer.token(&json!({ "role": role.as_str() }))));
    let ended = issuer.token(&json!({ "role": "operator", "exp": 1 }));

    let mut offences = Vec::new();
    for path in wire.methods().await {
        if !path.starts_with(API) {
            continue;
        }
        let row = method(&path).unwrap();
        let late = wire.code_of(&path, As::key(&ended), Vec::new()).await;
        if late.reason != "CREDENTIALS_INVALID" {
            offences.push(format!("{path} with a token that ended: {}", late.reason));
        }
        for (role, token) in &tokens {
            let answer = wire.code_of(&path, As::key(token), Vec::new()).await;
            let refused = answer.code == Code::PermissionDenied;
            let known = answer.code != Code::Unauthenticated && answer.code != Code::Internal;
            if !known || refused == row.roles.admit(*role) {
                let (code, reason) = (answer.code, answer.reason);
                offences.push(format!("{path} as {}: {code:?} {reason}", role.as_str()));
            }
        }
    }

    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
