//! `/connect/{link}`: where a handshake begins in the browser.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;

use super::{Door, words};
use crate::app::{Closed, LinkPage, SecretText};

type Link = Result<Path<String>, PathRejection>;

/// Opens the link. The browser is given its id if it has none yet, so that the callback can tell
/// whether the same one came back.
pub(super) async fn open(State(door): State<Door>, link: Link, headers: HeaderMap) -> Response {
    let Ok(Path(link)) = link else {
        return door.show(&words::not_found());
    };
    let known = door.site.browser(&headers);
    let new = known.is_none().then(|| door.app.new_browser());
    let browser = known.or(new.as_deref()).map(SecretText);
    let link = SecretText(&link);
    let page = match door.app.open_link(&link, browser.as_ref()).await {
        Ok(page) => page,
        Err(error) => return door.apologise(&error),
    };
    let mut response = match page {
        LinkPage::Ask { user, server } => door.show(&words::ask(&user, &server)),
        LinkPage::Leave { url } => door.redirect(&url),
        LinkPage::Closed(closed) => return door.show(&words::closed(closed)),
    };
    if let Some(cookie) = new.and_then(|id| door.site.set_cookie(&id)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The person agreed. Only a form of ours, in a browser we know, may say so.
pub(super) async fn agree(State(door): State<Door>, link: Link, headers: HeaderMap) -> Response {
    let Ok(Path(link)) = link else {
        return door.show(&words::not_found());
    };
    if !door.site.is_own_form(&headers) {
        return door.show(&words::foreign_form());
    }
    let Some(browser) = door.site.browser(&headers).map(SecretText) else {
        return door.show(&words::closed(Closed::NoBrowser));
    };
    let link = SecretText(&link);
    match door.app.confirm_link(&link, Some(&browser)).await {
        Ok(LinkPage::Ask { user, server }) => door.show(&words::ask(&user, &server)),
        Ok(LinkPage::Leave { url }) => door.show(&words::leave(url)),
        Ok(LinkPage::Closed(closed)) => door.show(&words::closed(closed)),
        Err(error) => door.apologise(&error),
    }
}
