//! What became of a redemption: the words the refresh engine decides by (design, section 5,
//! rule 6).

use std::time::Duration;

use http::StatusCode;

use super::answer::OTHER_TYPE;
use super::dialect::{Dialect, Meaning};
use super::error::Error;
use crate::domain::authorization::TokenSet;
use crate::fetch;

/// So many characters of a secret in a row are an echo of it; nothing shorter is a secret.
const ECHO: usize = 8;

/// What became of a code or refresh token that was to be redeemed.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was written: trying again is free, although pointless for some errors.
    NotSent(Error),
    /// Tokens. What was redeemed is spent.
    Granted(TokenSet),
    /// A complete refusal.
    Refused(Refused),
    /// A complete answer that says "later" (429, 408, 5xx, a page in place of an answer): nothing
    /// was spent.
    Transient {
        /// Its status.
        status: StatusCode,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It may have been redeemed, and the tokens are lost if so.
    Unknown(Lost),
}

/// How an answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// There was none, or no end of it.
    NoAnswer(fetch::Error),
    /// It said success and carried no token.
    Malformed,
}

/// A refusal and its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is about.
    pub about: About,
    /// The code in lower case, if it was well-formed: at most 64 letters, digits, `_`, `-`, `.`.
    pub code: Option<String>,
    /// Whether the server says that it does not know our client, or not by this secret.
    unknown_client: bool,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The code or refresh token: it is worthless for good (`invalid_grant` and its aliases).
    Grant,
    /// The client: a state of the registration, not of the user (`invalid_client`,
    /// `unauthorized_client` and their aliases).
    Client,
    /// Something else, or nothing we know.
    Other,
}

impl Refused {
    /// A refusal with this code.
    pub fn new(code: Option<String>) -> Self {
        let about = code.as_deref().map_or(About::Other, about);
        let unknown_client = code.as_deref().is_some_and(disowns_client);
        Self {
            about,
            code,
            unknown_client,
        }
    }

    /// The same where a provider has words of its own.
    pub(super) fn in_dialect(code: Option<String>, dialect: &Dialect) -> Self {
        let meaning = code.as_deref().and_then(|code| dialect.meaning(code));
        match meaning.map(|meaning| (meaning.about(), meaning)) {
            Some((Some(about), meaning)) => Self {
                about,
                code,
                unknown_client: meaning == Meaning::Client,
            },
            Some((None, _)) | None => Self::new(code),
        }
    }

    /// Whether the server says that it does not know our client, or not by this secret: another
    /// client could help. Others are refused for what they ask.
    pub fn is_unknown_client(&self) -> bool {
        self.unknown_client
    }

    /// The refusal, without its code if that repeats a part of one of these secrets: some servers
    /// put what they were sent where the code belongs. Codes known by name are kept.
    #[must_use]
    pub(super) fn without_echo<'s>(self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let repeats = |code: &str| {
            secrets.into_iter().any(|secret| {
                secret.as_bytes().windows(ECHO).any(|part| {
                    let mut parts = code.as_bytes().windows(ECHO);
                    parts.any(|of_code| of_code.eq_ignore_ascii_case(part))
                })
            })
        };
        match self.code {
            Some(code) if self.about == About::Other && repeats(&code) => Self::new(None),
            code => Self { code, ..self },
        }
    }
}

/// Whether a code says that our client is not known, or not by its secret.
fn disowns_client(code: &str) -> bool {
    matches!(code, "invalid_client" | "deleted_client")
}

/// Whether we know what a code is about.
pub(super) fn is_known(code: &str) -> bool {
    about(code) != About::Other
}

/// What a code means wherever it comes from (RFC 6749, section 5.2). The words of one provider alone
/// are in its profile.
///
/// Nothing but the code is believed. Some servers (better-auth) say `invalid_grant` for a client
/// they do not know and tell the two apart in the description only, which is prose in any language,
/// may repeat what it was sent, and differs from release to release. It stays a matter of the grant:
/// that costs this user a consent, and the new consent finds out about the client; the other way
/// round a dead grant would make us register a new client, to the harm of all users.
fn about(code: &str) -> About {
    match code {
        "invalid_grant"
        | "expired_token"
        | "token_not_found"
        | "code_already_used"
        | "code_expired"
        | "token_revoked"
        | "token_expired"
        // OpenID Connect Core 1.0, section 3.1.2.6
        | "interaction_required"
        | "login_required"
        | "consent_required"
        // Tokens came, of no use to us.
        | OTHER_TYPE => About::Grant,
        "invalid_client"
        | "unauthorized_client"
        | "unsupported_grant_type"
        // RFC 8707, section 2
        | "invalid_target"
        | "deleted_client"
        | "disabled_client" => About::Client,
        _ => About::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_repeats_a_secret_is_dropped() {
        let secrets = ["Tok3n-0123456789abcdef", "short"];

        for (code, kept) in [
            ("tok3n-0123456789abcdef", false),
            ("unknown_0123456789", false),
            ("bad.89abcdef", false),
            ("too_short", true),
            ("some_other_reason", true),
        ] {
            let refused = Refused::new(Some(code.to_owned())).without_echo(secrets);

            assert_eq!(refused.code.is_some(), kept, "{code}");
        }
        let known = Refused::new(Some("invalid_grant".to_owned()));
        assert_eq!(
            known.without_echo(["my invalid_grant"]).about,
            About::Grant,
            "a code known by name is no secret"
        );
    }

    #[test]
    fn a_client_that_is_not_known_is_told_from_one_that_asks_too_much() {
        let unknown = |code: &str| Refused::new(Some(code.to_owned())).is_unknown_client();

        assert!(unknown("invalid_client") && unknown("deleted_client"));
        for code in [
            "unauthorized_client",
            "invalid_target",
            "unsupported_grant_type",
        ] {
            assert!(!unknown(code), "{code}");
        }
        assert!(!Refused::new(None).is_unknown_client());
    }

    #[test]
    fn a_provider_may_have_words_of_its_own() {
        let word = |word: &str, meaning| (word.to_owned(), meaning);
        let dialect = Dialect {
            error_aliases: [
                word("stale", Meaning::Grant),
                word("stranger", Meaning::Client),
            ]
            .into(),
            ..Dialect::default()
        };
        let read = |code: &str| Refused::in_dialect(Some(code.to_owned()), &dialect);

        assert_eq!(read("stale").about, About::Grant);
        assert_eq!(read("stranger").about, About::Client);
        assert!(read("stranger").is_unknown_client() && !read("stale").is_unknown_client());
        assert_eq!(
            read("invalid_client"),
            Refused::new(Some("invalid_client".to_owned()))
        );
        assert_eq!(Refused::in_dialect(None, &dialect), Refused::new(None));
    }

    #[test]
    fn codes_are_sorted_by_whom_they_are_about() {
        for (code, expected) in [
            (Some("invalid_grant"), About::Grant),
            (Some("token_revoked"), About::Grant),
            (Some("bad_refresh_token"), About::Other),
            (Some("invalid_client"), About::Client),
            (Some("unauthorized_client"), About::Client),
            (Some("invalid_request"), About::Other),
            (Some("unsupported_grant_type"), About::Client),
            (None, About::Other),
        ] {
            assert_eq!(
                Refused::new(code.map(str::to_owned)).about,
                expected,
                "{code:?}"
            );
        }
    }
}
