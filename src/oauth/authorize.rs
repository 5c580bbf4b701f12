//! The request that the browser carries to the authorization endpoint (RFC 6749, section 4.1.1;
//! RFC 7636; RFC 8707). Pure.

use std::borrow::Cow;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use secrecy::ExposeSecret;

use super::dialect::Dialect;
use super::error::Error;
use crate::domain::authorization::{RESERVED_PARAMETERS, Resource, Scopes};
use crate::domain::random::{Random, token};
use crate::domain::secrets::{Opaque, PkceVerifier};

/// Whether an administrator may not set a parameter of this name on the authorization request.
pub fn is_reserved(name: &str) -> bool {
    RESERVED_PARAMETERS.contains(&name)
}

/// A new PKCE verifier: 256 random bits as 43 characters (RFC 7636, section 4.1).
pub fn pkce_verifier(random: &dyn Random) -> PkceVerifier {
    PkceVerifier::new(token(random))
}

/// What is asked of the authorization endpoint.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest<'a> {
    /// The endpoint; a query of its own is kept.
    pub authorization_endpoint: &'a str,
    /// Our client there.
    pub client_id: &'a str,
    /// Where the browser comes back to, exactly as registered.
    pub redirect_uri: &'a str,
    /// The state to come back with.
    pub state: &'a Opaque,
    /// The verifier; only its S256 challenge is sent.
    pub verifier: &'a PkceVerifier,
    /// The resource, byte for byte; `None` where an administrator said to leave it out.
    pub resource: Option<&'a Resource>,
    /// The scopes; `None` leaves the parameter out.
    pub scopes: Option<&'a Scopes>,
    /// What else it says: [`Dialect::authorize_parameters`].
    pub extra: &'a [(String, String)],
    /// How this provider's protocol deviates.
    pub dialect: &'a Dialect,
}

/// The URL to send the browser to. It carries the state: keep it out of logs.
///
/// # Errors
/// [`Error::Endpoint`], [`Error::ReservedParameter`].
pub fn authorization_url(request: &AuthorizationRequest<'_>) -> Result<String, Error> {
    if let Some((name, _)) = request.extra.iter().find(|(name, _)| is_reserved(name)) {
        return Err(Error::ReservedParameter { name: name.clone() });
    }
    let endpoint = AuthUrl::new(request.authorization_endpoint.to_owned()).map_err(|_error| {
        Error::Endpoint {
            name: "authorization endpoint",
        }
    })?;
    let redirect =
        RedirectUrl::new(request.redirect_uri.to_owned()).map_err(|_error| Error::Endpoint {
            name: "redirect URI",
        })?;
    let verifier = PkceCodeVerifier::new(request.verifier.expose_secret().to_owned());
    let client =
        BasicClient::new(ClientId::new(request.client_id.to_owned())).set_auth_uri(endpoint);
    let state = request.state.expose_secret().to_owned();
    let mut typed = client
        .authorize_url(|| CsrfToken::new(state))
        .set_redirect_uri(Cow::Owned(redirect))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    if let Some(scopes) = request.scopes.filter(|scopes| !scopes.is_empty()) {
        let (name, scopes) = request.dialect.scope(scopes);
        // What was written for this server by hand goes before what is known of its provider.
        if !request.extra.iter().any(|(extra, _)| extra == name) {
            typed = typed.add_extra_param(name, scopes);
        }
    }
    if let Some(resource) = request.dialect.resource(request.resource) {
        typed = typed.add_extra_param("resource", resource.as_str());
    }
    for (name, value) in request.extra {
        typed = typed.add_extra_param(name.as_str(), value.as_str());
    }
    let (url, _state) = typed.url();
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::*;
    use crate::oauth::ResourceParameter;

    fn build(extra: &[(String, String)], scopes: Option<&Scopes>) -> Result<String, Error> {
        build_in(&Dialect::default(), extra, scopes)
    }

    fn build_in(
        dialect: &Dialect,
        extra: &[(String, String)],
        scopes: Option<&Scopes>,
    ) -> Result<String, Error> {
        authorization_url(&AuthorizationRequest {
            authorization_endpoint: "https://as.example/authorize?audience=x%20y",
            client_id: "https://us.example/client.json",
            redirect_uri: "https://us.example/cb",
            state: &Opaque::new("the-state".to_owned()),
            // RFC 7636, appendix B.
            verifier: &PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
            resource: Some(&Resource::new("https://mcp.example")),
            scopes,
            extra,
            dialect,
        })
    }

    fn pairs(url: &str) -> BTreeMap<String, String> {
        Url::parse(url)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }

    #[test]
    fn every_parameter_is_there_and_the_endpoints_own_query_too() {
        let scopes = Scopes::parse("a b");
        let extra = [("prompt".to_owned(), "consent".to_owned())];

        let pairs = pairs(&build(&extra, Some(&scopes)).unwrap());

        let expected = [
            ("audience", "x y"),
            ("client_id", "https://us.example/client.json"),
            (
                "code_challenge",
                "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            ),
            ("code_challenge_method", "S256"),
            ("prompt", "consent"),
            ("redirect_uri", "https://us.example/cb"),
            ("resource", "https://mcp.example"),
            ("response_type", "code"),
            ("scope", "a b"),
            ("state", "the-state"),
        ];
        assert_eq!(
            pairs
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn no_scopes_means_no_parameter() {
        assert!(!pairs(&build(&[], None).unwrap()).contains_key("scope"));
    }

    #[test]
    fn scopes_and_resource_are_said_as_the_provider_wants_them() {
        let scopes = Scopes::parse("a b");
        let dialect = Dialect {
            scope_parameter: Some("user_scope".to_owned()),
            scope_separator: Some(",".to_owned()),
            resource: ResourceParameter::Omitted,
            ..Dialect::default()
        };

        let known = pairs(&build_in(&dialect, &[], Some(&scopes)).unwrap());
        let by_hand = [("user_scope".to_owned(), "c".to_owned())];
        let by_hand = pairs(&build_in(&dialect, &by_hand, Some(&scopes)).unwrap());

        assert_eq!(known["user_scope"], "a,b");
        assert_eq!(by_hand["user_scope"], "c");
        for name in ["scope", "resource"] {
            assert!(!known.contains_key(name), "{name}");
        }
    }

    #[test]
    fn an_extra_parameter_may_not_replace_one_of_the_protocols() {
        for name in RESERVED_PARAMETERS {
            let extra = [(name.to_owned(), "x".to_owned())];

            assert!(matches!(
                build(&extra, None),
                Err(Error::ReservedParameter { .. })
            ));
        }
    }
}
