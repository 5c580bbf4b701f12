//! The profile: a small TOML file that says where a service is and which keys to call it with.
//! `serve --dev` writes one, readable by its owner only; one that others can read is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::failure::Failure;

/// What a profile says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    /// Where the service is.
    pub(super) endpoint: Option<String>,
    /// The key of an administrator or operator.
    pub(super) api_key: Option<String>,
    /// The key of a chat daemon.
    pub(super) daemon_api_key: Option<String>,
}

impl Profile {
    /// Reads the profile that is named, which must exist, or the first of the usual ones that does.
    pub(super) fn find(named: Option<&Path>) -> Result<Self> {
        if let Some(path) = named {
            return Self::read(path);
        }
        match usual().into_iter().find(|path| path.exists()) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let about = || format!("profile {shown}");
        let mode = std::fs::metadata(path)
            .with_context(about)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(Failure::usage(format!(
                "profile {shown} can be read by others and may hold keys; run `chmod 600 {shown}`"
            )));
        }
        let text = std::fs::read_to_string(path).with_context(about)?;
        // The parser's own words would quote the line, which may hold a key.
        toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            Failure::usage(format!(
                "profile {shown}, line {line}: must be TOML with the texts endpoint, api_key and \
                 daemon_api_key, and nothing else"
            ))
        })
    }
}

/// Whether commands that are told of no profile find this one.
pub(super) fn is_found(path: &Path) -> bool {
    let found = usual().into_iter().find(|path| path.exists());
    found.is_some_and(|found| found == path)
}

/// Where profiles are looked for, in order.
fn usual() -> Vec<PathBuf> {
    let folder = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    configuration
        .map(|folder| folder.join("stationmaster/cli.toml"))
        .into_iter()
        .chain([PathBuf::from("stationmaster-data/cli.toml")])
        .collect()
}
