//! Discovery: what an MCP server and its authorization servers say of themselves, asked for by us
//! alone. Nothing is stored or registered here.

use std::time::Duration;

use super::App;
use super::error::{Error, Result};
use crate::domain::authorization::{Discovered, Issuer, ProtectedResource};
use crate::domain::servers::{ClientCredentials, OAuth2, Overrides};
use crate::mcp::{self, BearerChallenge, Challenge, Probe};
use crate::oauth::{self, Finding, ForeignEndpoints, Hint, Legacy, MissingPkce, Purpose, Target};

/// What is to be discovered, and how strictly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeking<'a> {
    /// The MCP server's URL.
    pub(super) server_url: &'a str,
    /// The only issuer that will do, if there is one.
    pub(super) issuer: Option<&'a Issuer>,
    /// What the authorization server is needed for.
    pub(super) purpose: Purpose,
    /// Rules weakened for the server.
    pub(super) overrides: Overrides,
    /// Origins besides the server's own that its challenge may point to.
    pub(super) trusted_origins: &'a [String],
}

impl<'a> Seeking<'a> {
    /// What the settings of a server say.
    pub(super) fn of(server_url: &'a str, oauth2: &'a OAuth2) -> Self {
        let preregistered = oauth2.preregistered.as_ref().map(|client| &client.issuer);
        Self {
            server_url,
            issuer: preregistered.or(oauth2.issuer.as_ref()),
            purpose: Purpose::Users,
            overrides: oauth2.overrides,
            trusted_origins: &oauth2.trusted_metadata_origins,
        }
    }

    /// What the settings of a client of our own say.
    pub(super) fn own(server_url: &'a str, client: &'a ClientCredentials) -> Self {
        Self {
            server_url,
            issuer: client.issuer.as_ref(),
            purpose: Purpose::Ourselves,
            overrides: client.overrides,
            trusted_origins: &[],
        }
    }
}

/// What came of a discovery, and of every request of it.
#[derive(Debug)]
pub(super) struct Findings {
    /// How long asking the server itself took.
    pub(super) probed_in: Duration,
    /// What the server itself answered to a stranger.
    pub(super) probe: std::result::Result<Probe, mcp::Error>,
    /// What was found.
    pub(super) result: std::result::Result<Discovered, oauth::Error>,
    /// Every metadata document sought.
    pub(super) report: oauth::Report,
}

/// One request of a discovery.
#[derive(Debug)]
pub struct Step {
    /// Its method.
    pub method: &'static str,
    /// Its URL, without query.
    pub url: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub latency: Duration,
    /// What it meant.
    pub detail: String,
    /// Whether discovery went on with it.
    pub used: bool,
}

impl Findings {
    /// Every request, in order, the one to the server itself first.
    pub(super) fn steps(&self, server_url: &str) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.report.attempts.len() + 1);
        let (status, detail, used) = match &self.probe {
            Ok(probe) => {
                let challenges = probe.challenges.len();
                let detail = match challenges {
                    0 => "answers without a challenge".to_owned(),
                    1 => "answers with a challenge".to_owned(),
                    _ => format!("answers with {challenges} challenges"),
                };
                (Some(probe.status.as_u16()), detail, challenges > 0)
            }
            Err(error) => (None, error.to_string(), false),
        };
        steps.push(Step {
            method: "POST",
            url: server_url.split('?').next().unwrap_or_default().to_owned(),
            status,
            latency: self.probed_in,
            detail,
            used,
        });
        let attempts = self.report.attempts.iter();
        steps.extend(attempts.map(|attempt| Step {
            method: "GET",
            url: attempt.url.clone(),
            status: attempt.status.map(|status| status.as_u16()),
            latency: attempt.latency,
            detail: attempt.finding.to_string(),
            used: attempt.finding == Finding::Used,
        }));
        steps
    }
}

/// A discovery that failed, with everything that was tried.
pub(super) fn undiscovered(findings: &Findings) -> Error {
    let mut detail = match &findings.result {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    if let Err(error) = &findings.probe {
        detail = format!("{detail}; asking the server itself: {error}");
    }
    for attempt in &findings.report.attempts {
        detail = format!("{detail}; {}: {}", attempt.url, attempt.finding);
    }
    Error::DiscoveryFailed { detail }
}

/// What the challenges of `WWW-Authenticate` lines say together, as far as it steers discovery; of each
/// thing the first word counts. `None` where nobody asks for an access token.
pub(super) fn hint(challenges: &[Challenge]) -> Option<Hint> {
    let wanted = BearerChallenge::all(challenges);
    (!wanted.is_empty()).then(|| Hint {
        resource_metadata: wanted.iter().find_map(|one| one.resource_metadata.clone()),
        scopes: wanted.iter().find_map(|one| one.scope.clone()),
    })
}

impl App {
    /// Asks the server what it wants and finds its authorization server. A server that does not
    /// answer a stranger may still publish metadata, so that alone ends nothing.
    pub(super) async fn seek(&self, seeking: &Seeking<'_>) -> Findings {
        let started = self.0.clock.monotonic();
        let probe = self.probe(seeking).await;
        let probed_in = self.0.clock.monotonic().saturating_sub(started);
        let hint = said(&probe);
        let target = self.target(seeking, hint.as_ref());
        let discovery = oauth::discover(&self.0.fetch, &target).await;
        let now = self.0.clock.now();
        Findings {
            probed_in,
            probe,
            result: discovery.result.map(|found| Discovered {
                found_at: Some(now),
                ..found
            }),
            report: discovery.report,
        }
    }

    /// What is found, or everything that was tried.
    pub(super) async fn discover(&self, seeking: &Seeking<'_>) -> Result<Discovered> {
        let findings = self.seek(seeking).await;
        match findings.result {
            Ok(found) => Ok(found),
            Err(_) => Err(undiscovered(&findings)),
        }
    }

    /// Which issuers the server's resource names now.
    pub(super) async fn look_at_resource(
        &self,
        seeking: &Seeking<'_>,
    ) -> std::result::Result<ProtectedResource, oauth::Error> {
        let hint = said(&self.probe(seeking).await);
        let target = self.target(seeking, hint.as_ref());
        oauth::look_at_resource(&self.0.fetch, &target).await
    }

    async fn probe(&self, seeking: &Seeking<'_>) -> std::result::Result<Probe, mcp::Error> {
        let deadline = self.0.settings.request_timeout;
        mcp::probe(&self.0.fetch, seeking.server_url, deadline).await
    }

    fn target<'a>(&'a self, seeking: &Seeking<'a>, hint: Option<&'a Hint>) -> Target<'a> {
        let overrides = seeking.overrides;
        Target {
            server_url: seeking.server_url,
            hint,
            issuer: seeking.issuer,
            trusted_origins: seeking.trusted_origins,
            legacy: if overrides.legacy_2025_03_26 {
                Legacy::Spoken
            } else {
                Legacy::Refused
            },
            foreign_endpoints: if overrides.allow_foreign_endpoints {
                ForeignEndpoints::Allowed
            } else {
                ForeignEndpoints::Refused
            },
            purpose: seeking.purpose,
            missing_pkce: if overrides.allow_missing_pkce_metadata {
                MissingPkce::Allowed
            } else {
                MissingPkce::Refused
            },
            deadline: self.0.settings.request_timeout,
            clock: &*self.0.clock,
        }
    }
}

/// What a server's own challenge says.
fn said(probe: &std::result::Result<Probe, mcp::Error>) -> Option<Hint> {
    let probe = probe.as_ref().ok()?;
    hint(&probe.challenges)
}
