//! Redeeming codes and refresh tokens (RFC 6749, sections 4.1.3 and 6; RFC 7636; RFC 8707). Each
//! call writes its request at most once and says what is known about its fate.

use std::borrow::Cow;
use std::time::Duration;

use oauth2::basic::BasicErrorResponse;
use oauth2::{PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse, TokenUrl};
use secrecy::ExposeSecret;

use super::bridge::{Endpoint, Failure, PLACEHOLDER, Reads, Tokens};
use super::dialect::Dialect;
use super::error::Error;
use super::outcome::{Lost, Outcome, Refused};
use crate::domain::authorization::{Resource, Scopes, TokenSet};
use crate::domain::secrets::{AccessToken, AuthorizationCode, IdToken, PkceVerifier, RefreshToken};
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
    /// How this provider's protocol deviates.
    pub dialect: &'a Dialect,
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
    /// How this provider's protocol deviates.
    pub dialect: &'a Dialect,
}

/// A grant asked for in our own name.
#[derive(Debug)]
pub struct OwnGrant<'a> {
    /// The resource, byte for byte; `None` where an administrator said to leave it out.
    pub resource: Option<&'a Resource>,
    /// What is asked for; `None` leaves the parameter out.
    pub scopes: Option<&'a Scopes>,
    /// How this provider's protocol deviates.
    pub dialect: &'a Dialect,
}

/// Redeems a code at the token endpoint. Never more than once: repeat only what was not sent, or was
/// refused for how the client authenticates.
pub async fn exchange(fetch: &Fetch, endpoint: &Endpoint<'_>, grant: &CodeGrant<'_>) -> Outcome {
    let bridge = match endpoint.bridge(fetch, "token endpoint", Reads::Tokens(grant.dialect)) {
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
    if let Some(resource) = grant.dialect.resource(grant.resource) {
        request = request.add_extra_param("resource", resource.as_str());
    }
    for (name, value) in &grant.dialect.token_parameters {
        request = request.add_extra_param(name.as_str(), value.as_str());
    }
    for (name, value) in endpoint.assertion() {
        request = request.add_extra_param(name, value);
    }
    let sent = [grant.code.expose_secret(), grant.verifier.expose_secret()];
    let typed = request.request_async(&bridge).await;
    outcome(typed, endpoint, grant.dialect, &sent)
}

/// Redeems a refresh token at the token endpoint. Never more than once: repeat only what was not
/// sent, or was refused for how the client authenticates. An answer that repeats the refresh token, or has none, leaves the old one in use.
pub async fn refresh(fetch: &Fetch, endpoint: &Endpoint<'_>, grant: &RefreshGrant<'_>) -> Outcome {
    let bridge = match endpoint.bridge(fetch, "token endpoint", Reads::Tokens(grant.dialect)) {
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
    if let Some(resource) = grant.dialect.resource(grant.resource) {
        request = request.add_extra_param("resource", resource.as_str());
    }
    for (name, value) in &grant.dialect.token_parameters {
        request = request.add_extra_param(name.as_str(), value.as_str());
    }
    for (name, value) in endpoint.assertion() {
        request = request.add_extra_param(name, value);
    }
    let sent = [grant.refresh_token.expose_secret()];
    let typed = request.request_async(&bridge).await;
    let mut outcome = outcome(typed, endpoint, grant.dialect, &sent);
    if let Outcome::Granted(tokens) = &mut outcome {
        // The same one again says no more than none does: the old one stays.
        let same = |token: &mut RefreshToken| token.expose_secret() == sent[0];
        tokens.refresh_token.take_if(same);
    }
    outcome
}

/// Asks for tokens in the name of the client itself (RFC 6749, section 4.4). Spends nothing.
pub async fn client_credentials(
    fetch: &Fetch,
    endpoint: &Endpoint<'_>,
    grant: &OwnGrant<'_>,
) -> Outcome {
    let bridge = match endpoint.bridge(fetch, "token endpoint", Reads::Tokens(grant.dialect)) {
        Ok(bridge) => bridge,
        Err(error) => return Outcome::NotSent(error),
    };
    let Ok(placeholder) = TokenUrl::new(PLACEHOLDER.to_owned()) else {
        return Outcome::NotSent(Error::Endpoint {
            name: "token endpoint",
        });
    };
    let client = endpoint.client().set_token_uri(placeholder);
    let scopes = grant.scopes.into_iter().flat_map(Scopes::iter);
    let mut request = client
        .exchange_client_credentials()
        .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())));
    if let Some(resource) = grant.dialect.resource(grant.resource) {
        request = request.add_extra_param("resource", resource.as_str());
    }
    for (name, value) in endpoint.assertion() {
        request = request.add_extra_param(name, value);
    }
    let typed = request.request_async(&bridge).await;
    let mut outcome = outcome(typed, endpoint, grant.dialect, &[]);
    if let Outcome::Granted(tokens) = &mut outcome {
        // RFC 6749, section 4.4.3: there should be none, and none is needed.
        tokens.refresh_token = None;
    }
    outcome
}

pub(super) type Typed = Result<Tokens, RequestTokenError<Failure, BasicErrorResponse>>;

/// What an answer means; `sent` are the secrets that it must not repeat.
pub(super) fn outcome(
    typed: Typed,
    endpoint: &Endpoint<'_>,
    dialect: &Dialect,
    sent: &[&str],
) -> Outcome {
    match typed {
        Ok(response) => Outcome::Granted(token_set(&response)),
        Err(RequestTokenError::ServerResponse(refusal)) => {
            let code: &str = refusal.error().as_ref();
            let code = (!code.is_empty()).then(|| code.to_owned());
            let refused = Refused::in_dialect(code, dialect);
            let secret = endpoint.secret();
            Outcome::Refused(refused.without_echo(sent.iter().copied().chain(secret)))
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
        // The last three cannot follow a canonical answer; if they do, the worst is assumed.
        Err(
            RequestTokenError::Request(Failure::Malformed | Failure::NotRevoked(_))
            | RequestTokenError::Parse(..)
            | RequestTokenError::Other(_),
        ) => Outcome::Unknown(Lost::Malformed),
    }
}

fn token_set(response: &Tokens) -> TokenSet {
    TokenSet {
        access_token: AccessToken::new(response.access_token().secret().clone()),
        refresh_token: response
            .refresh_token()
            .map(|token| RefreshToken::new(token.secret().clone())),
        // No other is taken; headers are written with the registered spelling.
        token_type: "Bearer".to_owned(),
        expires_in: response.expires_in(),
        refresh_expires_in: response
            .extra_fields()
            .refresh_token_expires_in
            .map(Duration::from_secs),
        scopes: response
            .scopes()
            .map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect()),
        id_token: response.extra_fields().id_token.clone().map(IdToken::new),
    }
}
