//! Grants taken over from other systems, as they come in: everything that can be judged without the
//! server is, and all of it at once.

use std::ops::RangeInclusive;

use prost::Message as _;

use super::call::Call;
use super::connections::connection;
use super::convert::{actor, all, fingerprinted, optional_line, server, time};
use crate::app::{App, Existing, Import, ImportedClient, Result};
use crate::domain::authorization::{Issuer, Resource, Scopes};
use crate::domain::secrets::{AccessToken, ClientSecret, RefreshToken};
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;

/// The longest access token, and what it may be made of: it becomes part of a header.
pub(super) const ACCESS: (usize, RangeInclusive<u8>) = (32_768, b'!'..=b'~');
/// The same of refresh tokens and client secrets (RFC 6749, appendix A).
pub(super) const REFRESH: (usize, RangeInclusive<u8>) = (32_768, b' '..=b'~');
const CLIENT_SECRET: (usize, RangeInclusive<u8>) = (8192, b' '..=b'~');
const MAX_CLIENT_ID: usize = 512;
const MAX_URL: usize = 2048;
/// What stands for a secret that was given.
const GIVEN: &str = "given";

/// Takes one over.
pub(super) async fn import(
    app: &App,
    call: &Call,
    ask: pb::ImportConnectionRequest,
) -> Result<pb::ImportConnectionResponse> {
    let mut found = Violations::new();
    let once = fingerprinted(&mut found, &ask.request_id, &canonical(&ask));
    let actor = actor(&mut found, &call.caller, ask.actor);
    let server = server(&mut found, "server", &ask.server);
    let access_token = secret(&mut found, "access_token", ask.access_token, ACCESS);
    let refresh_token = secret(&mut found, "refresh_token", ask.refresh_token, REFRESH);
    if access_token.is_none() && refresh_token.is_none() {
        found.add(
            "access_token",
            "is required, unless there is a refresh token",
        );
    }
    token_type(&mut found, &ask.token_type);
    let expires_at = time(&mut found, "expire_time", ask.expire_time);
    let scopes = scopes(&mut found, &ask.scopes);
    let issuer = optional_line(&mut found, "issuer", &ask.issuer, MAX_URL);
    let resource = optional_line(&mut found, "resource", &ask.resource, MAX_URL);
    let client_id = optional_line(&mut found, "client_id", &ask.client_id, MAX_CLIENT_ID);
    let client_secret = secret(
        &mut found,
        "client_secret",
        ask.client_secret,
        CLIENT_SECRET,
    );
    if client_secret.is_some() && ask.client_id.trim().is_empty() {
        found.add("client_id", "is required with client_secret");
    }
    let ((actor, server), scopes) = all(found, actor.zip(server).zip(scopes))?;
    let import = Import {
        actor,
        server: server?,
        access_token: access_token.map(AccessToken::new),
        refresh_token: refresh_token.map(RefreshToken::new),
        expires_at,
        scopes,
        issuer: issuer.map(Issuer::new),
        resource: resource.map(Resource::new),
        client: client_id.map(|client_id| ImportedClient {
            client_id,
            secret: client_secret.map(ClientSecret::new),
        }),
        existing: if ask.replace {
            Existing::IsReplaced
        } else {
            Existing::Stays
        },
        once,
    };
    let written = app.import_connection(&call.caller, import).await?;
    let (read, slug) = &written.value;
    Ok(pb::ImportConnectionResponse {
        connection: Some(connection(read, slug)),
        revision: written.revision.0,
    })
}

/// A token or client secret, kept exactly as given; absent when empty.
pub(super) fn secret(
    found: &mut Violations,
    field: &str,
    given: String,
    (max, allowed): (usize, RangeInclusive<u8>),
) -> Option<String> {
    if given.is_empty() {
        return None;
    }
    if given.len() > max {
        found.add(field, format!("must be at most {max} bytes"));
    } else if !given.bytes().all(|byte| allowed.contains(&byte)) {
        found.add(field, "must be visible ASCII, without line breaks");
    }
    Some(given)
}

/// Scopes of RFC 6749, section 3.3: visible ASCII but quotes and backslashes.
fn scopes(found: &mut Violations, given: &[String]) -> Option<Scopes> {
    let scopes = found.keep("scopes", text::list(given, 100, 256))?;
    let well_formed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !scopes.iter().all(|scope| scope.bytes().all(well_formed)) {
        found.add("scopes", "must be scopes (RFC 6749, section 3.3)");
    }
    Some(scopes.into_iter().collect())
}

/// Types of tokens have no case (RFC 6749, section 5.1).
fn token_type(found: &mut Violations, given: &str) {
    let given = given.trim();
    if given.eq_ignore_ascii_case("DPoP") {
        found.add("token_type", "is bound to a key, which cannot be imported");
    } else if !given.is_empty() && !given.eq_ignore_ascii_case("Bearer") {
        found.add("token_type", "must be Bearer");
    }
}

/// The bytes of a request to be hashed and kept: but for the request id and the secrets, of which
/// only that they are there is told.
fn canonical(ask: &pb::ImportConnectionRequest) -> Vec<u8> {
    let mut ask = ask.clone();
    ask.request_id.clear();
    for secret in [
        &mut ask.access_token,
        &mut ask.refresh_token,
        &mut ask.client_secret,
    ] {
        if !secret.is_empty() {
            GIVEN.clone_into(secret);
        }
    }
    ask.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_leaves_no_trace_but_that_it_was_given() {
        let ask = |refresh_token: &str, request_id: &str| pb::ImportConnectionRequest {
            access_token: "hunter1".into(),
            refresh_token: refresh_token.into(),
            client_secret: "hunter3".into(),
            request_id: request_id.into(),
            ..pb::ImportConnectionRequest::default()
        };
        let bytes = canonical(&ask("hunter2", "a"));

        assert_eq!(bytes, canonical(&ask("other", "b")));
        assert_ne!(bytes, canonical(&ask("", "a")));
        assert!(!bytes.windows(6).any(|window| window == b"hunter"));
    }

    #[test]
    fn a_token_is_kept_as_it_is_or_refused() {
        let refused = |token: &str| {
            let mut found = Violations::new();
            let kept = secret(&mut found, "t", token.to_owned(), (8, ACCESS.1));
            assert_eq!(kept.as_deref(), (!token.is_empty()).then_some(token));
            !found.is_empty()
        };

        assert!(!refused("") && !refused("a.b-~+/="));
        for bad in ["123456789", "a b", " a", "a\n", "a\r\nX: y", "ä", "\0"] {
            assert!(refused(bad), "{bad:?}");
        }
    }
}
