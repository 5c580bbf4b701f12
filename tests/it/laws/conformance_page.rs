//! The page on conformance has every line of its checklist, each with scenarios and tests that are
//! there, or with the word that it comes later.

use std::collections::BTreeSet;
use std::path::Path;

use super::proofs::{is_there, quoted, test};
use super::source::{Source, hold, sources};

const PAGE: &str = "docs/conformance.md";
const SCENARIOS: &str = "tests/conformance/scenarios.txt";

/// The last number, and those that follow another with a letter.
const LAST: u32 = 86;
const LETTERED: [&str; 4] = ["75a", "75b", "83a", "83b"];

/// What is not served yet. Any other line names what proves it.
const LATER: [&str; 10] = ["79", "80", "81", "82", "83", "83a", "83b", "84", "85", "86"];

const LEVELS: [&str; 10] = [
    "MUST",
    "MUST NOT",
    "MUST / SHOULD",
    "SHOULD",
    "SHOULD NOT",
    "MAY",
    "duty",
    "derived",
    "note",
    "analog",
];

/// The lines of the checklist, in order.
fn expected() -> Vec<String> {
    let mut lines = Vec::new();
    for number in 1..=LAST {
        lines.push(number.to_string());
        let lettered = LETTERED.iter();
        let after = lettered.filter(|line| line[..line.len() - 1] == number.to_string());
        lines.extend(after.map(|line| (*line).to_owned()));
    }
    lines
}

/// The rows of the page whose first cell begins with a digit, by cells.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
        cells[0]
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(cells)
    });
    rows.collect()
}

/// The scenarios that are run: the third column of the table of the suite says how.
fn scenarios(table: &str) -> BTreeSet<&str> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let run = lines.filter_map(|line| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?;
        columns.nth(1).filter(|auth| *auth != "-").map(|_| name)
    });
    run.collect()
}

/// What is wrong with a cell of proofs.
fn unproven(
    number: &str,
    cell: &str,
    scenarios: &BTreeSet<&str>,
    sources: &[Source],
) -> Option<String> {
    if cell.matches('`').count() % 2 == 1 {
        return Some("leaves a quote open".to_owned());
    }
    let names = quoted(cell);
    let later = cell.starts_with("later");
    if later != LATER.contains(&number) {
        return Some("says `later` and may not, or does not and must".to_owned());
    }
    if names.is_empty() && !later {
        return Some("names no proof".to_owned());
    }
    names.into_iter().find_map(|name| {
        let there = match test(name) {
            Some((path, name)) => is_there(sources, path, name),
            None => scenarios.contains(name),
        };
        (!there).then(|| format!("there is no `{name}`"))
    })
}

fn offences(page: &str, table: &str, sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut tell = |what: String| offences.push(format!("{PAGE}: {what}"));
    let (rows, scenarios) = (rows(page), scenarios(table));
    let numbers: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    if numbers != expected() {
        tell(format!("its lines are {numbers:?}"));
    }
    for cells in rows {
        let [number, level, what, proof] = cells[..] else {
            tell(format!("{} has {} cells", cells[0], cells.len()));
            continue;
        };
        if !LEVELS.contains(&level.trim_end_matches(" (daemon)")) {
            tell(format!("{number} has the level {level:?}"));
        }
        if what.is_empty() {
            tell(format!("{number} says nothing"));
        }
        if let Some(why) = unproven(number, proof, &scenarios, sources) {
            tell(format!("{number}: {why}"));
        }
    }
    offences
}

#[test]
fn every_line_of_the_checklist_is_proven_or_comes_later() {
    let read = |file: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    };

    let offences = offences(
        &read(PAGE),
        &read(SCENARIOS),
        &sources(&["src", "tests"], &["rs"]),
    );

    hold("each line of the checklist is proven", &offences);
}

#[test]
fn the_law_of_the_page_on_conformance_sees_what_breaks_it() {
    let sources = [Source::new("tests/it/a.rs", "async fn first() {}\n")];
    let table = "# auth/commented\nauth/one  both  oauth2  connected\n\
        auth/left  extension  -  not served yet\n";
    let line = |number: &String| {
        let proof = if LATER.contains(&number.as_str()) {
            "later"
        } else {
            "`auth/one`, `tests/it/a.rs::first`"
        };
        format!("| {number} | MUST | Something. | {proof} |\n")
    };
    let good: String = expected().iter().map(line).collect();
    let first = "| 1 | MUST | Something. | `auth/one`, `tests/it/a.rs::first` |\n";

    assert_eq!(expected().len(), 90);
    assert_eq!(offences(&good, table, &sources), [""; 0]);
    assert_eq!(offences("", table, &sources).len(), 1);
    for broken in [
        "",
        &first.repeat(2),
        "| 1 | MUST | Something. |\n",
        "| 1 | OUGHT | Something. | `auth/one` |\n",
        "| 1 | MUST |  | `auth/one` |\n",
        "| 1 | MUST | Something. |  |\n",
        "| 1 | MUST | Something. | later |\n",
        "| 1 | MUST | Something. | `auth/two` |\n",
        "| 1 | MUST | Something. | `auth/commented` |\n",
        "| 1 | MUST | Something. | `auth/left` |\n",
        "| 1 | MUST | Something. | `auth/one`, `tests/it/a.rs::gone` |\n",
        "| 1 | MUST | Something. | `auth/one`, `tests/it/b.rs::first` |\n",
        "| 1 | MUST | Something. | `auth/one |\n",
    ] {
        let page = good.replacen(first, broken, 1);
        assert_eq!(offences(&page, table, &sources).len(), 1, "{broken}");
    }
}
