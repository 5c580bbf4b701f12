//! The SQLite file: made private before anything is written to it, and held by one process.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// What every SQLite file begins with, unless it is empty (SQLite, "Database File Format", 1.3.1).
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Only the owner may read or write.
const PRIVATE: u32 = 0o600;

fn refused(path: &Path, why: impl Into<String>) -> Error {
    Error::File {
        path: path.display().to_string(),
        why: why.into(),
    }
}

/// Why a file could not be opened, in words that say what to do.
fn explain(error: &std::io::Error) -> String {
    let advice = [
        (
            ErrorKind::PermissionDenied,
            "permission denied; make the file and its directory writable for this user",
        ),
        (
            ErrorKind::NotFound,
            "its directory does not exist; create it first",
        ),
        (
            ErrorKind::ReadOnlyFilesystem,
            "is on a read-only file system",
        ),
    ];
    let known = advice.into_iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.to_string(), |(_, advice)| advice.to_owned())
}

/// Creates the file, or makes an existing one private, together with what lies beside it.
pub(super) fn prepare(path: &Path) -> Result<String> {
    let options = || {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE);
        options
    };
    let mut file = options()
        .open(path)
        .map_err(|error| refused(path, explain(&error)))?;
    let mut head = Vec::new();
    let limit = u64::try_from(MAGIC.len()).unwrap_or_default();
    (&mut file)
        .take(limit)
        .read_to_end(&mut head)
        .map_err(|error| refused(path, explain(&error)))?;
    if !head.is_empty() && head != MAGIC {
        return Err(refused(path, "is not a database; name another file"));
    }
    for suffix in ["", "-wal", "-shm"] {
        let part = with_suffix(path, suffix);
        // The two side files are created by SQLite with the mode of the main one.
        if let Ok(metadata) = std::fs::metadata(&part)
            && metadata.permissions().mode() & 0o077 != 0
        {
            std::fs::set_permissions(&part, std::fs::Permissions::from_mode(PRIVATE))
                .map_err(|error| refused(&part, explain(&error)))?;
        }
    }
    let text = path
        .to_str()
        .ok_or_else(|| refused(path, "must be UTF-8"))?;
    Ok(text.to_owned())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The right to be the one process on a SQLite file. Two would break every guarantee, since leases
/// and single flights hold within one process there. Given up when dropped, or when the process
/// ends in any way.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock file beside the database, without waiting.
    pub fn take(database: &Path) -> Result<Self> {
        // By its real name, so that a link to the file is the same file.
        let real = std::fs::canonicalize(database);
        let path = with_suffix(real.as_deref().unwrap_or(database), ".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path)
            .map_err(|error| refused(&path, explain(&error)))?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => refused(
                database,
                "is in use by another stationmaster process; stop it first, or use PostgreSQL",
            ),
            std::fs::TryLockError::Error(error) => refused(&path, explain(&error)),
        })?;
        Ok(Self { _file: file })
    }
}
