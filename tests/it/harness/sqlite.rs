//! SQLite for a test: a path in a directory of its own, gone with the guard.

use std::path::PathBuf;

use tempfile::TempDir;

/// Where a database may be made. The directory and all in it are removed on drop.
#[derive(Debug)]
pub(crate) struct SqlitePath {
    /// A file that does not exist yet.
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

/// A path for a new database, in a fresh directory.
pub(crate) fn sqlite_path() -> SqlitePath {
    let directory = tempfile::Builder::new()
        .prefix("stationmaster-sqlite-")
        .tempdir()
        .expect("a temporary directory can be made");
    SqlitePath {
        path: directory.path().join("stationmaster.db"),
        _directory: directory,
    }
}

#[test]
fn sqlite_paths_are_fresh_and_vanish() {
    let first = sqlite_path();
    let second = sqlite_path();

    std::fs::write(&first.path, "").unwrap();

    assert_ne!(first.path, second.path);
    assert!(!second.path.exists());
    let kept = first.path.clone();
    drop(first);
    assert!(!kept.exists());
}
