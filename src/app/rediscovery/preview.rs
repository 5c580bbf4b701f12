//! A look at what would be found for a URL. Nothing is stored, nothing registered; that nothing is
//! found is an answer.

use super::super::App;
use super::super::client_documents::Documented;
use super::super::discovery::{Findings, Seeking, Step};
use super::super::error::{Error, Result};
use crate::domain::authorization::Discovered;
use crate::domain::ids::ServerId;
use crate::domain::registrations::RegistrationKind;
use crate::domain::servers::{Draft, OAuth2, Stored, check};
use crate::domain::text::Violations;
use crate::fetch;
use crate::mcp;
use crate::oauth;

/// A server that may be made.
#[derive(Debug)]
pub struct Preview {
    /// What it would be.
    pub draft: Draft,
    /// The id it would get.
    pub id: Option<ServerId>,
}

/// What a discovery came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An authorization server, and a way to a client there.
    Found,
    /// The server answers a stranger and describes no authorization.
    NoAuthNeeded,
    /// Somebody did not answer.
    Unreachable,
    /// There is no resource metadata.
    NoResourceMetadata,
    /// It describes another resource.
    ResourceMismatch,
    /// It names no authorization server.
    NoAuthorizationServer,
    /// None of the authorization servers has metadata.
    NoServerMetadata,
    /// The metadata names another issuer than asked for, or than configured.
    IssuerMismatch,
    /// A document lacks what it must say.
    MalformedMetadata,
    /// PKCE with S256 is not advertised.
    PkceUnsupported,
    /// There is no way to a client.
    RegistrationUnavailable,
    /// A URL is refused by the rules for outgoing requests, or may not be named by the server.
    UrlNotAllowed,
    /// The authorization server offers nothing that is spoken here.
    Unsupported,
}

/// What would be found.
#[derive(Debug)]
pub struct Previewed {
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub discovered: Option<Discovered>,
    /// How a client would come to be there; `None` where there is no way.
    pub registration: Option<RegistrationKind>,
    /// The client's id, as far as it is known before.
    pub client_id: Option<String>,
    /// Every request made, in order.
    pub steps: Vec<Step>,
    /// An id to create it with.
    pub id: ServerId,
    /// The redirect URI it would have then.
    pub redirect_uri: String,
    /// The provider profile that fits, by name.
    pub profile: Option<String>,
}

impl App {
    /// What would be found for a URL, with these settings.
    pub async fn preview_server(&self, ask: Preview) -> Result<Previewed> {
        let Preview { draft, id } = ask;
        let mut found = Violations::new();
        for violation in check(&draft, Stored::default(), self.0.settings.url_rules).into_vec() {
            let field = violation.field.trim_start_matches("server.").to_owned();
            found.add(field, violation.description);
        }
        let spec = &draft.spec;
        let default = OAuth2::default();
        let oauth2 = spec.auth.oauth2().unwrap_or(&default);
        if oauth2.endpoints.is_some() {
            found.add("oauth2", "endpoints written by hand are not discovered");
        }
        found.or(()).map_err(Error::from)?;
        let id = id.unwrap_or_else(|| ServerId::mint(&*self.0.clock, &*self.0.random));
        let findings = self.seek(&Seeking::of(&spec.url, oauth2)).await;
        let steps = findings.steps(&spec.url);
        let Findings { probe, result, .. } = findings;
        let server = result
            .as_ref()
            .ok()
            .map(|found| &found.authorization_server);
        let documented = server.and_then(|server| self.documented(oauth2, id, server));
        let registers = server.is_some_and(|server| server.registration_endpoint.is_some());
        let (registration, client_id) = match (&oauth2.preregistered, &documented) {
            (Some(client), _) => (
                Some(RegistrationKind::Preregistered),
                Some(client.client_id.clone()),
            ),
            (None, Some(Documented { client_id, .. })) => (
                Some(RegistrationKind::MetadataDocument),
                Some(client_id.clone()),
            ),
            (None, None) => (registers.then_some(RegistrationKind::Dynamic), None),
        };
        let redirect_uri = match (&oauth2.preregistered, documented) {
            (None, Some(Documented { redirect_uri, .. })) => redirect_uri,
            _ => self.redirect_uri(oauth2, id),
        };
        let profiles = &self.0.settings.profiles;
        let fitting = server.and_then(|server| profiles.name_of(&server.issuer));
        let profile = oauth2.provider_profile.as_deref().or(fitting);
        let profile = profile.map(str::to_owned);
        Ok(Previewed {
            verdict: match &result {
                Ok(_) if registration.is_none() => Verdict::RegistrationUnavailable,
                Ok(_) => Verdict::Found,
                Err(error) => verdict(error, is_open(&probe)),
            },
            discovered: result.ok(),
            registration,
            client_id,
            steps,
            id,
            redirect_uri,
            profile,
        })
    }
}

/// What a failed discovery means, at a server that answers a stranger or does not.
fn verdict(error: &oauth::Error, open: bool) -> Verdict {
    use oauth::Error;
    match error {
        Error::Fetch(fetch::Error::Blocked { .. }) | Error::ForeignEndpoint { .. } => {
            Verdict::UrlNotAllowed
        }
        Error::NoResourceMetadata if open => Verdict::NoAuthNeeded,
        Error::NoResourceMetadata => Verdict::NoResourceMetadata,
        Error::ResourceMismatch { .. } => Verdict::ResourceMismatch,
        Error::NoAuthorizationServer => Verdict::NoAuthorizationServer,
        Error::NoServerMetadata { .. } => Verdict::NoServerMetadata,
        Error::IssuerMismatch { .. } | Error::IssuerNotListed { .. } => Verdict::IssuerMismatch,
        Error::Address | Error::Metadata { .. } => Verdict::MalformedMetadata,
        Error::PkceUnsupported { .. } => Verdict::PkceUnsupported,
        Error::Fetch(_) | Error::Unavailable { .. } => Verdict::Unreachable,
        Error::Unsupported { .. }
        | Error::SecretMissing
        | Error::RegistrationRefused { .. }
        | Error::RegistrationMalformed
        | Error::NoEndpoint { .. }
        | Error::UserInfo { .. }
        | Error::Endpoint { .. }
        | Error::ReservedParameter { .. } => Verdict::Unsupported,
    }
}

fn is_open(probe: &std::result::Result<mcp::Probe, mcp::Error>) -> bool {
    probe.as_ref().is_ok_and(|probe| probe.status.is_success())
}
