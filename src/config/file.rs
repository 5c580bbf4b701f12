//! The settings file: TOML, a table for each section. Lines are kept, content is never repeated
//! in a problem, since it may be a secret.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::layers::{Origin, Raw};
use super::sections;

/// Every key of the file with what it says and the line it stands on. Notes what cannot be read.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<(String, Raw, usize)> {
    let mut note = |line, message| {
        problems.push(Problem {
            key: "settings file".to_owned(),
            origin: Some(Origin::File(path.to_owned(), line)),
            message,
        });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            note(1, format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        note(line(&text, at), "is not valid TOML here".to_owned());
    }
    let mut found = Vec::new();
    flatten("", table.get_ref(), &text, &mut found);
    found
}

fn flatten(prefix: &str, table: &DeTable<'_>, text: &str, found: &mut Vec<(String, Raw, usize)>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let line = line(text, name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => {
                flatten(&format!("{key}."), inner, text, found);
            }
            DeValue::Table(_) if sections::is_section(&key) => {}
            DeValue::Array(values) => {
                let values = values.iter().map(|value| scalar(value.get_ref()));
                found.push((key, Raw::List(values.collect()), line));
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => found.push((key, Raw::Text(scalar(value.get_ref())), line)),
        }
    }
}

/// A single value as it is written. What is none has no text, which no setting takes.
fn scalar(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

/// The line of a position, counted from one.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
