//! `fetch`, `mcp` and `oauth` against a scripted web.

mod discovery;
mod guard;
mod probe;
mod registration;
mod token;
mod unregister;

use std::time::Duration;

use stationmaster::fetch::{Fetch, FetchRules};

/// Longer than anything here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A deadline that is meant to pass.
pub(crate) const IMPATIENCE: Duration = Duration::from_millis(200);

/// The way out with http and loopback allowed.
pub(crate) fn fetch() -> Fetch {
    Fetch::new(FetchRules::development()).unwrap()
}
