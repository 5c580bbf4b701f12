//! What people type, understood: durations, times, pairs, settings.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// `90s`, `15m`, `12h`, `30d` or `8w`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "must be a whole number with a unit: 90s, 15m, 12h, 30d, 8w";
    let unit = text.chars().last().ok_or(WANTED)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(WANTED.to_owned()),
    };
    let number = text.strip_suffix(unit).unwrap_or(text);
    let number: u64 = number.parse().map_err(|_| WANTED)?;
    let seconds = number
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 604_800 * 5_200);
    Ok(Duration::from_secs(
        seconds.ok_or("must be less than a hundred years")?,
    ))
}

/// A point in time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    /// As it is.
    At(prost_types::Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl Moment {
    /// The time that it is.
    pub(super) fn at(&self, now: Timestamp) -> prost_types::Timestamp {
        match self {
            Self::At(time) => *time,
            Self::Ago(ago) => prost_types::Timestamp {
                seconds: now.before(*ago).as_secs(),
                nanos: 0,
            },
        }
    }
}

/// A day, a time of RFC 3339, or a duration, which is so long ago.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let time = text.parse().map(Moment::At);
    time.map_err(|_| "must be a time, `2026-01-31` or `2026-01-31T12:00:00Z`, or `24h`".to_owned())
}

/// `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be NAME=VALUE".to_owned()),
    }
}

/// `NAME=FILE`.
pub(super) fn file_pair(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = pair(text).map_err(|_| "must be NAME=FILE")?;
    if file.is_empty() {
        return Err("must be NAME=FILE".to_owned());
    }
    Ok((name, file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for bad in ["", "s", "10", "1.5h", "-1s", "1y", "ä", "99999999999999w"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_day_a_time_or_so_long_ago() {
        let now = Timestamp::from_secs(1_767_225_600);
        let at = |text: &str| moment(text).map(|moment| moment.at(now).seconds);

        assert_eq!(at("2026-01-01"), Ok(1_767_225_600));
        assert_eq!(at("2026-01-01T01:00:00+01:00"), Ok(1_767_225_600));
        assert_eq!(at("2h"), Ok(1_767_225_600 - 7_200));
        assert!(at("yesterday").is_err() && at("").is_err());
    }

    #[test]
    fn a_pair_is_cut_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("a").is_err());
        assert!(file_pair("a=").is_err());
    }
}
