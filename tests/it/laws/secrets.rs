//! Secrets are shown to few: the protocols that send them, the cipher that seals them, and the
//! answers that exist to carry them.

use super::source::{Source, hold, sources};

/// Files and folders that may look at a secret's text.
const MAY_EXPOSE: [&str; 8] = [
    "src/oauth/",
    "src/mcp/",
    "src/fetch/",
    "src/crypto/",
    "src/domain/headers.rs",
    // Where the secret types themselves are written.
    "src/domain/secrets.rs",
    // The two answers that carry credentials: ResolveChat, ResolveCredentials.
    "src/grpc/chats.rs",
    "src/grpc/tokens.rs",
];

fn exposing(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        if MAY_EXPOSE.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for token in source.tokens() {
            if token.text.starts_with("expose_secret") {
                offences.push(format!(
                    "{}:{}: `{}` is for {} only",
                    source.path,
                    token.line,
                    token.text,
                    MAY_EXPOSE.join(", ")
                ));
            }
        }
    }
    offences
}

#[test]
fn secrets_are_exposed_in_few_places() {
    let sources = sources(&["src"], &["rs"]);

    hold("secrets are exposed in few places", &exposing(&sources));
}

#[test]
fn the_law_of_secrets_sees_what_breaks_it() {
    let code = "//! expose_secret\nfn f(s: S) {\n    s.expose_secret();\n}";
    let sources = [
        Source::new("src/app/tokens.rs", code),
        Source::new("src/oauth/token.rs", code),
    ];

    let offences = exposing(&sources);

    assert_eq!(offences.len(), 1);
    assert!(offences[0].starts_with("src/app/tokens.rs:3: "));
}
