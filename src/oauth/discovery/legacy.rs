//! Servers of the MCP revision 2025-03-26 (authorization, sections 2.3.1 to 2.3.3): without resource
//! metadata, their own origin is their authorization server, described by metadata at its root or,
//! without any, by fixed paths. Nobody but the server vouches for what is found so; it is looked for
//! only where an administrator said so and no resource metadata was found.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::super::error::Error;
use super::super::metadata;
use super::super::places;
use super::super::report::Sought;
use super::super::target::{ForeignEndpoints, MissingPkce};
use super::Search;
use crate::domain::authorization::{AuthorizationServer, Issuer, ProtectedResource, Resource};
use crate::fetch::Request;

/// The revision's name.
const REVISION: &str = "2025-03-26";

impl Search<'_> {
    /// The server as its own resource and authorization server.
    pub(super) async fn legacy(
        &mut self,
        server: &Url,
    ) -> Result<(ProtectedResource, AuthorizationServer), Error> {
        let url = places::legacy_metadata(server);
        let request = Request::document(url.clone()).header(
            HeaderName::from_static("mcp-protocol-version"),
            HeaderValue::from_static(REVISION),
        );
        let origin = server.origin().ascii_serialization();
        let found = if let Some(document) = self.document(Sought::Server, &url, request).await? {
            // The well-known place is the same with and without the root's slash.
            let named = metadata::text(&document, "issuer");
            let rooted = format!("{origin}/");
            let issuer = named
                .filter(|named| *named == rooted)
                .map_or(origin, str::to_owned);
            let judged = metadata::authorization_server(
                &document,
                url.as_str(),
                &Issuer::new(issuer),
                self.target.purpose,
            )
            .and_then(|found| self.own(server, found))
            .and_then(|found| self.vet(found, self.target.missing_pkce));
            self.conclude(Sought::Server, &url, &judged);
            judged?
        } else {
            // The revision demands PKCE of every server and knows no way to say so here.
            self.vet(fixed(server, origin), MissingPkce::Allowed)?
        };
        if let Some(wanted) = self.target.issuer.filter(|wanted| **wanted != found.issuer) {
            return Err(Error::IssuerNotListed {
                wanted: wanted.clone(),
            });
        }
        self.warn(format!(
            "the server publishes no resource metadata; it is taken for one of revision {REVISION}"
        ));
        let resource = ProtectedResource {
            metadata_url: None,
            resource: Resource::new(self.target.server_url),
            authorization_servers: vec![found.issuer.clone()],
            scopes_supported: None,
        };
        Ok((resource, found))
    }

    /// Refuses endpoints elsewhere, unless an administrator allowed them.
    fn own(&self, server: &Url, found: AuthorizationServer) -> Result<AuthorizationServer, Error> {
        let endpoints = [
            (
                "authorization_endpoint",
                Some(&found.authorization_endpoint),
            ),
            ("token_endpoint", Some(&found.token_endpoint)),
            (
                "registration_endpoint",
                found.registration_endpoint.as_ref(),
            ),
            ("revocation_endpoint", found.revocation_endpoint.as_ref()),
        ];
        let here =
            |endpoint: &str| Url::parse(endpoint).is_ok_and(|url| url.origin() == server.origin());
        let elsewhere = endpoints
            .into_iter()
            .find(|(_, endpoint)| endpoint.is_some_and(|endpoint| !here(endpoint)));
        match elsewhere {
            Some((member, _)) if self.target.foreign_endpoints == ForeignEndpoints::Refused => {
                Err(Error::ForeignEndpoint { member })
            }
            Some(_) | None => {
                let userinfo_endpoint = found.userinfo_endpoint.filter(|url| here(url));
                Ok(AuthorizationServer {
                    userinfo_endpoint,
                    ..found
                })
            }
        }
    }
}

/// A server that publishes nothing: everything is at a fixed path of its origin.
fn fixed(server: &Url, origin: String) -> AuthorizationServer {
    let at = |path| String::from(places::at_origin(server, path));
    AuthorizationServer {
        issuer: Issuer::new(origin),
        metadata_url: None,
        authorization_endpoint: at("/authorize"),
        token_endpoint: at("/token"),
        registration_endpoint: Some(at("/register")),
        revocation_endpoint: None,
        userinfo_endpoint: None,
        scopes_supported: None,
        token_endpoint_auth_methods: None,
        code_challenge_methods: None,
        iss_parameter_supported: false,
        client_id_metadata_document_supported: false,
    }
}
