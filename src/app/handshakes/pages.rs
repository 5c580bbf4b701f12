//! What the browser brings and what it is shown: the words between `app` and the web door.

use super::super::SecretText;
use crate::domain::handshakes::Failure;
use crate::domain::ids::HandshakeId;

/// What a connect link shows.
#[derive(Debug)]
pub enum LinkPage {
    /// Ask whether to connect this user to this server, by a POST button.
    Ask {
        /// The user.
        user: String,
        /// The server's display name.
        server: String,
    },
    /// Leave for the provider.
    Leave {
        /// Where to. Carries the state.
        url: String,
    },
    /// The link leads nowhere.
    Closed(Closed),
}

/// Why a link or an answer leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It was never made, or long ago.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was used.
    Finished,
    /// Another browser opened it first.
    OtherBrowser,
    /// The browser brought no cookie.
    NoBrowser,
}

/// What a browser brought back from the provider.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// The server of the path, if the path names one.
    pub server: Option<&'a str>,
    /// The `state` parameter.
    pub state: Option<&'a SecretText<'a>>,
    /// The `code` parameter.
    pub code: Option<&'a SecretText<'a>>,
    /// The `error` parameter.
    pub error: Option<&'a str>,
    /// The `iss` parameter; absent and empty differ.
    pub iss: Option<&'a str>,
    /// The browser's cookie.
    pub browser: Option<&'a SecretText<'a>>,
}

/// What the browser sees in the end.
#[derive(Debug)]
pub enum ResultPage {
    /// The grant is stored.
    Connected {
        /// The server's display name.
        server: String,
        /// Which handshake.
        handshake: HandshakeId,
        /// Where to lead back to.
        return_url: Option<String>,
        /// Which window to tell.
        opener_origin: Option<String>,
    },
    /// The front end must confirm.
    Confirm {
        /// Where to send the browser. Carries the one-time code.
        url: String,
    },
    /// It came to nothing.
    Failed {
        /// The server's display name.
        server: String,
        /// Which handshake.
        handshake: HandshakeId,
        /// Why.
        failure: Failure,
        /// Where to lead back to.
        return_url: Option<String>,
        /// Which window to tell.
        opener_origin: Option<String>,
    },
    /// The answer leads nowhere.
    Closed(Closed),
}
