//! Provider profiles as they are written: one TOML file a provider, some compiled in, more from a
//! directory of the deployment. A file of the same name takes the place of one compiled in. What each
//! key means says [`Profile`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::domain::authorization::Issuer;
use crate::domain::profiles::Profile;
use crate::domain::time::parse_duration;

/// Name and text of the profiles compiled in.
const BUILT_IN: [(&str, &str); 3] = [
    ("entra", include_str!("entra.toml")),
    ("google", include_str!("google.toml")),
    ("linear", include_str!("linear.toml")),
];

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file or the directory cannot be read.
    #[error("cannot read provider profiles at {path}")]
    Read {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a profile.
    #[error("provider profile `{name}` is malformed")]
    Malformed {
        /// Its name.
        name: String,
        /// Why.
        source: toml::de::Error,
    },
    /// Two profiles are for one issuer.
    #[error(
        "provider profiles `{first}` and `{second}` are both for `{issuer}`; a file takes the place of a \
         profile by having its name"
    )]
    Claimed {
        /// The issuer, or its beginning.
        issuer: String,
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
}

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Issuers it is for, byte for byte; one that ends in a slash stands for all that begin so. Where
    /// several stand for one, the longest does.
    issuers: Vec<String>,
    #[serde(default)]
    keeps_refresh_tokens: bool,
    #[serde(default, deserialize_with = "duration")]
    replay_grace: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    idle_limit: Option<Duration>,
    #[serde(default)]
    independent_grants: bool,
    /// What every request to the token endpoint says besides, for tokens of a user.
    #[serde(default, deserialize_with = "parameters")]
    token_parameters: BTreeMap<String, String>,
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

fn parameters<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let found = BTreeMap::<String, String>::deserialize(from)?;
    match found.keys().find(|name| OWN.contains(&name.as_str())) {
        Some(own) => Err(serde::de::Error::custom(format!(
            "`{own}` is not a profile's to say"
        ))),
        None => Ok(found),
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let found = parse_duration(&text);
    found
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("not a duration such as `30m` or `90d`"))
}

impl File {
    fn known(&self) -> Known {
        Known {
            profile: Profile {
                keeps_refresh_tokens: self.keeps_refresh_tokens,
                replay_grace: self.replay_grace,
                idle_limit: self.idle_limit,
                independent_grants: self.independent_grants,
            },
            token_parameters: self.token_parameters.clone(),
        }
    }
}

/// What is known of one provider.
#[derive(Debug)]
struct Known {
    profile: Profile,
    token_parameters: BTreeMap<String, String>,
}

/// What is known of providers. Finding one is cheap.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    names: HashMap<String, Arc<Known>>,
    issuers: HashMap<String, Arc<Known>>,
    /// How issuers begin, the longest first.
    beginnings: Vec<(String, Arc<Known>)>,
}

impl Profiles {
    /// Those compiled in, and those of a directory: every `*.toml` in it.
    ///
    /// # Errors
    /// [`ProfileError`] when one cannot be read or is malformed, or two are for one issuer.
    pub fn load(directory: Option<&Path>) -> Result<Self, ProfileError> {
        let mut files = BTreeMap::new();
        for (name, text) in BUILT_IN {
            files.insert(name.to_owned(), parse(name, text)?);
        }
        if let Some(directory) = directory {
            let unread = |source| ProfileError::Read {
                path: directory.display().to_string(),
                source,
            };
            for entry in std::fs::read_dir(directory).map_err(unread)? {
                let path = entry.map_err(unread)?.path();
                let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                    continue;
                };
                if path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
                {
                    let text = std::fs::read_to_string(&path).map_err(unread)?;
                    files.insert(name.to_owned(), parse(name, &text)?);
                }
            }
        }
        Self::of(&files)
    }

    fn of(files: &BTreeMap<String, File>) -> Result<Self, ProfileError> {
        let mut profiles = Self::default();
        let mut claimed = HashMap::new();
        for (name, file) in files {
            let known = Arc::new(file.known());
            profiles.names.insert(name.clone(), Arc::clone(&known));
            for issuer in &file.issuers {
                let first: Option<&String> = claimed.insert(issuer, name);
                if let Some(first) = first.filter(|first| *first != name) {
                    return Err(ProfileError::Claimed {
                        issuer: issuer.clone(),
                        first: first.clone(),
                        second: name.clone(),
                    });
                }
                if issuer.ends_with('/') {
                    profiles
                        .beginnings
                        .push((issuer.clone(), Arc::clone(&known)));
                } else {
                    profiles.issuers.insert(issuer.clone(), Arc::clone(&known));
                }
            }
        }
        let longest_first = |(beginning, _): &(String, Arc<Known>)| Reverse(beginning.len());
        profiles.beginnings.sort_by_key(longest_first);
        Ok(profiles)
    }

    /// What is known of a provider: by the profile's name, or by its issuer where none is named. A
    /// name nobody knows means that nothing is known.
    pub fn find(&self, name: Option<&str>, issuer: &Issuer) -> Profile {
        let found = self.known(name, issuer);
        found.map(|known| known.profile).unwrap_or_default()
    }

    /// What a provider's token endpoint is to be told besides, by name; found as by [`Self::find`].
    pub fn token_parameters(
        &self,
        name: Option<&str>,
        issuer: &Issuer,
    ) -> impl Iterator<Item = (&str, &str)> {
        let found = self.known(name, issuer).into_iter();
        let parameters = found.flat_map(|known| &known.token_parameters);
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn known(&self, name: Option<&str>, issuer: &Issuer) -> Option<&Known> {
        let found = match name {
            Some(name) => self.names.get(name),
            None => self.of_issuer(issuer.as_str()),
        };
        found.map(Arc::as_ref)
    }

    fn of_issuer(&self, issuer: &str) -> Option<&Arc<Known>> {
        self.issuers.get(issuer).or_else(|| {
            let mut known = self.beginnings.iter();
            let found = known.find(|(beginning, _)| issuer.starts_with(beginning));
            found.map(|(_, known)| known)
        })
    }
}

fn parse(name: &str, text: &str) -> Result<File, ProfileError> {
    toml::from_str(text).map_err(|source| ProfileError::Malformed {
        name: name.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: Option<&str>, issuer: &str) -> Profile {
        let profiles = Profiles::load(None).unwrap();
        profiles.find(name, &Issuer::new(issuer))
    }

    #[test]
    fn a_provider_is_known_by_its_issuer() {
        let day = Duration::from_hours(24);

        let google = find(None, "https://accounts.google.com");
        let entra = find(None, "https://login.microsoftonline.com/9188040d/v2.0");
        let linear = find(None, "https://mcp.linear.app");

        assert!(google.keeps_refresh_tokens && entra.keeps_refresh_tokens);
        assert_eq!(google.idle_limit, Some(180 * day));
        assert_eq!(entra.idle_limit, Some(90 * day));
        assert_eq!(linear.replay_grace, Some(Duration::from_mins(30)));
        assert!(!linear.keeps_refresh_tokens);
    }

    #[test]
    fn a_named_profile_goes_before_the_issuers() {
        let issuer = "https://accounts.google.com";

        assert_eq!(find(Some("linear"), issuer), find(Some("linear"), ""));
        assert_eq!(find(Some("nobody"), issuer), Profile::default());
    }

    #[test]
    fn the_most_exact_word_on_an_issuer_holds() {
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        let file = |text: &str| parse("any", text).unwrap();
        let files = BTreeMap::from([
            (
                "a".to_owned(),
                file("issuers = [\"https://x/\"]\nidle_limit = \"1d\""),
            ),
            (
                "b".to_owned(),
                file("issuers = [\"https://x/y/\"]\nidle_limit = \"2d\""),
            ),
            (
                "c".to_owned(),
                file("issuers = [\"https://x/y/z\"]\nidle_limit = \"3d\""),
            ),
        ]);

        let profiles = Profiles::of(&files).unwrap();

        let found = |issuer: &str| profiles.find(None, &Issuer::new(issuer)).idle_limit;
        assert_eq!(found("https://x/"), days(1));
        assert_eq!(found("https://x/w"), days(1));
        assert_eq!(found("https://x/y/w"), days(2));
        assert_eq!(found("https://x/y/z"), days(3));
        assert_eq!(found("https://x"), None);
    }

    #[test]
    fn an_issuer_that_only_looks_like_a_known_one_is_not_known() {
        for issuer in [
            "https://accounts.google.com.example",
            "https://accounts.google.com/",
            "https://login.microsoftonline.com.example/x",
        ] {
            assert_eq!(find(None, issuer), Profile::default(), "{issuer}");
        }
    }

    #[test]
    fn a_directory_adds_and_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("linear.toml", "issuers = []");
        write(
            "own.toml",
            "issuers = [\"https://own.example\"]\nidle_limit = \"7d\"\nindependent_grants = true",
        );
        write("notes.txt", "not a profile");

        let profiles = Profiles::load(Some(directory.path())).unwrap();

        let linear = profiles.find(Some("linear"), &Issuer::new(""));
        let own = profiles.find(None, &Issuer::new("https://own.example"));
        assert_eq!(linear, Profile::default());
        assert_eq!(own.idle_limit, Some(Duration::from_hours(7 * 24)));
        assert!(own.independent_grants && !linear.independent_grants);
        write("twin.toml", "issuers = [\"https://own.example\"]");
        let twins = Profiles::load(Some(directory.path())).unwrap_err();
        let said = twins.to_string();
        assert!(said.contains("`own` and `twin`"), "{said}");
        assert!(said.contains("`https://own.example`"), "{said}");
        write("twin.toml", "issuers = []");
        write("bad.toml", "issuers = []\nreplay_grace = \"soon\"");
        assert!(Profiles::load(Some(directory.path())).is_err());
    }

    #[test]
    fn a_profile_adds_to_what_a_token_endpoint_is_told_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.toml");
        let write = |parameters: &str| {
            let text =
                format!("issuers = [\"https://own.example\"]\ntoken_parameters = {parameters}");
            std::fs::write(&path, text).unwrap();
            Profiles::load(Some(directory.path()))
        };
        let issuer = Issuer::new("https://own.example");

        let profiles = write("{ expires_in = \"3600\", a = \"b\" }").unwrap();

        let told: Vec<_> = profiles.token_parameters(None, &issuer).collect();
        assert_eq!(told, [("a", "b"), ("expires_in", "3600")]);
        assert_eq!(
            profiles.token_parameters(Some("linear"), &issuer).count(),
            0
        );
        for own in OWN {
            assert!(write(&format!("{{ {own} = \"x\" }}")).is_err(), "{own}");
        }
    }
}
