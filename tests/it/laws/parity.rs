//! The page on what the reference system does has every section of it, and each line names tests that
//! are there or says why there is nothing to show.

use std::collections::BTreeSet;
use std::path::Path;

use super::proofs::{is_there, quoted, test};
use super::source::{Source, hold, sources};

/// The sections of what the reference system offers.
const SECTIONS: [&str; 25] = [
    "1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
    "2.9", "2.10", "2.11", "3", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "5",
];

/// What a line begins with that has nothing to show.
const NOT_HERE: &str = "Not here: ";

/// The rows whose first cell begins with a digit, by cells.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let begins = inner.chars().next().is_some_and(|c| c.is_ascii_digit());
        begins.then(|| inner.split(" | ").collect())
    });
    rows.collect()
}

fn offences(page: &str, wanted: &[&str], sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut tell = |what: String| offences.push(format!("docs/parity.md: {what}"));
    let mut seen = BTreeSet::new();
    for row in rows(page) {
        let [section, there, here, tests] = row[..] else {
            tell(format!("a line has other cells: {}", row.join(" | ")));
            continue;
        };
        if !wanted.contains(&section) {
            tell(format!("there is no section {section}"));
        }
        seen.insert(section);
        let quoted = quoted(tests);
        let named: Vec<_> = quoted.iter().filter_map(|name| test(name)).collect();
        if there.trim().is_empty() || here.trim().is_empty() {
            tell(format!("{section}: a line says nothing"));
        }
        if here.starts_with(NOT_HERE) != (tests == "—") {
            tell(format!(
                "{section}: what is not here shows nothing, and nothing else does: {there}"
            ));
        }
        if quoted.len() != named.len() || (named.is_empty() && tests != "—") {
            tell(format!(
                "{section} names something that is no `file::test`: {there}"
            ));
        }
        for (path, name) in named {
            if !is_there(sources, path, name) {
                tell(format!("{section}: there is no `{name}` in {path}"));
            }
        }
    }
    for section in wanted.iter().filter(|section| !seen.contains(**section)) {
        tell(format!("section {section} has no line"));
    }
    offences
}

#[test]
fn what_the_reference_system_does_is_here_or_said_not_to_be() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parity.md");
    let page = std::fs::read_to_string(page).unwrap();

    let offences = offences(&page, &SECTIONS, &sources(&["src", "tests"], &["rs"]));

    hold("each piece of the reference system has its line", &offences);
}

#[test]
fn the_law_of_parity_sees_what_breaks_it() {
    let sources = [Source::new("tests/it/a.rs", "fn first() {}\n")];
    let line = |here: &str, tests: &str| format!("| 1.1 | There. | {here} | {tests} |\n");
    let shown = "`tests/it/a.rs::first`";

    for good in [line("Here.", shown), line("Not here: no.", "—")] {
        assert_eq!(offences(&good, &["1.1"], &sources), [""; 0], "{good}");
    }
    for broken in [
        String::new(),
        line("", shown),
        line("Here.", "—"),
        line("Not here: no.", shown),
        line("Here.", "`tests/it/a.rs::gone`"),
        line("Here.", "`first`"),
        line("Here.", "shown"),
        line("Here.", shown) + "| 1.2 | There. | Not here: no. | — |\n",
        "| 1.1 | There. |\n".to_owned(),
    ] {
        assert!(
            !offences(&broken, &["1.1"], &sources).is_empty(),
            "{broken}"
        );
    }
}
