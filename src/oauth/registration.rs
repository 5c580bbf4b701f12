//! Dynamic client registration (RFC 7591).

use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::answer::{code, retry_after};
use super::error::Error;
use super::metadata::{object, text};
use super::revocation::unregister;
use super::target::may_name;
use crate::domain::authorization::{ClientAuthMethod, Scopes};
use crate::domain::secrets::{ClientSecret, RegistrationAccessToken};
use crate::domain::time::Timestamp;
use crate::fetch::{Fetch, Policy, Request, is_loopback};

/// The client to be registered.
#[derive(Debug, Clone)]
pub struct NewClient<'a> {
    /// The URL of the MCP server that it is for. Only for one on loopback may the endpoint be there.
    pub on_behalf_of: &'a str,
    /// Its one redirect URI.
    pub redirect_uri: &'a str,
    /// The name that users are shown.
    pub client_name: &'a str,
    /// A page about it, if there is one.
    pub client_uri: Option<&'a str>,
    /// The scopes it will ask for.
    pub scopes: Option<&'a Scopes>,
    /// What the authorization server's metadata lists as client authentication, if it does.
    pub auth_methods: Option<&'a [ClientAuthMethod]>,
    /// How long registering may take.
    pub deadline: Duration,
}

/// A client as the authorization server registered it.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    /// Its id.
    pub client_id: String,
    /// Its secret; always there when `auth_method` needs one.
    pub client_secret: Option<ClientSecret>,
    /// How it authenticates: what the answer says, else what was asked for.
    pub auth_method: ClientAuthMethod,
    /// Whether neither the answer nor the server's metadata says so: it is the default then (RFC 7591,
    /// section 2).
    pub method_assumed: bool,
    /// The scopes it is registered for: what the answer says, else what was asked for.
    pub scopes: Option<Scopes>,
    /// When the secret ends; `None` means never or no secret.
    pub secret_expires_at: Option<Timestamp>,
    /// The token that manages the registration (RFC 7592).
    pub registration_access_token: Option<RegistrationAccessToken>,
    /// Where the registration is managed (RFC 7592).
    pub registration_client_uri: Option<String>,
}

/// Registers a client. Not idempotent: every success makes a new client there. One that cannot be
/// used as it was registered is deleted again, where it is managed and as far as that works at once.
///
/// # Errors
/// [`Error::RegistrationRefused`], [`Error::RegistrationMalformed`], [`Error::Unsupported`] when no
/// method is common to both, [`Error::SecretMissing`], [`Error::Unavailable`], [`Error::Endpoint`],
/// [`Error::Fetch`].
pub async fn register(
    fetch: &Fetch,
    registration_endpoint: &str,
    client: &NewClient<'_>,
) -> Result<RegisteredClient, Error> {
    let endpoint = Url::parse(registration_endpoint).map_err(|_error| Error::Endpoint {
        name: "registration endpoint",
    })?;
    let asked = auth_method(client.auth_methods)?;
    let body = document(client, asked)?;
    let request = Request::post_json(endpoint, body.to_string())
        .policy(Policy::on_behalf_of(client.on_behalf_of))
        .deadline(client.deadline);
    let answer = fetch.send(request).await?;
    let status = answer.status;
    if status.is_success() {
        let mut answer = object(&answer.body).ok_or(Error::RegistrationMalformed)?;
        // A client that is managed on this machine by a server elsewhere is as good as not managed.
        let managed = text(&answer, "registration_client_uri");
        if managed.is_some_and(|uri| !may_name(client.on_behalf_of, uri)) {
            answer.remove("registration_client_uri");
        }
        let made = read(&answer, asked).map(|made| RegisteredClient {
            method_assumed: made.method_assumed && client.auth_methods.is_none(),
            scopes: made.scopes.or_else(|| client.scopes.cloned()),
            ..made
        });
        if made.is_err()
            && let (Some(uri), Some(token)) = management(&answer)
        {
            // A client that cannot be used is taken back; the failure is what counts.
            let namer = client.on_behalf_of;
            let _ = unregister(fetch, &uri, namer, &token, client.deadline).await;
        }
        return made;
    }
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return Err(Error::Unavailable {
            status,
            retry_after: retry_after(&answer.headers),
        });
    }
    Err(Error::RegistrationRefused {
        status,
        code: object(&answer.body).and_then(|object| code(object.get("error")?)),
    })
}

/// The client authentication to ask for: none where that is possible, since PKCE protects the
/// code and a secret only adds something to lose. A server that lists nothing speaks Basic
/// (RFC 8414, section 2).
fn auth_method(listed: Option<&[ClientAuthMethod]>) -> Result<ClientAuthMethod, Error> {
    let listed = listed.unwrap_or(&[ClientAuthMethod::ClientSecretBasic]);
    [
        ClientAuthMethod::None,
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
    ]
    .into_iter()
    .find(|method| listed.contains(method))
    .ok_or(Error::Unsupported {
        method: listed.first().copied(),
    })
}

/// A public client's metadata, as a document under the URL that is its id (OAuth Client ID Metadata
/// Document, section 4). Pure.
pub fn client_document(client_id: &str, redirect_uri: &str, client_name: &str) -> Value {
    let mut document = about(redirect_uri, client_name, ClientAuthMethod::None);
    document["client_id"] = json!(client_id);
    document
}

/// What our client says about itself everywhere (RFC 7591, section 2).
fn about(redirect_uri: &str, client_name: &str, method: ClientAuthMethod) -> Value {
    let native = Url::parse(redirect_uri).is_ok_and(|uri| is_loopback(&uri));
    json!({
        "redirect_uris": [redirect_uri],
        "client_name": client_name,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": if native { "native" } else { "web" },
        "token_endpoint_auth_method": method.as_str(),
        "software_id": "stationmaster",
        "software_version": env!("CARGO_PKG_VERSION"),
    })
}

/// The client's metadata (RFC 7591, section 2).
pub(super) fn document(client: &NewClient<'_>, method: ClientAuthMethod) -> Result<Value, Error> {
    Url::parse(client.redirect_uri).map_err(|_error| Error::Endpoint {
        name: "redirect URI",
    })?;
    let mut document = about(client.redirect_uri, client.client_name, method);
    if let Some(uri) = client.client_uri {
        document["client_uri"] = json!(uri);
    }
    if let Some(scopes) = client.scopes.filter(|scopes| !scopes.is_empty()) {
        document["scope"] = json!(scopes.to_string());
    }
    Ok(document)
}

/// The answer (RFC 7591, section 3.2.1). Its method governs, since the server may have replaced
/// what was asked for.
fn read(answer: &Map<String, Value>, asked: ClientAuthMethod) -> Result<RegisteredClient, Error> {
    let client_id = text(answer, "client_id").ok_or(Error::RegistrationMalformed)?;
    let client_secret =
        text(answer, "client_secret").map(|secret| ClientSecret::new(secret.to_owned()));
    let auth_method = match text(answer, "token_endpoint_auth_method") {
        Some(name) => match ClientAuthMethod::parse(name) {
            Some(ClientAuthMethod::PrivateKeyJwt) | None => {
                return Err(Error::Unsupported {
                    method: ClientAuthMethod::parse(name),
                });
            }
            Some(method) => method,
        },
        // Nothing was said and no secret given: only a public client can be meant.
        None if client_secret.is_none() => ClientAuthMethod::None,
        None => asked,
    };
    if auth_method != ClientAuthMethod::None && client_secret.is_none() {
        return Err(Error::SecretMissing);
    }
    let (registration_client_uri, registration_access_token) = management(answer);
    let silent = text(answer, "token_endpoint_auth_method").is_none();
    Ok(RegisteredClient {
        client_id: client_id.to_owned(),
        client_secret,
        auth_method,
        method_assumed: silent && auth_method != ClientAuthMethod::None,
        scopes: text(answer, "scope").map(Scopes::parse),
        secret_expires_at: answer
            .get("client_secret_expires_at")
            .and_then(Value::as_i64)
            .filter(|seconds| *seconds > 0)
            .map(Timestamp::from_secs),
        registration_access_token,
        registration_client_uri,
    })
}

/// Where and by what token the client is managed (RFC 7592, section 3).
fn management(answer: &Map<String, Value>) -> (Option<String>, Option<RegistrationAccessToken>) {
    let uri = text(answer, "registration_client_uri").map(str::to_owned);
    let token = text(answer, "registration_access_token");
    (
        uri,
        token.map(|token| RegistrationAccessToken::new(token.to_owned())),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::foreign::{CLIENT, bodies};
    use super::*;
    use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};

    fn answered(answer: &Value) -> Result<ClientAuthMethod, Error> {
        read(
            &object(answer.to_string().as_bytes()).unwrap(),
            ClientSecretBasic,
        )
        .map(|client| client.auth_method)
    }

    #[test]
    fn the_least_secret_method_that_is_listed_is_asked_for() {
        assert_eq!(auth_method(None), Ok(ClientSecretBasic));
        assert_eq!(auth_method(Some(&[ClientSecretPost, Public])), Ok(Public));
        assert_eq!(auth_method(Some(&[ClientSecretPost])), Ok(ClientSecretPost));
        assert_eq!(
            auth_method(Some(&[PrivateKeyJwt])),
            Err(Error::Unsupported {
                method: Some(PrivateKeyJwt)
            })
        );
        assert_eq!(
            auth_method(Some(&[])),
            Err(Error::Unsupported { method: None })
        );
    }

    #[test]
    fn the_answers_method_governs() {
        let secret = "s";

        for (answer, expected) in [
            (json!({"client_id": "c"}), Ok(Public)),
            (
                json!({"client_id": "c", "client_secret": secret}),
                Ok(ClientSecretBasic),
            ),
            (
                json!({"client_id": "c", "client_secret": secret, "token_endpoint_auth_method": "client_secret_post"}),
                Ok(ClientSecretPost),
            ),
            (
                json!({"client_id": "c", "client_secret": secret, "token_endpoint_auth_method": "none"}),
                Ok(Public),
            ),
            (
                json!({"client_id": "c", "token_endpoint_auth_method": "client_secret_post"}),
                Err(Error::SecretMissing),
            ),
            (
                json!({"client_id": "c", "token_endpoint_auth_method": "tls_client_auth"}),
                Err(Error::Unsupported { method: None }),
            ),
            (json!({"client_id": " "}), Err(Error::RegistrationMalformed)),
        ] {
            assert_eq!(answered(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn the_application_type_follows_the_redirect_uri() {
        for (redirect_uri, expected) in [
            ("http://localhost:7401/oauth2/callback/x", "native"),
            ("http://127.0.0.1/cb", "native"),
            ("https://station.example.com/cb", "web"),
        ] {
            let client = NewClient {
                on_behalf_of: "https://mcp.example.com",
                redirect_uri,
                client_name: "n",
                client_uri: None,
                scopes: None,
                auth_methods: None,
                deadline: Duration::from_secs(1),
            };

            let document = document(&client, Public).unwrap();

            assert_eq!(document["application_type"], expected);
            assert_eq!(document["redirect_uris"], json!([redirect_uri]));
            assert_eq!(document.get("scope"), None);
        }
    }

    const WORDS: &[&str] = &[
        "c",
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ];

    proptest! {
        #[test]
        fn of_any_body_only_a_client_that_can_be_used_is_read(body in bodies(CLIENT, WORDS)) {
            let answer = object(&body);
            if let Some(Ok(client)) = answer.map(|answer| read(&answer, ClientSecretBasic)) {
                prop_assert!(!client.client_id.trim().is_empty());
                prop_assert_ne!(client.auth_method, PrivateKeyJwt);
                prop_assert!(client.auth_method == Public || client.client_secret.is_some());
                prop_assert!(!client.method_assumed || client.auth_method == ClientSecretBasic);
                prop_assert!(client.secret_expires_at.is_none_or(|end| end > Timestamp::default()));
            }
        }
    }
}
