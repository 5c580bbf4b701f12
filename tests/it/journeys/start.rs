//! What does not start, and what it tells the operator.

use std::error::Error as _;

use stationmaster::runtime::{Error, Seams, Service};

use crate::harness::service::{Engine, TestDatabase};

async fn refusal(database: &TestDatabase, settings: &[(&str, &str)]) -> Error {
    let config = database.settings(settings);
    let built = Service::build(&config, Seams::default()).await;
    built.expect_err("the service does not start")
}

async fn build(database: &TestDatabase) -> Service {
    let config = database.settings(&[]);
    let built = Service::build(&config, Seams::default()).await;
    built.expect("the service starts")
}

#[tokio::test]
async fn pending_migrations_are_left_to_the_operator_on_postgres() {
    let database = TestDatabase::new(Engine::Postgres).await;

    let error = refusal(&database, &[("database.migrate", "auto")]).await;

    assert!(matches!(&error, Error::PendingMigrations(steps) if steps[0] == "0001_first"));
    assert!(
        error
            .to_string()
            .contains("run `stationmaster migrate` first")
    );
}

#[tokio::test]
async fn sqlite_is_migrated_unless_the_operator_says_never() {
    let database = TestDatabase::new(Engine::Sqlite).await;

    let never = refusal(&database, &[("database.migrate", "never")]).await;
    let config = database.settings(&[("database.migrate", "auto")]);
    let auto = Service::build(&config, Seams::default()).await;

    assert!(matches!(never, Error::PendingMigrations(_)));
    assert!(auto.is_ok());
}

#[tokio::test]
async fn a_second_process_on_one_file_is_refused() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let _first = build(&database).await;

    let error = refusal(&database, &[]).await;

    let cause = error.source().expect("the store says why").to_string();
    assert!(
        cause.contains("in use by another stationmaster process"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_listener_that_cannot_bind_names_its_setting() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let first = build(&database).await;
    let taken = first.addresses().public.to_string();

    let error = refusal(&database, &[("listen.public", &taken)]).await;

    assert!(
        error
            .to_string()
            .starts_with(&format!("`listen.public`: {taken}")),
        "{error}"
    );
}

#[tokio::test]
async fn another_root_key_does_not_start_on_the_same_rows() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    drop(build(&database).await);
    std::fs::remove_file(database.path("root.key")).unwrap();

    let error = refusal(&database, &[]).await;

    assert!(matches!(error, Error::Start(_)), "{error}");
    let reason = error.source().and_then(std::error::Error::source);
    let reason = reason.expect("the vault says why").to_string();
    assert!(reason.contains("is not configured"), "{reason}");
}
