//! The one place that prints. Answers go to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use prost::{Message, Name};
use serde_json::Value;

use crate::client::json;

/// The environment variable of `--output`.
pub(super) const FORMAT: &str = "STATIONMASTER_OUTPUT";

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Prints, in one format. A reader that went away is no failure.
#[derive(Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// An answer of the service: as it is for programs, in words for people.
    pub(super) fn answer<M: Message + Name>(&self, message: &M, words: impl FnOnce(&M) -> String) {
        self.value(|| json::write(message), || words(message));
    }

    /// An answer that is no message.
    pub(super) fn value(&self, json: impl FnOnce() -> Value, words: impl FnOnce() -> String) {
        match self.format {
            Format::Table => self.text(&clean(&words())),
            Format::Json => self.document(&json()),
        }
    }

    /// A JSON document on a line of its own; spread out where a person reads it.
    pub(super) fn document(&self, json: &Value) {
        let text = if io::stdout().is_terminal() {
            format!("{json:#}")
        } else {
            json.to_string()
        };
        self.text(&text);
    }

    /// A JSON document on one line, wherever it is read: one of many.
    pub(super) fn line(&self, json: &Value) {
        self.text(&json.to_string());
    }

    /// JSON documents, one a line. `false` when whoever read them went away: nobody wants more.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints has been given the right to"
    )]
    pub(super) fn lines(&self, lines: impl IntoIterator<Item = Value>) -> io::Result<bool> {
        write_lines(&mut io::BufWriter::new(io::stdout().lock()), lines)
    }

    /// Text as it is, whatever the format.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints has been given the right to"
    )]
    pub(super) fn text(&self, text: &str) {
        print(&mut io::stdout().lock(), text);
    }

    /// What went wrong.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints has been given the right to"
    )]
    pub(super) fn complain(&self, text: &str) {
        print(&mut io::stderr().lock(), text);
    }
}

fn print(to: &mut impl Write, text: &str) {
    let text = text.trim_end_matches('\n');
    // There is nobody left to tell when this fails.
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

fn write_lines(to: &mut impl Write, lines: impl IntoIterator<Item = Value>) -> io::Result<bool> {
    let mut lines = lines.into_iter();
    let written = lines.try_for_each(|line| writeln!(to, "{line}"));
    let written = written.and_then(|()| to.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// A table without lines, as tools of the terminal have it.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table.to_string())
}

/// One thing: its fields, those without a value left out.
pub(super) fn fields<const N: usize>(fields: [(&str, String); N]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in fields {
        if !value.is_empty() {
            table.add_row([name.to_owned(), value]);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table.to_string())
}

fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Text of others without what a terminal would act on.
fn clean(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place to write to that fails.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_ends_it_and_a_full_disk_is_a_failure() {
        let lines = || [Value::Bool(true)];
        let mut written = Vec::new();

        assert!(write_lines(&mut written, lines()).unwrap());
        let gone = write_lines(&mut Failing(io::ErrorKind::BrokenPipe), lines());
        let full = write_lines(&mut Failing(io::ErrorKind::StorageFull), lines());

        assert_eq!(written, b"true\n");
        assert!(!gone.unwrap());
        assert!(full.is_err());
    }

    #[test]
    fn a_table_has_a_head_and_no_lines() {
        let table = table(["ID", "NAME"], [["1".to_owned(), "one".to_owned()]]);

        assert_eq!(table, "ID  NAME\n1   one");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let text = fields([("id", "1".to_owned()), ("account", String::new())]);

        assert_eq!(text, "id  1");
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\n");
    }
}
