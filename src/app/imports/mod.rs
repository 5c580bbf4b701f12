//! Taking over a grant from another system. Its refresh token is this service's from then on: the
//! first refresh takes it out of everybody else's hands.
//!
//! A grant is renewed and revoked by the client it was issued to. Where that is not the server's
//! present one, it comes with the grant and is kept as a registration of its own.

mod client;
mod grant;

use super::access::check_actor;
use super::clients::current_client;
use super::error::{Error, Result};
use super::handshakes::{no_client, snapshot};
use super::readable::readable;
use super::rediscovery::awaits_approval;
use super::requests::{Once, served};
use super::revocations::fate;
use super::servers::{ServerRef, find, may_see};
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::authorization::{Issuer, Resource, Scopes};
use crate::domain::connections::Connection;
use crate::domain::handshakes::Snapshot;
use crate::domain::profiles::Profile;
use crate::domain::registrations::Registration;
use crate::domain::revocations::revokes_superseded;
use crate::domain::secrets::{AccessToken, ClientSecret, RefreshToken};
use crate::domain::servers::Server;
use crate::domain::text::{Slug, Violations};
use crate::domain::time::Timestamp;
use crate::store;

/// How often an import starts over when others write at the same time.
const TRIES: usize = 8;
/// A client that is not the server's present one.
#[derive(Debug)]
pub struct ImportedClient {
    /// Its client id.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub secret: Option<ClientSecret>,
}

/// What becomes of a connection that the user has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the import is refused.
    Stays,
    /// The import takes its place.
    IsReplaced,
}

/// A grant to be taken over.
#[derive(Debug)]
pub struct Import {
    /// Whose it is.
    pub actor: Actor,
    /// On which server.
    pub server: ServerRef,
    /// The access token; this or the refresh token is there.
    pub access_token: Option<AccessToken>,
    /// The refresh token.
    pub refresh_token: Option<RefreshToken>,
    /// When the access token ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// The scopes granted.
    pub scopes: Scopes,
    /// Who issued it, if said: the server's present issuer.
    pub issuer: Option<Issuer>,
    /// What it is for, if said: the server's present resource.
    pub resource: Option<Resource>,
    /// The client it was issued to, if said.
    pub client: Option<ImportedClient>,
    /// What becomes of a connection that is there.
    pub existing: Existing,
    /// For an import that is repeated.
    pub once: Option<Once>,
}

impl App {
    /// Takes over a grant. Atomic: the client it came with, the connection, the end of the one it
    /// replaces and its revocation are stored together or not at all; nothing is sent anywhere.
    /// Idempotent under a request id, at the same time too. Handshakes that are open stay open.
    pub async fn import_connection(
        &self,
        caller: &Caller,
        import: Import,
    ) -> Result<Written<(Connection, Slug)>> {
        check_actor(caller, Some(&import.actor))?;
        for _ in 0..TRIES {
            if let Some(past) = self.imported_before(caller, &import).await? {
                return Ok(past);
            }
            match self.try_import(caller, &import).await {
                Ok(Some(written)) => return Ok(written),
                Ok(None) => {}
                Err(exists @ Error::ConnectionExists { .. }) => {
                    let past = self.imported_before(caller, &import).await?;
                    return past.ok_or(exists);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// What this very request made before, as it is now.
    async fn imported_before(
        &self,
        caller: &Caller,
        import: &Import,
    ) -> Result<Option<Written<(Connection, Slug)>>> {
        let Some(once) = &import.once else {
            return Ok(None);
        };
        let principal = caller.principal();
        let mut tx = self.0.store.read().await?;
        let Some(subject) = served(&mut tx, &once.of(caller, &principal)).await? else {
            return Ok(None);
        };
        let id = subject.parse().map_err(|_| Error::ConnectionNotFound)?;
        let found = tx.connections().find_by_id(&caller.tenant, id).await?;
        let connection = found.ok_or(Error::ConnectionNotFound)?;
        let server = tx.servers().get(&caller.tenant, connection.server).await?;
        let server = server.ok_or(Error::ServerNotFound)?;
        let revision = tx.feed().head(&caller.tenant).await?;
        Ok(Some(Written {
            value: (connection, server.spec.slug),
            revision,
        }))
    }

    /// One try; `None` when others wrote at the same time.
    async fn try_import(
        &self,
        caller: &Caller,
        import: &Import,
    ) -> Result<Option<Written<(Connection, Slug)>>> {
        let tenant = &caller.tenant;
        let mut tx = self.0.store.read().await?;
        let server = find(&mut tx, tenant, &import.server).await?;
        let visible = |server: &Server| {
            // Whoever sees the configuration sees personal ones too, which have one user only.
            let owner = server.owner.as_ref();
            may_see(caller, Some(&import.actor), server)
                && owner.is_none_or(|owner| *owner == import.actor.user)
        };
        let server = server.filter(visible);
        let server = server.ok_or(Error::ServerNotFound)?;
        let oauth2 = server.spec.auth.oauth2().ok_or(Error::AuthNotInteractive)?;
        if awaits_approval(&server) {
            return Err(Error::IssuerApprovalPending);
        }
        let present = current_client(&mut tx, &server).await?;
        let present = present.ok_or_else(no_client)?;
        let all = readable(tx.registrations().list(tenant, server.id).await?);
        let (user, id) = (&import.actor.user, server.id);
        let old = tx.connections().get(tenant, user, id).await?;
        drop(tx);
        let terms = snapshot(&server, oauth2, &present, None)?;
        self.check_import(import, &present, &terms)?;
        if let Some(old) = &old
            && import.existing == Existing::Stays
        {
            return Err(Error::ConnectionExists { connection: old.id });
        }
        let mut client = self.client_of(import, &server, present, &all).await?;
        let terms = (&terms, &client.registration);
        let mut connection = self.imported(caller, import, &server, terms);
        self.seal_import(&mut connection, import).await?;
        let stray = match &old {
            Some(old) => {
                let theirs = all.iter().find(|one| one.id == old.registration);
                // Of the same client it may be the same grant, renewed elsewhere, whatever is known
                // of the provider.
                let provider = Profile::default();
                let apart = theirs.is_some_and(|theirs| {
                    revokes_superseded(theirs, &client.registration, &provider)
                });
                self.part(old, &mut connection, import, apart).await?
            }
            None => None,
        };

        let mut event = self.event(tenant, caller.origin(), "connection.import", connection.id);
        event.user = Some(user.to_string());
        event.detail = serde_json::json!({
            "server": id.to_string(),
            "issuer": connection.issuer.as_str(),
            "client_id": client.registration.client_id,
            "scopes": connection.scopes.to_string(),
            "renewable": connection.life.renewable,
            "replaced": old.as_ref().map(|old| old.id.to_string()),
            "revocation": old.as_ref().map(|_| fate(stray.as_ref())),
        });
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, id).await?;
        let now = tx.servers().get(tenant, id).await?;
        if now.is_none_or(|now| now.auth_version != server.auth_version) {
            return Ok(None);
        }
        if let Some(old) = &old
            && !tx.connections_mut().take(old).await?
        {
            return Ok(None);
        }
        if let Some(stray) = &stray {
            stray.queue(&mut tx).await?;
        }
        if !client.known {
            let last = tx.registrations().last_generation(tenant, id).await?;
            client.registration.generation = last + 1;
            match tx.registrations_mut().insert(&client.registration).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        let last = tx.connections().last_generation(tenant, user, id).await?;
        connection.life.generation = last + 1;
        connection.due_at = connection.next_due(None, &self.policy(&connection));
        match tx.connections_mut().insert(&connection).await {
            Err(store::Error::Conflict) => return Ok(None),
            inserted => inserted?,
        }
        if let Some(once) = &import.once {
            let principal = caller.principal();
            let request = once.of(caller, &principal);
            let subject = connection.id.to_string();
            match tx.requests_mut().insert(&request, &subject, event.at).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        let revision = tx.commit(&event).await?;
        self.ring_outbox();
        Ok(Some(Written {
            value: (connection, server.spec.slug),
            revision,
        }))
    }

    /// Holds what was said against the server as it is. Tokens of another issuer would be sent to
    /// this one's token endpoint, and tokens for another resource to this server.
    fn check_import(
        &self,
        import: &Import,
        present: &Registration,
        terms: &Snapshot,
    ) -> Result<()> {
        let mut found = Violations::new();
        if import
            .issuer
            .as_ref()
            .is_some_and(|issuer| *issuer != present.issuer)
        {
            found.add(
                "issuer",
                "is not the server's present issuer; a refresh token goes to the issuer it came from only",
            );
        }
        if import.resource.is_some() && import.resource != terms.resource {
            found.add(
                "resource",
                "is not the server's present resource; a token is for the resource it was granted for only",
            );
        }
        let own = |client: &&ImportedClient| client.client_id == present.client_id;
        if import
            .client
            .as_ref()
            .filter(own)
            .is_some_and(|own| own.secret.is_some())
        {
            found.add(
                "client_secret",
                "is for a client that is not the server's present one; leave it out",
            );
        }
        let over = import
            .expires_at
            .is_some_and(|end| end <= self.0.clock.now());
        if over && import.refresh_token.is_none() {
            found.add("expire_time", "is past, and there is no refresh token");
        }
        found.or(()).map_err(Error::from)
    }
}
