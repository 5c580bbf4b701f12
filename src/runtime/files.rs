//! Files that are for our eyes only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::Error;

pub(super) fn refused(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    |cause| Error::File { path, cause }
}

/// Makes a directory, and those above it, for us alone. One that is there stays as it is.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(refused(path))
}

/// The text of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(path)(error)),
    }
}

/// Writes a file that we alone may read. It is there in full or not at all, and stays after a
/// power cut.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let unfinished = path.with_added_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        // What a crash has left may have another mode.
        let _ = fs::remove_file(&unfinished);
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(refused(path))
}
