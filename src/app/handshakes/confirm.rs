//! The confirming step: a grant is parked, sealed, until the front end presents the one-time code for
//! its signed-in user.

use url::Url;

use super::super::access::check_actor;
use super::super::error::{Error, Result};
use super::super::{App, SecretText, Written};
use super::account::takes_grant;
use super::browser::browser;
use super::exchange::{NotKept, Stored};
use crate::crypto::Parked;
use crate::domain::access::{Actor, Caller};
use crate::domain::connections::Connection;
use crate::domain::handshakes::{Handshake, State};
use crate::domain::ids::HandshakeId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::revocations::Reason;
use crate::domain::secrets::SecretHash;
use crate::domain::text::Slug;

/// Where the browser goes with the code that confirms a handshake; nowhere under another binding.
pub(super) fn completion(handshake: &Handshake, code: &str) -> Option<String> {
    let url = handshake.completion_url.as_deref()?;
    let mut url = Url::parse(url).ok()?;
    url.query_pairs_mut()
        .append_pair("handshake", &handshake.id.to_string())
        .append_pair("code", code);
    Some(url.into())
}

impl App {
    /// Parks a grant until the front end confirms it for its signed-in user by a one-time code;
    /// answers where to send the browser with it.
    pub(super) async fn park(
        &self,
        handshake: &Handshake,
        grant: &Parked,
        code: &str,
    ) -> Result<std::result::Result<Option<String>, NotKept>> {
        let row = handshake.id.to_string();
        let parked = self
            .0
            .vault
            .seal(&parked_place(handshake, &row), grant)
            .await?;
        let mut event = self.event(&handshake.tenant, browser(), "handshake.park", handshake.id);
        event.user = Some(handshake.user.to_string());
        event.detail = serde_json::json!({
            "server": handshake.server.to_string(),
            "account": handshake.account,
        });
        let mut tx = self.0.store.write().await?;
        let (tenant, server) = (&handshake.tenant, handshake.server);
        tx.servers_mut().hold(tenant, server).await?;
        let server = tx.servers().get(tenant, server).await?;
        if let Err(why) = takes_grant(server, handshake) {
            return Ok(Err(NotKept::Refused(why)));
        }
        if !tx
            .handshakes_mut()
            .park(handshake, &parked, &SecretHash::of(code))
            .await?
        {
            return Ok(Err(NotKept::TooLate));
        }
        tx.commit(&event).await?;
        Ok(Ok(completion(handshake, code)))
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
            Stored::Refused(why) => {
                let stray = self.stray_of_parked(&handshake, Reason::NotStored).await?;
                self.fail_with(&handshake, why, stray.as_ref()).await?;
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
