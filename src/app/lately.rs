//! What happened lately to servers, in this process: so that what many meet at once is done once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::ids::ServerId;
use crate::domain::time::Timestamp;

/// Servers that something happened to, and when; forgotten after a while.
#[derive(Debug)]
pub(super) struct Lately {
    quiet: Duration,
    servers: Mutex<HashMap<ServerId, Timestamp>>,
}

impl Lately {
    /// Nothing yet; each server's is news once in so long.
    pub(super) fn new(quiet: Duration) -> Self {
        Self {
            quiet,
            servers: Mutex::default(),
        }
    }

    /// Whether it happened within the while.
    pub(super) fn happened(&self, server: ServerId, now: Timestamp) -> bool {
        let lately = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lately.get(&server);
        at.is_some_and(|at| now.since(*at) < self.quiet)
    }

    /// Whether this is the first of a while. Of many at once one is.
    pub(super) fn is_news(&self, server: ServerId, now: Timestamp) -> bool {
        let mut lately = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| now.since(*at) < self.quiet);
        let news = !lately.contains_key(&server);
        if news {
            lately.insert(server, now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_news_once_in_a_while_for_each_server() {
        let lately = Lately::new(Duration::from_mins(10));
        let (one, two) = ([1; 16], [2; 16]);
        let (one, two) = (ServerId::from_bytes(one), ServerId::from_bytes(two));
        let at = |minutes| Timestamp::default().after(Duration::from_mins(minutes));

        assert!(!lately.happened(one, at(0)));
        assert!(lately.is_news(one, at(0)));
        assert!(lately.happened(one, at(9)) && !lately.happened(one, at(10)));
        assert!(!lately.is_news(one, at(9)));
        assert!(lately.is_news(two, at(9)));
        assert!(lately.is_news(one, at(10)));
    }
}
