//! What may be written in a field: trimming, lengths, characters, and the [`Violations`] that
//! collect every offence of a request before it is refused.

use std::fmt;

/// One field that does not hold what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request, as a client wrote it (`server.oauth2.client_id`).
    pub field: String,
    /// What is wrong, without the offending value.
    pub description: String,
}

/// Every offence of one request, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one offence.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// Keeps the value of a check, or notes its offence under `field`.
    pub fn keep<T, E: fmt::Display>(&mut self, field: &str, checked: Result<T, E>) -> Option<T> {
        checked
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }

    /// Notes those of others after its own.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The offences found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// `value` when nothing was found, all offences otherwise.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

/// Why a text may not stand in a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing is left after trimming.
    #[error("is required")]
    Empty,
    /// Longer than the field allows.
    #[error("must be at most {max} bytes")]
    TooLong {
        /// The limit, in bytes of UTF-8.
        max: usize,
    },
    /// Holds NUL, a line break or another control character.
    #[error("must not contain control characters")]
    Control,
    /// Does not follow the grammar of its field.
    #[error("{0}")]
    Grammar(&'static str),
}

/// The text without surrounding white space, at most `max` bytes, without control characters.
/// It may be empty.
pub fn line(text: &str, max: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.len() > max {
        return Err(InvalidText::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(text.to_owned())
}

/// As [`line()`], and not empty.
pub fn required(text: &str, max: usize) -> Result<String, InvalidText> {
    let text = line(text, max)?;
    if text.is_empty() {
        Err(InvalidText::Empty)
    } else {
        Ok(text)
    }
}

/// As [`line()`], but line breaks and tabs are allowed.
pub fn paragraph(text: &str, max: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.len() > max {
        return Err(InvalidText::TooLong { max });
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
    {
        return Err(InvalidText::Control);
    }
    Ok(text.to_owned())
}

/// Trims each entry, drops empty ones and repeats, keeps the order.
pub fn list(
    entries: &[String],
    max_entries: usize,
    max_len: usize,
) -> Result<Vec<String>, InvalidText> {
    let mut kept = Vec::new();
    for entry in entries {
        let entry = line(entry, max_len)?;
        if !entry.is_empty() && !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    // Where an empty list means everything, nobody must come to one by a variable that was not set.
    if kept.is_empty() && !entries.is_empty() {
        return Err(InvalidText::Grammar("must not hold empty entries only"));
    }
    if kept.len() > max_entries {
        return Err(InvalidText::Grammar("has too many entries"));
    }
    Ok(kept)
}

macro_rules! caller_text {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// 1 to 255 bytes, kept exactly (case included), without control characters or
            /// surrounding white space.
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                let kept = required(text, 255)?;
                if kept.len() == text.len() {
                    Ok(Self(kept))
                } else {
                    Err(InvalidText::Grammar("must not begin or end with white space"))
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

caller_text! {
    /// A user, as the caller names them. Opaque and case-sensitive.
    UserId;
    /// A group asserted for a user. Opaque and case-sensitive.
    GroupId;
    /// A chat, as the caller names it. Opaque and case-sensitive.
    ChatId;
}

impl UserId {
    /// Whose the deployment's own things are: nobody's. No caller can name it.
    pub fn nobody() -> Self {
        Self(String::new())
    }
}

/// A short name for machines: `[a-z0-9]([a-z0-9-]{0,62})`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

impl Slug {
    /// The longest a slug may be.
    pub const MAX: usize = 63;

    /// Exactly the grammar; nothing is trimmed or folded.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        const GRAMMAR: InvalidText = InvalidText::Grammar(
            "must be 1 to 63 of a-z, 0-9 and `-`, and begin with a letter or digit",
        );
        let well_formed = !text.is_empty()
            && text.len() <= Self::MAX
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(GRAMMAR)
        }
    }

    /// The slug of a display name: lower-case ASCII letters and digits, everything else one dash.
    /// `None` when nothing is left.
    pub fn derive(display_name: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in display_name.chars() {
            match c.to_ascii_lowercase() {
                c @ ('a'..='z' | '0'..='9') => slug.push(c),
                _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
                _ => {}
            }
        }
        slug.truncate(Self::MAX);
        Self::parse(slug.trim_end_matches('-')).ok()
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_follows_its_grammar() {
        for good in ["a", "0", "git-hub", "a--b", &"x".repeat(63)] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "ä", "a b", &"x".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slug_is_derived_from_a_display_name() {
        let derive = |name| Slug::derive(name).map(|slug| slug.as_str().to_owned());

        assert_eq!(
            derive("  GitHub: Copilot (beta)! ").as_deref(),
            Some("github-copilot-beta")
        );
        assert_eq!(derive("日本"), None);
    }

    #[test]
    fn user_ids_are_kept_exactly_or_refused() {
        assert_eq!(
            UserId::parse("Ann@x").map(|u| u.to_string()).as_deref(),
            Ok("Ann@x")
        );
        for bad in ["", " ", " ann", "ann\n", "a\0b", &"u".repeat(256)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(UserId::parse(UserId::nobody().as_str()).is_err());
    }

    #[test]
    fn lists_are_trimmed_and_emptied_of_blanks_and_repeats() {
        let entries = [" a ", "", "b", "a", "  "].map(str::to_owned);

        assert_eq!(
            list(&entries, 2, 8),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(list(&entries, 1, 8).is_err());
    }
}
