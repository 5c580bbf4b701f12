//! `/oauth2/client/{server}.json`: what our client says about itself to authorization servers that
//! fetch it (OAuth Client ID Metadata Document). No browser comes here.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::{Door, words};

/// The document of one server.
pub(super) async fn document(
    State(door): State<Door>,
    file: Result<Path<String>, PathRejection>,
) -> Response {
    let server = file.ok();
    let server = server
        .as_ref()
        .and_then(|Path(file)| file.strip_suffix(".json"));
    let Some(server) = server else {
        return door.show(&words::not_found());
    };
    match door.app.client_document(server).await {
        Ok(Some(document)) => {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "public, max-age=300"),
            ];
            (headers, document.to_string()).into_response()
        }
        Ok(None) => door.show(&words::not_found()),
        Err(error) => door.apologise(&error),
    }
}
