//! What does not start, and what it tells the operator.

use std::error::Error as _;

use assert_cmd::Command;
use stationmaster::runtime::{Error, Seams, Service};

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::tls;
use crate::walks::rows;

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
async fn a_file_without_root_certificates_is_refused() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let none = [("egress.ca_file", "/dev/null")];

    let error = refusal(&database, &none).await;

    assert_eq!(
        error.to_string(),
        "`egress.ca_file`: /dev/null cannot be used: no usable root certificate"
    );
    let ours = [("egress.ca_file", tls::ROOT_FILE)];
    let config = database.settings(&ours);
    assert!(Service::build(&config, Seams::default()).await.is_ok());
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
    let reason = error.source().expect("the vault says why").to_string();
    assert!(reason.contains("not among those given"), "{reason}");
}

/// The file of a database, and what the tenant of a new one has in it.
async fn kept(database: &TestDatabase) -> Vec<String> {
    const ROOT_KEYS: &str = "SELECT COUNT(*) FROM root_keys";
    let mut raw = rows::raw(database).await;
    let mut kept = rows::dump(&mut raw, "default").await;
    kept.push(format!("{} root keys", raw.number(ROOT_KEYS).await));
    kept
}

#[tokio::test]
async fn a_refused_root_key_changes_nothing() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = TestDatabase::new(engine).await;
        TestService::start_on(&database, &[]).await.stop().await;
        let before = kept(&database).await;
        let other = TestDatabase::new(Engine::Sqlite).await;
        TestService::start_on(&other, &[]).await.stop().await;
        let right = std::fs::read(database.path("root.key")).unwrap();
        std::fs::copy(other.path("root.key"), database.path("root.key")).unwrap();

        let error = refusal(&database, &[]).await;

        assert!(matches!(error, Error::Start(_)), "{error}");
        assert_eq!(kept(&database).await, before);
        std::fs::write(database.path("root.key"), right).unwrap();
        drop(build(&database).await);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    const NEWER: &str = "INSERT INTO _sqlx_migrations \
        (version, description, success, checksum, execution_time) \
        SELECT 999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = TestDatabase::new(engine).await;
        TestService::start_on(&database, &[]).await.stop().await;
        rows::raw(&database).await.execute(NEWER).await;
        let before = kept(&database).await;

        for policy in ["always", "auto", "never"] {
            let error = refusal(&database, &[("database.migrate", policy)]).await;

            let cause = error.source().expect("the store says why").to_string();
            assert!(cause.contains("made by a newer release"), "{cause}");
        }
        assert_eq!(kept(&database).await, before);
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    std::fs::create_dir(database.path("stationmaster.db")).unwrap();

    let error = refusal(&database, &[]).await;

    let cause = error.source().expect("the store says why").to_string();
    assert!(cause.contains("stationmaster.db"), "{cause}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    let text = "somebody's letters\n".repeat(400);
    std::fs::write(database.path("stationmaster.db"), &text).unwrap();

    let error = refusal(&database, &[]).await;

    let cause = error.source().expect("the store says why").to_string();
    assert!(cause.contains("stationmaster.db"), "{cause}");
    assert_eq!(
        std::fs::read_to_string(database.path("stationmaster.db")).unwrap(),
        text
    );
}

#[tokio::test]
async fn a_file_that_another_program_holds_is_refused() {
    let database = TestDatabase::new(Engine::Sqlite).await;
    TestService::start_on(&database, &[]).await.stop().await;
    let mut raw = rows::raw(&database).await;
    raw.execute("BEGIN EXCLUSIVE").await;

    let error = refusal(&database, &[]).await;

    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        told = format!("{told}: {why}");
        cause = why.source();
    }
    assert!(told.contains("database is locked"), "{told}");
}

#[test]
fn bootstrap_makes_the_first_key_and_no_other() {
    let folder = tempfile::TempDir::new().unwrap();
    let run = |line: &[&str]| {
        let mut command = Command::cargo_bin("stationmaster").unwrap();
        command.args(line).current_dir(folder.path()).env_clear();
        command.env("HOME", folder.path()).output().unwrap()
    };
    let key = run(&["keys", "generate"]).stdout;
    std::fs::write(folder.path().join("root.key"), key).unwrap();
    let line = [
        "apikey",
        "bootstrap",
        "--public-url",
        "https://mcp.example.com",
        "--data-dir",
        "data",
        "--set",
        "keys.root_keys_file=root.key",
    ];

    let first = run(&line);
    let second = run(&line);

    let said = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    assert!(first.status.success(), "{}", said(&first.stderr));
    assert!(said(&first.stdout).starts_with("stm_"));
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(said(&second.stdout), "");
    assert!(said(&second.stderr).contains("an operator key exists already"));
}
