//! The SQLite file: private, held by one process, and refused with advice.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use stationmaster::store::{Address, Error, FileLock, Store};

use crate::harness::database::Db;
use crate::harness::fixtures::Home;
use crate::harness::sqlite::sqlite_path;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// The path and the advice of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    match result {
        Err(Error::File { path, why }) => (path, why),
        other => panic!("should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_file_and_what_lies_beside_it_are_private() {
    let place = sqlite_path();
    let store = Store::connect(&Address::Sqlite(place.path.clone()), 2)
        .await
        .unwrap();
    let _lock = FileLock::take(&place.path).unwrap();
    store.migrate().await.unwrap();
    Home::settle(&store, "acme").await;

    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = beside(&place.path, suffix);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;

        assert_eq!(mode, 0o600, "{}: {mode:o}", path.display());
    }
}

#[tokio::test]
async fn a_file_that_was_open_to_others_is_made_private() {
    let place = sqlite_path();
    let parts = ["", "-wal", "-shm"].map(|suffix| beside(&place.path, suffix));
    for part in &parts {
        File::create(part).unwrap();
        fs::set_permissions(part, Permissions::from_mode(0o644)).unwrap();
    }

    let _store = Store::connect(&Address::Sqlite(place.path.clone()), 2)
        .await
        .unwrap();

    for part in parts.iter().filter(|part| part.exists()) {
        let mode = fs::metadata(part).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}: {mode:o}", part.display());
    }
}

#[tokio::test]
async fn a_missing_directory_is_refused_with_advice() {
    let place = sqlite_path();
    let path = place.path.join("nowhere.db");
    fs::create_dir(&place.path).unwrap();
    let missing = place.path.join("missing").join("nowhere.db");

    let (named, why) = refusal(Store::connect(&Address::Sqlite(missing.clone()), 2).await);
    let (locked, _) = refusal(FileLock::take(&missing));

    assert_eq!(named, missing.display().to_string());
    assert_eq!(locked, beside(&missing, ".lock").display().to_string());
    assert!(why.contains("create it first"), "{why}");
    assert!(!path.exists());
}

/// A directory where nobody, root included, may make a file.
fn unwritable(place: &Path) -> PathBuf {
    fs::create_dir(place).unwrap();
    fs::set_permissions(place, Permissions::from_mode(0o500)).unwrap();
    if File::create(place.join("probe")).is_err() {
        return place.to_owned();
    }
    PathBuf::from("/sys")
}

#[tokio::test]
async fn an_unwritable_directory_is_refused_with_advice() {
    let place = sqlite_path();
    let path = unwritable(&place.path).join("stationmaster.db");

    let (named, why) = refusal(Store::connect(&Address::Sqlite(path.clone()), 2).await);
    let (_, locked) = refusal(FileLock::take(&path));

    assert_eq!(named, path.display().to_string());
    for why in [why, locked] {
        assert!(
            why.contains("make the file and its directory writable"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_directory_is_no_database() {
    let place = sqlite_path();
    fs::create_dir(&place.path).unwrap();

    let (named, why) = refusal(Store::connect(&Address::Sqlite(place.path.clone()), 2).await);

    assert_eq!(named, place.path.display().to_string());
    assert!(!why.is_empty());
}

#[test]
fn a_second_lock_is_refused_until_the_first_is_given_up() {
    let place = sqlite_path();
    let first = FileLock::take(&place.path).unwrap();

    let (named, why) = refusal(FileLock::take(&place.path));
    drop(first);
    let third = FileLock::take(&place.path);

    assert_eq!(named, place.path.display().to_string());
    assert!(why.contains("another stationmaster process"), "{why}");
    assert!(third.is_ok());
}

#[test]
fn a_lock_holds_whatever_name_the_file_is_called_by() {
    let place = sqlite_path();
    File::create(&place.path).unwrap();
    let alias = beside(&place.path, "-alias");
    std::os::unix::fs::symlink(&place.path, &alias).unwrap();

    let _first = FileLock::take(&place.path).unwrap();

    refusal(FileLock::take(&alias));
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let refused = Store::connect(&Address::Postgres("not a url".into()), 2).await;

    assert!(matches!(refused, Err(Error::Address(_))), "{refused:?}");
}

#[tokio::test]
async fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let db = Db::sqlite().await;
    let home = Home::settle(&db, "acme").await;
    let server = home.store_server(&db, "one").await;
    db.close().await;

    let again = db.another().await;

    let mut tx = again.read().await.unwrap();
    assert_eq!(
        tx.servers().get(&home.tenant, server.id).await.unwrap(),
        Some(server)
    );
}
