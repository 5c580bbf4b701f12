//! What a creation asked for, as bytes to be hashed and kept: the same for the same request, and
//! without the secrets. A kept hash of a weak secret could be guessed from; that one is there is all
//! that is told.

use prost::Message as _;

use crate::pb::v1 as pb;
use crate::pb::v1::server::Auth;

/// What stands for a secret that was given.
const GIVEN: &str = "given";

/// The bytes of a creation: but for the request id and the secrets, and with its map in order, which
/// the encoding itself does not promise.
pub(super) fn canonical(ask: &pb::CreateServerRequest) -> Vec<u8> {
    let mut ask = ask.clone();
    ask.request_id.clear();
    let params = ask.server.as_mut().map(bare).unwrap_or_default();
    with_params(ask.encode_length_delimited_to_vec(), params)
}

/// The bytes of an application of many, alike.
pub(super) fn of_many(ask: &pb::ApplyServersRequest) -> Vec<u8> {
    let mut ask = ask.clone();
    ask.request_id.clear();
    let all: Vec<_> = ask.servers.iter_mut().map(bare).collect();
    let mut encoded = ask.encode_length_delimited_to_vec();
    for params in all {
        // A header without a name tells where those of the next server begin.
        encoded = with_params(encoded, params);
        encoded = with_params(encoded, vec![(String::new(), String::new())]);
    }
    encoded
}

/// Takes the secrets out of a server, and its map, whose entries are answered in order.
fn bare(server: &mut pb::Server) -> Vec<(String, String)> {
    let mut params = Vec::new();
    hide(&mut server.signing_secret);
    if let Some(auth) = &mut server.auth {
        hide_secrets(auth);
        if let Auth::Oauth2(oauth2) = auth {
            params.extend(std::mem::take(&mut oauth2.extra_authorize_params));
        }
    }
    params.sort();
    params
}

fn with_params(mut encoded: Vec<u8>, params: Vec<(String, String)>) -> Vec<u8> {
    for (name, value) in params {
        let header = pb::Header { name, value };
        encoded.extend(header.encode_length_delimited_to_vec());
    }
    encoded
}

fn hide(secret: &mut Option<String>) {
    if let Some(secret) = secret.as_mut().filter(|secret| !secret.is_empty()) {
        GIVEN.clone_into(secret);
    }
}

fn hide_secrets(auth: &mut Auth) {
    match auth {
        Auth::None(_) => {}
        Auth::Oauth2(oauth2) => {
            hide(&mut oauth2.client_secret);
            hide(&mut oauth2.private_key);
        }
        Auth::ApiKey(api_key) => hide(&mut api_key.value),
        Auth::CustomHeaders(custom) => {
            for header in &mut custom.headers {
                hide(&mut header.value);
            }
        }
        Auth::UserOidc(oidc) => {
            if let Some(exchange) = &mut oidc.exchange {
                hide(&mut exchange.client_secret);
            }
        }
        Auth::ClientCredentials(client) => {
            hide(&mut client.client_secret);
            hide(&mut client.private_key);
        }
        Auth::Enterprise(enterprise) => {
            hide(&mut enterprise.client_secret);
            hide(&mut enterprise.idp_client_secret);
        }
        Auth::Workload(workload) => hide(&mut workload.assertion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(value: &str, request_id: &str) -> pb::CreateServerRequest {
        let api_key = pb::ApiKeyAuth {
            value: Some(value.into()),
            ..pb::ApiKeyAuth::default()
        };
        let server = pb::Server {
            auth: Some(Auth::ApiKey(api_key)),
            ..pb::Server::default()
        };
        pb::CreateServerRequest {
            server: Some(server),
            request_id: request_id.into(),
            ..pb::CreateServerRequest::default()
        }
    }

    #[test]
    fn a_secret_leaves_no_trace_but_that_it_was_given() {
        let bytes = canonical(&ask("hunter2", "a"));

        assert_eq!(bytes, canonical(&ask("other", "b")));
        assert_ne!(bytes, canonical(&ask("", "a")));
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
}
