//! Connections as the engine sees them.

use std::borrow::Cow;
use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::feed::Topic;
use super::super::flights::Flights;
use super::super::insist::TRY;
use super::super::metrics::RefreshOutcome;
use super::call::Uncalled;
use super::grant::{Ends, Grant, Kept};
use super::key::Key;
use crate::domain::authorization::{Issuer, TokenSet};
use crate::domain::connections::{Connection, GrantId, Lifecycle, Origin, Policy, Settled};
use crate::domain::servers::Spec;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::oauth::{self, About, Outcome, Refused};
use crate::store::{self, Read, Upkeep, Write, within};

impl Grant for Connection {
    type Key = Key;

    const ENDED: &'static str = "connection.end";
    const RENEWED: &'static str = "connection.refresh";

    fn key(&self) -> Key {
        Key::of(self)
    }

    fn id(&self) -> GrantId {
        GrantId::Connection(self.id)
    }

    fn owner(&self) -> (&TenantId, &UserId) {
        (&self.tenant, &self.user)
    }

    fn described(&self) -> serde_json::Value {
        serde_json::json!({ "server": self.server.to_string() })
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn place(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.token_endpoint)
    }

    fn life(&self) -> &Lifecycle {
        &self.life
    }

    fn used_at(&self) -> Option<Timestamp> {
        self.used_at
    }

    fn kept(&mut self) -> Kept<'_> {
        Kept {
            life: &mut self.life,
            last_error: &mut self.last_error,
            failed_at: &mut self.failed_at,
            refreshed_at: &mut self.refreshed_at,
            due_at: &mut self.due_at,
            updated_at: &mut self.updated_at,
            version: &mut self.version,
        }
    }

    fn policy(&self, app: &App) -> Policy {
        let profiles = &app.0.settings.profiles;
        let mut provider = profiles.find(self.profile.as_deref(), &self.issuer);
        // What is asked for in our own name spends nothing: asking twice does no harm.
        provider.keeps_refresh_tokens |= self.origin == Origin::Automatic;
        Policy {
            provider,
            ..app.0.settings.tokens
        }
    }

    fn flights(app: &App) -> &Flights<Key> {
        &app.0.flights
    }

    fn topic(key: &Key) -> Topic {
        Topic::connection(&key.tenant, &key.user, key.server)
    }

    async fn find(tx: &mut Read, key: &Key) -> store::Result<Option<Self>> {
        let mut connections = tx.connections();
        connections.get(&key.tenant, &key.user, key.server).await
    }

    async fn list_due(
        tx: &mut Read,
        now: Timestamp,
        (each, in_all): (i64, i64),
    ) -> store::Result<Vec<store::Result<Self>>> {
        tx.connections().list_due(now, each, in_all).await
    }

    async fn forget_due(tx: &mut Upkeep, id: &str) -> store::Result<()> {
        tx.connection_leases().forget_due(id).await
    }

    async fn save_quietly(&self, tx: &mut Upkeep) -> store::Result<bool> {
        tx.connection_leases().save_life(self).await
    }

    async fn save(&self, tx: &mut Write) -> store::Result<bool> {
        tx.connections_mut().save_life(self).await
    }

    async fn renew(&self, tx: &mut Write) -> store::Result<bool> {
        tx.connections_mut().renew(self).await
    }

    /// What is switched off is not kept alive, nor what its user may not use any more. Who belongs to
    /// which group is not known here.
    async fn is_wanted(&self, app: &App) -> Result<bool> {
        // Others wait for this flight: it waits for a silent database no longer than they would.
        let read = async {
            let mut tx = app.0.store.read().await?;
            tx.servers().get(&self.tenant, self.server).await
        };
        let server = within(TRY, read).await?;
        let user = self.user.as_str();
        let own = self.user == UserId::nobody();
        let wanted = |spec: &Spec| spec.enabled && (own || !spec.access.shuts_out(user));
        Ok(server.is_some_and(|server| wanted(&server.spec)))
    }

    async fn call(&self, app: &App, started: Duration) -> std::result::Result<Outcome, Uncalled> {
        app.call(self, started).await
    }

    fn ends(&self, tokens: &TokenSet, sent_at: Timestamp) -> Ends {
        // A provider that no longer says how long is taken to mean as long as before, if there was any.
        let end = self.life.expires_at.filter(|_| self.access_token.is_some());
        let before = end.map(|end| end.since(self.life.obtained_at));
        let lifetime = tokens.expires_in.or(before);
        let access = lifetime.map(|lifetime| sent_at.after(lifetime));
        Ends {
            access,
            first: access,
        }
    }

    async fn seal(
        &mut self,
        app: &App,
        tokens: &TokenSet,
        (sent_at, _ends): (Timestamp, Ends),
    ) -> Result<()> {
        app.seal_tokens(self, tokens).await?;
        let grant_ends = tokens.refresh_expires_in.map(|in_| sent_at.after(in_));
        self.reconnect_before = grant_ends.or(self.reconnect_before);
        Ok(())
    }

    async fn late(&self, app: &App, tokens: &TokenSet) -> Result<bool> {
        app.queue_late(self, tokens).await
    }

    fn refusal(&self, refused: &Refused) -> (Settled, RefreshOutcome) {
        let code = refused.code.as_deref();
        match refused.about {
            // A login token that is not taken is refused so (RFC 8693, section 2.2.2). What came for it and is
            // of no use is a matter of the settings.
            About::Other if self.is_exchanged() && code == Some("invalid_request") => {
                (Settled::Refused, RefreshOutcome::Refused)
            }
            About::Grant if self.is_exchanged() && code != Some(oauth::OTHER_TYPE) => {
                (Settled::Refused, RefreshOutcome::Refused)
            }
            // There is no grant that could have ended: it is our client that may not.
            About::Grant | About::Other if self.origin == Origin::Automatic => {
                (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble)
            }
            About::Grant => (Settled::Refused, RefreshOutcome::Refused),
            About::Client => (Settled::ClientRefused, RefreshOutcome::RegistrationTrouble),
            About::Other => (Settled::Unclear, RefreshOutcome::Unclear),
        }
    }

    async fn client_forgotten(&self, app: &App) {
        let whose = (self.tenant.clone(), self.server);
        let mended = app.client_refused(whose, self.registration);
        // As a rule it is done before anybody is told; it goes on by itself where it is not.
        let _ = tokio::time::timeout(TRY, mended).await;
    }
}
