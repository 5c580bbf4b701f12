//! Every method, every role, and those without one: let in exactly where the table says so.

use std::collections::BTreeSet;

use serde_json::json;
use stationmaster::domain::access::{METHODS, ROLES, method};
use tonic::Code;

use super::rows;
use super::wire::{API, As, Wire};
use super::world::{key_id, make_key};
use crate::harness::service::{Engine, TestDatabase, TestService};

/// Part of the API, not of this release.
const LATER: [&str; 6] = [
    "ConfigService/CheckServer",
    "ConfigService/WatchServers",
    "HandshakeService/SubmitCallback",
    "OperationsService/GetStatus",
    "OperationsService/ListKeys",
    "OperationsService/RotateDataKeys",
];

/// What needs no caller.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Codes that say that we are at fault, or that nobody answered.
pub(super) const FAULTS: [Code; 5] = [
    Code::Internal,
    Code::Unknown,
    Code::Cancelled,
    Code::DeadlineExceeded,
    Code::Unavailable,
];

async fn walk(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let wire = Wire::new(service.grpc_channel().await);
    let operator = As::key(service.admin_key());
    let mut keys = Vec::new();
    for role in ROLES {
        keys.push((role, make_key(&wire, operator, role).await));
    }
    let revoked = make_key(&wire, operator, ROLES[1]).await;
    let revoke = json!({ "apiKey": key_id(&revoked) });
    wire.call("AccessService/RevokeApiKey", operator, revoke)
        .await
        .ok();
    let wrong = format!("{}x", &keys[0].1[..keys[0].1.len() - 1]);
    let mut raw = rows::raw(&database).await;
    let served = wire.methods().await;

    let mut offences = Vec::new();
    let mut later = BTreeSet::new();
    for path in &served {
        if OPEN.iter().any(|open| path.starts_with(open)) {
            continue;
        }
        let name = path.strip_prefix(API).unwrap_or(path);
        let Some(row) = method(path) else {
            offences.push(format!("{name} has no row in METHODS"));
            continue;
        };
        for (what, key, reason) in [
            ("no key", None, "CREDENTIALS_MISSING"),
            ("no key at all", Some("stm_"), "CREDENTIALS_INVALID"),
            ("a wrong key", Some(wrong.as_str()), "CREDENTIALS_INVALID"),
            (
                "a revoked key",
                Some(revoked.as_str()),
                "CREDENTIALS_INVALID",
            ),
        ] {
            let who = As {
                key,
                ..As::default()
            };
            let answer = wire.code_of(path, who, Vec::new()).await;
            if (answer.code, answer.reason.as_str()) != (Code::Unauthenticated, reason) {
                offences.push(format!(
                    "{name} with {what}: {:?} {}",
                    answer.code, answer.reason
                ));
            }
        }
        for (role, key) in &keys {
            let request_id = format!("walk/{}/{name}", role.as_str());
            let who = As::key(key).request_id(&request_id);
            let answer = wire.code_of(path, who, Vec::new()).await;
            let refused = answer.code == Code::PermissionDenied;
            let said = format!(
                "{name} as {}: {:?} {}",
                role.as_str(),
                answer.code,
                answer.reason
            );
            let wanted = if row.roles.admit(*role) {
                !refused && answer.code != Code::Unauthenticated && !FAULTS.contains(&answer.code)
            } else {
                refused && answer.reason == "ROLE_NOT_ALLOWED"
            };
            if !wanted {
                offences.push(said);
            } else if answer.code == Code::Unimplemented {
                later.insert(name.to_owned());
            }
            let call = (request_id.as_str(), path.as_str());
            let records = rows::refusals(&mut raw, "default", &key_id(key), call).await;
            if records != i64::from(refused) {
                offences.push(format!("{name} as {}: {records} records", role.as_str()));
            }
        }
    }

    assert!(offences.is_empty(), "{}", offences.join("\n"));
    let named = served.iter().filter(|path| path.starts_with(API));
    assert_eq!(
        named.count(),
        METHODS.len(),
        "a row in METHODS is not served"
    );
    let expected: BTreeSet<_> = LATER.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(later, expected, "the methods of later releases");
    service.stop().await;
}

#[tokio::test]
async fn every_method_admits_the_roles_of_its_row_on_sqlite() {
    walk(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_method_admits_the_roles_of_its_row_on_postgres() {
    walk(Engine::Postgres).await;
}

#[tokio::test]
async fn health_and_reflection_need_no_caller() {
    let service = TestService::start(Engine::Sqlite).await;
    let wire = Wire::new(service.grpc_channel().await);
    let mut served = wire.methods().await;
    // The older one is served, though the newer one does not list it.
    served.push(format!("{}ServerReflectionInfo", OPEN[2]));

    for open in OPEN {
        let paths: Vec<_> = served
            .iter()
            .filter(|path| path.starts_with(open))
            .collect();
        assert!(!paths.is_empty(), "{open} is not served");
        for path in paths {
            for key in [None, Some("stm_"), Some(service.daemon_key())] {
                let who = As {
                    key,
                    ..As::default()
                };
                let answer = wire.code_of(path, who, Vec::new()).await;
                assert!(
                    matches!(answer.code, Code::Ok | Code::InvalidArgument),
                    "{path}: {:?} {}",
                    answer.code,
                    answer.message
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_served_is_told_to_known_callers_only() {
    let service = TestService::start(Engine::Sqlite).await;
    let wire = Wire::new(service.grpc_channel().await);

    for path in [
        "/stationmaster.v1.TokenService/Nope",
        "/nobody.v1.Nothing/Nope",
    ] {
        let stranger = wire.code_of(path, As::default(), Vec::new()).await;
        let known = wire
            .code_of(path, As::key(service.daemon_key()), Vec::new())
            .await;

        assert_eq!(stranger.code, Code::Unauthenticated, "{path}");
        assert_eq!(known.code, Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_known_caller_that_names_another_tenant_is_on_record() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let service = TestService::start_on(&database, &[]).await;
    let wire = Wire::new(service.grpc_channel().await);
    let path = "/stationmaster.v1.AccessService/WhoAmI";
    let who = As::key(service.daemon_key())
        .tenant("another")
        .request_id("here");

    let answer = wire.code_of(path, who, Vec::new()).await;

    assert_eq!(answer.reason, "TENANT_NOT_FOUND");
    let mut raw = rows::raw(&database).await;
    let key = key_id(service.daemon_key());
    let records = rows::refusals(&mut raw, "default", &key, ("here", path)).await;
    assert_eq!(records, 1);
}
