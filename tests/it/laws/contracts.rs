//! Contracts: every public method of the store is called by the tests of its repository.

use super::source::{Source, hold, sources};

/// `src/store/connections/mod.rs` and `tests/it/store/connections_change.rs` are `connections`.
fn repository(path: &str) -> &str {
    let inside = path
        .trim_start_matches("src/store/")
        .trim_start_matches("tests/it/store/");
    let word = inside.split(['/', '.', '_']).next().unwrap_or_default();
    if inside == "mod.rs" { "" } else { word }
}

/// The names of the public asynchronous methods of a file.
fn methods(source: &Source) -> Vec<(String, usize)> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    for four in tokens.windows(4) {
        let words: Vec<_> = four.iter().map(|token| token.text.as_str()).collect();
        if words[..3] == ["pub", "async", "fn"] {
            found.push((four[3].text.clone(), four[3].line));
        }
    }
    found
}

/// Whether a file calls a method or associated function of this name.
fn calls(source: &Source, name: &str) -> bool {
    source.tokens().windows(3).any(|three| {
        [".", "::"].contains(&three[0].text.as_str())
            && three[1].text == name
            && three[2].text == "("
    })
}

fn untested(store: &[Source], tests: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in store {
        let repository = repository(&source.path);
        // What belongs to no repository (transactions, migrations) may be tested anywhere.
        let near = |test: &&Source| self::repository(&test.path) == repository;
        let own = !repository.is_empty() && tests.iter().any(|test| near(&test));
        for (name, line) in methods(source) {
            let mut tests = tests.iter().filter(|test| !own || near(test));
            if !tests.any(|test| calls(test, &name)) {
                offences.push(format!(
                    "{}:{line}: `{name}` has no contract test",
                    source.path
                ));
            }
        }
    }
    offences
}

#[test]
fn every_method_of_the_store_has_a_contract_test() {
    let tests = sources(&["tests/it/store", "tests/it/harness"], &["rs"]);
    let offences = untested(&sources(&["src/store"], &["rs"]), &tests);

    hold("every method of the store has a contract test", &offences);
}

#[test]
fn the_law_of_contracts_sees_what_breaks_it() {
    let store = [Source::new(
        "src/store/chats/mod.rs",
        "impl R {\n pub async fn get() {}\n pub async fn put() {}\n async fn own() {}\n}",
    )];
    let tests = [
        Source::new(
            "tests/it/store/chats_more.rs",
            "fn t() { r.get(1); put(2); }",
        ),
        Source::new("tests/it/store/servers.rs", "fn t() { r.put(2); }"),
    ];

    let offences = untested(&store, &tests);

    assert_eq!(
        offences,
        ["src/store/chats/mod.rs:3: `put` has no contract test"]
    );
}
