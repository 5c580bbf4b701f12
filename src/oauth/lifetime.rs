//! How long tokens live, out of what answers say about it. Pure; everything here is a hint, since
//! only a token's use shows whether it lives. RFC 6749, section 5.1, knows `expires_in` in seconds;
//! providers write milliseconds, points of time, or leave it to the token itself.
//!
//! What makes no sense says nothing: an unknown end costs one rejected call, a wrong one a grant.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::DATE;
use serde_json::{Map, Value};

use super::jwt;
use super::metadata::text;
use crate::domain::time::Timestamp;

/// Longest lifetime believed to be one in seconds: a hundred years and some, which is how "for good"
/// is often written. Ten years were real (Linear, until 2026).
const LONGEST_SECONDS: u64 = 3_200_000_000;

/// Longest lifetime believed to be one in milliseconds: ten years.
const LONGEST_MILLISECONDS: f64 = 316_000_000_000.0;

/// "For good", as some write it.
const FOR_GOOD: f64 = 4_294_967_295.0;

/// Points of time at and after these are in seconds, milliseconds, and nothing we know.
const POINTS: (f64, f64, f64) = (1e9, 1e11, 1e14);

/// When an answer was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// By its own `Date` (RFC 9110, section 6.6.1), so that two clocks need not agree.
    date: Option<Timestamp>,
    /// By our clock.
    ours: Timestamp,
}

impl Given {
    pub(super) fn read(headers: &HeaderMap, ours: Timestamp) -> Self {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        Self {
            date: date.and_then(http_date),
            ours,
        }
    }

    fn at(self) -> Timestamp {
        self.date.unwrap_or(self.ours)
    }
}

/// The lifetime of the access token in these members: `expires_in`, else a point of time, else what
/// the token says about itself when it is a JWT (RFC 7519, section 4.1.4), unverified.
pub(super) fn access(members: &Map<String, Value>, given: Given) -> Option<Duration> {
    let witness = ["expires_at", "expires_on", "expiry"]
        .iter()
        .find_map(|name| between(given.at(), point(members.get(*name)?)?))
        .or_else(|| itself(text(members, "access_token")?, given));
    let said = members.get("expires_in").and_then(number);
    said.and_then(|said| lifetime(said, witness)).or(witness)
}

/// The lifetime of the refresh token: GitHub's and many others' name, Keycloak's (where 0 means
/// without end), Intuit's; else a point of time.
pub(super) fn refresh(members: &Map<String, Value>, given: Given) -> Option<Duration> {
    [
        "refresh_token_expires_in",
        "refresh_expires_in",
        "x_refresh_token_expires_in",
    ]
    .iter()
    .find_map(|name| lifetime(number(members.get(*name)?)?, None))
    .or_else(|| {
        ["refresh_token_expires_at", "refresh_expires_at"]
            .iter()
            .find_map(|name| between(given.at(), point(members.get(*name)?)?))
    })
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|number| number.is_finite())
}

/// A lifetime, fractions of a second dropped. What is not positive says nothing.
///
/// It is in milliseconds where a witness says a thousandth of it, give or take a tenth, or where it
/// would be more than a century in seconds. A shorter one without witness could be either (3600000
/// is an hour or six weeks) and is taken as written: too long shows when the token is rejected,
/// too short could end a token that cannot be renewed.
fn lifetime(said: f64, witness: Option<Duration>) -> Option<Duration> {
    let thousandth = said / 1000.0;
    let attested = witness
        .map(|witness| witness.as_secs_f64())
        .is_some_and(|witness| (thousandth - witness).abs() <= witness / 10.0);
    let seconds = if attested {
        thousandth
    } else if said <= Duration::from_secs(LONGEST_SECONDS).as_secs_f64() {
        said
    } else if said <= LONGEST_MILLISECONDS && (said - FOR_GOOD).abs() >= 1.0 {
        thousandth
    } else {
        return None;
    };
    (seconds >= 1.0).then(|| Duration::from_secs_f64(seconds.floor()))
}

/// A point of time: seconds or milliseconds since the epoch as number or text, or a date.
fn point(value: &Value) -> Option<Timestamp> {
    let Some(number) = number(value) else {
        let text = value.as_str()?.trim();
        return iso_date(text).or_else(|| http_date(text));
    };
    let (seconds, milliseconds, nothing) = POINTS;
    let since_epoch = if (seconds..milliseconds).contains(&number) {
        Duration::from_secs_f64(number)
    } else if (milliseconds..nothing).contains(&number) {
        Duration::from_secs_f64(number / 1000.0)
    } else {
        return None;
    };
    Some(Timestamp::default().after(since_epoch))
}

/// From one point to a later one, in whole seconds; nothing that is not a lifetime.
fn between(from: Timestamp, to: Timestamp) -> Option<Duration> {
    let seconds = to.since(from).as_secs();
    (1..=LONGEST_SECONDS)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

/// What a JWT says about its own lifetime. From its own `iat` and from the answer's `Date`, whichever
/// is shorter, since a token may have been made before it was given; by our clock only without
/// either.
fn itself(token: &str, given: Given) -> Option<Duration> {
    let claims = jwt::claims(token)?;
    let end = point(claims.get("exp")?)?;
    let made = claims.get("iat").and_then(point);
    [made, given.date]
        .into_iter()
        .flatten()
        .filter_map(|from| between(from, end))
        .min()
        .or_else(|| between(given.ours, end))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::default().after(since_epoch))
}

/// A date with time as in ISO 8601 and RFC 3339; without zone it is taken as UTC.
fn iso_date(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let [year, month, day] = fields(date, '-')?;
    let time = time.trim();
    let time = time
        .split_once('.')
        .map_or(time, |(whole, _fraction)| whole);
    let [hour, minute, second] = fields(time, ':').or_else(|| {
        let [hour, minute] = fields(time, ':')?;
        Some([hour, minute, 0])
    })?;
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = day_number(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = seconds - offset(zone.trim())?;
    fits.then(|| Timestamp::from_secs(seconds))
}

/// Exactly so many numbers of at most four digits.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let field = |field: &str| {
        let plain = field.len() <= 4 && field.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| field.parse().ok()).flatten()
    };
    let fields: Option<Vec<i64>> = text.split(separator).map(field).collect();
    fields?.try_into().ok()
}

/// Seconds east of UTC: `Z` or nothing, `+02:00`, `+0200`, `+02`.
fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return Some(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let rest: String = rest.split(':').collect();
    let [digits] = fields(&rest, ':')?;
    match rest.len() {
        2 => Some(sign * digits * 3600),
        4 => Some(sign * (digits / 100 * 3600 + digits % 100 * 60)),
        _ => None,
    }
}

/// Days since the epoch of a date of the Gregorian calendar; years begin in March here, so that the
/// odd day comes last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let days_of_months = (153 * ((month + 9) % 12) + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + days_of_months + day - 719_469
}

#[cfg(test)]
#[path = "lifetime_tests.rs"]
mod tests;
