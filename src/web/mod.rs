//! The browser's door: connect links, the OAuth callback, and pages that say how it went. It
//! translates requests into calls of `app` and answers into pages; which handshakes may go on, it
//! does not know.
//!
//! Invariants: no page loads anything or runs a script that is not its own; no page is cached; a
//! query is never logged; who only looks ahead (HEAD, prefetch) never reaches `app`.
//!
//! Begin with [`router`]; the sentences are in `words.rs`.

mod browser;
mod callback;
mod client;
mod connect;
mod keys;
mod page;
mod words;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{error, warn};
use url::Url;

use crate::app::{App, Error};
use browser::Site;
use page::Page;

/// How many requests are answered at a time.
const AT_ONCE: usize = 512;

/// How long one may take. An exchange that is under way goes on without its browser.
const DEADLINE: Duration = Duration::from_mins(1);

/// How the public listener is known.
#[derive(Debug, Clone)]
pub struct Options {
    /// The base of every public URL. Its path, if any, is served with and without it, whatever the
    /// proxy in front does.
    pub public_url: Url,
}

/// The pages, on these use cases.
pub fn router(app: App, options: &Options) -> Router {
    let door = Door {
        app,
        site: Arc::new(Site::at(&options.public_url)),
        places: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let pages = Router::new()
        .route("/connect/{link}", get(connect::open).post(connect::agree))
        .route("/oauth2/callback/{server}", get(callback::of_server))
        .route("/oauth2/callback", get(callback::shared))
        .route_layer(from_fn(browser::visits_only))
        .route("/oauth2/client/{file}", get(client::document))
        .route("/.well-known/jwks.json", get(keys::published))
        .route("/", get(home));
    let base = options.public_url.path().trim_end_matches('/');
    let pages = if base.is_empty() {
        pages
    } else {
        pages.clone().nest(base, pages)
    };
    let panics = door.clone();
    pages
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(from_fn_with_state(door.clone(), bounded))
        .layer(CatchPanicLayer::custom(
            move |cause: Box<dyn Any + Send>| panics.panicked(&*cause),
        ))
        .with_state(door)
}

/// What every page stands on.
#[derive(Debug, Clone)]
struct Door {
    app: App,
    site: Arc<Site>,
    places: Arc<Semaphore>,
}

impl Door {
    fn show(&self, page: &Page) -> Response {
        let mut response = page.respond(&self.app.new_browser());
        if page.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    /// Sends the browser on with a GET, whatever it came with.
    fn redirect(&self, url: &str) -> Response {
        let Ok(mut location) = HeaderValue::from_str(url) else {
            let reference = self.reference();
            error!(request.id = reference, "a URL to go to is no header value");
            return self.show(&words::crash(&reference));
        };
        location.set_sensitive(true);
        let headers = [
            (LOCATION, location),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        (StatusCode::SEE_OTHER, headers).into_response()
    }

    /// Says that it is our fault.
    fn apologise(&self, cause: &Error) -> Response {
        let reference = self.reference();
        let page = words::broken(cause, &reference);
        let source = std::error::Error::source(cause).map(ToString::to_string);
        if page.status == StatusCode::SERVICE_UNAVAILABLE {
            warn!(request.id = reference, error = %cause, error.source = source, "a page waits");
        } else {
            error!(request.id = reference, error = %cause, error.source = source, "a page failed");
        }
        self.show(&page)
    }

    fn panicked(&self, cause: &(dyn Any + Send)) -> Response {
        let reference = self.reference();
        let text = cause.downcast_ref::<&str>().copied();
        let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
        error!(
            request.id = reference,
            error = text.unwrap_or("?"),
            "a page panicked"
        );
        self.show(&words::crash(&reference))
    }

    /// What a person can name and the log holds.
    fn reference(&self) -> String {
        let mut reference = self.app.new_browser();
        reference.truncate(12);
        reference
    }
}

async fn home(State(door): State<Door>) -> Response {
    door.show(&words::home())
}

async fn not_found(State(door): State<Door>) -> Response {
    door.show(&words::not_found())
}

/// Bounds how many requests are answered at a time, and for how long.
async fn bounded(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Ok(_place) = door.places.try_acquire() else {
        return door.show(&words::busy());
    };
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => door.show(&words::busy()),
    }
}
