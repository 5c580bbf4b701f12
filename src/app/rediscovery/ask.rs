//! An administrator's word: look now, go on with another issuer, have another client.

use super::super::App;
use super::super::Written;
use super::super::discovery::{Findings, Seeking, Step, undiscovered};
use super::super::error::{Error, Result};
use super::super::replaced_clients::{By, Why};
use super::super::servers::{ServerRef, ServerView, UPDATE_TRIES, check_etag, find, may_see};
use super::Standing;
use crate::domain::access::Caller;
use crate::domain::authorization::Issuer;
use crate::domain::registrations::RegistrationKind;
use crate::domain::servers::Server;
use crate::oauth;
use crate::store;

/// What is asked for.
#[derive(Debug)]
pub struct Rediscover {
    /// Which server.
    pub server: ServerRef,
    /// Must be current, if given.
    pub etag: Option<String>,
    /// The issuer to go on with, whatever the settings say.
    pub approve: Option<Issuer>,
    /// Whether another client is registered, however well the present one does.
    pub register_again: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Rediscovered {
    /// The server as it is now.
    pub view: ServerView,
    /// Every request made, in order.
    pub steps: Vec<Step>,
    /// How many connections were set aside.
    pub ended: usize,
}

impl App {
    /// Discovers a stored server anew. What is stored changes only if discovery succeeded.
    pub async fn rediscover_server(
        &self,
        caller: &Caller,
        ask: &Rediscover,
    ) -> Result<Written<Rediscovered>> {
        let mut steps = Vec::new();
        for _ in 0..UPDATE_TRIES {
            let mut tx = self.0.store.read().await?;
            let current = find(&mut tx, &caller.tenant, &ask.server).await?;
            let current = current.filter(|current| may_see(caller, None, current));
            let current = current.ok_or(Error::ServerNotFound)?;
            check_etag(&current, ask.etag.as_deref())?;
            drop(tx);
            let done = Box::pin(self.rediscover(caller, current, ask, &mut steps));
            if let Some(done) = done.await? {
                return Ok(done);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    async fn rediscover(
        &self,
        caller: &Caller,
        current: Server,
        ask: &Rediscover,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Written<Rediscovered>>> {
        let auth_kind = current.spec.auth.kind();
        let Some(standing) = Standing::of(&current) else {
            return Err(Error::AuthNotDiscovered { auth_kind });
        };
        if ask.approve.is_some() && standing.bound {
            let why = "the server's client, or its settings, belong to one issuer: give the client and issuer \
                       of another with UpdateServer";
            return Err(Error::invalid("approve_issuer", why));
        }
        if ask.register_again && standing.by_hand {
            let why = "the server's client was made by hand";
            return Err(Error::invalid("register_again", why));
        }
        let present = standing.found.authorization_server.issuer.clone();
        let seeking = standing.seeking;
        // Of several issuers the present one stays, as long as it is named.
        let wanted = seeking.issuer.or(ask.approve.as_ref()).or(Some(&present));
        let mut findings = self
            .seek(&Seeking {
                issuer: wanted,
                ..seeking
            })
            .await;
        let gone = matches!(findings.result, Err(oauth::Error::IssuerNotListed { .. }));
        if gone && wanted == Some(&present) && !standing.bound {
            steps.extend(findings.steps(&current.spec.url));
            findings = self.seek(&seeking).await;
        }
        steps.extend(findings.steps(&current.spec.url));
        let Findings { result, .. } = &findings;
        let found = match result {
            Ok(found) => found.clone(),
            Err(_) => return Err(undiscovered(&findings)),
        };
        let next = &found.authorization_server.issuer;
        let approved = ask.approve.as_ref() == Some(next);
        if *next != present && standing.approves && !approved {
            let next = next.clone();
            if !self
                .note_pending(caller.origin(), &current, Some(next))
                .await?
            {
                return Ok(None);
            }
            return self.now(caller, ask, steps, 0).await.map(Some);
        }
        let taken = self.take_over(caller.origin(), current, found).await?;
        let Some(taken) = taken else { return Ok(None) };
        if ask.register_again
            && let Some(client) = &taken.registration
        {
            let why = Why {
                reason: "asked_for",
                origin: caller.origin(),
            };
            // In the place of a document a client is registered, and back.
            let by = match client.kind {
                RegistrationKind::MetadataDocument => By::Registration,
                RegistrationKind::Dynamic
                | RegistrationKind::Preregistered
                | RegistrationKind::Imported => By::WhatFits,
            };
            self.replace_client(&taken.server, client, by, why).await?;
        }
        self.now(caller, ask, steps, taken.ended).await.map(Some)
    }

    /// The server as it is now, after what was done.
    async fn now(
        &self,
        caller: &Caller,
        ask: &Rediscover,
        steps: &mut Vec<Step>,
        ended: usize,
    ) -> Result<Written<Rediscovered>> {
        let mut tx = self.0.store.read().await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        let view = self.view(tx, caller, &ask.server, None).await?;
        let steps = std::mem::take(steps);
        Ok(Written {
            value: Rediscovered { view, steps, ended },
            revision,
        })
    }
}
