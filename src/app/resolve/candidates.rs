//! The servers that the rules are asked about. One whose row cannot be read is among them as far as it can be:
//! nobody must go in silence without what is forced, nor without what was chosen or asked for.

use super::super::App;
use super::super::error::Result;
use super::super::servers::{ServerRef, find, may_see_any};
use crate::domain::access::{Actor, Caller};
use crate::domain::ids::ServerId;
use crate::domain::page::PageRequest;
use crate::domain::servers::{Glimpse, Policy, Server};
use crate::domain::text::UserId;
use crate::store::{self, Read, Which};

/// A server that the rules are asked about.
#[derive(Debug)]
pub(in crate::app) enum Candidate {
    /// It can be read.
    Whole(Box<Server>),
    /// Its row is damaged.
    Glimpsed(Box<Glimpse>),
}

impl Candidate {
    /// Which server.
    pub(super) fn id(&self) -> ServerId {
        self.policy().id
    }

    /// Its place in lists.
    pub(super) fn place(&self) -> (&str, ServerId) {
        let name = match self {
            Self::Whole(server) => &server.spec.display_name,
            Self::Glimpsed(glimpse) => &glimpse.display_name,
        };
        (name, self.id())
    }

    /// What the rules look at.
    pub(in crate::app) fn policy(&self) -> Policy<'_> {
        match self {
            Self::Whole(server) => server.policy(),
            Self::Glimpsed(glimpse) => glimpse.policy(),
        }
    }
}

impl App {
    /// Every server that is on, everybody's and this user's own, by display name, then id.
    pub(in crate::app) async fn candidates(
        &self,
        tx: &mut Read,
        caller: &Caller,
        user: &UserId,
    ) -> Result<Vec<Candidate>> {
        let mut all = Vec::new();
        let mut page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        loop {
            let read = tx
                .servers()
                .list(&caller.tenant, Which::Enabled(Some(user)), &page)
                .await?;
            for row in read.entries {
                match row {
                    Ok(server) => all.push(Candidate::Whole(Box::new(server))),
                    Err(error) => all.extend(self.glimpsed(tx, caller, error).await?),
                }
            }
            match read.next {
                Some(next) => page.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// The server of this name, if it exists for the actor.
    pub(in crate::app) async fn usable(
        &self,
        tx: &mut Read,
        (caller, actor): (&Caller, &Actor),
        name: &str,
    ) -> Result<Option<Candidate>> {
        let Ok(name) = ServerRef::parse(name) else {
            return Ok(None);
        };
        let found = match find(tx, &caller.tenant, &name).await {
            Ok(found) => found.map(|server| Candidate::Whole(Box::new(server))),
            Err(error) => self.glimpsed(tx, caller, error.into_unreadable()?).await?,
        };
        Ok(found.filter(|found| {
            let policy = found.policy();
            policy.enabled && may_see_any(caller, Some(actor), &policy)
        }))
    }

    /// What there is of a row that could not be read. Where it may be forced on somebody and does not
    /// say on whom, nothing is answered at all.
    async fn glimpsed(
        &self,
        tx: &mut Read,
        caller: &Caller,
        error: store::Error,
    ) -> Result<Option<Candidate>> {
        let store::Error::Corrupt { id, .. } = &error else {
            return Err(error.into());
        };
        tracing::error!(%error, "a server cannot be read");
        let glimpse = tx.servers().glimpse(&caller.tenant, id).await?;
        Ok(glimpse.map(|glimpse| Candidate::Glimpsed(Box::new(glimpse))))
    }
}
