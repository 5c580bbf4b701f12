//! Files: short, finished, and with a sentence about themselves at the door.

use super::source::{Source, hold, sources};

const LONGEST: usize = 400;

/// Marks of unfinished work, spelt so that this file does not hold them.
const MARKS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

fn too_long(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.text.lines().count() > LONGEST)
        .map(|source| {
            let lines = source.text.lines().count();
            format!(
                "{}:{lines}: a file has at most {LONGEST} lines",
                source.path
            )
        })
        .collect()
}

fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| line.contains(**mark)) {
                let number = number + 1;
                offences.push(format!(
                    "{}:{number}: `{mark}` marks unfinished work; finish it or file an issue",
                    source.path
                ));
            }
        }
    }
    offences
}

fn without_introduction(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}:1: a module opens with `//!`: what it is", source.path))
        .collect()
}

#[test]
fn files_are_short() {
    hold(
        "files are short",
        &too_long(&sources(
            &["src", "tests", "proto", "migrations"],
            &["rs", "proto", "sql", "mjs"],
        )),
    );
}

#[test]
fn nothing_is_marked_unfinished() {
    let sources = sources(&["src", "tests", "proto"], &["rs", "proto"]);

    hold("nothing is marked unfinished", &unfinished(&sources));
}

#[test]
fn modules_introduce_themselves() {
    let sources = sources(&["src", "tests"], &["rs"]);

    hold(
        "modules introduce themselves",
        &without_introduction(&sources),
    );
}

#[test]
fn the_laws_of_files_see_what_breaks_them() {
    let long = Source::new("src/a.rs", &"//! a\n".repeat(LONGEST + 1));
    let bare = Source::new("src/b.rs", &format!("fn b() {{}}\n// {}: later", MARKS[0]));
    let sources = [long, bare];

    assert_eq!(
        too_long(&sources),
        ["src/a.rs:401: a file has at most 400 lines"]
    );
    assert!(unfinished(&sources)[0].starts_with("src/b.rs:2: "));
    assert!(without_introduction(&sources)[0].starts_with("src/b.rs:1: "));
}
