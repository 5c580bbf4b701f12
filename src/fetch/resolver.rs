//! Turning names into addresses that may be contacted. The addresses checked here are the ones the
//! connection is made to: a name is resolved once for each connection, so it cannot change its mind
//! between the check and the use.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::address::{Special, admit};
use super::rules::{FetchRules, Policy};

/// How long one name may take, waiting for a turn included.
const PATIENCE: Duration = Duration::from_secs(4);

/// How many names are resolved at a time: each occupies a thread of the blocking pool.
const AT_A_TIME: usize = 32;

/// A name that resolves to an address which may not be contacted; found again in the error chain
/// of the HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("{0} address")]
pub(super) struct Forbidden(pub(super) Special);

/// The resolver of one policy.
pub(super) struct Guarded {
    rules: Arc<FetchRules>,
    policy: Policy,
    turns: Arc<Semaphore>,
}

impl Guarded {
    pub(super) fn new(rules: Arc<FetchRules>, policy: Policy) -> Self {
        Self {
            rules,
            policy,
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.rules);
        let turns = Arc::clone(&self.turns);
        let policy = self.policy;
        let unchecked = policy == Policy::Operator || rules.lists(name.as_str());
        Box::pin(async move {
            let found = timeout(PATIENCE, look_up(name.as_str(), &turns))
                .await
                .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
            if !unchecked {
                // One bad answer condemns all: a public address beside a private one is how
                // rebinding looks.
                for address in &found {
                    admit(address.ip(), &rules, policy).map_err(Forbidden)?;
                }
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

async fn look_up(name: &str, turns: &Semaphore) -> io::Result<Vec<SocketAddr>> {
    let _turn = turns.acquire().await.map_err(io::Error::other)?;
    // Port 0 means the URL's own to the HTTP client.
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}
