//! What is in force and who said so: the rows of `config check`. And what could be said: the example
//! file.

use std::fmt::Write as _;

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

/// Every setting with its default and what it is for, as a settings file in which nothing is said:
/// what `deploy/stationmaster.example.toml` holds.
pub fn example() -> String {
    let mut text = String::from(
        "# Every setting of stationmaster, with its default. All are commented out: say what differs.\n\
         # Each can also be given as STATIONMASTER_<SECTION>__<KEY>, and each secret as <key>_file.\n",
    );
    let mut section = "";
    for key in sections::keys() {
        let name = key.name.split_once('.').map_or(key.name, |(of, name)| {
            if of != section {
                section = of;
                let _ = writeln!(text, "\n[{of}]");
            }
            name
        });
        for line in key.about.split_inclusive(". ").map(str::trim) {
            let _ = writeln!(text, "# {line}");
        }
        match key.default {
            Some("") => {
                let _ = writeln!(text, "#{name} = []");
            }
            Some(default) if default == "true" || default == "false" || is_number(default) => {
                let _ = writeln!(text, "#{name} = {default}");
            }
            Some(default) => {
                let _ = writeln!(text, "#{name} = \"{default}\"");
            }
            None if key.secret => {
                let _ = writeln!(text, "#{name}_file = \"/path/to/a/file\"");
            }
            None => {
                let _ = writeln!(text, "#{name} =");
            }
        }
    }
    text
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
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
