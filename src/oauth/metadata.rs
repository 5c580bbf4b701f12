//! Reading the two metadata documents: protected resource (RFC 9728, section 2) and authorization
//! server (RFC 8414, section 2; `OpenID` Connect Discovery 1.0, section 3). Pure.
//!
//! What we depend on must be there and right. What we do not depend on may be wrong without harm:
//! a member of the wrong type is as good as absent, since documents in the wild are sloppy.

use serde_json::{Map, Value};

use super::error::Error;
use super::target::Purpose;
use crate::domain::authorization::{
    AuthorizationServer, ClientAuthMethod, Issuer, ProtectedResource, Resource, Scopes,
};

/// Longest identifier or endpoint believed to be one, in bytes.
const MAX_IDENTIFIER: usize = 2048;

/// Most authorization servers considered of one document.
const MAX_SERVERS: usize = 5;

/// The document as a JSON object; `None` for anything else, such as the page that some servers
/// answer to every path.
pub(super) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// The members we use of protected resource metadata. Whether it is for the right resource is the
/// caller's to decide. At most five authorization servers are kept.
///
/// # Errors
/// [`Error::Metadata`] without `resource`; [`Error::NoAuthorizationServer`].
pub(super) fn protected_resource(
    document: &Map<String, Value>,
    metadata_url: &str,
) -> Result<ProtectedResource, Error> {
    let resource =
        identifier(document, "resource").ok_or(Error::Metadata { member: "resource" })?;
    let authorization_servers: Vec<Issuer> = list(document, "authorization_servers")
        .unwrap_or_default()
        .into_iter()
        .filter(|issuer| is_identifier(issuer))
        .take(MAX_SERVERS)
        .map(Issuer::new)
        .collect();
    if authorization_servers.is_empty() {
        return Err(Error::NoAuthorizationServer);
    }
    Ok(ProtectedResource {
        metadata_url: Some(metadata_url.to_owned()),
        resource: Resource::new(resource),
        authorization_servers,
        scopes_supported: scopes(document),
    })
}

/// The members we use of authorization server metadata.
///
/// # Errors
/// [`Error::IssuerMismatch`] unless `issuer` is, character for character, the issuer asked for;
/// [`Error::Metadata`] without authorization or token endpoint.
pub(super) fn authorization_server(
    document: &Map<String, Value>,
    metadata_url: &str,
    issuer: &Issuer,
    purpose: Purpose,
) -> Result<AuthorizationServer, Error> {
    let found = identifier(document, "issuer").ok_or(Error::Metadata { member: "issuer" })?;
    if found != issuer.as_str() {
        return Err(Error::IssuerMismatch {
            issuer: issuer.clone(),
            found: Issuer::new(found),
        });
    }
    let required = |member: &'static str| {
        identifier(document, member)
            .map(str::to_owned)
            .ok_or(Error::Metadata { member })
    };
    let optional = |member| identifier(document, member).map(str::to_owned);
    Ok(AuthorizationServer {
        issuer: issuer.clone(),
        metadata_url: Some(metadata_url.to_owned()),
        authorization_endpoint: match purpose {
            Purpose::Users => required("authorization_endpoint")?,
            // RFC 8414, section 2: required unless no grant type needs it.
            Purpose::Ourselves => optional("authorization_endpoint").unwrap_or_default(),
        },
        token_endpoint: required("token_endpoint")?,
        registration_endpoint: optional("registration_endpoint"),
        revocation_endpoint: optional("revocation_endpoint"),
        userinfo_endpoint: optional("userinfo_endpoint"),
        scopes_supported: scopes(document),
        token_endpoint_auth_methods: list(document, "token_endpoint_auth_methods_supported").map(
            |names| {
                names
                    .iter()
                    .filter_map(|name| ClientAuthMethod::parse(name))
                    .collect()
            },
        ),
        code_challenge_methods: list(document, "code_challenge_methods_supported")
            .map(|names| names.into_iter().map(str::to_owned).collect()),
        iss_parameter_supported: flag(document, "authorization_response_iss_parameter_supported"),
        client_id_metadata_document_supported: flag(
            document,
            "client_id_metadata_document_supported",
        ),
    })
}

/// A member that is a text and not blank.
pub(super) fn text<'a>(document: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    document
        .get(member)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

/// A member that is a text and may be an identifier or an endpoint. These are shown to people.
fn identifier<'a>(document: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    text(document, member).filter(|text| is_identifier(text))
}

fn is_identifier(text: &str) -> bool {
    text.len() <= MAX_IDENTIFIER && !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn flag(document: &Map<String, Value>, member: &str) -> bool {
    document.get(member).and_then(Value::as_bool) == Some(true)
}

/// A member that is a list, with what in it is a text.
fn list<'a>(document: &'a Map<String, Value>, member: &str) -> Option<Vec<&'a str>> {
    let entries = document.get(member)?.as_array()?;
    Some(entries.iter().filter_map(Value::as_str).collect())
}

fn scopes(document: &Map<String, Value>) -> Option<Scopes> {
    list(document, "scopes_supported").map(|names| names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(document: &Value) -> Result<AuthorizationServer, Error> {
        let document = object(document.to_string().as_bytes()).unwrap();
        let issuer = Issuer::new("https://as");
        authorization_server(&document, "https://as/m", &issuer, Purpose::Users)
    }

    fn server() -> Value {
        json!({
            "issuer": "https://as",
            "authorization_endpoint": "https://as/a",
            "token_endpoint": "https://as/t",
        })
    }

    #[test]
    fn the_issuer_is_compared_character_for_character() {
        for issuer in ["https://as/", "https://AS", "https://as:443"] {
            let mut document = server();
            document["issuer"] = json!(issuer);

            assert!(
                matches!(read(&document), Err(Error::IssuerMismatch { .. })),
                "{issuer}"
            );
        }
    }

    #[test]
    fn absent_and_empty_lists_are_told_apart() {
        let silent = read(&server()).unwrap();
        let mut document = server();
        document["code_challenge_methods_supported"] = json!([]);
        document["token_endpoint_auth_methods_supported"] = json!(["tls_client_auth", "none", 7]);
        let speaking = read(&document).unwrap();

        assert_eq!(silent.code_challenge_methods, None);
        assert_eq!(silent.token_endpoint_auth_methods, None);
        assert_eq!(speaking.code_challenge_methods, Some(vec![]));
        assert_eq!(
            speaking.token_endpoint_auth_methods,
            Some(vec![ClientAuthMethod::None])
        );
    }

    #[test]
    fn optional_members_of_the_wrong_type_are_as_good_as_absent() {
        let mut document = server();
        document["scopes_supported"] = json!("a b");
        document["registration_endpoint"] = json!(false);
        document["client_id_metadata_document_supported"] = json!("true");

        let read = read(&document).unwrap();

        assert_eq!(read.scopes_supported, None);
        assert_eq!(read.registration_endpoint, None);
        assert!(!read.client_id_metadata_document_supported);
    }

    #[test]
    fn an_authorization_endpoint_is_for_users_only() {
        let mut document = server();
        document["authorization_endpoint"] = json!(null);
        let document = object(document.to_string().as_bytes()).unwrap();

        let read = authorization_server(
            &document,
            "https://as/m",
            &Issuer::new("https://as"),
            Purpose::Ourselves,
        );

        assert_eq!(read.unwrap().authorization_endpoint, "");
    }

    #[test]
    fn required_members_are_named_when_missing_or_no_identifiers() {
        for member in ["authorization_endpoint", "token_endpoint", "issuer"] {
            let mut document = server();
            for value in [json!(null), json!("https://as/\n"), json!("x".repeat(2049))] {
                document[member] = value;

                assert_eq!(read(&document), Err(Error::Metadata { member }));
            }
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(document) = object(&body) {
                let _ = protected_resource(&document, "https://h/m");
                let issuer = Issuer::new("https://as");
                let _ = authorization_server(&document, "https://as/m", &issuer, Purpose::Users);
            }
        }
    }
}
