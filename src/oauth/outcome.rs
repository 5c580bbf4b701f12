//! What became of a redemption or a revocation: the words the refresh engine decides by (design,
//! section 5, rule 6).

use std::time::Duration;

use http::StatusCode;

use super::error::Error;
use crate::domain::authorization::TokenSet;
use crate::fetch;

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
        Self { about, code }
    }
}

/// What a code means (RFC 6749, section 5.2), aliases of large providers included.
fn about(code: &str) -> About {
    match code {
        "invalid_grant"
        // GitHub
        | "bad_refresh_token"
        | "bad_verification_code"
        | "expired_token"
        // Slack
        | "invalid_refresh_token"
        | "invalid_code"
        | "code_already_used"
        | "code_expired"
        | "token_revoked"
        | "token_expired"
        // Microsoft
        | "interaction_required"
        | "login_required"
        | "consent_required" => About::Grant,
        "invalid_client"
        | "unauthorized_client"
        // GitHub
        | "incorrect_client_credentials"
        // Slack
        | "invalid_client_id"
        | "bad_client_secret"
        // Google
        | "deleted_client"
        | "disabled_client" => About::Client,
        _ => About::Other,
    }
}

/// What became of a token that was to be revoked (RFC 7009, section 2.2).
#[derive(Debug)]
pub enum Revocation {
    /// It is invalid now, or was already.
    Done,
    /// It was refused for good.
    Refused(Refused),
    /// Try again: no answer, or a complete one that says so. Revoking is idempotent.
    Later {
        /// When, if it was said.
        retry_after: Option<Duration>,
    },
    /// It cannot be tried: the endpoint is unusable or may not be contacted.
    Impossible(Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_whom_they_are_about() {
        for (code, expected) in [
            (Some("invalid_grant"), About::Grant),
            (Some("bad_refresh_token"), About::Grant),
            (Some("invalid_client"), About::Client),
            (Some("unauthorized_client"), About::Client),
            (Some("invalid_request"), About::Other),
            (Some("unsupported_grant_type"), About::Other),
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
