//! The exchange: one code, redeemed once, with what the handshake recorded. What comes of it is
//! stored in one transaction with the handshake's end.

use super::super::App;
use super::super::assumed_methods::other_method;
use super::super::error::{Error, Result};
use super::super::insist::{Insist, TRY};
use super::super::metrics::HandshakeOutcome;
use super::super::revocations::GrantClient;
use super::account::takes_grant;
use super::browser::browser;
use super::confirm::completion;
use crate::crypto::Parked;
use crate::domain::audit::Origin;
use crate::domain::authorization::Issuer;
use crate::domain::changes::Revision;
use crate::domain::connections::{self as lifecycle, Connection, Lifecycle};
use crate::domain::handshakes::{Binding, Failure, Handshake, State};
use crate::domain::ids::ConnectionId;
use crate::domain::random;
use crate::domain::registrations::RegistrationKind;
use crate::domain::revocations::Reason;
use crate::domain::secrets::{AuthorizationCode, PkceVerifier};
use crate::domain::text::Slug;
use crate::fetch::Policy;
use crate::oauth::{self, About, CodeGrant, Endpoint, Outcome};
use crate::store::{self, within};

/// How often a grant is stored again when another one of the same user was stored at the same time.
const STORE_TRIES: usize = 4;

/// Why a grant is not kept.
pub(super) enum NotKept {
    /// The server does not take it.
    Refused(Failure),
    /// The handshake reached another end meanwhile.
    TooLate,
}

/// What became of a grant that was to be stored.
pub(super) enum Stored {
    /// It is stored.
    Connection(Box<Connection>, Slug, Revision),
    /// The server does not take it: nothing is stored.
    Refused(Failure),
    /// The handshake reached another end meanwhile: nothing is stored.
    TooLate,
}

/// What is presented, and for whom.
struct Ask<'a> {
    handshake: &'a Handshake,
    on_behalf_of: &'a str,
    code: &'a AuthorizationCode,
    verifier: &'a PkceVerifier,
}

impl App {
    /// Redeems the code and stores what comes of it. Answers where to send the browser when the
    /// front end must confirm first.
    pub(super) async fn exchange(
        &self,
        mut handshake: Handshake,
        code: AuthorizationCode,
    ) -> Result<Option<String>> {
        let obtained_at = self.0.clock.now();
        let (tokens, client, server_url) = match self.redeem_code(&handshake, &code).await {
            Ok(Ok((Outcome::Granted(tokens), client, url))) => (tokens, client, url),
            Ok(Ok((ungranted, ..))) => {
                self.fail(&handshake, failure(&ungranted)).await?;
                if matches!(&ungranted, Outcome::Refused(said) if said.is_unknown_client()) {
                    // The browser does not wait for that.
                    let whose = (handshake.tenant.clone(), handshake.server);
                    let _mending = self.client_refused(whose, handshake.registration);
                }
                return Ok(None);
            }
            Ok(Err(unsent)) => {
                self.fail(&handshake, unsent).await?;
                return Ok(None);
            }
            Err(error) => {
                self.fail(&handshake, Failure::ExchangeUnavailable).await?;
                return Err(error);
            }
        };
        handshake.account = self
            .upstream_account(&handshake, &tokens, &server_url)
            .await;
        let handshake = &handshake;
        let grant = Parked {
            tokens,
            obtained_at,
        };
        let not_kept = match self.keep(handshake, &grant).await? {
            Ok(next) => return Ok(next),
            Err(not_kept) => not_kept,
        };
        // Nobody but us has these tokens: what may not be kept is ended.
        let stray = self
            .stray_of_tokens(handshake, &grant.tokens, client, Reason::NotStored)
            .await?;
        let ended = match not_kept {
            NotKept::Refused(why) => self.fail_with(handshake, why, stray.as_ref()).await?,
            NotKept::TooLate => false,
        };
        if !ended && let Some(stray) = stray {
            self.discard(handshake, &stray).await?;
        }
        Ok(None)
    }

    /// Stores a grant, or parks it until it is confirmed, and tries again while the store does not
    /// answer: the code is spent.
    async fn keep(
        &self,
        handshake: &Handshake,
        grant: &Parked,
    ) -> Result<std::result::Result<Option<String>, NotKept>> {
        let mut again = Insist::for_at_most(self.0.settings.tokens.lease);
        let mut tried = false;
        // One for all tries: which of them is written may not be heard.
        let code = random::token(&*self.0.random);
        loop {
            match within(TRY, Box::pin(self.try_keep(handshake, grant, &code))).await {
                Err(error) => again.after(error).await?,
                // Only we may end it well: an earlier try was written after all, unheard.
                Ok(Err(_)) if tried && self.went_well(handshake).await? => {
                    return Ok(Ok(completion(handshake, &code)));
                }
                kept => return kept,
            }
            tried = true;
        }
    }

    async fn try_keep(
        &self,
        handshake: &Handshake,
        grant: &Parked,
        code: &str,
    ) -> Result<std::result::Result<Option<String>, NotKept>> {
        match handshake.binding {
            Binding::Link | Binding::Login => {
                let stored = self.store_grant(handshake, grant, browser()).await?;
                Ok(match stored {
                    Stored::Connection(..) => Ok(None),
                    Stored::Refused(why) => Err(NotKept::Refused(why)),
                    Stored::TooLate => Err(NotKept::TooLate),
                })
            }
            Binding::Confirm => self.park(handshake, grant, code).await,
        }
    }

    async fn went_well(&self, handshake: &Handshake) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        let now = tx.handshakes().get(&handshake.tenant, handshake.id).await?;
        Ok(now.is_some_and(|now| {
            matches!(
                now.state,
                State::Completed { .. } | State::AwaitingConfirmation
            )
        }))
    }

    /// Presents the code, once, unless that can be seen to be of no use before it is sent; and once
    /// more where that was refused for how our client authenticated, and there is another way to try.
    /// Answers for whom it was presented as well: the client, and the server's URL.
    async fn redeem_code(
        &self,
        handshake: &Handshake,
        code: &AuthorizationCode,
    ) -> Result<std::result::Result<(Outcome, GrantClient, String), Failure>> {
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
        let snapshot = &handshake.snapshot;
        let id = &snapshot.client_id;
        let method = match registration.kind {
            // Learned or changed since, perhaps; it is the same client still.
            RegistrationKind::Dynamic => registration.auth_method,
            RegistrationKind::Preregistered
            | RegistrationKind::MetadataDocument
            | RegistrationKind::Imported => snapshot.auth_method,
        };
        let how = (method, snapshot.token_endpoint.as_str());
        let proof = self.registration_proof(&server, &registration, how).await?;
        let mut client = GrantClient {
            issuer: registration.issuer.clone(),
            client_id: id.clone(),
            auth_method: method,
            proof,
            endpoint: snapshot.revocation_endpoint.clone(),
        };
        let flow = self.open_flow(handshake).await?;
        let ask = Ask {
            handshake,
            on_behalf_of: &server.spec.url,
            code,
            verifier: &flow.verifier,
        };
        let Some(mut outcome) = self.present_code(&ask, &client).await else {
            return Ok(Err(Failure::ClientRefused));
        };
        let tried = (&registration, method);
        if let Some(former) = self.with_former_secret(&server, tried, &outcome)
            && let Ok(proof) = self.registration_proof(&former, &registration, how).await
        {
            client.proof = proof;
            let second = self.present_code(&ask, &client).await;
            outcome = second.unwrap_or(outcome);
        } else if let Some(other) = other_method(&registration, method, &outcome) {
            client.auth_method = other;
            let second = self.present_code(&ask, &client).await;
            outcome = second.unwrap_or(outcome);
        }
        self.method_met(&registration, client.auth_method, &outcome);
        Ok(Ok((outcome, client, server.spec.url)))
    }

    /// One request; `None` where the client cannot prove itself.
    async fn present_code(&self, ask: &Ask<'_>, client: &GrantClient) -> Option<Outcome> {
        let snapshot = &ask.handshake.snapshot;
        let auth = self.client_auth(&client.client_id, client.auth_method, &client.proof);
        let auth = auth.ok()?;
        let endpoint = Endpoint {
            url: &snapshot.token_endpoint,
            policy: Policy::on_behalf_of(ask.on_behalf_of),
            client_id: &client.client_id,
            auth: &auth,
            deadline: self.0.settings.request_timeout,
            send_before: None,
            now: self.0.clock.now(),
        };
        let grant = CodeGrant {
            code: ask.code,
            verifier: ask.verifier,
            redirect_uri: &snapshot.redirect_uri,
            resource: snapshot.resource.as_ref(),
            dialect: self.dialect_at(snapshot),
        };
        Some(oauth::exchange(&self.0.fetch, &endpoint, &grant).await)
    }

    /// Stores a grant and ends its handshake, in one transaction. A user's older connection to the
    /// server goes; its generation is not used again, and it is revoked if another client
    /// obtained it.
    pub(super) async fn store_grant(
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
            "account": handshake.account,
        });
        let (tenant, user) = (&handshake.tenant, &handshake.user);
        for _ in 0..STORE_TRIES {
            let superseded = Box::pin(self.superseded(handshake)).await?;
            let mut tx = self.0.store.write().await?;
            tx.servers_mut().hold(tenant, handshake.server).await?;
            let server = tx.servers().get(tenant, handshake.server).await?;
            let (server, differs) = match takes_grant(server, handshake) {
                Ok(taken) => taken,
                Err(why) => return Ok(Stored::Refused(why)),
            };
            connection.account_differs = differs;
            event.detail["account_differs"] = differs.into();
            let last = tx
                .connections()
                .last_generation(tenant, user, handshake.server)
                .await?;
            connection.life.generation = last + 1;
            connection.profile = server.spec.auth.profile().map(str::to_owned);
            connection.due_at = connection.next_due(None, &self.policy(&connection));
            let replaced = match &superseded {
                None => {
                    let mut connections = tx.connections_mut();
                    connections.delete(tenant, user, handshake.server).await?
                }
                Some((old, stray)) => {
                    if !tx.connections_mut().take(old).await? {
                        continue;
                    }
                    stray.queue(&mut tx).await?;
                    Some(old.id.to_string())
                }
            };
            event.detail["replaced"] = replaced.into();
            event.detail["revocation"] = superseded.as_ref().map(|_| "queued").into();
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
            account: handshake.account.clone(),
            account_differs: false,
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
