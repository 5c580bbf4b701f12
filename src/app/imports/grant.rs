//! The connection that an import makes, and what it does to the one whose place it takes.

use std::time::Duration;

use super::super::App;
use super::super::error::Result;
use super::super::revocations::Stray;
use super::super::vault::Unopened;
use super::Import;
use crate::crypto::Payload;
use crate::domain::access::Caller;
use crate::domain::authorization::Issuer;
use crate::domain::connections::{Connection, Lifecycle, Origin};
use crate::domain::handshakes::Snapshot;
use crate::domain::ids::ConnectionId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::Registration;
use crate::domain::revocations::Reason;
use crate::domain::secrets::{AccessToken, RefreshToken, Sealed};
use crate::domain::servers::Server;

/// How long ago an access token that was not imported is taken to have ended: more than the clocks of
/// replicas differ, so that all of them renew before they hand anything out.
const LONG_OVER: Duration = Duration::from_mins(5);

impl App {
    /// The connection, without its tokens and its generation.
    pub(super) fn imported(
        &self,
        caller: &Caller,
        import: &Import,
        server: &Server,
        (terms, client): (&Snapshot, &Registration),
    ) -> Connection {
        let now = self.0.clock.now();
        let expires_at = match import.access_token {
            Some(_) => import.expires_at,
            None => Some(now.before(LONG_OVER)),
        };
        Connection {
            id: ConnectionId::mint(&*self.0.clock, &*self.0.random),
            tenant: caller.tenant.clone(),
            user: import.actor.user.clone(),
            server: server.id,
            registration: client.id,
            issuer: terms.issuer.clone().unwrap_or_else(|| Issuer::new("")),
            resource: terms.resource.clone(),
            scopes: import.scopes.clone(),
            token_type: "Bearer".to_owned(),
            token_endpoint: terms.token_endpoint.clone(),
            auth_version: server.auth_version,
            life: Lifecycle::granted(now, expires_at, import.refresh_token.is_some()),
            access_token: None,
            refresh_token: None,
            origin: Origin::Import,
            profile: server.spec.auth.profile().map(str::to_owned),
            account: None,
            account_differs: false,
            connected_at: now,
            refreshed_at: None,
            used_at: None,
            reconnect_before: None,
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: now,
            version: 1,
        }
    }

    pub(super) async fn seal_import(
        &self,
        connection: &mut Connection,
        import: &Import,
    ) -> Result<()> {
        if let Some(token) = &import.access_token {
            let column = SealedColumn::ConnectionAccessToken;
            connection.access_token = Some(self.seal_token(connection, column, token).await?);
        }
        if let Some(token) = &import.refresh_token {
            let column = SealedColumn::ConnectionRefreshToken;
            connection.refresh_token = Some(self.seal_token(connection, column, token).await?);
        }
        Ok(())
    }

    async fn seal_token(
        &self,
        connection: &Connection,
        column: SealedColumn,
        token: &impl Payload,
    ) -> Result<Sealed> {
        let row = connection.id.to_string();
        let place = token_place(connection, column, &row);
        self.0.vault.seal(&place, token).await
    }

    async fn open_token<T: Payload>(
        &self,
        connection: &Connection,
        column: SealedColumn,
        sealed: Option<&Sealed>,
    ) -> Result<Option<T>> {
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let row = connection.id.to_string();
        let place = token_place(connection, column, &row);
        match self.0.vault.open(&place, sealed).await {
            Ok(token) => Ok(Some(token)),
            Err(Unopened::Unreadable(_)) => Ok(None),
            Err(Unopened::Store(error)) => Err(error.into()),
        }
    }

    /// Parts an old connection from the one that takes its place; the revocation of the old one,
    /// where another client obtained it (`apart`) and it is not the very grant that is imported.
    /// A redemption of the same refresh token that is under way stays declared, so that the token
    /// is not presented a second time beside it.
    pub(super) async fn part(
        &self,
        old: &Connection,
        new: &mut Connection,
        import: &Import,
        apart: bool,
    ) -> Result<Option<Stray>> {
        let access: Option<AccessToken> = self
            .open_token(
                old,
                SealedColumn::ConnectionAccessToken,
                old.access_token.as_ref(),
            )
            .await?;
        let refresh: Option<RefreshToken> = self
            .open_token(
                old,
                SealedColumn::ConnectionRefreshToken,
                old.refresh_token.as_ref(),
            )
            .await?;
        let refresh = refresh.zip(import.refresh_token.as_ref());
        let access = access.zip(import.access_token.as_ref());
        let same_refresh = refresh.is_some_and(|(old, new)| old.is(new));
        let same_access = access.is_some_and(|(old, new)| old.is(new));
        if same_refresh {
            new.life.attempt = old.life.attempt;
            new.life.attempts = old.life.attempts;
            new.life.unknown_outcomes = old.life.unknown_outcomes;
            new.life.unknown_since = old.life.unknown_since;
        }
        if same_refresh || same_access || !apart {
            return Ok(None);
        }
        self.stray_of_connection(old, Reason::Superseded).await
    }
}

/// Where a token of a connection is sealed.
fn token_place<'a>(connection: &'a Connection, column: SealedColumn, row: &'a str) -> Place<'a> {
    Place {
        tenant: &connection.tenant,
        column,
        row,
        owner: connection.user.as_str(),
    }
}
