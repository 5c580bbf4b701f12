//! Identities as the engine sees them, and the request that renews one: by the client that the deployment
//! has at the identity provider.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::feed::Topic;
use super::super::flights::Flights;
use super::super::identities::Login;
use super::super::insist::TRY;
use super::call::Uncalled;
use super::grant::{Ends, Grant, Kept};
use crate::domain::audit::Origin;
use crate::domain::authorization::{Issuer, TokenSet};
use crate::domain::changes::ChangeKind;
use crate::domain::connections::{GrantId, Lifecycle, Policy};
use crate::domain::identities::{Identity, MARGIN, first_end, subject};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::secrets::IdToken;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::fetch;
use crate::oauth::{self, Endpoint, Outcome, RefreshGrant};
use crate::store::{self, Read, Upkeep, Write};

/// Which identity is meant: a user's at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::app) struct IdentityKey {
    pub(in crate::app) tenant: TenantId,
    pub(in crate::app) user: UserId,
    pub(in crate::app) issuer: Issuer,
}

impl fmt::Display for IdentityKey {
    /// Says nothing of the user: it is for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an identity of {}", self.issuer)
    }
}

impl Identity {
    /// The ID token that came with a renewal; one that names another issuer is not taken.
    fn id_token_in<'t>(&self, tokens: &'t TokenSet) -> Option<&'t IdToken> {
        let id_token = tokens.id_token.as_ref();
        id_token.filter(|token| !oauth::is_of_another(token, &self.issuer))
    }

    /// The place of a token of this column.
    pub(in crate::app) fn place_of<'a>(&'a self, column: SealedColumn, row: &'a str) -> Place<'a> {
        Place {
            tenant: &self.tenant,
            column,
            row,
            owner: self.user.as_str(),
        }
    }
}

impl Grant for Identity {
    type Key = IdentityKey;

    const ENDED: &'static str = "identity.end";
    const RENEWED: &'static str = "identity.refresh";

    fn key(&self) -> IdentityKey {
        IdentityKey {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            issuer: self.issuer.clone(),
        }
    }

    fn id(&self) -> GrantId {
        GrantId::Identity(self.id)
    }

    fn owner(&self) -> (&TenantId, &UserId) {
        (&self.tenant, &self.user)
    }

    fn described(&self) -> serde_json::Value {
        serde_json::json!({ "issuer": self.issuer.as_str() })
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// No URL: the trouble that a tenant's server has, or makes, at the same endpoint is another's.
    fn place(&self) -> Cow<'_, str> {
        Cow::Owned(format!("identities {}", self.issuer))
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
        let tokens = app.0.settings.tokens;
        Policy {
            provider: app.0.settings.profiles.find(None, &self.issuer),
            margin: tokens.margin.max(MARGIN),
            ..tokens
        }
    }

    fn flights(app: &App) -> &Flights<IdentityKey> {
        &app.0.identity_flights
    }

    fn topic(key: &IdentityKey) -> Topic {
        let subject = subject(&key.user, &key.issuer);
        Topic::id(&key.tenant, ChangeKind::Identity, subject)
    }

    async fn find(tx: &mut Read, key: &IdentityKey) -> store::Result<Option<Self>> {
        let mut identities = tx.identities();
        identities.get(&key.tenant, &key.user, &key.issuer).await
    }

    async fn list_due(
        tx: &mut Read,
        now: Timestamp,
        (each, in_all): (i64, i64),
    ) -> store::Result<Vec<store::Result<Self>>> {
        tx.identities().list_due(now, each, in_all).await
    }

    async fn forget_due(tx: &mut Upkeep, id: &str) -> store::Result<()> {
        tx.identity_leases().forget_due(id).await
    }

    async fn save_quietly(&self, tx: &mut Upkeep) -> store::Result<bool> {
        tx.identity_leases().save_life(self).await
    }

    async fn save(&self, tx: &mut Write) -> store::Result<bool> {
        tx.identities_mut().save_life(self).await
    }

    /// The generation is greater than that of any other login of the user's: servers are sent one or the other.
    async fn renew(&self, tx: &mut Write) -> store::Result<bool> {
        let last = tx
            .identities()
            .last_generation(&self.tenant, &self.user)
            .await?;
        let mut renewed = self.clone();
        renewed.life.generation = last.saturating_add(1);
        tx.identities_mut().renew(&renewed).await
    }

    /// It was used since it was obtained, or it would not be due.
    async fn is_wanted(&self, _app: &App) -> Result<bool> {
        Ok(true)
    }

    async fn call(&self, app: &App, started: Duration) -> std::result::Result<Outcome, Uncalled> {
        let client = app.issuer_client(&self.tenant, &self.issuer);
        let (client, auth) = client.map_err(Uncalled::Client)?;
        let sealed = self.refresh_token.as_ref().ok_or(Uncalled::Unreadable)?;
        let row = self.id.to_string();
        let place = self.place_of(SealedColumn::IdentityRefreshToken, &row);
        let refresh_token = app.0.vault.open(&place, sealed).await?;
        let url = app.issuer_endpoint(&self.issuer, client).await;
        let url = url.ok_or(Uncalled::NoEndpoint)?;
        let deadline = app.0.settings.request_timeout;
        let lease = app.0.settings.tokens.lease;
        let spent = app.0.clock.monotonic().saturating_sub(started);
        if spent + deadline + TRY > lease {
            return Err(Uncalled::LeaseTooShort);
        }
        // As for connections: whoever wakes up too late must not write any more.
        let send_before = started + lease.saturating_sub(TRY);
        let endpoint = Endpoint {
            url: &url,
            policy: fetch::Policy::Operator,
            client_id: &client.id,
            auth: &auth,
            deadline,
            send_before: Some(app.0.clock.instant(send_before)),
            now: app.0.clock.now(),
        };
        let grant = RefreshGrant {
            refresh_token: &refresh_token,
            // It is for whoever the user logged in at, not for one resource.
            resource: None,
            scopes: None,
            dialect: app.0.settings.profiles.dialect(None, &self.issuer),
        };
        Ok(oauth::refresh(&app.0.fetch, &endpoint, &grant).await)
    }

    fn ends(&self, tokens: &TokenSet, sent_at: Timestamp) -> Ends {
        // One that no longer says how long is taken to mean as long as before. How long a deposited one was
        // to live is not known, only when it ended.
        let end = self
            .access_token_ends
            .filter(|_| self.refreshed_at.is_some());
        let before = end.map(|end| end.since(self.life.obtained_at));
        let said = tokens.expires_in.map(|lifetime| sent_at.after(lifetime));
        let access = said
            .or_else(|| oauth::access_token_ends(&tokens.access_token))
            .or_else(|| before.map(|lifetime| sent_at.after(lifetime)));
        // Some send the ID token of the beginning once more: no reason to ask again.
        let id_token = self.id_token_in(tokens).and_then(oauth::id_token_ends);
        Ends {
            access,
            first: first_end(access, id_token.filter(|end| *end > sent_at)),
        }
    }

    /// An ID token that did not come again stays as long as it lives; so does the refresh token.
    async fn seal(
        &mut self,
        app: &App,
        tokens: &TokenSet,
        (_sent_at, ends): (Timestamp, Ends),
    ) -> Result<()> {
        let id_token = self.id_token_in(tokens);
        let login = Login {
            access_token: Some(&tokens.access_token),
            id_token,
            refresh_token: tokens.refresh_token.as_ref(),
        };
        app.seal_login(self, login).await?;
        self.access_token_ends = ends.access;
        if let Some(id_token) = id_token {
            self.id_token_ends = oauth::id_token_ends(id_token);
        }
        Ok(())
    }

    /// Nobody gets them, and nothing is revoked: that would end, at many identity providers, the session
    /// that a newer deposit is of. They end by themselves.
    async fn late(&self, app: &App, _tokens: &TokenSet) -> Result<bool> {
        let mut event = app.event(&self.tenant, Origin::service(), "identity.discard", self.id);
        event.user = Some(self.user.to_string());
        event.detail = self.described();
        let tx = app.0.store.write().await?;
        tx.commit(&event).await?;
        Ok(true)
    }
}
