//! What is in force and who said so: the rows of `config check`.

use super::layers::{Entries, Origin, Raw};
use super::sections::{self, Key};

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The setting (`listen.grpc`).
    pub key: &'static str,
    /// What it is; `(hidden)` for a secret, `None` when nobody said.
    pub value: Option<String>,
    /// Who said so; `None` when nobody did.
    pub origin: Option<Origin>,
    /// What the setting is for.
    pub about: &'static str,
}

/// A row for each setting, in the order of the reference.
pub(super) fn rows(said: &Entries) -> Vec<Row> {
    sections::keys()
        .map(|key| Row {
            key: key.name,
            value: said.get(key.name).map(|entry| shown(key, &entry.raw)),
            origin: said.origin(key.name),
            about: key.about.trim(),
        })
        .collect()
}

fn shown(key: &Key, raw: &Raw) -> String {
    match raw {
        // The path of an embedded database is no secret, and is what one looks for.
        Raw::Text(text) if key.secret && !text.starts_with("sqlite:") => "(hidden)".to_owned(),
        Raw::List(_) if key.secret => "(hidden)".to_owned(),
        Raw::Text(text) => text.clone(),
        Raw::List(list) => list.join(", "),
    }
}
