//! Every method by JWTs: let in exactly where the table says so, like the holders of keys; and every method that
//! names a user by a key that is worth nothing for users without their own token.

use std::collections::BTreeSet;

use serde_json::json;
use stationmaster::domain::access::{ROLES, Role, method};
use tonic::Code;

use super::asks::ASKS;
use super::roles::FAULTS;
use super::wire::{API, As, Wire};
use crate::harness::issuer::TestIssuer;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    every_method_admits_tokens_of_the_roles_of_its_row,
    a_key_that_demands_the_users_token_does_nothing_that_names_a_user,
}

async fn trusting(engine: Engine, issuer: &TestIssuer) -> (World, Wire) {
    let roles = ROLES.map(|role| format!("{0} = \"{0}\"", role.as_str()));
    let lines = format!("role_claim = \"role\"\nroles = {{ {} }}", roles.join(", "));
    let world = issuer.world(engine, &lines).await;
    let wire = Wire::new(world.service.grpc_channel().await);
    (world, wire)
}

async fn every_method_admits_tokens_of_the_roles_of_its_row(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let (_world, wire) = trusting(engine, &issuer).await;
    let tokens = ROLES.map(|role| (role, issuer.token(&json!({ "role": role.as_str() }))));
    let ended = issuer.token(&json!({ "role": "operator", "exp": 1 }));

    let mut offences = Vec::new();
    for path in wire.methods().await {
        if !path.starts_with(API) {
            continue;
        }
        let row = method(&path).unwrap();
        let late = wire.code_of(&path, As::key(&ended), Vec::new()).await;
        if (late.code, late.reason.as_str()) != (Code::Unauthenticated, "CREDENTIALS_INVALID") {
            offences.push(format!("{path} with a token that ended: {}", late.reason));
        }
        for (role, token) in &tokens {
            let answer = wire.code_of(&path, As::key(token), Vec::new()).await;
            let (code, reason) = (answer.code, answer.reason.as_str());
            let refused = code == Code::PermissionDenied;
            let wanted = if row.roles.admit(*role) {
                !refused && code != Code::Unauthenticated && !FAULTS.contains(&code)
            } else {
                refused && reason == "ROLE_NOT_ALLOWED"
            };
            if !wanted {
                offences.push(format!("{path} as {}: {code:?} {reason}", role.as_str()));
            }
        }
    }

    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

async fn a_key_that_demands_the_users_token_does_nothing_that_names_a_user(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let (world, wire) = trusting(engine, &issuer).await;
    let ask = json!({
        "role": "ROLE_DAEMON",
        "name": "demanding",
        "narrowing": { "requiresUserToken": true },
    });
    let operator = As::key(world.service.admin_key());
    let made = wire.call("AccessService/CreateApiKey", operator, ask).await;
    let made = made.ok();
    let key = As::key(made["secret"].as_str().unwrap());
    let token = issuer.token(&json!({ "role": "user" }));

    let mut offences = Vec::new();
    let mut walked = BTreeSet::new();
    for asks in ASKS {
        let row = method(&format!("{API}{}", asks.method)).unwrap();
        // What stands for an id is none here, and would be refused for that.
        let named = asks.ours.iter().filter(|ask| !ask.contains(['$', '%']));
        let named = named.filter(|ask| ask.contains(r#""actor":{"user":"ann"}"#));
        for ask in named.filter(|_| row.roles.admit(Role::Daemon)) {
            let said = || serde_json::from_str(ask).unwrap();
            let without = wire.call(asks.method, key, said()).await;
            let with = wire.call(asks.method, key.user_token(&token), said()).await;
            walked.insert(asks.method);
            if without.code == Code::Unimplemented {
                continue;
            }
            if (without.code, without.reason.as_str())
                != (Code::Unauthenticated, "USER_TOKEN_REQUIRED")
            {
                offences.push(format!("{} without: {:?}", asks.method, without.reason));
            }
            if with.code == Code::Unauthenticated || FAULTS.contains(&with.code) {
                offences.push(format!("{} with: {:?}", asks.method, with.reason));
            }
        }
    }

    assert!(offences.is_empty(), "{}", offences.join("\n"));
    assert!(walked.len() > 15, "only {walked:?}");
}
