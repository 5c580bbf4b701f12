//! Provider profiles: what is known of one provider that its metadata does not say, found by the issuer
//! or named on the server. Some are compiled in ([`builtin`]), more come from a directory of the
//! deployment; a file of the same name takes the place of one compiled in. A profile says two things:
//! how the provider treats grants over time ([`Profile`]) and how its protocol deviates ([`Dialect`]).

mod builtin;
mod file;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use self::file::{File, Sourced};
use super::dialect::Dialect;
use crate::domain::authorization::Issuer;
use crate::domain::profiles::Profile;

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
    /// A line of a profile compiled in does not say where it is from.
    #[error("provider profile `{name}` names no source for `{line}`")]
    Unsourced {
        /// Its name.
        name: String,
        /// The line.
        line: String,
    },
    /// A source is named for what the profile does not say.
    #[error("provider profile `{name}` names a source for `{line}`, which it does not say")]
    Stray {
        /// Its name.
        name: String,
        /// The line.
        line: String,
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

/// What is known of one provider.
#[derive(Debug)]
struct Known {
    profile: Profile,
    dialect: Dialect,
}

/// What is known of providers. Finding one is cheap.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    names: BTreeMap<String, Arc<Known>>,
    issuers: HashMap<String, Arc<Known>>,
    /// How issuers begin, the longest first.
    beginnings: Vec<(String, Arc<Known>)>,
    /// The protocol of those of whom nothing is known.
    plain: Dialect,
}

impl Profiles {
    /// Those compiled in, and those of a directory: every `*.toml` in it.
    ///
    /// # Errors
    /// [`ProfileError`] when one cannot be read or is malformed, or two are for one issuer.
    pub fn load(directory: Option<&Path>) -> Result<Self, ProfileError> {
        let mut files = builtin::files()?;
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
                    let file = File::parse(name, &text, Sourced::Freely)?;
                    files.insert(name.to_owned(), file);
                }
            }
        }
        Self::of(&files)
    }

    fn of(files: &BTreeMap<String, File>) -> Result<Self, ProfileError> {
        let mut profiles = Self::default();
        let mut claimed = HashMap::new();
        for (name, file) in files {
            let known = Arc::new(Known {
                profile: file.profile(),
                dialect: file.dialect(),
            });
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

    /// The protocol of a provider, found as by [`Self::find`].
    pub fn dialect(&self, name: Option<&str>, issuer: &Issuer) -> &Dialect {
        let found = self.known(name, issuer);
        found.map_or(&self.plain, |known| &known.dialect)
    }

    /// Whether there is a profile of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The names of all, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The name of the profile that an issuer has.
    pub fn name_of(&self, issuer: &Issuer) -> Option<&str> {
        let found = self.of_issuer(issuer.as_str())?;
        let mut names = self.names.iter();
        let entry = names.find(|(_, known)| Arc::ptr_eq(known, found));
        entry.map(|(name, _)| name.as_str())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn find(name: Option<&str>, issuer: &str) -> Profile {
        let profiles = Profiles::load(None).unwrap();
        profiles.find(name, &Issuer::new(issuer))
    }

    #[test]
    fn a_provider_is_known_by_its_issuer() {
        for (issuer, name) in [
            ("https://github.com/login/oauth", "github"),
            ("https://accounts.google.com", "google"),
            ("https://accounts.google.com/", "google"),
            ("https://login.microsoftonline.com/9188040d/v2.0", "entra"),
            ("https://slack.com", "slack"),
            ("https://mcp.slack.com", "slack"),
            ("https://mcp.linear.app", "linear"),
            ("https://auth.atlassian.com", "atlassian"),
            ("https://auth.atlassian.com/VCeDsk8ZHncYF1g234", "atlassian"),
        ] {
            let (profiles, issuer) = (Profiles::load(None).unwrap(), Issuer::new(issuer));

            let found = profiles.of_issuer(issuer.as_str());

            let named = profiles.names.get(name).unwrap();
            assert!(
                found.is_some_and(|found| Arc::ptr_eq(found, named)),
                "{issuer}"
            );
        }
    }

    #[test]
    fn a_named_profile_goes_before_the_issuers() {
        let profiles = Profiles::load(None).unwrap();
        let (google, none) = (Issuer::new("https://accounts.google.com"), Issuer::new(""));

        let dialect = |name, issuer| profiles.dialect(name, issuer);

        let linear = profiles.find(Some("linear"), &google);
        assert_eq!(linear, profiles.find(Some("linear"), &none));
        assert_eq!(profiles.find(Some("nobody"), &google), Profile::default());
        assert_eq!(
            dialect(Some("slack"), &google),
            dialect(Some("slack"), &none)
        );
        assert_ne!(dialect(Some("slack"), &google), dialect(None, &google));
        assert_eq!(dialect(Some("nobody"), &google), &Dialect::default());
    }

    #[test]
    fn the_most_exact_word_on_an_issuer_holds() {
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        let file = |text: &str| File::parse("any", text, Sourced::Freely).unwrap();
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
            "https://github.com/login/oauth/",
            "https://mcp.linear.app.example",
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
}
