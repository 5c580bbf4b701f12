//! Agents that a chat spawned: what they have is what their chat had at their first turn, and is never more while that is remembered.

use super::super::App;
use super::super::error::{Error, Result};
use super::turn::ResolveChat;
use crate::domain::access::Caller;
use crate::domain::changes::Revision;
use crate::domain::chats::Subchat;
use crate::domain::ids::ServerId;
use crate::domain::text::ChatId;
use crate::store;

/// How many agents of a chat are remembered. The oldest gives way, and begins anew at its next turn.
const MOST: u16 = 1000;

/// What a chat has for the agents it spawns.
pub(super) struct Has {
    /// Of the servers of the tenant.
    pub(super) servers: Vec<ServerId>,
    /// Of those attached to it.
    pub(super) inline: Vec<ServerId>,
}

impl App {
    /// Fixes what a sub-chat has, unless that was done meanwhile; answers what it has then, and where in the feed
    /// that is seen. `None` when one of the servers went meanwhile.
    pub(super) async fn spawn(
        &self,
        caller: &Caller,
        ask: &ResolveChat,
        (id, has): (&ChatId, Has),
    ) -> Result<Option<(Subchat, Revision)>> {
        let tenant = &caller.tenant;
        let mut event = self.event(tenant, caller.origin(), "chat.spawn", &ask.chat);
        event.user = Some(ask.actor.user.to_string());
        let names = has.servers.iter().chain(&has.inline);
        let names: Vec<String> = names.map(ToString::to_string).collect();
        event.detail = serde_json::json!({ "subchat": id.as_str(), "servers": names });
        if let Some(user) = &ask.identity.triggered_by {
            event.detail["triggered_by"] = user.as_str().into();
        }
        let subchat = Subchat {
            tenant: tenant.clone(),
            chat: ask.chat.clone(),
            id: id.clone(),
            servers: has.servers,
            inline: has.inline,
            created_at: event.at,
        };
        let mut tx = self.0.store.write().await?;
        let owner = (&ask.actor.user, event.at);
        if !tx.chats_mut().hold(tenant, &ask.chat, owner).await? {
            return Err(Error::ChatOwnedByAnother);
        }
        match tx.chats_mut().insert_subchat(&subchat, MOST).await {
            Ok(true) => Ok(Some((subchat, tx.commit(&event).await?))),
            Ok(false) => {
                let theirs = tx.chats().get_subchat(tenant, &ask.chat, id).await?;
                let revision = tx.feed().head(tenant).await?;
                Ok(theirs.map(|theirs| (theirs, revision)))
            }
            Err(store::Error::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
