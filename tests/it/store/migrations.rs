//! Migrations: what is pending, taken once, and not by an older release.

use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::Home;

on_both_engines! {
    a_migrated_database_lacks_nothing_and_keeps_what_it_has,
    a_schema_of_a_newer_release_is_refused,
    a_step_that_was_edited_after_it_was_taken_is_refused,
    replicas_may_migrate_together,
}

async fn pending_then_taken(db: &Db) {
    let before = db.migrations().await.unwrap();
    let still = db.migrations().await.unwrap();
    db.migrate().await.unwrap();
    let after = db.migrations().await.unwrap();

    assert_eq!(before, still, "looking changes nothing");
    assert_eq!(before.pending.first(), Some(&"0001_first"));
    assert!(after.pending.is_empty());
}

#[tokio::test]
async fn an_empty_sqlite_database_lacks_everything_until_it_is_migrated() {
    pending_then_taken(&Db::empty_sqlite().await).await;
}

#[tokio::test]
async fn an_empty_postgres_database_lacks_everything_until_it_is_migrated() {
    pending_then_taken(&Db::empty_postgres().await).await;
}

async fn a_migrated_database_lacks_nothing_and_keeps_what_it_has(db: &Db) {
    let home = Home::settle(db, "acme").await;

    db.migrate().await.unwrap();

    assert!(db.migrations().await.unwrap().pending.is_empty());
    let mut tx = db.read().await.unwrap();
    assert!(tx.tenants().get(&home.tenant).await.unwrap().is_some());
}

async fn a_schema_of_a_newer_release_is_refused(db: &Db) {
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;

    for refused in [db.migrations().await.map(drop), db.migrate().await] {
        assert!(matches!(refused, Err(Error::Schema(_))), "{refused:?}");
    }
}

async fn a_step_that_was_edited_after_it_was_taken_is_refused(db: &Db) {
    Home::settle(db, "acme").await;
    db.execute("UPDATE _sqlx_migrations SET checksum = wrapped FROM data_keys")
        .await;

    let refused = db.migrate().await;

    assert!(matches!(refused, Err(Error::Schema(_))), "{refused:?}");
}

async fn replicas_may_migrate_together(db: &Db) {
    let other = db.another().await;

    let (one, two) = futures_util::join!(db.migrate(), other.migrate());

    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
}

#[tokio::test]
async fn replicas_may_start_together_on_an_empty_database() {
    let db = Db::empty_postgres().await;
    let other = db.another().await;

    let (one, two) = futures_util::join!(db.migrate(), other.migrate());

    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(db.number("SELECT COUNT(*) FROM feed_heads").await, 16);
}
