//! What the pages say: what happened, and what to do next. Never another system's text.

use http::StatusCode;

use super::page::{Next, Page};
use crate::app::{Closed, Error};
use crate::domain::handshakes::Failure;

/// What this address is.
pub(super) fn home() -> Page {
    Page::new(
        StatusCode::OK,
        "Nothing to do here",
        "This service connects accounts of chat users to the tools they may use. A link from your \
         chat leads to the right page.",
    )
}

/// No page of ours.
pub(super) fn not_found() -> Page {
    Page::new(
        StatusCode::NOT_FOUND,
        "There is no such page",
        "Check the address, or open the link from your chat again.",
    )
}

/// The link asks who is there before it leads on.
pub(super) fn ask(user: &str, server: &str) -> Page {
    let mut page = Page::new(
        StatusCode::OK,
        &format!("Connect {server}"),
        format!("This link connects an account at {server} for the user"),
    );
    page.who = Some(user.to_owned());
    page.paragraphs.push(
        "Continue only if that is you: whatever you sign in with next will be used in that \
         user's chats."
            .to_owned(),
    );
    page.next = Some(Next::Agree);
    page
}

/// On the way to where the user signs in.
pub(super) fn leave(url: String) -> Page {
    let mut page = Page::new(
        StatusCode::OK,
        "One moment",
        "You are being sent to the page where you sign in.",
    );
    page.next = Some(Next::Leave { url });
    page
}

/// The link or the callback leads nowhere.
pub(super) fn closed(closed: Closed) -> Page {
    const AGAIN: &str = "Start again from your chat to get a new one.";
    let (status, title, text) = match closed {
        Closed::Unknown => (
            StatusCode::NOT_FOUND,
            "This link is not known",
            format!("It may be incomplete, or it was never valid. {AGAIN}"),
        ),
        Closed::Expired => (
            StatusCode::GONE,
            "This link has expired",
            format!("Links stay open for a short while only. {AGAIN}"),
        ),
        Closed::Finished => (
            StatusCode::GONE,
            "This link was used already",
            format!("Each link works once. {AGAIN}"),
        ),
        Closed::OtherBrowser => (
            StatusCode::FORBIDDEN,
            "This began in another browser",
            "Go on in the browser where you opened the link, or start again from your chat."
                .to_owned(),
        ),
        Closed::NoBrowser => (
            StatusCode::FORBIDDEN,
            "Your browser is not recognised",
            "It did not send the cookie it was given. Allow cookies for this site and open the \
             link from your chat again in this browser."
                .to_owned(),
        ),
    };
    Page::new(status, title, text)
}

/// A form was sent by a page that is not ours.
pub(super) fn foreign_form() -> Page {
    Page::new(
        StatusCode::FORBIDDEN,
        "This did not come from our page",
        "Nothing was done. Open the link from your chat and press the button there.",
    )
}

/// The callback's address cannot be read.
pub(super) fn malformed() -> Page {
    Page::new(
        StatusCode::BAD_REQUEST,
        "The answer cannot be read",
        "The page where you signed in sent you back with an address that makes no sense. Start \
         again from your chat.",
    )
}

/// The grant is stored.
pub(super) fn connected(server: &str) -> Page {
    Page::new(
        StatusCode::OK,
        &format!("{server} is connected"),
        "You can close this window and go on in your chat.",
    )
}

/// The handshake came to nothing.
pub(super) fn failed(server: &str, failure: Failure) -> Page {
    let status = match failure {
        // Saying no is an answer like any other.
        Failure::AccessDenied => StatusCode::OK,
        Failure::ProviderError
        | Failure::IssuerMismatch
        | Failure::MalformedCallback
        | Failure::ExchangeRefused
        | Failure::ClientRefused
        | Failure::ExchangeUnavailable
        | Failure::Interrupted
        | Failure::ServerChanged
        | Failure::AccountMismatch => StatusCode::BAD_REQUEST,
    };
    let text = match failure {
        Failure::AccessDenied => {
            "Access was refused, so nothing was stored. Start again from your chat if you change \
             your mind; if it was not you who refused, tell your administrator."
        }
        Failure::ProviderError => {
            "The page where you signed in reported a problem. Start again from your chat; if it \
             happens again, tell your administrator."
        }
        Failure::IssuerMismatch | Failure::MalformedCallback => {
            "The answer did not come as it should, so it was not used. Start again from your \
             chat; if it happens again, tell your administrator."
        }
        Failure::ExchangeRefused => {
            "The sign-in was not accepted in the end. Start again from your chat; if it happens \
             again, tell your administrator."
        }
        Failure::ClientRefused => {
            "This service was not accepted where you signed in. Tell your administrator; trying \
             again will not help."
        }
        Failure::ExchangeUnavailable | Failure::Interrupted => {
            "The sign-in could not be finished because the other side did not answer as it should. \
             Start again from your chat in a few minutes."
        }
        Failure::ServerChanged => {
            "Its settings changed while you were signing in. Start again from your chat."
        }
        Failure::AccountMismatch => {
            "You signed in there with an account that is not known to be yours, so nothing was \
             stored. Sign out there, start again from your chat, and choose your own account; if it \
             was your own, tell your administrator."
        }
    };
    Page::new(status, &format!("{server} was not connected"), text)
}

/// More visitors than we can serve.
pub(super) fn busy() -> Page {
    Page::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many visitors",
        "Reload this page in a moment.",
    )
}

/// Something of ours is amiss; `reference` finds it in the log.
pub(super) fn broken(error: &Error, reference: &str) -> Page {
    if matches!(
        error,
        Error::StoreUnavailable(_) | Error::UpstreamUnavailable { .. }
    ) {
        return Page::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available right now",
            "Reload this page in a moment; nothing is lost.",
        );
    }
    crash(reference)
}

/// A defect; `reference` finds it in the log.
pub(super) fn crash(reference: &str) -> Page {
    Page::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong here",
        format!(
            "Start again from your chat; if it happens again, give your administrator this \
             reference: {reference}"
        ),
    )
}
