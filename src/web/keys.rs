//! `/.well-known/jwks.json`: the keys by which receivers check identity tokens (RFC 7517, section 5).
//! Public: scripts of any site may read it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};

use super::Door;

/// The public halves.
pub(super) async fn published(State(door): State<Door>) -> Response {
    match door.app.identity_keys().await {
        Ok(keys) => {
            // How long a key may be unknown that is used as soon as it is made.
            let headers = [
                (CONTENT_TYPE, "application/jwk-set+json"),
                (CACHE_CONTROL, "public, max-age=300"),
                (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            ];
            (headers, keys.to_string()).into_response()
        }
        Err(error) => door.apologise(&error),
    }
}
