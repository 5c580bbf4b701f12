//! A provider profile as it is written: one TOML file a provider, with a line for each deviation and,
//! in `[sources]`, the provider's page or the public thread that the line rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::ProfileError;
use crate::domain::authorization::RESERVED_PARAMETERS;
use crate::domain::profiles::Profile;
use crate::domain::time::parse_duration;
use crate::oauth::dialect::{Dialect, Meaning, OfflineAccess, ResourceParameter};

/// Whether each line must name its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sourced {
    /// It must: what is compiled in.
    Wholly,
    /// It may: what a deployment knows of its own providers.
    Freely,
}

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Issuers it is for, byte for byte; one that ends in a slash stands for all that begin so. Where
    /// several stand for one, the longest does. Without any it is for servers that name it.
    pub(super) issuers: Vec<String>,
    #[serde(default)]
    keeps_refresh_tokens: bool,
    #[serde(default, deserialize_with = "duration")]
    replay_grace: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    idle_limit: Option<Duration>,
    #[serde(default)]
    independent_grants: bool,
    #[serde(default, deserialize_with = "authorize_parameters")]
    authorize_parameters: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "token_parameters")]
    token_parameters: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "scope_parameter")]
    scope_parameter: Option<String>,
    #[serde(default)]
    scope_separator: Option<String>,
    #[serde(default)]
    offline_access: OfflineAccess,
    #[serde(default = "sent")]
    resource: bool,
    #[serde(default)]
    token_path: Option<String>,
    #[serde(default)]
    error_aliases: BTreeMap<String, Meaning>,
    #[serde(default, deserialize_with = "duration")]
    access_lifetime: Option<Duration>,
    /// Where each line is from: its name (`table.entry` in a table), and a URL.
    #[serde(default)]
    sources: BTreeMap<String, String>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ProfileError::Malformed`]; [`ProfileError::Unsourced`] when a line that must name its source
    /// does not, [`ProfileError::Stray`] when a source is for no line.
    pub(super) fn parse(name: &str, text: &str, sourced: Sourced) -> Result<Self, ProfileError> {
        let malformed = |source| ProfileError::Malformed {
            name: name.to_owned(),
            source,
        };
        let file: Self = toml::from_str(text).map_err(malformed)?;
        let lines = lines(&text.parse().map_err(malformed)?);
        if let Some(stray) = file.sources.keys().find(|source| !lines.contains(source)) {
            return Err(ProfileError::Stray {
                name: name.to_owned(),
                line: stray.clone(),
            });
        }
        let unsourced = lines.iter().find(|line| !file.sources.contains_key(*line));
        match unsourced.filter(|_| sourced == Sourced::Wholly) {
            Some(line) => Err(ProfileError::Unsourced {
                name: name.to_owned(),
                line: line.clone(),
            }),
            None => Ok(file),
        }
    }

    /// What it says of a provider's grants.
    pub(super) fn profile(&self) -> Profile {
        Profile {
            keeps_refresh_tokens: self.keeps_refresh_tokens,
            replay_grace: self.replay_grace,
            idle_limit: self.idle_limit,
            independent_grants: self.independent_grants,
        }
    }

    /// What it says of a provider's protocol.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            authorize_parameters: self.authorize_parameters.clone(),
            token_parameters: self.token_parameters.clone(),
            scope_parameter: self.scope_parameter.clone(),
            scope_separator: self.scope_separator.clone(),
            offline_access: self.offline_access,
            resource: if self.resource {
                ResourceParameter::Sent
            } else {
                ResourceParameter::Omitted
            },
            token_path: self.token_path.clone(),
            error_aliases: self.error_aliases.clone(),
            access_lifetime: self.access_lifetime,
        }
    }
}

/// The lines of a file that say something: its keys, and each entry of its tables.
fn lines(file: &toml::Table) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in file {
        if key == "sources" {
            continue;
        }
        if let Some(entries) = value.as_table() {
            lines.extend(entries.keys().map(|entry| format!("{key}.{entry}")));
        } else if value.as_array().is_none_or(|entries| !entries.is_empty()) {
            lines.push(key.clone());
        }
    }
    lines
}

/// What a request to a token endpoint says by itself, and no profile may.
const OWN: [&str; 11] = [
    "grant_type",
    "code",
    "refresh_token",
    "redirect_uri",
    "code_verifier",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "resource",
];

fn parameters<'de, D: Deserializer<'de>>(
    from: D,
    own: &[&str],
) -> Result<BTreeMap<String, String>, D::Error> {
    let found = BTreeMap::<String, String>::deserialize(from)?;
    match found.keys().find(|name| own.contains(&name.as_str())) {
        Some(own) => Err(serde::de::Error::custom(format!(
            "`{own}` is not a profile's to say"
        ))),
        None => Ok(found),
    }
}

fn authorize_parameters<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    parameters(from, &RESERVED_PARAMETERS)
}

fn token_parameters<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    parameters(from, &OWN)
}

fn scope_parameter<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    if RESERVED_PARAMETERS.contains(&name.as_str()) {
        let why = format!("`{name}` is not for scopes, or need not be said");
        return Err(serde::de::Error::custom(why));
    }
    Ok(Some(name))
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let found = parse_duration(&text);
    found
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("not a duration such as `30m` or `90d`"))
}

fn sent() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str, sourced: Sourced) -> Result<File, ProfileError> {
        File::parse("any", &format!("issuers = []\n{lines}"), sourced)
    }

    #[test]
    fn a_file_without_lines_is_the_plain_protocol() {
        let file = parse("", Sourced::Wholly).unwrap();

        assert_eq!(file.profile(), Profile::default());
        assert_eq!(file.dialect(), Dialect::default());
    }

    #[test]
    fn what_is_compiled_in_names_a_source_for_every_line() {
        let cited = "idle_limit = \"1d\"\nerror_aliases = { a = \"later\" }\n[sources]\n";
        let (one, other) = (
            "idle_limit = \"https://x\"\n",
            "\"error_aliases.a\" = \"https://x\"",
        );
        let line = |said: &str, sourced| match parse(said, sourced) {
            Ok(_) => String::new(),
            Err(ProfileError::Unsourced { line, .. } | ProfileError::Stray { line, .. }) => line,
            Err(other) => panic!("{other}"),
        };

        let whole = format!("{cited}{one}{other}");
        assert_eq!(line(&whole, Sourced::Wholly), "");
        assert_eq!(
            line(&format!("{cited}{other}"), Sourced::Wholly),
            "idle_limit"
        );
        assert_eq!(
            line(&format!("{cited}{one}"), Sourced::Wholly),
            "error_aliases.a"
        );
        assert_eq!(line(cited, Sourced::Freely), "");
        let stray = "[sources]\nresource = \"https://x\"";
        assert_eq!(line(stray, Sourced::Freely), "resource");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for lines in [
            "replay_grace = \"soon\"",
            "offline_access = \"perhaps\"",
            "scope_parameter = \"state\"",
            "scope_parameter = \"scope\"",
            "error_aliases = { a = \"other\" }",
            "access_lifetime = 3600",
            "unknown = true",
        ] {
            let parsed = parse(lines, Sourced::Freely);

            assert!(
                matches!(parsed, Err(ProfileError::Malformed { .. })),
                "{lines}"
            );
        }
    }

    #[test]
    fn a_profile_adds_to_what_requests_say_and_changes_nothing() {
        for (table, own) in [
            ("token_parameters", &OWN[..]),
            ("authorize_parameters", &RESERVED_PARAMETERS[..]),
        ] {
            for own in own {
                let lines = format!("{table} = {{ {own} = \"x\" }}");
                assert!(parse(&lines, Sourced::Freely).is_err(), "{lines}");
            }
            let lines = format!("{table} = {{ expires_in = \"3600\" }}");
            assert!(parse(&lines, Sourced::Freely).is_ok(), "{lines}");
        }
    }
}
