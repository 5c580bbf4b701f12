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

/// Who answers at a redirect URI: the issuer, or where the consent page is if none was written.
fn who_answers(oauth2: &OAuth2, found: Option<&Discovered>) -> Option<String> {
    if let Some(found) = found {
        return Some(found.authorization_server.issuer.as_str().to_owned());
    }
    if let Some(issuer) = &oauth2.issuer {
        return Some(issuer.as_str().to_owned());
    }
    let page = Url::parse(&oauth2.endpoints.as_ref()?.authorization_endpoint).ok()?;
    Some(page.origin().ascii_serialization())
}

/// Whether every answer is known to name its issuer (RFC 9207).
fn names_itself(found: Option<&Discovered>) -> bool {
    found.is_some_and(|found| found.authorization_server.iss_parameter_supported)
}

impl App {
    /// Refuses a redirect URI at which answers of another issuer of the tenant arrive as well, where
    /// neither is known to name itself: one could have its users' browsers bring the other's codes (RFC
    /// 9700, section 4.4).
    pub(super) async fn check_mix_up(
        &self,
        (tenant, server): (&TenantId, ServerId),
        oauth2: &OAuth2,
        found: Option<&Discovered>,
    ) -> Result<()> {
        if oauth2.redirect == Redirect::PerServer || names_itself(found) {
            return Ok(());
        }
        let (uri, who) = (
            self.redirect_uri(oauth2, server),
            who_answers(oauth2, found),
        );
        let mut page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        let mut tx = self.0.store.read().await?;
        loop {
            let servers = tx.servers().list(tenant, Which::All, &page).await?;
            for other in readable(servers.entries) {
                let Some(theirs) = other.spec.auth.oauth2() else {
                    continue;
                };
                let found = other.discovered.as_ref();
                let here = other.id != server && self.redirect_uri(theirs, other.id) == uri;
                if here && !names_itself(found) && who_answers(theirs, found) != who {
                    let slug = &other.spec.slug;
                    return Err(Error::invalid(
                        "server.oauth2.redirect",
                        format!(
                            "is where answers for `{slug}` arrive, of another issuer, and neither is \
                             known to name itself in them (RFC 9207); use PER_SERVER"
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
