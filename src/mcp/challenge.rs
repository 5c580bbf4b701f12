//! `WWW-Authenticate` (RFC 9110, section 11.6.1): what a server wants to see.
//!
//! Whatever arrives comes from strangers, partly through daemons, so reading is total and bounded:
//! what does not fit the grammar is skipped up to the next point where it makes sense again.

use super::grammar::Reader;
use crate::domain::authorization::Scopes;

/// Longest text read of one answer's lines together, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// Most challenges kept of one answer.
pub(super) const MAX_CHALLENGES: usize = 16;

/// Most parameters kept of one challenge.
pub(super) const MAX_PARAMS: usize = 32;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as written; compare without regard to case.
    pub scheme: String,
    /// The parameters in order: lower-case name and unquoted value. Of a repeated name the first.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// The challenges of every line of one answer, in order. Total: what cannot be read is skipped.
    /// At most 16 challenges with 32 parameters each, out of 16 KiB.
    pub fn parse_all<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Vec<Self> {
        let mut found = Vec::new();
        let mut budget = MAX_TEXT;
        for line in lines {
            let line = line.as_ref();
            budget = budget.saturating_sub(line.len());
            if budget == 0 {
                break;
            }
            Reader::new(line).challenges(&mut found);
        }
        found
    }

    /// The value of a parameter, by its lower-case name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The schemes that ask for an OAuth access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    DPoP,
}

/// What a challenge for an access token says (RFC 6750, section 3; RFC 9728, section 5.1;
/// RFC 9449, section 7.1). Untrusted: it is what somebody says that a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerChallenge {
    /// Which kind of token.
    pub scheme: AuthScheme,
    /// Where the protected resource's metadata is said to be.
    pub resource_metadata: Option<String>,
    /// The scopes the request needed.
    pub scope: Option<Scopes>,
    /// The error code, such as `invalid_token`, `insufficient_scope`, `use_dpop_nonce`.
    pub error: Option<String>,
}

impl BearerChallenge {
    /// The challenges that ask for an access token, in order. There may be several: a gateway and the
    /// server behind it each add their own, and neither says all.
    pub fn all(challenges: &[Challenge]) -> Vec<Self> {
        challenges.iter().filter_map(Self::read).collect()
    }

    fn read(challenge: &Challenge) -> Option<Self> {
        let scheme = if challenge.scheme.eq_ignore_ascii_case("bearer") {
            AuthScheme::Bearer
        } else if challenge.scheme.eq_ignore_ascii_case("dpop") {
            AuthScheme::DPoP
        } else {
            return None;
        };
        let text = |name| challenge.param(name).filter(|value| !value.is_empty());
        Some(Self {
            scheme,
            resource_metadata: text("resource_metadata").map(str::to_owned),
            scope: text("scope")
                .map(|scope| scope.split(' ').collect::<Scopes>())
                .filter(|scopes| !scopes.is_empty()),
            error: text("error").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Vec<Challenge> {
        Challenge::parse_all([line])
    }

    fn challenge(scheme: &str, params: &[(&str, &str)]) -> Challenge {
        Challenge {
            scheme: scheme.to_owned(),
            params: params
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn forms_of_the_grammar_are_read() {
        let table = [
            ("", vec![]),
            (" , ,, ", vec![]),
            ("Bearer", vec![challenge("Bearer", &[])]),
            (
                r#"Bearer realm="a, b", error="invalid_token""#,
                vec![challenge(
                    "Bearer",
                    &[("realm", "a, b"), ("error", "invalid_token")],
                )],
            ),
            (
                r#"bearer REALM = "say \"hi\" \\o/" , scope=read"#,
                vec![challenge(
                    "bearer",
                    &[("realm", r#"say "hi" \o/"#), ("scope", "read")],
                )],
            ),
            (
                r#"Basic realm="x", Bearer error="e", DPoP algs="ES256 RS256""#,
                vec![
                    challenge("Basic", &[("realm", "x")]),
                    challenge("Bearer", &[("error", "e")]),
                    challenge("DPoP", &[("algs", "ES256 RS256")]),
                ],
            ),
            (
                "Negotiate a87421000492aa874209af8bc028==, Bearer scope=a",
                vec![
                    challenge("Negotiate", &[]),
                    challenge("Bearer", &[("scope", "a")]),
                ],
            ),
            (
                "Negotiate, Bearer resource_metadata=https://a.example/x?y=z",
                vec![
                    challenge("Negotiate", &[]),
                    challenge(
                        "Bearer",
                        &[("resource_metadata", "https://a.example/x?y=z")],
                    ),
                ],
            ),
            (
                r#"Bearer realm="x" error="missing comma" Basic realm=y"#,
                vec![
                    challenge("Bearer", &[("realm", "x"), ("error", "missing comma")]),
                    challenge("Basic", &[("realm", "y")]),
                ],
            ),
            (
                r#"realm="of nobody", Bearer error=e"#,
                vec![challenge("Bearer", &[("error", "e")])],
            ),
            (
                "Bearer error=first, error=second",
                vec![challenge("Bearer", &[("error", "first")])],
            ),
            (
                r#"Bearer error=kept, realm="never ends, scope=lost"#,
                vec![challenge("Bearer", &[("error", "kept")])],
            ),
            (
                r#"Bearer ;"a,b" junk, error=e"#,
                vec![challenge("Bearer", &[("error", "e")])],
            ),
        ];

        for (line, expected) in table {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn a_quoted_scheme_name_is_not_a_challenge() {
        let found = parse(r#"Basic realm="Bearer resource_metadata=https://evil.example""#);

        assert_eq!(BearerChallenge::all(&found), []);
    }

    #[test]
    fn of_several_lines_every_challenge_for_a_token_is_read() {
        let found = Challenge::parse_all([
            r#"Basic realm="x""#,
            r#"Bearer error="invalid_token""#,
            r#"dpop error="use_dpop_nonce", scope="a b", resource_metadata="https://h/m""#,
        ]);

        assert_eq!(
            BearerChallenge::all(&found),
            [
                BearerChallenge {
                    scheme: AuthScheme::Bearer,
                    resource_metadata: None,
                    scope: None,
                    error: Some("invalid_token".to_owned()),
                },
                BearerChallenge {
                    scheme: AuthScheme::DPoP,
                    resource_metadata: Some("https://h/m".to_owned()),
                    scope: Some(Scopes::parse("a b")),
                    error: Some("use_dpop_nonce".to_owned()),
                },
            ]
        );
    }

    #[test]
    fn a_flood_is_cut() {
        let many = "Bearer, ".repeat(1_000);
        let wide = format!("Bearer {}", "a=b,".repeat(3));
        let params = (0..100)
            .map(|n| format!("p{n}=v"))
            .collect::<Vec<_>>()
            .join(",");

        assert_eq!(parse(&many).len(), MAX_CHALLENGES);
        assert_eq!(parse(&wide)[0].params.len(), 1);
        assert_eq!(
            parse(&format!("Bearer {params}"))[0].params.len(),
            MAX_PARAMS
        );
        assert!(parse(&"x".repeat(MAX_TEXT)).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_within_bounds(lines in proptest::collection::vec(any::<String>(), 0..4)) {
            let found = Challenge::parse_all(&lines);

            prop_assert!(found.len() <= MAX_CHALLENGES);
            prop_assert!(BearerChallenge::all(&found).len() <= found.len());
        }

        #[test]
        fn text_of_the_grammars_own_characters_is_read_without_panic(line in r#"[ \t,="\\a-zé/:]{0,200}"#) {
            let found = parse(&line);

            prop_assert!(found.iter().all(|one| !one.scheme.is_empty()));
        }

        #[test]
        fn a_quoted_value_comes_back_as_it_was(value in any::<String>()) {
            let quoted = value.replace('\\', r"\\").replace('"', r#"\""#);
            let found = parse(&format!(r#"Basic x=y, Bearer scope=s, v="{quoted}", error=e"#));

            prop_assert_eq!(found[1].param("v"), Some(value.as_str()));
            prop_assert_eq!(found[1].param("error"), Some("e"));
        }
    }
}
