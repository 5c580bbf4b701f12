//! The exchange: one code, redeemed once, with what the handshake recorded. What comes of it is
//! stored in one transaction with the handshake's end.

use url::Url;

use super::super::access::check_actor;
use super::super::error::{Error, Result};
use super::super::metrics::HandshakeOutcome;
use super::super::revocations::GrantClient;
use super::super::{App, SecretText, Written};
use super::browser::browser;
use crate::crypto::Parked;
use crate::domain::access::{Actor, Caller};
use crate::domain::audit::Origin;
use crate::domain::authorization::Issuer;
use crate::domain::changes::Revision;
use crate::domain::connections::{self as lifecycle, Connection, Lifecycle};
use crate::domain::handshakes::{Binding, Failure, Handshake, State};
use crate::domain::ids::{ConnectionId, HandshakeId};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::random;
use crate::domain::revocations::Reason;
use crate::domain::secrets::{AuthorizationCode, SecretHash};
use crate::domain::text::Slug;
use crate::oauth::{self, About, ClientAuth, CodeGrant, Endpoint, Outcome};
use crate::store;

/// How often a grant is stored again when another one of the same user was stored at the same time.
const STORE_TRIES: usize = 4;

/// Why a grant is not kept.
enum Unstored {
    /// The server changed.
    ServerChanged,
    /// The handshake reached another end meanwhile.
    TooLate,
}

/// What became of a grant that was to be stored.
enum Stored {
    /// It is stored.
    Connection(Box<Connection>, Slug, Revision),
    /// The server changed: nothing is stored.
    ServerChanged,
    /// The handshake reached another end meanwhile: nothing is stored.
    TooLate,
}

impl App {
    /// Redeems the code and stores what comes of it. Answers where to send the browser when the
    /// front end must confirm first.
    pub(super) async fn exchange(
        &self,
        handshake: &Handshake,
        code: AuthorizationCode,
    ) -> Result<Option<String>> {
        let obtained_at = self.0.clock.now();
        let (tokens, client) = match self.redeem_code(handshake, &code).await {
            Ok(Ok((Outcome::Granted(tokens), client))) => (tokens, client),
            Ok(Ok((ungranted, _))) => {
                self.fail(handshake, failure(&ungranted)).await?;
                return Ok(None);
            }
            Ok(Err(unsent)) => {
                self.fail(handshake, unsent).await?;
                return Ok(None);
            }
            Err(error) => {
                self.fail(handshake, Failure::ExchangeUnavailable).await?;
                return Err(error);
            }
        };
        let grant = Parked {
            tokens,
            obtained_at,
        };
        let unstored = match handshake.binding {
            Binding::Link | Binding::Login => {
                match self.store_grant(handshake, &grant, browser()).await? {
                    Stored::Connection(..) => return Ok(None),
                    Stored::ServerChanged => Unstored::ServerChanged,
                    Stored::TooLate => Unstored::TooLate,
                }
            }
            Binding::Confirm => match self.park(handshake, &grant).await? {
                Ok(next) => return Ok(next),
                Err(unstored) => unstored,
            },
        };
        // Nobody but us has these tokens: what may not be kept is ended.
        self.discard(handshake, &grant.tokens, client).await?;
        if matches!(unstored, Unstored::ServerChanged) {
            self.fail(handshake, Failure::ServerChanged).await?;
        }
        Ok(None)
    }

    /// Presents the code, once, unless that can be seen to be of no use before it is sent.
    async fn redeem_code(
        &self,
        handshake: &Handshake,
        code: &AuthorizationCode,
    ) -> Result<std::result::Result<(Outcome, GrantClient), Failure>> {
        let mut tx = self.0.store.read().await?;
        let tenant = &handshake.tenant;
        let server = tx.servers().get(tenant, handshake.server).await?;
        let registration = tx
            .registrations()
            .get(tenant, handshake.registration)
            .await?;
        drop(tx);
        let unchanged = server.filter(|server| server.auth_version == handshake.auth_version);
        // A secret of today is not for an endpoint of then.
        let (Some(server), Some(registration)) = (unchanged, registration) else {
            return Ok(Err(Failure::ServerChanged));
        };
        let secret = self.open_client_secret(&server, &registration).await?;
        let snapshot = &handshake.snapshot;
        let client = GrantClient {
            issuer: registration.issuer.clone(),
            client_id: snapshot.client_id.clone(),
            auth_method: snapshot.auth_method,
            secret: secret.clone(),
            endpoint: snapshot.revocation_endpoint.clone(),
        };
        let Ok(auth) = ClientAuth::new(snapshot.auth_method, secret) else {
            return Ok(Err(Failure::ClientRefused));
        };
        let flow = self.open_flow(handshake).await?;
        let endpoint = Endpoint {
            url: &snapshot.token_endpoint,
            client_id: &snapshot.client_id,
            auth: &auth,
            deadline: self.0.settings.request_timeout,
            send_before: None,
            now: self.0.clock.now(),
        };
        let grant = CodeGrant {
            code,
            verifier: &flow.verifier,
            redirect_uri: &snapshot.redirect_uri,
            resource: snapshot.resource.as_ref(),
        };
        let outcome = oauth::exchange(&self.0.fetch, &endpoint, &grant).await;
        Ok(Ok((outcome, client)))
    }

    /// Stores a grant and ends its handshake, in one transaction. A user's older connection to the
    /// server goes; its generation is not used again, and it is revoked if another client
    /// obtained it.
    async fn store_grant(
        &self,
        handshake: &Handshake,
        grant: &Parked,
        origin: Origin,
    ) -> Result<Stored> {
        let mut connection = self.new_connection(handshake, grant);
        self.seal_tokens(&mut connection, &grant.tokens).await?;
        let mut event = self.event(
            &handshake.tenant,
            origin,
            "connection.connect",
            connection.id,
        );
        event.user = Some(handshake.user.to_string());
        event.detail = serde_json::json!({
            "server": handshake.server.to_string(),
            "handshake": handshake.id.to_string(),
            "issuer": connection.issuer.as_str(),
            "scopes": connection.scopes.to_string(),
        });
        let (tenant, user) = (&handshake.tenant, &handshake.user);
        for _ in 0..STORE_TRIES {
            let superseded = self.superseded(handshake).await?;
            let mut tx = self.0.store.write().await?;
            tx.servers_mut().hold(tenant, handshake.server).await?;
            let server = tx.servers().get(tenant, handshake.server).await?;
            let unchanged = server.filter(|server| {
                server.spec.enabled && server.auth_version == handshake.auth_version
            });
            let Some(server) = unchanged else {
                return Ok(Stored::ServerChanged);
            };
            let last = tx
                .connections()
                .last_generation(tenant, user, handshake.server)
                .await?;
            connection.life.generation = last + 1;
            connection.profile = server.spec.auth.profile().map(str::to_owned);
            connection.due_at = connection.next_due(None, &self.policy(&connection));
            match &superseded {
                None => {
                    tx.connections_mut()
                        .delete(tenant, user, handshake.server)
                        .await?;
                }
                Some((old, stray)) => {
                    if !tx.connections_mut().take(old).await? {
                        continue;
                    }
                    stray.queue(&mut tx).await?;
                }
            }
            match tx.connections_mut().insert(&connection).await {
                Err(store::Error::Conflict) => continue,
                inserted => inserted?,
            }
            let end = State::Completed {
                generation: connection.life.generation,
            };
            if !tx.handshakes_mut().finish(handshake, end, event.at).await? {
                return Ok(Stored::TooLate);
            }
            let revision = tx.commit(&event).await?;
            self.ring_outbox();
            self.ended(HandshakeOutcome::Connected);
            return Ok(Stored::Connection(
                Box::new(connection),
                server.spec.slug,
                revision,
            ));
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    fn new_connection(&self, handshake: &Handshake, grant: &Parked) -> Connection {
        let Parked {
            tokens,
            obtained_at,
        } = grant;
        let now = self.0.clock.now();
        let snapshot = &handshake.snapshot;
        let asked = snapshot.scopes.clone().unwrap_or_default();
        Connection {
            id: ConnectionId::mint(&*self.0.clock, &*self.0.random),
            tenant: handshake.tenant.clone(),
            user: handshake.user.clone(),
            server: handshake.server,
            registration: handshake.registration,
            issuer: snapshot.issuer.clone().unwrap_or_else(|| Issuer::new("")),
            resource: snapshot.resource.clone(),
            scopes: tokens.scopes.clone().unwrap_or(asked),
            token_type: tokens.token_type.clone(),
            token_endpoint: snapshot.token_endpoint.clone(),
            auth_version: handshake.auth_version,
            life: Lifecycle::granted(
                *obtained_at,
                tokens
                    .expires_in
                    .map(|lifetime| obtained_at.after(lifetime)),
                tokens.refresh_token.is_some(),
            ),
            access_token: None,
            refresh_token: None,
            origin: lifecycle::Origin::Handshake,
            profile: None,
            connected_at: now,
            refreshed_at: None,
            used_at: None,
            reconnect_before: tokens.refresh_expires_in.map(|in_| obtained_at.after(in_)),
            last_error: None,
            failed_at: None,
            due_at: None,
            updated_at: now,
            version: 1,
        }
    }

    /// Parks a grant until the front end confirms it for its signed-in user; answers where to send
    /// the browser, with the one-time code.
    async fn park(
        &self,
        handshake: &Handshake,
        grant: &Parked,
    ) -> Result<std::result::Result<Option<String>, Unstored>> {
        let code = random::token(&*self.0.random);
        let row = handshake.id.to_string();
        let parked = self
            .0
            .vault
            .seal(&parked_place(handshake, &row), grant)
            .await?;
        let mut event = self.event(&handshake.tenant, browser(), "handshake.park", handshake.id);
        event.user = Some(handshake.user.to_string());
        let mut tx = self.0.store.write().await?;
        let (tenant, server) = (&handshake.tenant, handshake.server);
        tx.servers_mut().hold(tenant, server).await?;
        let server = tx.servers().get(tenant, server).await?;
        if server.is_none_or(|server| server.auth_version != handshake.auth_version) {
            return Ok(Err(Unstored::ServerChanged));
        }
        if !tx
            .handshakes_mut()
            .park(handshake, &parked, &SecretHash::of(&code))
            .await?
        {
            return Ok(Err(Unstored::TooLate));
        }
        tx.commit(&event).await?;
        let completion = handshake
            .completion_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok());
        Ok(Ok(completion.map(|mut url| {
            url.query_pairs_mut()
                .append_pair("handshake", &handshake.id.to_string())
                .append_pair("code", &code);
            url.into()
        })))
    }

    /// The confirming step: the front end presents the one-time code for its signed-in user, and
    /// the parked grant becomes a connection.
    pub async fn complete_handshake(
        &self,
        caller: &Caller,
        id: HandshakeId,
        code: &SecretText<'_>,
        actor: &Actor,
    ) -> Result<Written<(Handshake, Connection, Slug)>> {
        check_actor(caller, Some(actor))?;
        let mut handshake = self.get_handshake(caller, id).await?.value;
        if handshake.state != State::AwaitingConfirmation {
            return Err(Error::HandshakeNotPending);
        }
        // A code is good for one user only, and to all others it is not known.
        let known = handshake.code_hash == Some(SecretHash::of(code.0));
        if handshake.user != actor.user || !known {
            return Err(Error::HandshakeCodeInvalid);
        }
        let sealed = handshake.parked.clone().ok_or(Error::HandshakeNotPending)?;
        let row = handshake.id.to_string();
        let grant: Parked = self
            .0
            .vault
            .open(&parked_place(&handshake, &row), &sealed)
            .await?;
        match self
            .store_grant(&handshake, &grant, caller.origin())
            .await?
        {
            Stored::Connection(connection, slug, revision) => {
                handshake.state = State::Completed {
                    generation: connection.life.generation,
                };
                handshake.finished_at = Some(connection.connected_at);
                Ok(Written {
                    value: (handshake, *connection, slug),
                    revision,
                })
            }
            Stored::ServerChanged => {
                let stray = self.stray_of_parked(&handshake, Reason::NotStored).await?;
                self.fail_with(&handshake, Failure::ServerChanged, stray.as_ref())
                    .await?;
                Err(Error::HandshakeNotPending)
            }
            // Whoever ended it took its grant.
            Stored::TooLate => Err(Error::HandshakeNotPending),
        }
    }
}

/// Where a parked grant is sealed.
pub(in super::super) fn parked_place<'a>(handshake: &'a Handshake, row: &'a str) -> Place<'a> {
    Place {
        tenant: &handshake.tenant,
        column: SealedColumn::HandshakeParked,
        row,
        owner: handshake.user.as_str(),
    }
}

/// Why no grant came of an exchange.
fn failure(outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::Refused(refused) => match refused.about {
            About::Client => Failure::ClientRefused,
            About::Grant | About::Other => Failure::ExchangeRefused,
        },
        Outcome::NotSent(_) | Outcome::Transient { .. } => Failure::ExchangeUnavailable,
        Outcome::Unknown(_) | Outcome::Granted(_) => Failure::Interrupted,
    }
}
