//! Redeeming codes and refresh tokens (RFC 6749, sections 4.1.3 and 6; RFC 7636; RFC 8707) and
//! revoking tokens (RFC 7009). Each call writes its request at most once and says what is known
//! about its fate.

use std::borrow::Cow;

use oauth2::basic::{BasicErrorResponse, BasicTokenResponse, BasicTokenType};
use oauth2::{
    PkceCodeVerifier, RedirectUrl, RequestTokenError, RevocationUrl, Scope, StandardRevocableToken,
    TokenResponse, TokenUrl,
};
use secrecy::ExposeSecret;
use url::Url;

use super::bridge::{
    Bridge, Endpoint, Failure, Normalise, PLACEHOLDER, revocation_answer, token_answer,
};
use super::error::Error;
use super::outcome::{Lost, Outcome, Refused, Revocation};
use crate::domain::authorization::{Resource, Scopes, TokenSet};
use crate::domain::secrets::{AccessToken, AuthorizationCode, PkceVerifier, RefreshToken};
use crate::fetch::{Fetch, Sent};

/// A code to be redeemed, with everything the authorization request fixed.
#[derive(Debug)]
pub struct CodeGrant<'a> {
    /// The code.
    pub code: &'a AuthorizationCode,
    /// The verifier whose challenge was sent.
    pub verifier: &'a PkceVerifier,
    /// The redirect URI, exactly as it was sent.
    pub redirect_uri: &'a str,
    /// The resource, byte for byte; `None` where an administrator said to leave it out.
    pub resource: Option<&'a Resource>,
}

/// A refresh token to be redeemed.
#[derive(Debug)]
pub struct RefreshGrant<'a> {
    /// The token.
    pub refresh_token: &'a RefreshToken,
    /// The resource, byte for byte; `None` where an administrator said to leave it out.
    pub resource: Option<&'a Resource>,
    /// Narrower scopes; `None` keeps what was granted.
    pub scopes: Option<&'a Scopes>,
}

/// A token to be revoked, and with it its hint (RFC 7009, section 2.1).
#[derive(Debug, Clone, Copy)]
pub enum Revoked<'a> {
    /// A refresh token; most servers end the whole grant with it.
    Refresh(&'a RefreshToken),
    /// An access token.
    Access(&'a AccessToken),
}

/// Redeems a code at the token endpoint. Never more than once: repeat only what was not sent.
pub async fn exchange(fetch: &Fetch, endpoint: &Endpoint<'_>, grant: &CodeGrant<'_>) -> Outcome {
    let bridge = match bridge(fetch, endpoint, "token endpoint", token_answer) {
        Ok(bridge) => bridge,
        Err(error) => return Outcome::NotSent(error),
    };
    let (Ok(placeholder), Ok(redirect)) = (
        TokenUrl::new(PLACEHOLDER.to_owned()),
        RedirectUrl::new(grant.redirect_uri.to_owned()),
    ) else {
        return Outcome::NotSent(Error::Endpoint {
            name: "redirect URI",
        });
    };
    let client = endpoint.client().set_token_uri(placeholder);
    let code = oauth2::AuthorizationCode::new(grant.code.expose_secret().to_owned());
    let verifier = PkceCodeVerifier::new(grant.verifier.expose_secret().to_owned());
    let mut request = client
        .exchange_code(code)
        .set_redirect_uri(Cow::Owned(redirect))
        .set_pkce_verifier(verifier);
    if let Some(resource) = grant.resource {
        request = request.add_extra_param("resource", resource.as_str());
    }
    outcome(request.request_async(&bridge).await)
}

/// Redeems a refresh token at the token endpoint. Never more than once: repeat only what was not
/// sent.
pub async fn refresh(fetch: &Fetch, endpoint: &Endpoint<'_>, grant: &RefreshGrant<'_>) -> Outcome {
    let bridge = match bridge(fetch, endpoint, "token endpoint", token_answer) {
        Ok(bridge) => bridge,
        Err(error) => return Outcome::NotSent(error),
    };
    let Ok(placeholder) = TokenUrl::new(PLACEHOLDER.to_owned()) else {
        return Outcome::NotSent(Error::Endpoint {
            name: "token endpoint",
        });
    };
    let client = endpoint.client().set_token_uri(placeholder);
    let token = oauth2::RefreshToken::new(grant.refresh_token.expose_secret().to_owned());
    let scopes = grant.scopes.into_iter().flat_map(Scopes::iter);
    let mut request = client
        .exchange_refresh_token(&token)
        .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())));
    if let Some(resource) = grant.resource {
        request = request.add_extra_param("resource", resource.as_str());
    }
    outcome(request.request_async(&bridge).await)
}

/// Revokes a token at the revocation endpoint. Idempotent.
pub async fn revoke(fetch: &Fetch, endpoint: &Endpoint<'_>, token: Revoked<'_>) -> Revocation {
    let impossible = || {
        Revocation::Impossible(Error::Endpoint {
            name: "revocation endpoint",
        })
    };
    let bridge = match bridge(fetch, endpoint, "revocation endpoint", revocation_answer) {
        Ok(bridge) => bridge,
        Err(error) => return Revocation::Impossible(error),
    };
    let Ok(placeholder) = RevocationUrl::new(PLACEHOLDER.to_owned()) else {
        return impossible();
    };
    let client = endpoint.client().set_revocation_url(placeholder);
    let token = match token {
        Revoked::Refresh(token) => StandardRevocableToken::RefreshToken(oauth2::RefreshToken::new(
            token.expose_secret().to_owned(),
        )),
        Revoked::Access(token) => StandardRevocableToken::AccessToken(oauth2::AccessToken::new(
            token.expose_secret().to_owned(),
        )),
    };
    let Ok(request) = client.revoke_token(token) else {
        return impossible();
    };
    match request.request_async(&bridge).await {
        Ok(()) => Revocation::Done,
        Err(RequestTokenError::ServerResponse(refusal)) => {
            Revocation::Refused(refused(refusal.error().as_ref()))
        }
        Err(RequestTokenError::Request(Failure::Fetch(
            error @ crate::fetch::Error::Blocked { .. },
        ))) => Revocation::Impossible(error.into()),
        Err(RequestTokenError::Request(Failure::Transient { retry_after, .. })) => {
            Revocation::Later { retry_after }
        }
        Err(
            RequestTokenError::Request(Failure::Fetch(_) | Failure::Malformed)
            | RequestTokenError::Parse(..)
            | RequestTokenError::Other(_),
        ) => Revocation::Later { retry_after: None },
    }
}

fn bridge<'a>(
    fetch: &'a Fetch,
    endpoint: &Endpoint<'_>,
    name: &'static str,
    normalise: Normalise,
) -> Result<Bridge<'a>, Error> {
    let url = Url::parse(endpoint.url).map_err(|_error| Error::Endpoint { name })?;
    Ok(Bridge {
        fetch,
        url,
        deadline: endpoint.deadline,
        normalise,
    })
}

type Typed = Result<BasicTokenResponse, RequestTokenError<Failure, BasicErrorResponse>>;

fn outcome(typed: Typed) -> Outcome {
    match typed {
        Ok(response) => Outcome::Granted(token_set(&response)),
        Err(RequestTokenError::ServerResponse(refusal)) => {
            Outcome::Refused(refused(refusal.error().as_ref()))
        }
        Err(RequestTokenError::Request(Failure::Fetch(error))) => match error.sent() {
            Sent::No => Outcome::NotSent(error.into()),
            Sent::Maybe => Outcome::Unknown(Lost::NoAnswer(error)),
        },
        Err(RequestTokenError::Request(Failure::Transient {
            status,
            retry_after,
        })) => Outcome::Transient {
            status,
            retry_after,
        },
        // The last two cannot follow a canonical answer; if they do, the worst is assumed.
        Err(
            RequestTokenError::Request(Failure::Malformed)
            | RequestTokenError::Parse(..)
            | RequestTokenError::Other(_),
        ) => Outcome::Unknown(Lost::Malformed),
    }
}

fn refused(code: &str) -> Refused {
    Refused::new((!code.is_empty()).then(|| code.to_owned()))
}

fn token_set(response: &BasicTokenResponse) -> TokenSet {
    // Type names have no case (RFC 6749, section 5.1), and the crate lowers it; headers are
    // written with the registered spelling.
    let token_type = match response.token_type() {
        BasicTokenType::Bearer => "Bearer".to_owned(),
        BasicTokenType::Mac => "MAC".to_owned(),
        BasicTokenType::Extension(name) if name == "dpop" => "DPoP".to_owned(),
        BasicTokenType::Extension(name) => name.clone(),
    };
    TokenSet {
        access_token: AccessToken::new(response.access_token().secret().clone()),
        refresh_token: response
            .refresh_token()
            .map(|token| RefreshToken::new(token.secret().clone())),
        token_type,
        expires_in: response.expires_in(),
        scopes: response
            .scopes()
            .map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect()),
    }
}
