//! Chats: which servers one chat uses, and everything a daemon needs for one turn of it.

use std::time::Duration;

use super::access::check_actor;
use super::error::{Error, Result};
use super::readable::readable;
use super::resolve::{MAX_SERVERS, ResolvedServers, Wanted};
use super::servers::{ServerRef, find, may_see};
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::chats::{Agent, Chat, Mode, select};
use crate::domain::forwarding::IdentityContext;
use crate::domain::ids::ServerId;
use crate::domain::page::PageRequest;
use crate::domain::servers::Server;
use crate::domain::text::{ChatId, UserId};
use crate::store::{Read, Which};

/// One turn of a chat.
#[derive(Debug)]
pub struct ResolveChat {
    /// For whom.
    pub actor: Actor,
    /// Which chat.
    pub chat: ChatId,
    /// The servers chosen, replacing and storing the selection; absent leaves it as it is.
    pub selection: Option<Vec<String>>,
    /// How the turn is run.
    pub mode: Mode,
    /// Which agent takes it.
    pub agent: Agent,
    /// How long a credential must still live.
    pub min_valid_for: Duration,
    /// The revision that must be visible.
    pub min_revision: Revision,
    /// How much time the caller has.
    pub deadline: Option<Duration>,
    /// What the turn belongs to.
    pub identity: IdentityContext,
}

impl App {
    /// Stores a chat's whole selection. Forced servers need not be named and cannot be left out:
    /// they are added whenever the chat is resolved.
    pub async fn set_chat_servers(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
        servers: &[String],
    ) -> Result<Written<Chat>> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        let (chosen, unknown) = self.named(&mut tx, caller, actor, servers).await?;
        drop(tx);
        if !unknown.is_empty() {
            return Err(Error::ServerNotFound);
        }
        self.store_selection(caller, actor, chat, (chosen, None))
            .await
    }

    /// The ids of servers named by a caller, and the names that name none.
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
            let found = match ServerRef::parse(name) {
                Ok(server) => find(tx, &caller.tenant, &server).await?,
                Err(_) => None,
            };
            match found.filter(|server| server.spec.enabled && may_see(caller, Some(actor), server))
            {
                Some(server) if !known.contains(&server.id) => known.push(server.id),
                Some(_) => {}
                None if unknown.contains(name) => {}
                None => unknown.push(name.clone()),
            }
        }
        Ok((known, unknown))
    }

    async fn store_selection(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
        (servers, triggered_by): (Vec<ServerId>, Option<&UserId>),
    ) -> Result<Written<Chat>> {
        let mut event = self.event(&caller.tenant, caller.origin(), "chat.select", chat);
        event.user = Some(actor.user.to_string());
        let ids: Vec<String> = servers.iter().map(ToString::to_string).collect();
        event.detail = serde_json::json!({ "servers": ids });
        if let Some(user) = triggered_by {
            event.detail["triggered_by"] = user.as_str().into();
        }
        let wanted = Chat {
            tenant: caller.tenant.clone(),
            id: chat.clone(),
            owner: actor.user.clone(),
            servers,
            created_at: event.at,
            updated_at: event.at,
        };
        let mut tx = self.0.store.write().await?;
        if !tx.chats_mut().put(&wanted).await? {
            return Err(Error::ChatOwnedByAnother);
        }
        let stored = tx
            .chats()
            .get(&caller.tenant, chat)
            .await?
            .unwrap_or(wanted);
        let revision = tx.commit(&event).await?;
        Ok(Written {
            value: stored,
            revision,
        })
    }

    /// A chat's selection as stored.
    pub async fn get_chat_servers(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
    ) -> Result<Chat> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        own(tx.chats().get(&caller.tenant, chat).await?, actor)?.ok_or(Error::ChatNotFound)
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
        own(tx.chats().get(&caller.tenant, chat).await?, actor)?;
        if !tx.chats_mut().delete(&caller.tenant, chat).await? {
            return Ok(tx.feed().head(&caller.tenant).await?);
        }
        let mut event = self.event(&caller.tenant, caller.origin(), "chat.delete", chat);
        event.user = Some(actor.user.to_string());
        Ok(tx.commit(&event).await?)
    }

    /// Everything a daemon needs for one turn: the servers the chat has, each with its headers or
    /// the reason why not.
    pub async fn resolve_chat(&self, caller: &Caller, ask: ResolveChat) -> Result<ResolvedServers> {
        check_actor(caller, Some(&ask.actor))?;
        let mut tx = self.0.store.read().await?;
        let mut revision = self.reached(&mut tx, caller, ask.min_revision).await?;
        let stored = own(tx.chats().get(&caller.tenant, &ask.chat).await?, &ask.actor)?;
        let mut selection = stored.map(|chat| chat.servers);
        let mut unknown = Vec::new();
        let mut chosen = None;
        if let Some(names) = &ask.selection {
            let (known, missing) = self.named(&mut tx, caller, &ask.actor, names).await?;
            unknown = missing;
            if selection.as_ref() != Some(&known) {
                chosen = Some(known.clone());
            }
            selection = Some(known);
        }
        let visible = self.visible(&mut tx, caller, &ask.actor).await?;
        drop(tx);
        // A sub-agent's turn says nothing about the chat's own selection.
        if let (Some(chosen), Agent::Root) = (chosen, ask.agent) {
            let triggered_by = ask.identity.triggered_by.as_ref();
            revision = self
                .store_selection(caller, &ask.actor, &ask.chat, (chosen, triggered_by))
                .await?
                .revision;
        }
        let servers = select(&visible, selection.as_deref(), ask.mode, ask.agent);
        let servers = servers.into_iter().cloned().collect();
        let wanted = Wanted::new(ask.min_valid_for, ask.deadline);
        let entries = self
            .resolve_all((&ask.actor, &ask.identity), servers, wanted)
            .await?;
        Ok(ResolvedServers {
            entries,
            revision,
            unknown,
        })
    }

    /// Every server that is on and that the actor may use, in order.
    async fn visible(&self, tx: &mut Read, caller: &Caller, actor: &Actor) -> Result<Vec<Server>> {
        let mut visible = Vec::new();
        let mut page = PageRequest {
            size: PageRequest::MAX,
            after: None,
        };
        loop {
            let read = tx
                .servers()
                .list(&caller.tenant, Which::Enabled, &page)
                .await?;
            visible.extend(
                readable(read.entries)
                    .into_iter()
                    .filter(|s| may_see(caller, Some(actor), s)),
            );
            match read.next {
                Some(next) => page.after = Some(next),
                None => return Ok(visible),
            }
        }
    }
}

/// A chat, unless it is another user's.
fn own(chat: Option<Chat>, actor: &Actor) -> Result<Option<Chat>> {
    match chat {
        Some(chat) if chat.owner != actor.user => Err(Error::ChatOwnedByAnother),
        chat => Ok(chat),
    }
}
