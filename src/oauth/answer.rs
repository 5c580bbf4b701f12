//! What token and revocation endpoints answer in the wild, put into the few shapes that matter.
//! Pure. RFC 6749, sections 5.1 and 5.2, is where it starts; providers answer forms instead of
//! JSON, refusals with status 200, numbers as texts, lists with commas.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::dialect::{Dialect, Meaning};
use super::lifetime::{self, Given};
use super::metadata::text;
use super::outcome::is_known;
use crate::domain::authorization::Scopes;
use crate::domain::time::Timestamp;

/// Our own word for an answer whose token is of a type that we do not know how to use.
pub const OTHER_TYPE: &str = "token_type_not_supported";
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
    /// Reads a complete answer in a provider's dialect, given now by our clock. Total. What kind of
    /// body it is, the body itself shows: content types are wrong too often.
    pub(super) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        dialect: &Dialect,
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
            let meant = code.as_deref().and_then(|code| dialect.meaning(code));
            return match (code.as_deref(), meant) {
                (_, Some(Meaning::Later)) => transient,
                (Some(code), None) if is_transient(code) => transient,
                (Some(code), meant) if proper || meant.is_some() || is_known(code) => {
                    Self::Refused(Some(code.to_owned()))
                }
                (None, _) if proper => Self::Refused(None),
                (Some(_) | None, _) => transient,
            };
        }
        granted(&members, Given::read(headers, now), dialect)
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

/// A success, its members in canonical form; none without an access token that can be sent.
///
/// A provider may nest the user's own token when a code is exchanged, with a bot's beside it at the
/// top, and have the user's at the top on refresh. Grants here are users', so where a dialect knows of
/// a nested token it is the right one wherever there is one, and nothing from around it belongs to
/// it. Without such knowledge only what is at the top is a token (RFC 6749, section 5.1).
fn granted(members: &Map<String, Value>, given: Given, dialect: &Dialect) -> Answer {
    let nested = dialect.token_path.as_ref();
    let members = nested
        .and_then(|path| members.get(path)?.as_object())
        .filter(|user| text(user, "access_token").is_some())
        .unwrap_or(members);
    let Some(token) = text(members, "access_token").filter(|token| is_sendable(token)) else {
        return Answer::Malformed;
    };
    if !is_bearer(text(members, "token_type")) {
        return Answer::Refused(Some(OTHER_TYPE.to_owned()));
    }
    let mut canonical = Map::new();
    let mut set = |name: &str, value: Value| canonical.insert(name.to_owned(), value);
    set("access_token", json!(token));
    set("token_type", json!("bearer"));
    if let Some(token) = text(members, "refresh_token") {
        set("refresh_token", json!(token));
    }
    if let Some(token) = text(members, "id_token") {
        set("id_token", json!(token));
    }
    let lifetime = lifetime::access(members, given).or(dialect.access_lifetime);
    if let Some(lifetime) = lifetime {
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
    Answer::Granted(canonical)
}

/// Whether a token is a bearer's; none of another type is used (RFC 6749, section 7.1). Slack writes
/// whose it is instead, Apigee the name of a class.
fn is_bearer(said: Option<&str>) -> bool {
    let names = ["bearer", "bearertoken", "user", "bot"];
    let is = |said: &str| names.iter().any(|name| said.eq_ignore_ascii_case(name));
    said.map(str::trim).is_none_or(is)
}

/// Whether a token is of the characters of which one is made, all of which a header takes (RFC 6749,
/// appendix A.12).
fn is_sendable(token: &str) -> bool {
    token.bytes().all(|byte| matches!(byte, b' '..=b'~'))
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
#[path = "answer_tests.rs"]
mod tests;
