//! What people type, understood: durations, pairs, settings.

use std::path::PathBuf;
use std::time::Duration;

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
    fn a_pair_is_cut_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("a").is_err());
        assert!(file_pair("a=").is_err());
    }
}
