//! Whose account a grant is for at its provider: what the ID token beside it says, or the `UserInfo`
//! endpoint (`OpenID` Connect Core 1.0, sections 2 and 5.3).

use std::slice;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

use super::error::Error;
use super::jwt;
use super::metadata::{object, text};
use super::revocation::bearer;
use crate::domain::accounts::{DEFAULT_CLAIM, is_unverified};
use crate::domain::authorization::Issuer;
use crate::domain::secrets::{AccessToken, IdToken};
use crate::domain::time::Timestamp;
use crate::fetch::{Fetch, Policy, ReadBody, Request};

/// Largest answer read, in bytes.
const CAP: usize = 64 * 1024;
/// Longest account believed to be one, in bytes.
const MAX_ACCOUNT: usize = 256;
/// How far an issuer's clock may be behind ours.
const SKEW: Duration = Duration::from_mins(5);

/// What a provider says about a person.
// No `Debug`: it is about a person.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it is about a person")]
pub struct Person(Map<String, Value>);

impl Person {
    /// What an ID token says that came with a grant, if it is this issuer's, for this client, and not
    /// over. It came from the token endpoint itself, over a connection that was checked, which stands in
    /// for the signature (section 3.1.3.7, rule 6).
    pub fn of_token(
        token: &IdToken,
        issuer: &Issuer,
        client_id: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let claims = jwt::claims(token.expose_secret())?;
        let says =
            |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
        let audience = claims.get("aud")?;
        let several = audience.as_array().map(Vec::as_slice);
        let audiences = several.unwrap_or(slice::from_ref(audience));
        let for_us = audiences.iter().any(|audience| audience == client_id);
        // Of several audiences one was meant (rules 4 and 5).
        let alone = audiences.len() == 1 && !claims.contains_key("azp");
        let by_us = alone || says("azp", client_id);
        text(&claims, "sub")?;
        let end = claims.get("exp")?.as_f64()?;
        let end = Duration::try_from_secs_f64(end).ok()?;
        let lives = now.before(SKEW) < Timestamp::default().after(end);
        (says("iss", issuer.as_str()) && for_us && by_us && lives).then_some(Self(claims))
    }

    /// Whether there is such a claim, whatever it is worth.
    pub fn says(&self, claim: &str) -> bool {
        self.0.contains_key(claim)
    }

    /// The account that a claim names: a text or a number, on one line. A mail address that the provider
    /// says it did not verify (section 5.1) is nobody's.
    pub fn account(&self, claim: &str) -> Option<String> {
        if claim == DEFAULT_CLAIM && is_unverified(self.0.get("email_verified")) {
            return None;
        }
        let account = match self.0.get(claim)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let is_one = !account.trim().is_empty()
            && account.len() <= MAX_ACCOUNT
            && !account.chars().any(char::is_control);
        is_one.then_some(account)
    }
}

/// Where a provider is asked whose grant an access token is.
#[derive(Debug, Clone, Copy)]
pub struct UserInfo<'a> {
    /// The endpoint, from the issuer's metadata.
    pub url: &'a str,
    /// The MCP server's URL: the endpoint may be on loopback only if this is.
    pub on_behalf_of: &'a str,
    /// The deadline of the call.
    pub deadline: Duration,
}

/// Asks the `UserInfo` endpoint (section 5.3.1). Where an ID token came with the grant, both must speak of
/// the same subject (section 5.3.2).
///
/// # Errors
/// [`Error::UserInfo`], [`Error::Endpoint`], [`Error::Fetch`].
pub async fn user_info(
    fetch: &Fetch,
    ask: UserInfo<'_>,
    token: &AccessToken,
    known: Option<&Person>,
) -> Result<Person, Error> {
    const UNUSABLE: Error = Error::Endpoint {
        name: "userinfo endpoint",
    };
    let url = Url::parse(ask.url).map_err(|_error| UNUSABLE)?;
    // Of characters that no header takes is none that was granted.
    let proof = bearer(token).ok_or(UNUSABLE)?;
    let request = Request::new(Method::GET, url)
        .policy(Policy::on_behalf_of(ask.on_behalf_of))
        .header(AUTHORIZATION, proof)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .read(ReadBody::UpTo(CAP))
        .deadline(ask.deadline);
    let answer = fetch.send(request).await?;
    let said = answer.status.is_success().then(|| object(&answer.body));
    let same =
        |said: &Map<String, Value>| known.is_none_or(|known| said.get("sub") == known.0.get("sub"));
    said.flatten()
        .filter(same)
        .map(Person)
        .ok_or(Error::UserInfo {
            status: answer.status,
        })
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
