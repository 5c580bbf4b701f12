//! What may stand in a setting: from text to types. Messages repeat a value unless it is secret.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use super::error::Problem;
use super::layers::{Entries, Raw};
use crate::domain::time::parse_duration;

/// What a setting can be.
pub(super) trait Value: Sized {
    /// Whether it must not be shown.
    const SECRET: bool = false;

    /// What the text means, or why it means nothing.
    fn read(raw: &Raw) -> Result<Self, String>;

    /// What it is when nobody says; `None` when somebody must.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads settings one by one and notes every problem.
pub(super) struct Reader<'a> {
    pub(super) entries: &'a Entries,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// The value of a setting; `None` when a problem was noted.
    pub(super) fn value<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.entries.get(key);
        let read = match entry {
            Some(entry) => T::read(&entry.raw),
            None => T::absent().ok_or_else(|| "is required".to_owned()),
        };
        read.map_err(|message| {
            self.problems.push(Problem {
                key: key.to_owned(),
                origin: entry.map(|entry| entry.origin.clone()),
                message,
            });
        })
        .ok()
    }
}

/// The one text of a setting that is no list.
fn single(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) => Ok(text.trim()),
        Raw::List(_) => Err("takes one value, not a list".to_owned()),
    }
}

/// The entries of a list; in one text they are separated by commas.
pub(super) fn entries(raw: &Raw) -> Vec<&str> {
    let split = |text| str::split(text, ',').map(str::trim);
    match raw {
        Raw::Text(text) => split(text).filter(|entry| !entry.is_empty()).collect(),
        Raw::List(list) => list.iter().map(|entry| entry.trim()).collect(),
    }
}

/// What a text that stands for one value means.
trait Single: Sized {
    fn parse(text: &str) -> Result<Self, String>;
}

impl<T: Single> Value for T {
    fn read(raw: &Raw) -> Result<Self, String> {
        T::parse(single(raw)?)
    }
}

impl<T: Single> Value for Option<T> {
    fn read(raw: &Raw) -> Result<Self, String> {
        T::read(raw).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Single> Value for Vec<T> {
    fn read(raw: &Raw) -> Result<Self, String> {
        entries(raw).into_iter().map(T::parse).collect()
    }
}

impl Single for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("must be a text on one line".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Single for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map(Self::from)
    }
}

impl Single for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`{other}` is neither `true` nor `false`")),
        }
    }
}

impl Single for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        let whole = text.parse();
        whole.map_err(|_| format!("`{text}` is not a whole number"))
    }
}

impl Single for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let address = text.parse();
        address.map_err(|_| format!("`{text}` is not an address such as `127.0.0.1:7400`"))
    }
}

impl Single for IpNet {
    fn parse(text: &str) -> Result<Self, String> {
        let net = text.parse();
        net.map_err(|_| format!("`{text}` is not a network such as `10.1.0.0/16`"))
    }
}

impl Single for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .ok_or_else(|| format!("`{text}` is not a duration such as `500ms`, `10s` or `1h30m`"))
    }
}

impl Single for Url {
    /// `http` or `https`, with neither user nor fragment.
    fn parse(text: &str) -> Result<Self, String> {
        let url = Self::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must be an http or https URL".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password".to_owned());
        }
        if url.fragment().is_some() {
            return Err(format!("`{text}` must not have a fragment"));
        }
        Ok(url)
    }
}

macro_rules! checked_text {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
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

checked_text! {
    /// A web origin as browsers write it: scheme, host, and port unless it is the usual one
    /// (RFC 6454, section 6.2).
    WebOrigin;
    /// A host's name or literal address, in lower case.
    HostName;
}

impl Single for WebOrigin {
    fn parse(text: &str) -> Result<Self, String> {
        let url = <Url as Single>::parse(text)?;
        if url.path() != "/" || url.query().is_some() {
            return Err(format!(
                "`{text}` is not an origin such as `https://chat.example.com`"
            ));
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl Single for HostName {
    fn parse(text: &str) -> Result<Self, String> {
        let host = Host::parse(text);
        host.map(|host| Self(host.to_string()))
            .map_err(|_| format!("`{text}` is not a host such as `mcp.internal`"))
    }
}

macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ }
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $variant,)+ }

        impl Single for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is none of {}", [$($text),+].join(", "))),
                }
            }
        }
    )+};
}

choices! {
    /// How log lines are written.
    LogFormat {
        /// For a person at a terminal.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }

    /// Whether `serve` brings the database's tables up to date.
    Migrate {
        /// On SQLite it does, on PostgreSQL it refuses to start on pending migrations.
        Auto = "auto",
        /// It does.
        Always = "always",
        /// It refuses to start on pending migrations.
        Never = "never",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units() {
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        for bad in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10 s",
            "1y",
            "99999999999999999999d",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let origin = |text| WebOrigin::parse(text).map(|origin| origin.0);

        assert_eq!(
            origin("HTTPS://Chat.Example.com:443/").as_deref(),
            Ok("https://chat.example.com")
        );
        assert!(origin("https://chat.example.com/path").is_err());
        assert!(origin("chat.example.com").is_err());
    }

    #[test]
    fn a_list_is_a_list_or_a_text_with_commas() {
        let list = Raw::List(vec!["a.b".to_owned(), "C.D".to_owned()]);
        let text = Raw::Text("a.b, c.d,".to_owned());

        assert_eq!(Vec::<HostName>::read(&list), Vec::<HostName>::read(&text));
        assert!(HostName::read(&list).is_err());
    }
}
