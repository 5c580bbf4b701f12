//! `docs/audit.md` names every action that the use cases record, and no other.

use super::source::{Source, hold, sources};

/// How calls end that make a record.
const MAKERS: [&str; 3] = [".event(", "service_event(", "service_event_of("];

/// Constants that kinds of grants have for what is recorded of each.
const NAMES: [&str; 2] = [
    "const ENDED: &'static str = \"",
    "const RENEWED: &'static str = \"",
];

/// The texts within the call that begins before this.
fn texts(call: &str) -> Vec<&str> {
    let mut depth = 1;
    let mut found = Vec::new();
    for (at, part) in call.split('"').enumerate() {
        if at % 2 == 1 {
            found.push(part);
            continue;
        }
        for c in part.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return found;
            }
        }
    }
    found
}

/// Two words of `a-z` and `_`, which is what filters and statements take an action for.
fn is_action(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.split_once('.')
        .is_some_and(|(area, verb)| is_word(area) && is_word(verb))
}

/// The actions recorded, and where.
fn recorded(sources: &[Source]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for source in sources {
        for name in NAMES {
            for (at, _) in source.text.match_indices(name) {
                let (text, _) = source.text[at + name.len()..].split_once('"').unwrap();
                let line = source.text[..at].lines().count();
                found.push((text.to_owned(), format!("{}:{line}", source.path)));
            }
        }
        for maker in MAKERS {
            for (at, _) in source.text.match_indices(maker) {
                let call = &source.text[at + maker.len()..];
                let line = source.text[..at].lines().count();
                let texts = texts(call).into_iter();
                found
                    .extend(texts.map(|text| (text.to_owned(), format!("{}:{line}", source.path))));
            }
        }
    }
    found
}

/// The first column of the table.
fn documented(page: &str) -> Vec<&str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once("` |"));
    cells.map(|(action, _)| action).collect()
}

fn offences(sources: &[Source], page: &str) -> Vec<String> {
    let recorded = recorded(sources);
    let documented = documented(page);
    let mut offences = Vec::new();
    for (action, place) in &recorded {
        if !is_action(action) {
            offences.push(format!(
                "{place}: `{action}` is no action such as `server.create`"
            ));
        } else if !documented.contains(&action.as_str()) {
            offences.push(format!("{place}: docs/audit.md does not name `{action}`"));
        }
    }
    for (at, action) in documented.iter().enumerate() {
        if !recorded.iter().any(|(recorded, _)| recorded == action) {
            offences.push(format!("docs/audit.md: nothing records `{action}`"));
        }
        if documented[..at].contains(action) {
            offences.push(format!("docs/audit.md: `{action}` stands there twice"));
        }
    }
    offences
}

#[test]
fn the_page_names_every_action() {
    let sources = sources(&["src/app"], &["rs"]);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md");
    let page = std::fs::read_to_string(page).unwrap();

    assert!(
        documented(&page).len() > 25,
        "a law that reads nothing holds nothing"
    );
    hold(
        "docs/audit.md names every action",
        &offences(&sources, &page),
    );
}

#[test]
fn the_law_of_the_page_sees_what_breaks_it() {
    let code = "fn f() {\n let e = self.event(t, o(), \"server.make\", id);\n\
        self.service_event(\n c,\n \"connection.end\",\n );\n\
        self.event(t, \"Bad\", g(\"x\"));\n other(\"server.other\");\n}";
    let source = [Source::new("src/app/a.rs", code)];
    let page =
        "| action | subject |\n| `server.make` | x |\n| `server.make` | x |\n| `server.gone` | x |";

    let offences = offences(&source, page);

    assert_eq!(
        offences,
        [
            "src/app/a.rs:7: `Bad` is no action such as `server.create`",
            "src/app/a.rs:7: `x` is no action such as `server.create`",
            "src/app/a.rs:3: docs/audit.md does not name `connection.end`",
            "docs/audit.md: `server.make` stands there twice",
            "docs/audit.md: nothing records `server.gone`",
        ]
    );
}
