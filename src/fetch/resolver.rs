//! Turning names into addresses that may be contacted. The addresses checked here are the ones the
//! connection is made to: a name is resolved once for each connection, so it cannot change its mind
//! between the check and the use.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::{Host, Url};

use super::address::{Special, admit};
use super::error::{Cause, Error, Why};
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

type Script = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who is asked about names.
#[derive(Clone, Default)]
pub enum Names {
    /// The operating system.
    #[default]
    System,
    /// A test, which may change its mind.
    Script(Arc<Script>),
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Script(_) => "Script",
        })
    }
}

/// The resolver of one policy.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    rules: Arc<FetchRules>,
    policy: Policy,
    names: Names,
    turns: Arc<Semaphore>,
}

impl Guarded {
    pub(super) fn new(rules: Arc<FetchRules>, policy: Policy, names: Names) -> Self {
        Self {
            rules,
            policy,
            names,
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }

    /// The same rules for another policy; lookups take turns with those of this one.
    pub(super) fn under(&self, policy: Policy) -> Self {
        Self {
            policy,
            ..self.clone()
        }
    }

    /// Looks a host up that somebody else will connect to. Literals were checked already; a listed
    /// host may have any address, and nobody here needs to know it.
    pub(super) async fn vouch(&self, url: &Url) -> Result<(), Error> {
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        if self.rules.lists(name) {
            return Ok(());
        }
        let host = name.to_owned();
        match self.addresses(name).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.downcast_ref() {
                Some(Forbidden(special)) => Error::Blocked {
                    host,
                    why: Why::Address(*special),
                },
                None => Error::NotSent {
                    host,
                    cause: Cause::Name,
                },
            }),
        }
    }

    /// The addresses of a name, all of which may be contacted: one bad answer condemns all, since a
    /// public address beside a private one is how rebinding looks.
    async fn addresses(
        &self,
        name: &str,
    ) -> Result<Vec<SocketAddr>, Box<dyn StdError + Send + Sync>> {
        let found = timeout(PATIENCE, self.look_up(name))
            .await
            .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
        if self.policy != Policy::Operator && !self.rules.lists(name) {
            for address in &found {
                admit(address.ip(), &self.rules, self.policy).map_err(Forbidden)?;
            }
        }
        Ok(found)
    }

    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        // Port 0 means the URL's own to the HTTP client.
        match &self.names {
            Names::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            Names::Script(script) => {
                let found = script(name)?.into_iter();
                Ok(found.map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.clone();
        Box::pin(async move {
            let found = guarded.addresses(name.as_str()).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}
