//! Where PostgreSQL's binaries are, and the account its server runs under.
//!
//! `POSTGRES_BIN_DIR` first, then `PATH`, then where the usual packages put them. The server
//! refuses to run as root; started by root, it runs as the `postgres` account.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const MISSING: &str = "PostgreSQL's server binaries were not found, and tests need them: install \
    the package (Debian: `apt-get install postgresql`, macOS: `brew install postgresql`) or set \
    POSTGRES_BIN_DIR to the directory that holds `initdb` and `postgres`";

/// Folders with one folder for each version, and where the binaries are inside one.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/local/opt", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr", "bin"),
    ("/opt", "bin"),
];

/// The directory of the binaries.
#[derive(Debug)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// The first directory that has them.
    pub(crate) fn find() -> Self {
        let named = std::env::var_os("POSTGRES_BIN_DIR").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        named
            .into_iter()
            .chain(std::env::split_paths(&path))
            .chain(packaged())
            .find(|directory| {
                ["initdb", "postgres"]
                    .iter()
                    .all(|name| directory.join(name).is_file())
            })
            .map(Self)
            .expect(MISSING)
    }

    /// One of the binaries.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Differs between installations, upgrades included.
    pub(crate) fn fingerprint(&self) -> String {
        let server = fs::metadata(self.path("postgres")).expect("the server's binary is there");
        format!("{:x}-{:x}", server.mtime(), server.size())
    }
}

/// The places of the usual packages, newest version first.
fn packaged() -> impl Iterator<Item = PathBuf> {
    PACKAGES.iter().flat_map(|(folder, inside)| {
        let mut versions: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| version(path).is_some())
            .collect();
        versions.sort_by_key(|path| std::cmp::Reverse(version(path)));
        versions.into_iter().map(move |path| path.join(inside))
    })
}

/// The version that a folder's name ends in: `15`, `pgsql-16`, `postgresql@17`.
fn version(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let known = ["", "pgsql-", "postgresql@"].contains(&&name[..name.len() - digits.len()]);
    digits.parse().ok().filter(|_| known)
}

/// The account that the server runs under.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    /// Ours.
    Own { uid: u32 },
    /// Another, since ours is root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Our own account unless that is root.
    pub(crate) fn for_server() -> Self {
        let own = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .expect("a temporary file can be made")
            .uid();
        if own != 0 {
            return Self::Own { uid: own };
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| {
                let mut fields = accounts
                    .lines()
                    .find(|line| line.split(':').next() == Some(name))?
                    .split(':')
                    .skip(2);
                Some(Self::Other {
                    uid: fields.next()?.parse().ok()?,
                    gid: fields.next()?.parse().ok()?,
                })
            })
            .expect("an account `postgres` or `nobody`, for the server must not run as root")
    }

    /// The account's number.
    pub(crate) fn name(self) -> u32 {
        match self {
            Self::Own { uid } | Self::Other { uid, .. } => uid,
        }
    }

    /// A command that runs under the account.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// A directory for the account alone.
    pub(crate) fn make_directory(self, path: &Path) {
        fs::create_dir(path).expect("a temporary directory can be made");
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("the mode can be set");
        if let Self::Other { uid, gid } = self {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root may give it away");
        }
    }
}
