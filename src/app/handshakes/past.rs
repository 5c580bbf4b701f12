//! What a user was asked for before: an upstream that is never content, or a user who says no, must
//! not make a daemon ask for ever (MCP authorization, step-up authorization; scope minimization).

use std::time::Duration;

use super::super::App;
use super::super::clients::client_issuer;
use super::super::error::Result;
use super::super::readable::readable;
use super::NewHandshake;
use super::start::asked_scopes;
use crate::domain::access::Caller;
use crate::domain::handshakes::{Failure, Handshake, State};
use crate::domain::servers::Server;

/// How often the same is asked for in a while.
const LIMIT: usize = 2;
/// What is a while.
const WHILE: Duration = Duration::from_hours(1);
/// How soon after a consent its credential is rejected by a server that accepts none.
const AT_ONCE: Duration = Duration::from_mins(10);

/// Which handshakes count as in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum InVain {
    /// Those that the user declined, and those that the provider answered with another error.
    Declined,
    /// Those, and those that came to a grant which was not enough.
    OrNotEnough,
    /// Those, and those whose credential was rejected soon.
    OrRejected,
}

impl App {
    /// Whether a user was asked for the very same in vain, and more than once, within the last hour;
    /// what is rejected at once counts for ten minutes.
    pub(in super::super) async fn asked_in_vain(
        &self,
        caller: &Caller,
        new: &NewHandshake,
        server: &Server,
        which: InVain,
    ) -> Result<bool> {
        let Some(oauth2) = server.spec.auth.oauth2() else {
            return Ok(false);
        };
        let asked = asked_scopes(oauth2, server, new, self.dialect_of(server));
        let issuer = client_issuer(server).filter(|issuer| !issuer.as_str().is_empty());
        let since = self.0.clock.now().before(WHILE);
        let whose = (&caller.tenant, &new.actor.user, server.id);
        let mut tx = self.0.store.read().await?;
        let past = readable(tx.handshakes().list_finished(whose, since).await?);
        drop(tx);
        let at_once = self.0.clock.now().before(AT_ONCE);
        let counts = |past: &Handshake| match past.state {
            // The provider refuses before the user can, as where it does not know a scope; or it names no
            // account, or always another one.
            State::Failed(
                Failure::AccessDenied | Failure::ProviderError | Failure::AccountMismatch,
            ) => true,
            State::Completed { .. } => match which {
                InVain::Declined => false,
                InVain::OrNotEnough => true,
                InVain::OrRejected => past.finished_at >= Some(at_once),
            },
            State::Failed(_)
            | State::Pending
            | State::Exchanging { .. }
            | State::AwaitingConfirmation
            | State::Cancelled
            | State::Expired => false,
        };
        let same = past.into_iter().filter(|past| {
            past.snapshot.asks_for(asked.as_ref()) && past.snapshot.issuer == issuer && counts(past)
        });
        Ok(same.count() >= LIMIT)
    }
}
