//! Chats: which servers one chat uses, and everything a daemon needs for one turn of it (`turn.rs`).

mod inline;
mod subagents;
mod turn;

pub use inline::ResolvedInline;
pub use turn::{ResolveChat, ResolvedTurn};

use super::access::check_actor;
use super::error::{Error, Result};
use super::readable::readable;
use super::resolve::{Candidate, MAX_SERVERS};
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::chats::{Chat, InlineServer};
use crate::domain::ids::ServerId;
use crate::domain::servers::Availability;
use crate::domain::text::{ChatId, UserId};
use crate::store::{self, Read};

/// How often a write starts over when servers go at the same time.
const TRIES: usize = 4;

/// A chat with what is attached to it.
#[derive(Debug, Clone)]
pub struct ChatView {
    /// The chat.
    pub chat: Chat,
    /// What its caller attached to it, by slug.
    pub inline: Vec<InlineServer>,
}

impl App {
    /// Stores a chat's whole selection. Forced servers need not be named and cannot be left out:
    /// they are added whenever the chat is resolved, and never stored.
    pub async fn set_chat_servers(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
        servers: &[String],
    ) -> Result<Written<ChatView>> {
        check_actor(caller, Some(actor))?;
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            let (chosen, unknown) = self.named(&mut tx, caller, actor, servers).await?;
            drop(tx);
            if !unknown.is_empty() {
                return Err(Error::ServerNotFound);
            }
            let stored = self.store_selection(caller, actor, chat, (chosen, None));
            if let Some(written) = stored.await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// The ids of servers named by a caller, without those that are forced anyway, and the names that
    /// name none.
    async fn named(
        &self,
        tx: &mut Read,
        caller: &Caller,
        actor: &Actor,
        names: &[String],
    ) -> Result<(Vec<ServerId>, Vec<String>)> {
        if names.len() > MAX_SERVERS {
            return Err(Error::invalid(
                "servers",
                "at most 100 servers may be named",
            ));
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            let found = self.usable(tx, (caller, actor), name).await?;
            match found.as_ref().map(Candidate::policy) {
                Some(server) if server.availability == Availability::ForceOn => {}
                Some(server) if !known.contains(&server.id) => known.push(server.id),
                Some(_) => {}
                None if unknown.contains(name) => {}
                None => unknown.push(name.clone()),
            }
        }
        Ok((known, unknown))
    }

    /// Stores a selection; `None` when one of its servers went meanwhile.
    async fn store_selection(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
        (servers, triggered_by): (Vec<ServerId>, Option<&UserId>),
    ) -> Result<Option<Written<ChatView>>> {
        let mut event = self.event(&caller.tenant, caller.origin(), "chat.select", chat);
        event.user = Some(actor.user.to_string());
        let wanted = Chat {
            tenant: caller.tenant.clone(),
            id: chat.clone(),
            owner: actor.user.clone(),
            selection: Some(servers),
            created_at: event.at,
            updated_at: event.at,
        };
        let mut tx = self.0.store.write().await?;
        let before = tx.chats().get(&caller.tenant, chat).await?;
        event.detail = serde_json::json!({
            "before": before.as_ref().map(describe),
            "after": describe(&wanted),
        });
        if let Some(user) = triggered_by {
            event.detail["triggered_by"] = user.as_str().into();
        }
        match tx.chats_mut().put(&wanted).await {
            Ok(true) => {}
            Ok(false) => return Err(Error::ChatOwnedByAnother),
            Err(store::Error::Conflict) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let stored = tx
            .chats()
            .get(&caller.tenant, chat)
            .await?
            .unwrap_or(wanted);
        let inline = tx.chats().list_inline(&caller.tenant, chat).await?;
        let inline = readable(inline);
        let revision = tx.commit(&event).await?;
        Ok(Some(Written {
            value: ChatView {
                chat: stored,
                inline,
            },
            revision,
        }))
    }

    /// A chat as stored, with what is attached to it, wanted by the deployment or not.
    pub async fn get_chat_servers(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
    ) -> Result<ChatView> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        let stored = own(tx.chats().get(&caller.tenant, chat).await?, actor)?;
        let stored = stored.ok_or(Error::ChatNotFound)?;
        let inline = tx.chats().list_inline(&caller.tenant, chat).await?;
        Ok(ChatView {
            chat: stored,
            inline: readable(inline),
        })
    }

    /// Forgets a chat; forgetting it again changes nothing.
    pub async fn delete_chat(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
    ) -> Result<Revision> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.write().await?;
        let before = own(tx.chats().get(&caller.tenant, chat).await?, actor)?;
        let (tenant, owner) = (&caller.tenant, &actor.user);
        let attached = readable(tx.chats().list_inline(tenant, chat).await?);
        if !tx.chats_mut().delete(tenant, chat, owner).await? {
            return Ok(tx.feed().head(&caller.tenant).await?);
        }
        let mut event = self.event(&caller.tenant, caller.origin(), "chat.delete", chat);
        event.user = Some(actor.user.to_string());
        let mut before = before.as_ref().map(describe);
        if let Some(before) = &mut before {
            before["attached"] = inline::describe(&attached);
        }
        event.detail = serde_json::json!({ "before": before });
        Ok(tx.commit(&event).await?)
    }
}

/// A chat for the audit trail; a selection is told where there is one.
fn describe(chat: &Chat) -> serde_json::Value {
    let ids = |servers: &Vec<ServerId>| servers.iter().map(ToString::to_string).collect();
    let servers: Option<Vec<String>> = chat.selection.as_ref().map(ids);
    serde_json::json!({ "servers": servers })
}

/// A chat, unless it is another user's.
fn own(chat: Option<Chat>, actor: &Actor) -> Result<Option<Chat>> {
    match chat {
        Some(chat) if chat.owner != actor.user => Err(Error::ChatOwnedByAnother),
        chat => Ok(chat),
    }
}
