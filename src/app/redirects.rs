//! Where browsers are sent, and where they come back to: what is judged of that before a server is
//! stored.

use url::Url;

use super::App;
use super::error::{Error, Result};
use super::readable::readable;
use crate::domain::authorization::Discovered;
use crate::domain::ids::ServerId;
use crate::domain::page::PageRequest;
use crate::domain::servers::{OAuth2, Redirect, Spec};
use crate::domain::tenants::TenantId;
use crate::domain::text::Violations;
use crate::fetch::is_loopback;
use crate::store::Which;

/// Notes a consent page written by hand that browsers would be sent to in clear text: that is for this
/// machine only, even where servers may be reached so. Metadata is held to the same.
pub(super) fn check_consent_page(spec: &Spec, found: &mut Violations) {
    let endpoints = spec.auth.oauth2().and_then(|o| o.endpoints.as_ref());
    let url = endpoints.and_then(|written| Url::parse(&written.authorization_endpoint).ok());
    if url.is_some_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
        found.add(
            "server.oauth2.authorization_endpoint",
            "must be https, except on this machine",
        );
    }
}

/// What is known of the answers that arrive for a server.
struct Answers {
    /// Who gives them: the issuer, or where the consent page is if none was written.
    who: Option<String>,
    /// Whether an answer's issuer can be compared with one that is recorded.
    is_compared: bool,
    /// Whether every one is known to name its issuer (RFC 9207).
    names_itself: bool,
}

impl Answers {
    fn of(oauth2: &OAuth2, found: Option<&Discovered>) -> Self {
        if let Some(found) = found {
            let from = &found.authorization_server;
            return Self {
                who: Some(from.issuer.as_str().to_owned()),
                is_compared: true,
                names_itself: from.iss_parameter_supported,
            };
        }
        let page = oauth2.endpoints.as_ref().map(|o| &o.authorization_endpoint);
        let page = page.and_then(|page| Url::parse(page).ok());
        let issuer = oauth2
            .issuer
            .as_ref()
            .map(|issuer| issuer.as_str().to_owned());
        Self {
            is_compared: issuer.is_some(),
            who: issuer.or_else(|| page.map(|page| page.origin().ascii_serialization())),
            names_itself: false,
        }
    }

    /// Whether an answer to the other could be taken for one of these.
    fn could_be(&self, other: &Self) -> bool {
        let seen = self.names_itself || other.names_itself && self.is_compared;
        self.who != other.who && !seen
    }
}

impl App {
    /// Refuses a redirect URI at which answers of another issuer of the tenant arrive as well, where one
    /// could be taken for the other: either could have its users' browsers bring the other's codes (RFC
    /// 9700, section 4.4).
    pub(super) async fn check_mix_up(
        &self,
        (tenant, server): (&TenantId, ServerId),
        oauth2: &OAuth2,
        found: Option<&Discovered>,
    ) -> Result<()> {
        if oauth2.redirect == Redirect::PerServer {
            return Ok(());
        }
        let uri = self.redirect_uri(oauth2, server);
        let ours = Answers::of(oauth2, found);
        let mut page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        let mut tx = self.0.store.read().await?;
        loop {
            let servers = tx.servers().list(tenant, Which::All, &page).await?;
            for other in readable(servers.entries) {
                let Some(oauth2) = other.spec.auth.oauth2().filter(|_| other.id != server) else {
                    continue;
                };
                let theirs = Answers::of(oauth2, other.discovered.as_ref());
                let mixed = ours.could_be(&theirs) || theirs.could_be(&ours);
                if mixed && self.redirect_uri(oauth2, other.id) == uri {
                    let slug = &other.spec.slug;
                    return Err(Error::invalid(
                        "server.oauth2.redirect",
                        format!(
                            "is where answers for `{slug}` arrive, of another issuer, and they are not \
                             known to name their issuer (RFC 9207); use PER_SERVER"
                        ),
                    ));
                }
            }
            let Some(next) = servers.next else {
                return Ok(());
            };
            page.after = Some(next);
        }
    }
}
