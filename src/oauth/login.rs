//! Tokens of a user's own login, which came from no token endpoint of ours: what they say about themselves,
//! and where their identity provider renews them.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::error::Error;
use super::issuer_keys::{endpoint, issuer_metadata};
use super::jwt;
use crate::domain::authorization::Issuer;
use crate::domain::secrets::{AccessToken, IdToken};
use crate::domain::time::Timestamp;
use crate::fetch::Fetch;

/// When a JWT says that it ends (RFC 7519, section 4.1.4); unverified, a hint.
fn ends(token: &str) -> Option<Timestamp> {
    let claims = jwt::claims(token)?;
    let since_epoch = Duration::try_from_secs_f64(claims.get("exp")?.as_f64()?).ok()?;
    Some(Timestamp::default().after(since_epoch))
}

/// When an access token says that it ends, if it is a JWT that does. A hint.
pub fn access_token_ends(token: &AccessToken) -> Option<Timestamp> {
    ends(token.expose_secret())
}

/// When an ID token says that it ends. A hint: its signature is not looked at.
pub fn id_token_ends(token: &IdToken) -> Option<Timestamp> {
    ends(token.expose_secret())
}

/// Whether an ID token says that it is of another issuer than this one. What is no JWT says nothing.
pub fn is_of_another(token: &IdToken, issuer: &Issuer) -> bool {
    let claims = jwt::claims(token.expose_secret());
    claims.is_some_and(|claims| claims.get("iss").and_then(Value::as_str) != Some(issuer.as_str()))
}

/// Where an identity provider that the deployment trusts redeems, as its metadata says.
///
/// # Errors
/// [`Error::NoServerMetadata`], [`Error::IssuerMismatch`], [`Error::Metadata`], [`Error::Fetch`].
pub async fn issuer_token_endpoint(
    fetch: &Fetch,
    issuer: &Issuer,
    deadline: Duration,
) -> Result<Url, Error> {
    let document = issuer_metadata(fetch, issuer, deadline).await?;
    endpoint(&document, issuer, "token_endpoint")
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> IdToken {
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        IdToken::new(format!("e30.{claims}.c2ln"))
    }

    #[test]
    fn a_token_says_when_it_ends_if_it_is_a_jwt_that_does() {
        for (claims, ends) in [
            (json!({ "exp": 1_767_225_600 }), Some(1_767_225_600)),
            (json!({ "exp": 1_767_225_600.9 }), Some(1_767_225_600)),
            (json!({ "exp": -1 }), None),
            (json!({ "exp": "1767225600" }), None),
            (json!({}), None),
        ] {
            let said = id_token_ends(&token(&claims)).map(Timestamp::as_secs);
            assert_eq!(said, ends, "{claims}");
        }
        assert_eq!(
            access_token_ends(&AccessToken::new("opaque".to_owned())),
            None
        );
    }

    #[test]
    fn an_id_token_is_of_the_issuer_that_it_names_to_the_letter() {
        let issuer = Issuer::new("https://idp.test");
        for (claims, another) in [
            (json!({ "iss": "https://idp.test" }), false),
            (json!({ "iss": "https://idp.test/" }), true),
            (json!({ "iss": ["https://idp.test"] }), true),
            (json!({}), true),
        ] {
            assert_eq!(is_of_another(&token(&claims), &issuer), another, "{claims}");
        }
        assert!(!is_of_another(&IdToken::new("opaque".to_owned()), &issuer));
    }
}
