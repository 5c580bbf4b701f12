//! What is redeemed. The engine is one; how each kind of grant is found, asked for and written is here
//! and in `connection.rs` and `identity.rs`.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::feed::Topic;
use super::super::flights::Flights;
use super::super::metrics::RefreshOutcome;
use super::call::Uncalled;
use crate::domain::authorization::{Issuer, TokenSet};
use crate::domain::connections::{GrantId, Lifecycle, Policy, Settled};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::oauth::{About, Outcome, Refused};
use crate::store::{self, Read, Upkeep, Write};

/// When new tokens end.
#[derive(Debug, Clone, Copy)]
pub(in crate::app) struct Ends {
    /// The access token, if that is known.
    pub(in crate::app) access: Option<Timestamp>,
    /// The first of all of them, as far as it is known.
    pub(in crate::app) first: Option<Timestamp>,
}

/// What every grant keeps beside its tokens, to be changed.
#[derive(Debug)]
pub(in crate::app) struct Kept<'a> {
    pub(in crate::app) life: &'a mut Lifecycle,
    pub(in crate::app) last_error: &'a mut Option<String>,
    pub(in crate::app) failed_at: &'a mut Option<Timestamp>,
    pub(in crate::app) refreshed_at: &'a mut Option<Timestamp>,
    pub(in crate::app) due_at: &'a mut Option<Timestamp>,
    pub(in crate::app) updated_at: &'a mut Timestamp,
    pub(in crate::app) version: &'a mut i64,
}

/// Something with a lifecycle, a refresh token or what stands in its place, and a row.
pub(in crate::app) trait Grant: Clone + Debug + Send + Sync + 'static {
    /// Which one is meant, whatever its id is by now.
    type Key: Clone + Debug + Display + Eq + Hash + Send + Sync + 'static;

    /// What its end is called in the audit trail.
    const ENDED: &'static str;
    /// What its renewal is called there.
    const RENEWED: &'static str;

    /// Which one it is.
    fn key(&self) -> Self::Key;
    /// Its id.
    fn id(&self) -> GrantId;
    /// Whose it is.
    fn owner(&self) -> (&TenantId, &UserId);
    /// What the audit trail says of it, beside its id and owner: an object.
    fn described(&self) -> serde_json::Value;
    /// Who issued it.
    fn issuer(&self) -> &Issuer;
    /// Where it is redeemed, as a name for [`super::Places`].
    fn place(&self) -> Cow<'_, str>;
    /// What may happen to it.
    fn life(&self) -> &Lifecycle;
    /// When it was last handed out.
    fn used_at(&self) -> Option<Timestamp>;
    /// What is kept beside its tokens.
    fn kept(&mut self) -> Kept<'_>;
    /// The rules for it: the deployment's, and what is known of its provider.
    fn policy(&self, app: &App) -> Policy;

    /// The flights of its kind.
    fn flights(app: &App) -> &Flights<Self::Key>;
    /// What the feed tells its changes under.
    fn topic(key: &Self::Key) -> Topic;

    /// Reads it.
    fn find(
        tx: &mut Read,
        key: &Self::Key,
    ) -> impl Future<Output = store::Result<Option<Self>>> + Send;
    /// Those that are due, the longest first: so many of each place, and so many in all.
    fn list_due(
        tx: &mut Read,
        now: Timestamp,
        at_most: (i64, i64),
    ) -> impl Future<Output = store::Result<Vec<store::Result<Self>>>> + Send;
    /// Takes one that cannot be read out of what is due.
    fn forget_due(tx: &mut Upkeep, id: &str) -> impl Future<Output = store::Result<()>> + Send;
    /// Writes its lifecycle, if that means nothing to others.
    fn save_quietly(&self, tx: &mut Upkeep) -> impl Future<Output = store::Result<bool>> + Send;
    /// Writes its lifecycle.
    fn save(&self, tx: &mut Write) -> impl Future<Output = store::Result<bool>> + Send;
    /// Writes new tokens and the lifecycle that goes with them.
    fn renew(&self, tx: &mut Write) -> impl Future<Output = store::Result<bool>> + Send;

    /// Whether it is renewed ahead of time, by what is known here.
    fn is_wanted(&self, app: &App) -> impl Future<Output = Result<bool>> + Send;
    /// Asks for new tokens, once. `started` is when the lease was asked for, on the monotonic clock.
    fn call(
        &self,
        app: &App,
        started: Duration,
    ) -> impl Future<Output = std::result::Result<Outcome, Uncalled>> + Send;
    /// When tokens end that are asked for at this time.
    fn ends(&self, tokens: &TokenSet, sent_at: Timestamp) -> Ends;
    /// Seals new tokens into it, with what else they say.
    fn seal(
        &mut self,
        app: &App,
        tokens: &TokenSet,
        at: (Timestamp, Ends),
    ) -> impl Future<Output = Result<()>> + Send;
    /// What becomes of new tokens that are not written, since this grant, as it was when they were asked
    /// for, ended or is outranked; `true` when there is nothing left to do.
    fn late(&self, app: &App, tokens: &TokenSet) -> impl Future<Output = Result<bool>> + Send;

    /// What a refusal says of it.
    fn refusal(&self, refused: &Refused) -> (Settled, RefreshOutcome) {
        match refused.about {
            About::Grant => (Settled::Refused, RefreshOutcome::Refused),
            About::Client => (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble),
            About::Other => (Settled::Unclear, RefreshOutcome::Unclear),
        }
    }

    /// Sees to a client that the provider does not know.
    fn client_forgotten(&self, _app: &App) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
