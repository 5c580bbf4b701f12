//! From an MCP server's address to the authorization server that guards it (RFC 9728, RFC 8414,
//! `OpenID` Connect Discovery; MCP authorization, discovery). Sequential, first match wins; a place
//! is left for the next one only when it surely has no document: an outage must not make us take a
//! less specific document for the right one. What servers of the first revision do without all that
//! is in [`legacy`].

mod legacy;

use url::Url;

use super::error::Error;
use super::metadata;
use super::places::{self, Fit, Form};
use super::report::{Asked, Finding, Report, Sought};
use super::target::{Legacy, MissingPkce, Purpose, Target};
use crate::domain::authorization::{AuthorizationServer, Discovered, Issuer, ProtectedResource};
use crate::fetch::{Fetch, Policy, ReadBody, Request, is_loopback};

/// Largest metadata document read, in bytes.
const DOCUMENT_CAP: usize = 256 * 1024;

/// What came out, and how.
#[derive(Debug)]
pub struct Discovery {
    /// The resource and its authorization server, or why there is none.
    pub result: Result<Discovered, Error>,
    /// Every URL tried, in order.
    pub report: Report,
}

/// Finds the resource's metadata and the metadata of the first usable authorization server it
/// names. Saves nothing, sends nothing secret.
///
/// # Errors
/// In [`Discovery::result`]: [`Error::Address`], [`Error::NoResourceMetadata`],
/// [`Error::ResourceMismatch`], [`Error::NoAuthorizationServer`], [`Error::IssuerNotListed`],
/// [`Error::NoServerMetadata`], [`Error::IssuerMismatch`], [`Error::Metadata`], [`Error::ForeignEndpoint`],
/// [`Error::PkceUnsupported`], [`Error::Unavailable`], [`Error::Fetch`]. Of several authorization
/// servers that all failed, the first one's.
pub async fn discover(fetch: &Fetch, target: &Target<'_>) -> Discovery {
    let mut search = Search::new(fetch, target);
    let result = search.run().await;
    Discovery {
        result,
        report: search.report,
    }
}

/// Reads the resource's metadata only: which issuers it names now. Sends nothing secret.
///
/// # Errors
/// As far as the resource's metadata goes, those of [`discover`].
pub async fn look_at_resource(
    fetch: &Fetch,
    target: &Target<'_>,
) -> Result<ProtectedResource, Error> {
    let server = Url::parse(target.server_url).map_err(|_error| Error::Address)?;
    let mut search = Search::new(fetch, target);
    search.resource(&server).await
}

struct Search<'a> {
    fetch: &'a Fetch,
    target: &'a Target<'a>,
    report: Report,
    warnings: Vec<String>,
    /// How asking for the last document went.
    asked: Asked,
}

impl<'a> Search<'a> {
    fn new(fetch: &'a Fetch, target: &'a Target<'a>) -> Self {
        Self {
            fetch,
            target,
            report: Report::default(),
            warnings: Vec::new(),
            asked: Asked::default(),
        }
    }
}

impl Search<'_> {
    async fn run(&mut self) -> Result<Discovered, Error> {
        let server = Url::parse(self.target.server_url).map_err(|_error| Error::Address)?;
        let (resource, authorization_server) = match self.resource(&server).await {
            Err(Error::NoResourceMetadata | Error::Metadata { .. })
                if self.target.legacy == Legacy::Spoken && !self.is_pointed_to() =>
            {
                self.legacy(&server).await?
            }
            resource => {
                let resource = resource?;
                let authorization_server = self.authorization_server(&resource).await?;
                (resource, authorization_server)
            }
        };
        Ok(Discovered {
            resource,
            authorization_server,
            challenged_scopes: self.target.hint.and_then(|hint| hint.scopes.clone()),
            warnings: std::mem::take(&mut self.warnings),
            pending_issuer: None,
            found_at: None,
            former: Vec::new(),
        })
    }

    /// Whether a challenge named resource metadata, wherever.
    fn is_pointed_to(&self) -> bool {
        let hint = self.target.hint;
        hint.is_some_and(|hint| hint.resource_metadata.is_some())
    }

    async fn resource(&mut self, server: &Url) -> Result<ProtectedResource, Error> {
        let mut candidates = Vec::new();
        candidates.extend(self.hinted(server).map(|url| (Form::Challenge, url)));
        candidates.extend(places::resource_metadata(server));
        let mut nothing = Error::NoResourceMetadata;
        for (form, url) in candidates {
            let request = Request::document(url.clone());
            let Some(document) = self.document(Sought::Resource, &url, request).await? else {
                continue;
            };
            let judged = metadata::protected_resource(&document, url.as_str())
                .and_then(|found| self.vouch(server, form, found));
            self.conclude(Sought::Resource, &url, &judged);
            match judged {
                // Some JSON, but not this document: an API's "not found", usually.
                Err(why @ Error::Metadata { .. }) => nothing = why,
                judged => return judged,
            }
        }
        Err(nothing)
    }

    /// Where the challenge points, if that may be followed.
    fn hinted(&mut self, server: &Url) -> Option<Url> {
        let pointer = self.target.hint?.resource_metadata.as_deref()?;
        let Ok(url) = Url::parse(pointer) else {
            self.warn("the challenge's resource_metadata is not a URL");
            return None;
        };
        let origin = url.origin();
        let mut trusted = self.target.trusted_origins.iter();
        if origin == server.origin() || trusted.any(|one| *one == origin.ascii_serialization()) {
            return Some(url);
        }
        let asked = Asked::default();
        self.report
            .add(Sought::Resource, &url, asked, Finding::OtherOrigin);
        self.warn("the challenge's resource_metadata is on another origin and was not followed");
        None
    }

    fn vouch(
        &mut self,
        server: &Url,
        form: Form,
        found: ProtectedResource,
    ) -> Result<ProtectedResource, Error> {
        match places::fit(server, form, &found.resource) {
            Fit::Exact => Ok(found),
            Fit::Tolerable => {
                self.warn(format!(
                    "the metadata is for {}, of which the server is a part",
                    found.resource
                ));
                Ok(found)
            }
            Fit::Foreign => Err(Error::ResourceMismatch {
                found: found.resource,
            }),
        }
    }

    async fn authorization_server(
        &mut self,
        resource: &ProtectedResource,
    ) -> Result<AuthorizationServer, Error> {
        let listed = &resource.authorization_servers;
        if let Some(wanted) = self.target.issuer {
            return if listed.contains(wanted) {
                self.by_issuer(wanted).await
            } else {
                Err(Error::IssuerNotListed {
                    wanted: wanted.clone(),
                })
            };
        }
        let mut first_error = None;
        for issuer in listed {
            match self.by_issuer(issuer).await {
                Ok(server) => {
                    if listed.len() > 1 {
                        self.warn(format!(
                            "of several authorization servers {issuer} was chosen"
                        ));
                    }
                    return Ok(server);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(Error::NoAuthorizationServer))
    }

    async fn by_issuer(&mut self, issuer: &Issuer) -> Result<AuthorizationServer, Error> {
        let mut error = Error::NoServerMetadata {
            issuer: issuer.clone(),
        };
        // RFC 8414, section 2: an issuer has neither query nor fragment.
        let Some(url) = Url::parse(issuer.as_str())
            .ok()
            .filter(|url| url.query().is_none() && url.fragment().is_none())
        else {
            return Err(error);
        };
        for url in places::server_metadata(&url) {
            let request = Request::document(url.clone());
            let Some(document) = self.document(Sought::Server, &url, request).await? else {
                continue;
            };
            let judged = metadata::authorization_server(
                &document,
                url.as_str(),
                issuer,
                self.target.purpose,
            )
            .and_then(|server| self.vet(server, self.target.missing_pkce));
            self.conclude(Sought::Server, &url, &judged);
            match judged {
                Ok(server) => return Ok(server),
                // The next form may still have the right document.
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// Whether we can work with this server, and without which of its endpoints.
    fn vet(
        &mut self,
        mut server: AuthorizationServer,
        missing_pkce: MissingPkce,
    ) -> Result<AuthorizationServer, Error> {
        let policy = self.policy();
        let usable = |endpoint: &str| {
            Url::parse(endpoint)
                .ok()
                .filter(|url| self.fetch.check(policy, url).is_ok())
        };
        let users = self.target.purpose == Purpose::Users;
        // A browser goes there, not we; in clear text only on this machine.
        let opens = usable(&server.authorization_endpoint)
            .is_some_and(|url| url.scheme() == "https" || is_loopback(&url));
        if users && !opens {
            return Err(Error::Metadata {
                member: "authorization_endpoint",
            });
        }
        usable(&server.token_endpoint).ok_or(Error::Metadata {
            member: "token_endpoint",
        })?;
        let registers = server
            .registration_endpoint
            .as_deref()
            .is_none_or(|e| usable(e).is_some());
        let revokes = server
            .revocation_endpoint
            .as_deref()
            .is_none_or(|e| usable(e).is_some());
        server.userinfo_endpoint = server
            .userinfo_endpoint
            .filter(|endpoint| usable(endpoint).is_some());
        if !registers {
            server.registration_endpoint = None;
            self.warn("the registration endpoint may not be contacted and was left out");
        }
        if !revokes {
            server.revocation_endpoint = None;
            self.warn("the revocation endpoint may not be contacted and was left out");
        }
        let s256 = server
            .code_challenge_methods
            .as_ref()
            .is_some_and(|methods| methods.iter().any(|method| method == "S256"));
        if users && !s256 {
            if missing_pkce == MissingPkce::Refused {
                return Err(Error::PkceUnsupported {
                    issuer: server.issuer,
                });
            }
            self.warn("PKCE with S256 is not advertised; it is used nevertheless");
        }
        Ok(server)
    }

    /// The document at a URL; `None` when there surely is none.
    async fn document(
        &mut self,
        sought: Sought,
        url: &Url,
        request: Request,
    ) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Error> {
        let request = request
            .policy(self.policy())
            .read(ReadBody::UpTo(DOCUMENT_CAP))
            .deadline(self.target.deadline);
        let started = self.target.clock.monotonic();
        let answer = self.fetch.send(request).await;
        self.asked = Asked {
            status: answer.as_ref().ok().map(|answer| answer.status),
            latency: self.target.clock.monotonic().saturating_sub(started),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.note(sought, url, Finding::Failed(error.clone()));
                return Err(error.into());
            }
        };
        let status = answer.status;
        if status.is_success() {
            let document = metadata::object(&answer.body);
            if document.is_none() {
                self.note(sought, url, Finding::NotJson);
            }
            return Ok(document);
        }
        self.note(sought, url, Finding::Status(status));
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(Error::Unavailable {
                status,
                retry_after: super::answer::retry_after(&answer.headers),
            });
        }
        Ok(None)
    }

    /// Whatever is asked is asked on behalf of the server.
    fn policy(&self) -> Policy {
        Policy::on_behalf_of(self.target.server_url)
    }

    fn conclude<T>(&mut self, sought: Sought, url: &Url, judged: &Result<T, Error>) {
        let finding = match judged {
            Ok(_) => Finding::Used,
            Err(error) => Finding::Unusable(error.to_string()),
        };
        self.note(sought, url, finding);
    }

    /// What the document asked for last came to.
    fn note(&mut self, sought: Sought, url: &Url, finding: Finding) {
        self.report.add(sought, url, self.asked, finding);
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}
