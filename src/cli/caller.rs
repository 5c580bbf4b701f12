//! Where the service is, and who calls: from flags, the environment and the profile, in this order.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use super::failure::Failure;
use super::profile::Profile;
use super::{parse, secrets};
use crate::client::{Client, Credential, Options};
use crate::config::process_environment;

pub(super) const ENDPOINT: &str = "STATIONMASTER_ENDPOINT";
pub(super) const API_KEY: &str = "STATIONMASTER_API_KEY";
pub(super) const DAEMON_API_KEY: &str = "STATIONMASTER_DAEMON_API_KEY";
pub(super) const PROFILE: &str = "STATIONMASTER_PROFILE";
pub(super) const TENANT: &str = "STATIONMASTER_TENANT";
pub(super) const CA_FILE: &str = "STATIONMASTER_CA_FILE";

/// As whom a command calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// An administrator, operator or auditor.
    Administrator,
    /// A chat daemon, for a user it names.
    Daemon,
}

/// How the service is called.
#[derive(Debug, Args)]
#[command(next_help_heading = "The service and the key (see `stationmaster --help`)")]
pub(super) struct Caller {
    /// Where the service is: `http://host:port` or `https://host:port`
    #[arg(long, global = true, value_name = "URL", env = ENDPOINT)]
    endpoint: Option<String>,
    /// A file that holds the API key (or a JWT); `-` for standard input
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// The profile: a TOML file with endpoint, `api_key` and `daemon_api_key`
    #[arg(long, global = true, value_name = "FILE", env = PROFILE)]
    profile: Option<PathBuf>,
    /// The tenant the call is about; for operators only
    #[arg(long, global = true, value_name = "TENANT", env = TENANT)]
    tenant: Option<String>,
    /// How long the service may take to answer
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    timeout: Duration,
    /// Certificates to trust instead of the system's, in PEM
    #[arg(long, global = true, value_name = "FILE", env = CA_FILE)]
    ca_file: Option<PathBuf>,
    /// Send the key in clear text beyond this machine, where the network itself protects it
    #[arg(long, global = true)]
    allow_plaintext: bool,
}

impl Caller {
    /// Connects.
    pub(super) async fn client(&self, role: As) -> Result<Client> {
        let said = Said {
            endpoint: self.endpoint.clone(),
            key: self
                .api_key_file
                .as_deref()
                .map(secrets::from_file)
                .transpose()?,
            environment: process_environment(),
        };
        let needs_profile =
            self.profile.is_some() || said.endpoint.is_none() || !said.has_key(role);
        let profile = if needs_profile {
            Profile::find(self.profile.as_deref())?
        } else {
            Profile::default()
        };
        let (endpoint, key) = said.choose(role, profile)?;
        let certificates = self.ca_file.as_ref().map(|path| {
            let read = std::fs::read_to_string(path);
            read.with_context(|| format!("{} cannot be read", path.display()))
        });
        let options = Options {
            tenant: self.tenant.clone().filter(|tenant| !tenant.is_empty()),
            deadline: self.timeout,
            certificates: certificates.transpose()?,
            allow_plaintext: self.allow_plaintext,
        };
        Ok(Client::connect(&endpoint, Credential::new(&key)?, &options).await?)
    }
}

/// What flags and the environment say.
struct Said {
    /// By flag or environment.
    endpoint: Option<String>,
    /// By flag.
    key: Option<String>,
    environment: Vec<(String, String)>,
}

impl Said {
    fn variable(&self, name: &str) -> Option<String> {
        let mut variables = self.environment.iter();
        let value = variables
            .find(|(variable, _)| variable == name)
            .map(|(_, value)| value);
        value.filter(|value| !value.is_empty()).cloned()
    }

    fn key(&self, role: As) -> Option<String> {
        let own = || self.variable(DAEMON_API_KEY).filter(|_| role == As::Daemon);
        self.key
            .clone()
            .or_else(own)
            .or_else(|| self.variable(API_KEY))
    }

    fn has_key(&self, role: As) -> bool {
        self.key(role).is_some()
    }

    /// Endpoint and key, each from the first that says it.
    fn choose(&self, role: As, profile: Profile) -> Result<(String, String)> {
        let filled = |text: &String| !text.is_empty();
        let endpoint = self
            .endpoint
            .clone()
            .filter(filled)
            .or(profile.endpoint.filter(filled));
        let own = profile.daemon_api_key.filter(|_| role == As::Daemon);
        let key = self
            .key(role)
            .or(own.filter(filled))
            .or(profile.api_key.filter(filled));
        let endpoint = endpoint.ok_or_else(|| {
            Failure::usage(format!(
                "where is the service? Give --endpoint or {ENDPOINT}, or a --profile with \
                 `endpoint`; `stationmaster serve --dev` starts one and writes a profile"
            ))
        })?;
        let key = key.ok_or_else(|| {
            Failure::usage(format!(
                "with which key? Give --api-key-file or {API_KEY}, or a --profile with `api_key`"
            ))
        })?;
        Ok((endpoint, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(key: Option<&str>, environment: &[(&str, &str)]) -> Said {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Said {
            endpoint: None,
            key: key.map(str::to_owned),
            environment: environment.iter().map(own).collect(),
        }
    }

    fn profile() -> Profile {
        Profile {
            endpoint: Some("http://profile".to_owned()),
            api_key: Some("profile-admin".to_owned()),
            daemon_api_key: Some("profile-daemon".to_owned()),
        }
    }

    fn key(said: &Said, role: As) -> String {
        said.choose(role, profile()).unwrap().1
    }

    #[test]
    fn the_profile_has_a_key_for_each_role() {
        let said = said(None, &[]);

        assert_eq!(key(&said, As::Administrator), "profile-admin");
        assert_eq!(key(&said, As::Daemon), "profile-daemon");
    }

    #[test]
    fn the_environment_is_stronger_than_the_profile() {
        let general = said(None, &[(API_KEY, "env"), (DAEMON_API_KEY, "")]);
        let both = said(None, &[(API_KEY, "env"), (DAEMON_API_KEY, "env-daemon")]);

        assert_eq!(key(&general, As::Daemon), "env");
        assert_eq!(key(&both, As::Daemon), "env-daemon");
        assert_eq!(key(&both, As::Administrator), "env");
    }

    #[test]
    fn a_flag_is_stronger_than_the_environment() {
        let said = said(Some("flag"), &[(DAEMON_API_KEY, "env")]);

        assert_eq!(key(&said, As::Daemon), "flag");
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        let why = |profile| {
            said(None, &[])
                .choose(As::Daemon, profile)
                .unwrap_err()
                .to_string()
        };
        let endpoint_only = Profile {
            endpoint: Some("http://[::1]".to_owned()),
            ..Profile::default()
        };

        assert!(why(Profile::default()).contains("--endpoint"));
        assert!(why(endpoint_only).contains("--api-key-file"));
    }
}
