//! Provider profiles rest on sources, and each of their lines is shown by a test.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{Source, hold, sources};

/// A line of a profile that is compiled in, and what shows it: a file, and a test in it.
type Row = (&'static str, &'static str, &'static str, &'static str);

const FOLDER: &str = "src/oauth/profiles/";
const KNOWN: &str = "src/oauth/profiles/mod.rs";
const ASKED: &str = "tests/it/journeys/providers.rs";
const RENEWED: &str = "tests/it/journeys/providers_renewing.rs";
const WORDS: &str = "tests/it/oauth/dialects.rs";

const BY_ISSUER: &str = "a_provider_is_known_by_its_issuer";
const KEPT_ALIVE: &str = "grants_that_would_be_forgotten_are_kept_alive";
const FOR_A_WHILE: &str = "linear_and_atlassian_take_a_spent_refresh_token_for_a_while";
const STAY_GOOD: &str = "google_and_entra_leave_refresh_tokens_good";
const ITS_WORDS: &str = "google_gives_a_refresh_token_to_who_asks_in_its_words";
const WHO_ASKS: &str = "atlassian_gives_a_refresh_token_to_who_asks_for_it";
const WHICH_API: &str = "atlassian_is_told_for_which_api_and_to_ask_the_user";
const NO_RESOURCE: &str = "entra_wants_scopes_and_no_resource";
const NESTS: &str = "slack_is_asked_for_the_users_scopes_and_nests_the_users_tokens";
const PLAINLY: &str = "slacks_mcp_server_is_asked_plainly_and_nests_the_users_tokens";
const NO_WORD: &str = "where_nothing_says_how_long_a_token_lives_its_provider_is_known_to";
const GITHUB: &str = "github_refuses_in_words_of_its_own";
const SLACK: &str = "slack_refuses_in_words_of_its_own";
const AN_END: &str = "zendesk_gives_tokens_the_end_it_is_asked_for";

const SHOWN: [Row; 46] = [
    ("atlassian", "issuers", KNOWN, BY_ISSUER),
    ("atlassian", "offline_access", ASKED, WHO_ASKS),
    ("atlassian", "idle_limit", RENEWED, KEPT_ALIVE),
    ("atlassian-app", "offline_access", ASKED, WHO_ASKS),
    ("atlassian-app", "replay_grace", RENEWED, FOR_A_WHILE),
    ("atlassian-app", "idle_limit", RENEWED, KEPT_ALIVE),
    (
        "atlassian-app",
        "authorize_parameters.audience",
        ASKED,
        WHICH_API,
    ),
    (
        "atlassian-app",
        "authorize_parameters.prompt",
        ASKED,
        WHICH_API,
    ),
    ("entra", "issuers", KNOWN, BY_ISSUER),
    ("entra", "resource", ASKED, NO_RESOURCE),
    ("entra", "offline_access", ASKED, NO_RESOURCE),
    ("entra", "keeps_refresh_tokens", RENEWED, STAY_GOOD),
    ("entra", "idle_limit", RENEWED, KEPT_ALIVE),
    ("github", "issuers", KNOWN, BY_ISSUER),
    ("github", "error_aliases.bad_refresh_token", WORDS, GITHUB),
    (
        "github",
        "error_aliases.bad_verification_code",
        WORDS,
        GITHUB,
    ),
    (
        "github",
        "error_aliases.incorrect_client_credentials",
        WORDS,
        GITHUB,
    ),
    ("google", "issuers", KNOWN, BY_ISSUER),
    (
        "google",
        "offline_access",
        ASKED,
        "google_refuses_the_scope_that_others_want",
    ),
    ("google", "keeps_refresh_tokens", RENEWED, STAY_GOOD),
    ("google", "idle_limit", RENEWED, KEPT_ALIVE),
    (
        "google",
        "authorize_parameters.access_type",
        ASKED,
        ITS_WORDS,
    ),
    ("google", "authorize_parameters.prompt", ASKED, ITS_WORDS),
    ("linear", "issuers", KNOWN, BY_ISSUER),
    ("linear", "replay_grace", RENEWED, FOR_A_WHILE),
    (
        "linear-app",
        "scope_separator",
        ASKED,
        "linear_wants_commas_between_scopes",
    ),
    ("linear-app", "replay_grace", RENEWED, FOR_A_WHILE),
    (
        "notion",
        "authorize_parameters.owner",
        ASKED,
        "notion_is_told_who_consents",
    ),
    ("salesforce", "access_lifetime", RENEWED, NO_WORD),
    ("slack", "issuers", KNOWN, BY_ISSUER),
    ("slack", "token_path", ASKED, PLAINLY),
    ("slack", "error_aliases.bad_client_secret", WORDS, SLACK),
    ("slack", "error_aliases.invalid_client_id", WORDS, SLACK),
    ("slack", "error_aliases.invalid_code", WORDS, SLACK),
    ("slack", "error_aliases.invalid_refresh_token", WORDS, SLACK),
    ("slack-app", "scope_parameter", ASKED, NESTS),
    ("slack-app", "scope_separator", ASKED, NESTS),
    ("slack-app", "token_path", ASKED, NESTS),
    ("slack-app", "error_aliases.bad_client_secret", WORDS, SLACK),
    ("slack-app", "error_aliases.invalid_client_id", WORDS, SLACK),
    ("slack-app", "error_aliases.invalid_code", WORDS, SLACK),
    (
        "slack-app",
        "error_aliases.invalid_refresh_token",
        WORDS,
        SLACK,
    ),
    ("stripe", "access_lifetime", RENEWED, NO_WORD),
    ("stripe", "idle_limit", RENEWED, KEPT_ALIVE),
    ("zendesk", "token_parameters.expires_in", ASKED, AN_END),
    (
        "zendesk",
        "token_parameters.refresh_token_expires_in",
        ASKED,
        AN_END,
    ),
];

/// The keys of a profile that say something; in a table, each entry.
fn lines(profile: &toml::Table) -> BTreeSet<String> {
    let said = profile.iter().filter(|(key, value)| {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        *key != "sources" && !empty
    });
    let lines = said.flat_map(|(key, value)| match value.as_table() {
        Some(entries) => {
            let entries = entries.keys();
            entries.map(|entry| format!("{key}.{entry}")).collect()
        }
        None => vec![key.clone()],
    });
    lines.collect()
}

/// What is wrong with profiles, given the text that compiles them in, the page for people, what shows
/// them, and the code.
fn offences(
    profiles: &[Source],
    compiled_in: &str,
    page: &str,
    shown: &[Row],
    code: &[Source],
) -> Vec<String> {
    let mut offences = Vec::new();
    let mut known = BTreeSet::new();
    for profile in profiles {
        let name = profile.path.trim_start_matches(FOLDER);
        let name = name.trim_end_matches(".toml");
        let mut tell = |what: String| offences.push(format!("{name}: {what}"));
        if !compiled_in.contains(&format!("include_str!(\"{name}.toml\")")) {
            tell("is not compiled in".to_owned());
        }
        let table: toml::Table = profile.text.parse().unwrap();
        let sources = table.get("sources").and_then(toml::Value::as_table);
        let source = |line: &str| sources?.get(line)?.as_str();
        for line in lines(&table) {
            match source(&line) {
                Some(url) if url.starts_with("https://") && page.contains(url) => {}
                Some(_) => tell(format!("the source of {line} is not in docs/providers.md")),
                None => tell(format!("{line} rests on nothing")),
            }
            if !shown.iter().any(|row| (row.0, row.1) == (name, &line)) {
                tell(format!("{line} is shown by no test"));
            }
            known.insert((name.to_owned(), line));
        }
        for named in sources.into_iter().flat_map(toml::Table::keys) {
            if !known.contains(&(name.to_owned(), named.clone())) {
                tell(format!("names a source for {named}, which it does not say"));
            }
        }
    }
    for (name, line, path, test) in shown {
        if !known.contains(&((*name).to_owned(), (*line).to_owned())) {
            offences.push(format!("{name}: {line} is shown and not said"));
        }
        let file = code.iter().find(|source| source.path == *path);
        let tokens = file.map(Source::tokens).unwrap_or_default();
        let mut pairs = tokens.iter().zip(tokens.iter().skip(1));
        if !pairs.any(|(word, next)| word.text == "fn" && next.text == *test) {
            offences.push(format!("{name}: {line}: there is no `{test}` in {path}"));
        }
    }
    offences
}

#[test]
fn every_line_of_a_profile_rests_on_a_source_and_is_shown_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let profiles = sources(&["src/oauth/profiles"], &["toml"]);
    let code = sources(&["src/oauth/profiles", "tests/it"], &["rs"]);

    let offences = offences(
        &profiles,
        &read("src/oauth/profiles/builtin.rs"),
        &read("docs/providers.md"),
        &SHOWN,
        &code,
    );

    hold("provider profiles", &offences);
}

#[test]
fn the_law_of_profiles_sees_what_breaks_it() {
    let code = [Source::new(
        "tests/it/a.rs",
        "async fn shown(engine: Engine) {}",
    )];
    let row: Row = ("x", "resource", "tests/it/a.rs", "shown");
    let judge = |text: &str, page: &str, shown: &[Row]| {
        let profiles = [Source::new("src/oauth/profiles/x.toml", text)];
        let compiled_in = "(\"x\", include_str!(\"x.toml\"))";
        offences(&profiles, compiled_in, page, shown, &code).len()
    };
    let good = "issuers = []\nresource = false\n[sources]\nresource = \"https://a\"";

    assert_eq!(judge(good, "https://a", &[row]), 0);
    assert_eq!(judge(good, "https://b", &[row]), 1);
    assert_eq!(judge(good, "https://a", &[]), 1);
    assert_eq!(judge("issuers = []\nresource = false", "", &[row]), 1);
    assert_eq!(judge("issuers = []", "", &[row]), 1);
    assert_eq!(
        judge(
            &format!("{good}\nidle_limit = \"https://a\""),
            "https://a",
            &[row]
        ),
        1
    );
    let gone: Row = (row.0, row.1, row.2, "gone");
    assert_eq!(judge(good, "https://a", &[gone]), 1);
    let profiles = [Source::new("src/oauth/profiles/x.toml", good)];
    assert_eq!(offences(&profiles, "", "https://a", &[row], &code).len(), 1);
}
