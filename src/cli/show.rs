//! Values of the API as people read them.

use prost_types::Timestamp;

/// A time to the second, in RFC 3339; nothing when it is absent.
pub(super) fn time(time: Option<&Timestamp>) -> String {
    time.map(|time| {
        let seconds = Timestamp { nanos: 0, ..*time };
        seconds.to_string()
    })
    .unwrap_or_default()
}

/// The name of an enum's value without the enum's own (`SERVER_STATUS_READY` is `ready`); nothing
/// for an unspecified one.
pub(super) fn word(name: &str, prefix: &str) -> String {
    let word = name
        .strip_prefix(prefix)
        .unwrap_or(name)
        .trim_start_matches('_');
    if word == "UNSPECIFIED" {
        return String::new();
    }
    word.to_lowercase().replace('_', "-")
}

/// A list in one line.
pub(super) fn list(entries: &[String]) -> String {
    entries.join(", ")
}

/// `yes`, or nothing.
pub(super) fn yes(truth: bool) -> String {
    if truth {
        "yes".to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second() {
        let at = Timestamp {
            seconds: 1_767_225_600,
            nanos: 5,
        };

        assert_eq!(time(Some(&at)), "2026-01-01T00:00:00Z");
        assert_eq!(time(None), "");
    }

    #[test]
    fn values_of_enums_are_words() {
        assert_eq!(
            word("SERVER_STATUS_NOT_CONNECTED", "SERVER_STATUS"),
            "not-connected"
        );
        assert_eq!(word("STATUS_REASON_UNSPECIFIED", "STATUS_REASON"), "");
    }
}
