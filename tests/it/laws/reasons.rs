//! Reasons: each has its section in `docs/errors.md`, with the code and metadata of its comment.

use std::collections::BTreeMap;
use std::path::Path;

use super::proto::{Comments, files};
use super::source::hold;

const PREFIX: &str = "ERROR_REASON_";

/// Code and metadata in the one spelling that both places share.
type Said = (String, String);

/// What the comments say, by reason.
fn in_proto() -> BTreeMap<String, Said> {
    let files = files();
    let mut reasons = BTreeMap::new();
    for file in &files {
        let comments = Comments::of(file);
        for (e, found) in (0..)
            .zip(&file.enum_type)
            .filter(|(_, e)| e.name() == "ErrorReason")
        {
            for (number, value) in (0..).zip(&found.value).skip(1) {
                let comment = comments.at(&[5, e, 2, number]);
                let reason = value.name().trim_start_matches(PREFIX).to_owned();
                reasons.insert(reason, said(comment, "Code "));
            }
        }
    }
    assert!(
        !reasons.is_empty(),
        "a law that reads nothing holds nothing"
    );
    reasons
}

/// What the sections of the page say, by reason.
fn in_docs(page: &str) -> BTreeMap<String, Said> {
    let sections = page.split("\n## ").skip(1);
    let section = |text: &str| {
        let (title, body) = text.split_once('\n').unwrap_or((text, ""));
        (title.trim().to_owned(), said(body, "Code: "))
    };
    sections.map(section).collect()
}

fn said(text: &str, code: &str) -> Said {
    let code = text.split_once(code).map_or("", |(_, rest)| rest);
    let code = code.split('.').next().unwrap_or_default().replace('`', "");
    let metadata = text.split_once("Metadata: ").map_or("", |(_, rest)| rest);
    let metadata = metadata.split(".\n").next().unwrap_or_default();
    let words: Vec<_> = metadata.split_whitespace().collect();
    (code, words.join(" ").trim_end_matches('.').to_owned())
}

fn offences(proto: &BTreeMap<String, Said>, docs: &BTreeMap<String, Said>) -> Vec<String> {
    let mut offences = Vec::new();
    for (reason, said) in proto {
        match docs.get(reason) {
            None => offences.push(format!("{reason} has no section in docs/errors.md")),
            Some(there) if there != said => {
                offences.push(format!(
                    "{reason}: errors.proto says {said:?}, the page {there:?}"
                ));
            }
            Some(_) => {}
        }
    }
    let unknown = docs.keys().filter(|reason| !proto.contains_key(*reason));
    offences.extend(unknown.map(|reason| format!("docs/errors.md: {reason} is no reason")));
    offences
}

#[test]
fn every_reason_has_its_section_and_every_section_its_reason() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let page = std::fs::read_to_string(page).unwrap();

    hold(
        "every reason has its section",
        &offences(&in_proto(), &in_docs(&page)),
    );
}

#[test]
fn the_law_of_reasons_sees_what_breaks_it() {
    let proto =
        ["GONE", "SAID"].map(|reason| (reason.to_owned(), said("Code A. Metadata: b.", "Code ")));
    let page = "# Errors\n\n## SAID\n\n- Code: `B`. Metadata: b.\n\n## NEW\n";

    let offences = offences(&proto.into_iter().collect(), &in_docs(page));

    assert_eq!(
        offences,
        [
            "GONE has no section in docs/errors.md",
            "SAID: errors.proto says (\"A\", \"b\"), the page (\"B\", \"b\")",
            "docs/errors.md: NEW is no reason",
        ]
    );
}
