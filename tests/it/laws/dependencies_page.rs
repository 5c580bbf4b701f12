//! The page on dependencies has a line for each direct dependency, and for nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::hold;

const SECTIONS: [&str; 3] = [
    "[dependencies]",
    "[build-dependencies]",
    "[dev-dependencies]",
];

/// What follows this heading was not taken, and names crates freely.
const REJECTED: &str = "\n## Rejected";

/// The names under the sections of the manifest; one that stands in two is one dependency.
fn in_manifest(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = SECTIONS.contains(&line.trim());
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.push(name.trim());
        }
    }
    names.sort_unstable();
    names.dedup();
    assert!(!names.is_empty(), "a law that reads nothing holds nothing");
    names
}

/// The names that lines of the page begin with (``- `name`: why``), and how often.
fn on_page(page: &str) -> BTreeMap<&str, usize> {
    let taken = page.split_once(REJECTED).map_or(page, |(taken, _)| taken);
    let mut names = BTreeMap::new();
    for line in taken.lines() {
        let name = line.strip_prefix("- `").and_then(|l| l.split_once("`: "));
        if let Some((name, why)) = name
            && !why.trim().is_empty()
        {
            *names.entry(name).or_default() += 1;
        }
    }
    names
}

fn offences(manifest: &str, page: &str) -> Vec<String> {
    let (taken, told) = (in_manifest(manifest), on_page(page));
    let silent = taken
        .iter()
        .filter(|name| !told.contains_key(*name))
        .map(|name| format!("docs/dependencies.md does not say why there is `{name}`"));
    let gone = told
        .keys()
        .filter(|name| !taken.contains(name))
        .map(|name| format!("docs/dependencies.md: `{name}` is no direct dependency"));
    let twice = told
        .iter()
        .filter(|(_, lines)| **lines > 1)
        .map(|(name, _)| format!("docs/dependencies.md: `{name}` has more than one line"));
    silent.chain(gone).chain(twice).collect()
}

#[test]
fn every_dependency_has_its_line_and_every_line_its_dependency() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let page = std::fs::read_to_string(root.join("docs/dependencies.md")).unwrap();

    hold("every dependency has its line", &offences(&manifest, &page));
}

#[test]
fn the_law_of_the_page_on_dependencies_sees_what_breaks_it() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb = { version = \"1\" }\n\
        c-d = \"1\"\n[dev-dependencies]\na = \"1\"\n[lints.rust]\nunsafe_code = \"forbid\"\n";
    let page = "# Page\n\n- `a`: first.\n- `b`: \n- `gone`: once.\n- `a`: again.\n\n\
        ## Rejected\n\n- `e`: too large.\n";

    let offences = offences(manifest, page);

    assert_eq!(
        offences,
        [
            "docs/dependencies.md does not say why there is `b`",
            "docs/dependencies.md does not say why there is `c-d`",
            "docs/dependencies.md: `gone` is no direct dependency",
            "docs/dependencies.md: `a` has more than one line",
        ]
    );
}
