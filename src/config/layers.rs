//! Who said what: built-in defaults < what `--dev` implies < the file < environment variables <
//! flags. Everything is text here; what it means is for `values.rs`. A key that is no setting is
//! a problem, so that a misspelt one is not silently without effect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::file;
use super::sections::{self, Key};
use super::{LoadOptions, Mode};

/// What each environment variable of ours begins with.
pub(super) const PREFIX: &str = "STATIONMASTER_";

/// Who said what a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// Implied by `--dev`.
    Dev,
    /// The settings file, at a line counted from one.
    File(PathBuf, usize),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(String),
    /// The content of a file, as another setting asked for.
    SecretFile(PathBuf, Box<Origin>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Dev => f.write_str("--dev"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
            Self::SecretFile(path, by) => write!(f, "file {}, named by {by}", path.display()),
        }
    }
}

/// What was said, before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// One text; a number and a truth value as they are written.
    Text(String),
    /// A list of the file.
    List(Vec<String>),
}

/// One setting as said by whom it counts from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All settings said by anybody; of several the strongest.
#[derive(Debug, Default)]
pub(super) struct Entries(BTreeMap<String, Entry>);

impl Entries {
    /// Lays one over the other; notes what cannot be read and what is no setting.
    pub(super) fn collect(options: &LoadOptions, problems: &mut Vec<Problem>) -> Self {
        let mut entries = Self::default();
        for key in sections::keys() {
            if let Some(default) = key.default {
                entries.set(key.name, text(default), Origin::Default);
            }
            if let (Some(dev), Mode::Dev) = (key.dev, options.mode) {
                entries.set(key.name, text(dev), Origin::Dev);
            }
        }
        if let Some(path) = &options.file {
            for (key, raw, line) in file::read(path, problems) {
                entries.say(key, raw, Origin::File(path.clone(), line), problems);
            }
        }
        for (name, value) in &options.environment {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if options.other_variables.contains(name) || is_service_link(rest, value) {
                continue;
            }
            let key = rest.to_lowercase().replace("__", ".");
            let origin = Origin::Environment(name.clone());
            entries.say(key, text(value), origin, problems);
        }
        if let Some(path) = &options.data_dir {
            let origin = Origin::Flag("--data-dir".to_owned());
            entries.set("data_dir", text(&path.display().to_string()), origin);
        }
        for flag in &options.overrides {
            let origin = Origin::Flag(flag.flag.clone());
            entries.say(flag.key.clone(), text(&flag.value), origin, problems);
        }
        entries
    }

    /// What was said about a setting.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    /// Who said what the setting is.
    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.get(key).map(|entry| entry.origin.clone())
    }

    /// Says what a setting is, over what was said before.
    pub(super) fn set(&mut self, key: &str, raw: Raw, origin: Origin) {
        self.0.insert(key.to_owned(), Entry { raw, origin });
    }

    /// As `set`, when there is such a setting.
    fn say(&mut self, key: String, raw: Raw, origin: Origin, problems: &mut Vec<Problem>) {
        if sections::keys().any(|known| known.is_said_by(&key)) {
            self.set(&key, raw, origin);
        } else {
            let message = match nearest(&key) {
                Some(near) => format!("is not a setting; did you mean `{}`", spelt(near, &origin)),
                None => "is not a setting".to_owned(),
            };
            problems.push(Problem {
                key,
                origin: Some(origin),
                message,
            });
        }
    }
}

/// A text as said.
pub(super) fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

/// Whether a variable is one that Kubernetes sets for a service whose name begins like ours
/// (`STATIONMASTER_SERVICE_HOST`, `STATIONMASTER_PORT_7400_TCP_ADDR`).
fn is_service_link(rest: &str, value: &str) -> bool {
    let rest = format!("_{rest}");
    let address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.contains("_SERVICE_PORT_")
        || (rest.ends_with("_PORT") && address)
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            ["", "_PROTO", "_PORT", "_ADDR"]
                .iter()
                .any(|suffix| rest.ends_with(&format!("{protocol}{suffix}")))
                && rest.contains("_PORT_")
        })
}

/// The setting that was probably meant.
fn nearest(key: &str) -> Option<&'static Key> {
    sections::keys()
        .map(|known| (strsim::damerau_levenshtein(key, known.name), known))
        .filter(|(distance, known)| *distance <= known.name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// A setting's name as it is written where the misspelt one stood.
fn spelt(key: &Key, origin: &Origin) -> String {
    if matches!(origin, Origin::Environment(_)) {
        variable(key.name)
    } else {
        key.name.to_owned()
    }
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The path that a setting names.
pub(super) fn as_path(raw: &Raw) -> Option<&Path> {
    match raw {
        Raw::Text(text) if !text.is_empty() => Some(Path::new(text)),
        Raw::Text(_) | Raw::List(_) => None,
    }
}
