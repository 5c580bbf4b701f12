//! What token and revocation endpoints answer in the wild, put into the few shapes that matter.
//! Pure. RFC 6749, sections 5.1 and 5.2, is where it starts; providers answer forms instead of
//! JSON, refusals with status 200, numbers as texts, lists with commas.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::lifetime::{self, Given};
use super::metadata::text;
use super::outcome::is_known;
use crate::domain::authorization::Scopes;
use crate::domain::time::Timestamp;

/// Longest error code believed to be one.
const MAX_CODE: usize = 64;

/// An answer, understood.
// No `Debug` outside tests: it holds tokens.
#[derive(PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Answer {
    /// Tokens: the members of RFC 6749, section 5.1, exactly as it wants them, and
    /// `refresh_token_expires_in` in seconds.
    Granted(Map<String, Value>),
    /// A refusal, with its code if it is well-formed (RFC 6749, section 5.2).
    Refused(Option<String>),
    /// The other side is in trouble and did nothing.
    Transient(Option<Duration>),
    /// Success was said but nothing usable came: whatever was redeemed may be gone.
    Malformed,
}

impl Answer {
    /// Reads a complete answer, given now by our clock. Total. What kind of body it is, the body
    /// itself shows: content types are wrong too often.
    pub(super) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let transient = Self::Transient(retry_after(headers));
        if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            return transient;
        }
        let Some(members) = members(body) else {
            // A page in place of an answer comes from something in front of the server. Anything
            // else that claims success comes from the server itself.
            return if status.is_success() && !is_page(body) {
                Self::Malformed
            } else {
                transient
            };
        };
        let refused =
            members.get("error").is_some_and(is_said) || members.get("ok") == Some(&json!(false));
        if refused || !status.is_success() {
            let code = members.get("error").and_then(code);
            // A server refuses with 400 or 401 (RFC 6749, section 5.2); gateways in front of it speak
            // JSON as well, and forbid or do not find.
            let proper = status.is_success() || matches!(status.as_u16(), 400 | 401);
            return match code.as_deref() {
                Some(code) if is_transient(code) => transient,
                Some(code) if proper || is_known(code) => Self::Refused(Some(code.to_owned())),
                None if proper => Self::Refused(None),
                Some(_) | None => transient,
            };
        }
        granted(&members, Given::read(headers, now)).map_or(Self::Malformed, Self::Granted)
    }
}

/// Whether a body is a page for people: from something in front of the server.
pub(super) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Whether an `error` is one: some write the member into every answer.
fn is_said(error: &Value) -> bool {
    !matches!(error, Value::Null | Value::Bool(false)) && *error != json!("") && *error != json!(0)
}

/// The members of a JSON object or of a form, whatever the content type says.
pub(super) fn members(body: &[u8]) -> Option<Map<String, Value>> {
    if let Some(object) = super::metadata::object(body) {
        return Some(object);
    }
    let form: Map<String, Value> = form_urlencoded::parse(body.trim_ascii())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    (form.contains_key("access_token") || form.contains_key("error")).then_some(form)
}

/// The members of a success in canonical form; `None` without access token.
///
/// Slack nests the user's own token in `authed_user` when a code is exchanged, with the bot's beside
/// it at the top if one was asked for; on refresh the user's token is at the top. Grants here are
/// users', so the nested token is the right one wherever there is one, and nothing from around it
/// belongs to it.
fn granted(members: &Map<String, Value>, given: Given) -> Option<Map<String, Value>> {
    let members = members
        .get("authed_user")
        .and_then(Value::as_object)
        .filter(|user| text(user, "access_token").is_some())
        .unwrap_or(members);
    let mut canonical = Map::new();
    let mut set = |name: &str, value: Value| canonical.insert(name.to_owned(), value);
    set("access_token", json!(text(members, "access_token")?));
    set("token_type", json!(token_type(text(members, "token_type"))));
    if let Some(token) = text(members, "refresh_token") {
        set("refresh_token", json!(token));
    }
    if let Some(lifetime) = lifetime::access(members, given) {
        set("expires_in", json!(lifetime.as_secs()));
    }
    if let Some(lifetime) = lifetime::refresh(members, given) {
        set("refresh_token_expires_in", json!(lifetime.as_secs()));
    }
    let scopes = match members.get("scope") {
        Some(Value::String(scopes)) => Scopes::parse(scopes),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        _ => Scopes::default(),
    };
    if !scopes.is_empty() {
        set("scope", json!(scopes.to_string()));
    }
    Some(canonical)
}

/// The type of a token. Slack writes whose it is instead: it is a bearer's.
fn token_type(said: Option<&str>) -> &str {
    match said.map(str::trim) {
        None | Some("user" | "bot") => "bearer",
        Some(said) => said,
    }
}

/// An error code, out of a text or an object that names one. Only what looks like a code: this is
/// shown to people and must not carry somebody else's prose.
pub(super) fn code(value: &Value) -> Option<String> {
    let code = match value {
        Value::String(code) => code.as_str(),
        Value::Object(object) => ["code", "type", "error"]
            .iter()
            .find_map(|member| text(object, member))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!code.is_empty() && code.len() <= MAX_CODE && code.chars().all(well_formed))
        .then(|| code.to_ascii_lowercase())
}

/// Codes that say "later", whatever the status.
fn is_transient(code: &str) -> bool {
    matches!(
        code,
        "temporarily_unavailable"
            | "server_error"
            | "slow_down"
            | "rate_limited"
            | "rate_limit_exceeded"
            | "ratelimited"
            | "service_unavailable"
            | "internal_error"
            | "internal_failure"
            | "fatal_error"
            | "request_timeout"
    )
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, counted from the answer's own
/// `Date` so that two clocks need not agree.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text(RETRY_AFTER)?;
    if let Ok(seconds) = wait.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = httpdate::parse_http_date(wait).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(status: u16, body: &str) -> Answer {
        Answer::read(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            Timestamp::default(),
        )
    }

    fn refused(code: &str) -> Answer {
        Answer::Refused(Some(code.to_owned()))
    }

    fn member(body: &str, name: &str) -> Value {
        match read(200, body) {
            Answer::Granted(members) => members.get(name).cloned().unwrap_or(Value::Null),
            other @ (Answer::Refused(_) | Answer::Transient(_) | Answer::Malformed) => {
                panic!("{body}: {other:?}")
            }
        }
    }

    #[test]
    fn refusals_are_recognised_in_every_dress() {
        for (status, body, expected) in [
            (
                400,
                r#"{"error":"invalid_grant"}"#,
                refused("invalid_grant"),
            ),
            (
                200,
                r#"{"error":"bad_refresh_token","error_description":"x"}"#,
                refused("bad_refresh_token"),
            ),
            (
                200,
                "error=bad_verification_code&error_description=x+y",
                refused("bad_verification_code"),
            ),
            (
                200,
                r#"{"ok":false,"error":"invalid_refresh_token"}"#,
                refused("invalid_refresh_token"),
            ),
            (200, r#"{"ok":false}"#, Answer::Refused(None)),
            (
                401,
                r#"{"error":"INVALID_CLIENT"}"#,
                refused("invalid_client"),
            ),
            (
                400,
                r#"{"error":{"code":"invalid_grant","message":"prose"}}"#,
                refused("invalid_grant"),
            ),
            (
                400,
                r#"{"error":"some prose, with a secret"}"#,
                Answer::Refused(None),
            ),
            (400, r#"{"message":"no"}"#, Answer::Refused(None)),
            (200, r#"{"error":"x","access_token":"t"}"#, refused("x")),
        ] {
            assert_eq!(read(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn trouble_is_told_from_refusal_and_from_loss() {
        let later = Answer::Transient(None);

        for (status, body, expected) in [
            (503, r#"{"error":"invalid_grant"}"#, &later),
            (429, "", &later),
            (408, "", &later),
            (400, r#"{"error":"temporarily_unavailable"}"#, &later),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, &later),
            (403, "<html>blocked</html>", &later),
            (200, "<!doctype html><html>maintenance</html>", &later),
            (302, "", &later),
            (200, "", &Answer::Malformed),
            (200, "{", &Answer::Malformed),
            (200, "[]", &Answer::Malformed),
            (200, "OK", &Answer::Malformed),
            (200, r#"{"access_token":"cut sho"#, &Answer::Malformed),
            (200, r#"{"token_type":"bearer"}"#, &Answer::Malformed),
            (200, r#"{"access_token":""}"#, &Answer::Malformed),
        ] {
            assert_eq!(&read(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn wild_successes_become_canonical() {
        let form = "access_token=t&scope=repo%2Cgist&token_type=bearer&expires_in=28800";
        assert_eq!(member(form, "access_token"), "t");
        assert_eq!(member(form, "scope"), "repo gist");
        assert_eq!(member(form, "expires_in"), 28_800);

        for (value, expected) in [
            (r#""a b""#, json!("a b")),
            (r#""a,b""#, json!("a b")),
            (r#"["a","b"]"#, json!("a b")),
            (r#""""#, Value::Null),
            ("[]", Value::Null),
        ] {
            let body = format!(r#"{{"access_token":"t","scope":{value}}}"#);
            assert_eq!(member(&body, "scope"), expected, "{value}");
        }
    }

    #[test]
    fn the_users_own_token_is_chosen_nested_and_at_the_top() {
        let nested = r#"{"ok":true,"access_token":"bot","token_type":"bot","scope":"chat:write",
            "refresh_token":"bots","expires_in":1,"authed_user":{"id":"U1","scope":"search:read",
            "access_token":"users","token_type":"user","refresh_token":"r1","expires_in":43200}}"#;
        let alone = r#"{"ok":true,"authed_user":{"id":"U1","access_token":"users"}}"#;
        let refreshed = r#"{"ok":true,"access_token":"users","token_type":"user",
            "refresh_token":"r1","expires_in":43200,"authed_user":{"id":"U1"}}"#;
        let of_bot = r#"{"ok":true,"access_token":"bot","authed_user":{"id":"U1"}}"#;

        for body in [nested, alone, refreshed] {
            assert_eq!(member(body, "access_token"), "users", "{body}");
            assert_eq!(member(body, "token_type"), "bearer", "{body}");
        }
        for body in [nested, refreshed] {
            assert_eq!(member(body, "refresh_token"), "r1", "{body}");
            assert_eq!(member(body, "expires_in"), 43_200, "{body}");
        }
        assert_eq!(member(nested, "scope"), "search:read");
        for name in ["refresh_token", "expires_in", "scope"] {
            assert_eq!(member(alone, name), Value::Null, "{name}");
        }
        assert_eq!(member(of_bot, "access_token"), "bot");
    }

    #[test]
    fn an_error_that_says_nothing_does_not_spoil_a_success() {
        for error in ["null", r#""""#, "false", "0"] {
            let body = format!(r#"{{"access_token":"t","error":{error}}}"#);
            assert_eq!(member(&body, "access_token"), "t", "{error}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date() {
        let read = |retry: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(retry));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            retry_after(&headers)
        };
        let (now, later) = (
            "Sat, 21 Nov 2026 03:00:00 GMT",
            "Sat, 21 Nov 2026 03:02:00 GMT",
        );

        assert_eq!(read("7", None), Some(Duration::from_secs(7)));
        assert_eq!(read(later, Some(now)), Some(Duration::from_mins(2)));
        assert_eq!(read(now, Some(later)), Some(Duration::ZERO));
        assert_eq!(read(later, None), None);
        assert_eq!(read("-7", None), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(
            status in 100_u16..=599,
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            let _ = Answer::read(status, &HeaderMap::new(), &body, Timestamp::default());
        }

        #[test]
        fn a_token_comes_back_as_it_was_in_json_and_in_a_form(token in "[!-~]{1,60}") {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("access_token", &token)
                .finish();

            prop_assert_eq!(member(&json!({"access_token": token}).to_string(), "access_token"), token.as_str());
            prop_assert_eq!(member(&form, "access_token"), token.as_str());
        }

        #[test]
        fn a_code_is_short_and_plain(text in any::<String>()) {
            if let Some(code) = code(&Value::String(text)) {
                prop_assert!(code.len() <= MAX_CODE && code.is_ascii());
            }
        }
    }
}
