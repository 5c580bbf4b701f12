//! Tools of servers: which may be called, and under which names a model sees them. The same here and in
//! the client of daemons.

use std::fmt::Write as _;

use ring::digest;

use super::text::Slug;

/// Longest name that providers of models take.
pub const MAX_NAME: usize = 64;
/// Longest prefix, its separator included: half of a name is left to the tool.
const MAX_PREFIX: usize = 32;
/// Between server and tool. A slug holds no underscore, so that the first one ends it.
const SEPARATOR: &str = "__";
/// Hexadecimal digits that stand for what was cut off of a slug: an administrator's, and short.
const PREFIX_DIGITS: usize = 12;
/// Hexadecimal digits that stand for what was cut off or replaced in a tool's name, which is the server's to
/// choose: too many to look for two names with the same.
const DIGITS: usize = 20;

/// The patterns of a server's tool policy.
#[derive(Debug, Clone, Copy)]
pub struct Patterns<'a> {
    /// What may be called; everything where it is empty.
    pub allow: &'a [String],
    /// What may not.
    pub deny: &'a [String],
}

/// Whether a tool may be called, by its original name: no deny pattern matches it, and the allow list is
/// empty or one of its patterns does. Deny always wins.
pub fn allows(Patterns { allow, deny }: Patterns<'_>, tool: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, tool));
    !any(deny) && (allow.is_empty() || any(allow))
}

/// Whether a name matches a pattern, in which `*` stands for any characters, none included. All else is
/// exact, case too.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The earliest place for each part leaves the most to those after it.
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What is put before the names of a server's tools: at most 32 characters, as unique as the slug. Names that
/// begin with a digit are refused by some providers: an underscore goes before it.
pub fn name_prefix(slug: &Slug) -> String {
    let digit_first = slug.as_str().starts_with(|c: char| c.is_ascii_digit());
    prefix(if digit_first { "_" } else { "" }, slug)
}

/// The same of a server that is attached to a chat: by an underscore, which no slug has, never that of a
/// server of the same slug that is not.
pub fn inline_name_prefix(slug: &Slug) -> String {
    prefix("chat_", slug)
}

fn prefix(lead: &str, slug: &Slug) -> String {
    let slug = slug.as_str();
    let room = MAX_PREFIX - SEPARATOR.len() - lead.len();
    if slug.len() <= room && !ends_in_digits(slug, '-', PREFIX_DIGITS) {
        return format!("{lead}{slug}{SEPARATOR}");
    }
    let kept = room - PREFIX_DIGITS - 1;
    let kept: String = slug.chars().take(kept).collect();
    let digits = fingerprint(&[slug], PREFIX_DIGITS);
    format!("{lead}{kept}-{digits}{SEPARATOR}")
}

/// The name under which a model sees a tool: at most 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`. It depends on
/// nothing but prefix and tool, and no two tools of a server share one: a name that had to be changed ends in
/// a fingerprint of the original, and so does one that looks as if it did.
pub fn exposed_name(prefix: &str, tool: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let whole = format!("{prefix}{tool}");
    let is_plain = !tool.is_empty() && whole.chars().all(plain);
    if is_plain && whole.len() <= MAX_NAME && !ends_in_digits(&whole, '_', DIGITS) {
        return whole;
    }
    let readable = whole.chars().map(|c| if plain(c) { c } else { '_' });
    let kept: String = readable.take(MAX_NAME - DIGITS - 1).collect();
    format!("{kept}_{}", fingerprint(&[prefix, tool], DIGITS))
}

/// Whether a name ends as one that was changed: in so many digits after a separator.
fn ends_in_digits(name: &str, separator: char, count: usize) -> bool {
    let digits = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    name.rsplit_once(separator)
        .is_some_and(|(_, end)| end.len() == count && digits(end))
}

/// So many digits of a fingerprint of texts, told apart by their lengths.
fn fingerprint(texts: &[&str], count: usize) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for text in texts {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        hash.update(&length.to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut digits = String::with_capacity(count);
    for byte in hash.finish().as_ref().iter().take(count / 2) {
        // A text takes whatever is written to it.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn deny_wins_and_an_empty_allow_list_allows() {
        for (allow, deny, tool, allowed) in [
            (&[][..], &[][..], "read", true),
            (&["read"], &[], "read", true),
            (&["read"], &[], "write", false),
            (&[], &["write"], "read", true),
            (&[], &["write"], "write", false),
            (&["*"], &["write"], "write", false),
            (&["write"], &["write"], "write", false),
            (&["write"], &["*"], "write", false),
            (&["get_*", "list"], &["get_secret*"], "get_page", true),
            (&["get_*", "list"], &["get_secret*"], "get_secrets", false),
            (&["get_*", "list"], &["get_secret*"], "list", true),
            (&["get_*", "list"], &["get_secret*"], "lists", false),
            (&["Read"], &[], "read", false),
            (&[], &["WRITE"], "write", true),
        ] {
            let lists = (texts(allow), texts(deny));

            let patterns = Patterns {
                allow: &lists.0,
                deny: &lists.1,
            };
            let is = allows(patterns, tool);

            assert_eq!(is, allowed, "{lists:?} {tool}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, does) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "a.b/c d", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*b*", "abc", true),
            ("a**b", "ab", true),
            ("get_?", "get_x", false),
            ("get_.*", "get_xy", false),
            ("größe*", "größe_日本", true),
        ] {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }

    #[test]
    fn a_prefix_is_short_and_as_unique_as_the_slug() {
        let prefix = |text: &str| name_prefix(&Slug::parse(text).unwrap());
        let long = "a".repeat(62);

        assert_eq!(prefix("tools"), "tools__");
        let fits = "b".repeat(30);
        assert_eq!(prefix(&fits), format!("{fits}__"));
        let (one, other) = (prefix(&format!("{long}x")), prefix(&format!("{long}y")));
        assert_eq!((one.len(), other.len()), (MAX_PREFIX, MAX_PREFIX));
        assert_ne!(one, other);
        // A slug that is the prefix of another one, but for the separator.
        let imitation = one.strip_suffix(SEPARATOR).unwrap();
        assert_ne!(prefix(imitation), one);
        assert_eq!(prefix("1password"), "_1password__");
        let numbered = |end: &str| prefix(&format!("1{}{end}", &long[1..]));
        assert_ne!(numbered("x"), numbered("y"));
    }

    #[test]
    fn what_is_attached_to_a_chat_is_told_from_what_is_not() {
        let slugs = ["tools", "chat-tools", "9", &"a".repeat(25), &"a".repeat(32)];
        let slugs = slugs.map(|slug| Slug::parse(slug).unwrap());

        let attached = slugs.each_ref().map(inline_name_prefix);

        assert_eq!(attached[0], "chat_tools__");
        let all: HashSet<_> = slugs.iter().map(name_prefix).chain(attached).collect();
        assert_eq!(all.len(), 10, "{all:?}");
        for prefix in &all {
            assert!(prefix.len() <= MAX_PREFIX, "{prefix}");
            assert_eq!(prefix.find(SEPARATOR), Some(prefix.len() - 2), "{prefix}");
        }
    }

    #[test]
    fn a_name_that_fits_stays_and_another_ends_in_a_fingerprint() {
        assert_eq!(exposed_name("git__", "create_issue"), "git__create_issue");
        assert_eq!(exposed_name("git__", "a__b"), "git__a__b");
        let fits = "x".repeat(MAX_NAME - "git__".len());
        assert_eq!(exposed_name("git__", &fits), format!("git__{fits}"));
        for tool in [
            "pages.get",
            "größe",
            "",
            "a b",
            "0123456789abcdef0123",
            "x_0123456789abcdef0123",
        ] {
            let name = exposed_name("git__", tool);

            assert!(ends_in_digits(&name, '_', DIGITS), "{tool} {name}");
            assert!(name.starts_with("git__"), "{tool} {name}");
        }
    }

    #[test]
    fn what_looks_alike_is_told_apart() {
        let long = "x".repeat(80);
        let hashed = exposed_name("git__", "pages.get");
        let imitation = hashed.strip_prefix("git__").unwrap();
        let tools = [
            "pages.get",
            "pages_get",
            "pages/get",
            imitation,
            &format!("{long}1"),
            &format!("{long}2"),
        ];

        let names: HashMap<_, _> = tools
            .iter()
            .map(|tool| (exposed_name("git__", tool), tool))
            .collect();

        assert_eq!(names.len(), tools.len(), "{names:?}");
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_providers_take(
            slug in "[a-z0-9][a-z0-9-]{0,62}",
            tool in any::<String>(),
            other in any::<String>(),
        ) {
            let prefix = name_prefix(&Slug::parse(&slug).unwrap());
            let name = exposed_name(&prefix, &tool);

            prop_assert!(name.len() <= MAX_NAME && name.starts_with(&prefix), "{}", name);
            prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{}", name);
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            prop_assert!(name.bytes().all(plain), "{}", name);
            prop_assert_eq!(name.split_once(SEPARATOR).unwrap().0.len() + 2, prefix.len());
            prop_assert_eq!(name == exposed_name(&prefix, &other), tool == other);
        }

        #[test]
        fn a_pattern_of_a_name_with_stars_put_in_matches_it(
            name in "[a-c]{0,12}",
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
        ) {
            let mut pattern = name.clone();
            for cut in cuts {
                let at = cut.index(pattern.len() + 1);
                pattern.insert(at, '*');
            }

            prop_assert!(matches(&pattern, &name), "{} {}", pattern, name);
        }
    }
}
