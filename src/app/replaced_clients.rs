//! Clients of ours that take the place of others: for a server whose client is refused or has a secret
//! that ends, whose redirect URI is another today, or whose administrator wants another one. No grant is touched: each keeps the
//! client that obtained it.

use std::time::Duration;

use super::App;
use super::error::Result;
use super::handshakes::no_client;
use super::provision::{Holds, Slot};
use super::revocations::Unstored;
use crate::domain::audit::Origin;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::servers::{OAuth2, Server};
use crate::store;

/// A client of ours is not replaced unasked so soon after it was registered: a provider may refuse them
/// all, and there are secrets that live for minutes.
pub(super) const LEFT_ALONE: Duration = Duration::from_hours(1);

/// How the new client comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// It is registered, whatever else would do.
    Registration,
    /// By its document where that is taken, else it is registered.
    WhatFits,
    /// It is registered where the one of before was and clients still are; else as it fits.
    LikeBefore,
}

/// Why a client is replaced, for the audit trail.
#[derive(Debug)]
pub(super) struct Why {
    pub(super) reason: &'static str,
    pub(super) origin: Origin,
}

impl App {
    /// A server's client for a handshake that begins now: with the redirect URI that it has today. A
    /// client that we registered with another one, or whose secret has ended, is replaced first; one
    /// that was made by hand is presumed to have been changed by hand as well.
    pub(super) async fn present_client(
        &self,
        server: &Server,
        oauth2: &OAuth2,
        client: Registration,
    ) -> Result<Registration> {
        let redirect_uri = self.redirect_uri(oauth2, server.id);
        let ended = client.secret_has_ended(self.0.clock.now());
        let stands = match client.kind {
            RegistrationKind::Preregistered => {
                return Ok(Registration {
                    redirect_uri,
                    ..client
                });
            }
            RegistrationKind::Imported => true,
            RegistrationKind::Dynamic => client.redirect_uri == redirect_uri && !ended,
            RegistrationKind::MetadataDocument => server.discovered.as_ref().is_some_and(|found| {
                let documented = self.documented(oauth2, server.id, &found.authorization_server);
                documented.is_some_and(|documented| {
                    documented.client_id == client.client_id
                        && documented.redirect_uri == client.redirect_uri
                })
            }),
        };
        if stands {
            return Ok(client);
        }
        let reason = if ended {
            "secret_expires"
        } else {
            "redirect_uri_changed"
        };
        let why = Why {
            reason,
            origin: Origin::service(),
        };
        self.replace_client(server, &client, By::LikeBefore, why)
            .await?;
        let mut tx = self.0.store.read().await?;
        let mut registrations = tx.registrations();
        let present = registrations.find_current(&server.tenant, server.id, &client.issuer);
        present.await?.ok_or_else(no_client)
    }

    /// Has another client in the place of one. Of several replicas one keeps its client; those of the
    /// others are taken back.
    pub(super) async fn replace_client(
        &self,
        server: &Server,
        replaced: &Registration,
        by: By,
        why: Why,
    ) -> Result<()> {
        let (Some(oauth2), Some(found)) = (server.spec.auth.oauth2(), &server.discovered) else {
            return Ok(());
        };
        let (tenant, id) = (&server.tenant, server.id);
        let mut tx = self.0.store.read().await?;
        let last = tx.registrations().last_generation(tenant, id).await?;
        drop(tx);
        let slot = Slot {
            tenant: tenant.clone(),
            server: id,
            generation: last + 1,
            holds: Holds::default(),
            stays: None,
            registered: by == By::LikeBefore && replaced.kind == RegistrationKind::Dynamic,
        };
        // What was discovered stands: another issuer would be another server, and its users' business.
        let client = match by {
            By::Registration => self.register(&slot, &server.spec, oauth2, found).await?,
            By::WhatFits | By::LikeBefore => {
                self.own_client(&slot, &server.spec, oauth2, found).await?
            }
        };
        let client = self.unstored(client);
        let new = client.registration();
        let mut event = self.event(tenant, why.origin, "registration.replace", new.id);
        event.detail = serde_json::json!({
            "server": id.to_string(),
            "issuer": new.issuer.as_str(),
            "client_id": new.client_id,
            "replaces": replaced.client_id,
            "reason": why.reason,
        });
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, id).await?;
        let now = tx.servers().get(tenant, id).await?;
        let same = now.is_some_and(|now| now.auth_version == server.auth_version);
        let current = tx
            .registrations()
            .find_current(tenant, id, &replaced.issuer)
            .await?;
        let same = same && current.is_some_and(|current| current.id == replaced.id);
        if !same {
            return Ok(());
        }
        match tx.registrations_mut().insert(client.registration()).await {
            Err(store::Error::Conflict) => return Ok(()),
            inserted => inserted?,
        }
        Unstored::commit(Some(client), tx, &event).await?;
        Ok(())
    }
}
