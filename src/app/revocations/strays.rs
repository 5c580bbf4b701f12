//! Single grants on their way to the outbox: of a connection that ends, and those that never became
//! a connection.

use super::super::App;
use super::super::error::Result;
use super::super::handshakes::parked_place;
use super::super::readable::readable;
use super::super::vault::Unopened;
use super::clients::GrantClient;
use crate::crypto::Parked;
use crate::domain::authorization::TokenSet;
use crate::domain::connections::Connection;
use crate::domain::handshakes::Handshake;
use crate::domain::ids::{ConnectionId, ServerId};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::revocations::{Reason, RetiredClient, Revocation, Work, revokes_superseded};
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::store::Write;

/// A grant to be revoked, with the client that does it; sealed, and ready to be queued.
#[derive(Debug)]
pub(in super::super) struct Stray {
    client: RetiredClient,
    revocation: Revocation,
}

/// Whose grant it was, on which server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) user: &'a UserId,
    pub(super) server: ServerId,
}

impl Stray {
    /// Queues it, in the transaction that ends the grant.
    pub(in super::super) async fn queue(&self, tx: &mut Write) -> Result<()> {
        tx.retired_clients_mut().insert(&self.client).await?;
        tx.revocations_mut().insert(&self.revocation).await?;
        Ok(())
    }
}

/// Whether it can be revoked, in a word for the audit trail.
pub(in super::super) fn fate(stray: Option<&Stray>) -> &'static str {
    if stray.is_some() {
        "queued"
    } else {
        "impossible"
    }
}

impl App {
    /// The revocation of a connection that is about to end, if it can be revoked: its provider takes
    /// revocations, and the server is the one it was obtained on. Call it before the transaction
    /// that takes the connection away at the version given here.
    pub(in super::super) async fn stray_of_connection(
        &self,
        connection: &Connection,
        reason: Reason,
    ) -> Result<Option<Stray>> {
        if connection.access_token.is_none() && connection.refresh_token.is_none() {
            return Ok(None);
        }
        let mut tx = self.0.store.read().await?;
        let tenant = &connection.tenant;
        let server = tx.servers().get(tenant, connection.server).await?;
        let all = readable(tx.registrations().list(tenant, connection.server).await?);
        drop(tx);
        let registration = all.iter().find(|one| one.id == connection.registration);
        // A token of then is not for an endpoint of today, unless that is known to be the same.
        let server = server.filter(|server| {
            server.auth_version == connection.auth_version || connection.is_set_aside()
        });
        let (Some(server), Some(registration)) = (server, registration) else {
            return Ok(None);
        };
        let client = self.grant_client(&server, registration, &all).await?;
        let Some(endpoint) = client.endpoint.clone() else {
            return Ok(None);
        };
        let client = self.retired(tenant, &client).await?;
        let now = self.0.clock.now();
        let revocation = Revocation::of(connection, &client, endpoint, reason, now);
        Ok(Some(Stray { client, revocation }))
    }

    /// The user's older connection, where it is to be revoked when a handshake is done.
    pub(in super::super) async fn superseded(
        &self,
        handshake: &Handshake,
    ) -> Result<Option<(Connection, Stray)>> {
        let (tenant, server) = (&handshake.tenant, handshake.server);
        let mut tx = self.0.store.read().await?;
        let old = tx
            .connections()
            .get(tenant, &handshake.user, server)
            .await?;
        let Some(old) = old else { return Ok(None) };
        let server = tx.servers().get(tenant, server).await?;
        let all = readable(tx.registrations().list(tenant, handshake.server).await?);
        drop(tx);
        let registration = |id| all.iter().find(|one| one.id == id);
        let theirs = registration(old.registration);
        let ours = registration(handshake.registration);
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            return Ok(None);
        };
        let provider = self.provider_of(server.as_ref(), &old.issuer);
        if !revokes_superseded(theirs, ours, &provider) {
            return Ok(None);
        }
        let stray = self.stray_of_connection(&old, Reason::Superseded).await?;
        Ok(stray.map(|stray| (old, stray)))
    }

    /// The revocation of tokens that never were a connection's, if they can be revoked.
    pub(in super::super) async fn stray_of_tokens(
        &self,
        handshake: &Handshake,
        tokens: &TokenSet,
        client: GrantClient,
        reason: Reason,
    ) -> Result<Option<Stray>> {
        let owner = Owner {
            tenant: &handshake.tenant,
            user: &handshake.user,
            server: handshake.server,
        };
        self.stray(owner, tokens, client, reason).await
    }

    /// The revocation of these tokens under an id of its own.
    pub(super) async fn stray(
        &self,
        owner: Owner<'_>,
        tokens: &TokenSet,
        client: GrantClient,
        reason: Reason,
    ) -> Result<Option<Stray>> {
        let Some(endpoint) = client.endpoint.clone() else {
            return Ok(None);
        };
        let id = ConnectionId::mint(&*self.0.clock, &*self.0.random);
        let client = self.retired(owner.tenant, &client).await?;
        let mut revocation = Revocation {
            id,
            tenant: owner.tenant.clone(),
            user: owner.user.clone(),
            server: owner.server,
            client: Some(client.id),
            issuer: client.issuer.clone(),
            endpoint,
            reason,
            refresh_token: None,
            access_token: None,
            work: Work::from(self.0.clock.now(), Timestamp::default()),
        };
        self.seal_into(&mut revocation, tokens).await?;
        Ok(Some(Stray { client, revocation }))
    }

    /// Seals tokens into a revocation; without a new refresh token the old one stays.
    pub(super) async fn seal_into(
        &self,
        revocation: &mut Revocation,
        tokens: &TokenSet,
    ) -> Result<()> {
        let row = revocation.id.to_string();
        let (tenant, user) = (revocation.tenant.clone(), revocation.user.clone());
        let place = |column| Place {
            tenant: &tenant,
            column,
            row: &row,
            owner: user.as_str(),
        };
        let access = place(SealedColumn::RevocationAccessToken);
        revocation.access_token = Some(self.0.vault.seal(&access, &tokens.access_token).await?);
        if let Some(token) = &tokens.refresh_token {
            let refresh = place(SealedColumn::RevocationRefreshToken);
            revocation.refresh_token = Some(self.0.vault.seal(&refresh, token).await?);
        }
        Ok(())
    }

    /// The revocation of a parked grant that is about to end, if it can be revoked.
    pub(in super::super) async fn stray_of_parked(
        &self,
        handshake: &Handshake,
        reason: Reason,
    ) -> Result<Option<Stray>> {
        let mut tx = self.0.store.read().await?;
        let tenant = &handshake.tenant;
        let server = tx.servers().get(tenant, handshake.server).await?;
        let all = readable(tx.registrations().list(tenant, handshake.server).await?);
        drop(tx);
        match server {
            Some(server) => self.parked_stray(handshake, (&server, &all), reason).await,
            None => Ok(None),
        }
    }

    /// The same, of a server and its registrations as they were read.
    pub(super) async fn parked_stray(
        &self,
        handshake: &Handshake,
        (server, all): (&Server, &[Registration]),
        reason: Reason,
    ) -> Result<Option<Stray>> {
        let registration = all.iter().find(|one| one.id == handshake.registration);
        let (Some(sealed), Some(registration)) = (&handshake.parked, registration) else {
            return Ok(None);
        };
        // A secret of today is not for an endpoint of then; a client that is not made by hand has its own.
        let by_hand = registration.kind == RegistrationKind::Preregistered;
        if by_hand && server.auth_version != handshake.auth_version {
            return Ok(None);
        }
        let row = handshake.id.to_string();
        let place = parked_place(handshake, &row);
        let grant: Parked = match self.0.vault.open(&place, sealed).await {
            Ok(grant) => grant,
            Err(Unopened::Unreadable(_)) => return Ok(None),
            Err(Unopened::Store(error)) => return Err(error.into()),
        };
        let mut client = self.grant_client(server, registration, all).await?;
        let endpoint = &handshake.snapshot.revocation_endpoint;
        client.endpoint.clone_from(endpoint);
        self.stray_of_tokens(handshake, &grant.tokens, client, reason)
            .await
    }

    /// Queues a grant that could not be stored.
    pub(in super::super) async fn discard(
        &self,
        handshake: &Handshake,
        stray: &Stray,
    ) -> Result<()> {
        let mut event = self.service_event_of(&stray.revocation, "connection.discard");
        event.detail = serde_json::json!({
            "server": handshake.server.to_string(),
            "handshake": handshake.id.to_string(),
            "revocation": "queued",
        });
        let mut tx = self.0.store.write().await?;
        stray.queue(&mut tx).await?;
        tx.commit(&event).await?;
        self.ring_outbox();
        Ok(())
    }
}
