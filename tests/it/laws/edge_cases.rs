//! The page on edge cases names, for each of them, tests that are there.

use std::path::Path;

use super::proofs::{is_there, quoted, test};
use super::source::{Source, hold, sources};

/// A line of the page: its number, what happens, and the cell of tests.
fn rows(page: &str) -> Vec<(&str, &str, &str)> {
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| E")?.split(" | ").collect();
        match cells[..] {
            [number, what, tests] => Some((number, what, tests)),
            _ => Some((cells[0], "", "")),
        }
    });
    rows.collect()
}

fn offences(page: &str, sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut tell = |what: String| offences.push(format!("docs/edge-cases.md: {what}"));
    let rows = rows(page);
    if rows.is_empty() {
        tell("there is no line".to_owned());
    }
    for (index, (number, what, tests)) in rows.into_iter().enumerate() {
        let expected = index + 1;
        if number != expected.to_string() {
            tell(format!("E{number} stands where E{expected} belongs"));
        }
        let quoted = quoted(tests);
        let named: Vec<_> = quoted.iter().filter_map(|name| test(name)).collect();
        if what.trim().is_empty() || named.is_empty() {
            tell(format!("E{number} says nothing or names no test"));
        }
        if quoted.len() != named.len() || tests.matches('`').count() % 2 == 1 {
            tell(format!("E{number} names something that is no `file::test`"));
        }
        for (path, name) in named {
            if !is_there(sources, path, name) {
                tell(format!("E{number}: there is no `{name}` in {path}"));
            }
        }
    }
    offences
}

#[test]
fn every_edge_case_names_tests_that_are_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/edge-cases.md");
    let page = std::fs::read_to_string(page).unwrap();

    let offences = offences(&page, &sources(&["src", "tests"], &["rs"]));

    hold("each edge case is shown by tests", &offences);
}

#[test]
fn the_law_of_edge_cases_sees_what_breaks_it() {
    let sources = [Source::new(
        "tests/it/a.rs",
        "// fn gone() {}\nfn first() {}\nasync fn second(engine: Engine) {}\n",
    )];
    let good = "| no. | what | by |\n\
        | E1 | One. | `tests/it/a.rs::first` |\n\
        | E2 | Two. | `tests/it/a.rs::second`, `tests/it/a.rs::first` |\n";

    assert_eq!(offences(good, &sources), [""; 0]);
    for broken in [
        "",
        "| E1 | One. | |\n",
        "| E1 | One.\n",
        "| E1 | | `tests/it/a.rs::first` |\n",
        "| E2 | One. | `tests/it/a.rs::first` |\n",
        "| E1 | One. | `tests/it/a.rs::gone` |\n",
        "| E1 | One. | `tests/it/b.rs::first` |\n",
        "| E1 | One. | `tests/it/a.rs::firs` |\n",
        "| E1 | One. | `tests/it/a.rs::first`, `second` |\n",
    ] {
        assert_eq!(offences(broken, &sources).len(), 1, "{broken}");
    }
}
