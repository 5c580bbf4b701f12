//! Servers attached to one chat by its caller: replaced as a set, their headers sealed, resolved with the chat's turns
//! and known to nobody else.

use super::super::error::{Error, Result};
use super::super::readable::readable;
use super::super::resolve::unending;
use super::super::vault::Unopened;
use super::super::{App, Written};
use super::{ChatView, TRIES, own};
use crate::app::access::check_actor;
use crate::crypto::HeaderValues;
use crate::domain::access::{Actor, Caller};
use crate::domain::chats::{InlineDraft, InlineServer, check_inline, inline_slug};
use crate::domain::forwarding::{Forwarding, IdentityContext};
use crate::domain::ids::ServerId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::resolution::Outcome;
use crate::domain::servers::origin;
use crate::domain::tenants::TenantId;
use crate::domain::text::{ChatId, UserId};
use crate::store::{self, Read};

/// One that takes part in a turn.
#[derive(Debug)]
pub struct ResolvedInline {
    /// What was attached.
    pub server: InlineServer,
    /// Its state.
    pub outcome: Outcome,
}

/// The place of its headers.
fn place<'a>(tenant: &'a TenantId, owner: &'a UserId, row: &'a str) -> Place<'a> {
    Place {
        tenant,
        column: SealedColumn::InlineServerHeaders,
        row,
        owner: owner.as_str(),
    }
}

/// What is attached, for the audit trail. A path may be as good as a password, and is not told.
pub(super) fn describe(servers: &[InlineServer]) -> serde_json::Value {
    let told = servers.iter().map(|server| {
        serde_json::json!({
            "server": server.id.to_string(),
            "slug": server.slug.as_str(),
            "origin": origin(&server.url),
            "headers": server.header_count,
        })
    });
    told.collect()
}

/// What is attached to a chat, and the rows of it that cannot be read.
#[derive(Default)]
struct Attached {
    servers: Vec<InlineServer>,
    unread: Vec<String>,
}

impl Attached {
    fn of(rows: Vec<store::Result<InlineServer>>) -> Result<Self> {
        let mut attached = Self::default();
        for row in rows {
            match row {
                Ok(server) => attached.servers.push(server),
                Err(store::Error::Corrupt { id, .. }) => attached.unread.push(id),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(attached)
    }

    /// Whether both hold the same ones, whatever those are like.
    fn is_alike(&self, other: &Self) -> bool {
        let names = |one: &Self| {
            let servers = one.servers.iter();
            let versions = servers.map(|server| (server.id, server.version));
            versions.collect::<Vec<_>>()
        };
        names(self) == names(other) && self.unread == other.unread
    }
}

impl App {
    /// Replaces what is attached to a chat. Atomic. One that has the slug of one that was there takes over its
    /// id; its headers are those given now.
    pub async fn set_chat_inline_servers(
        &self,
        caller: &Caller,
        actor: &Actor,
        chat: &ChatId,
        drafts: &[InlineDraft],
    ) -> Result<Written<ChatView>> {
        check_actor(caller, Some(actor))?;
        if !drafts.is_empty() {
            if !self.0.settings.allow_inline_servers {
                return Err(Error::InlineServersDisabled);
            }
            // What such a key may touch is named on it, and this is not.
            if !caller.narrowing.servers.is_empty() {
                return Err(Error::KeyNarrowed { by: "servers" });
            }
        }
        let rules = self.0.settings.url_rules;
        let found = check_inline(drafts, rules, |url| self.lets_reach(url));
        found.or(())?;
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            own(tx.chats().get(&caller.tenant, chat).await?, actor)?;
            let there = tx.chats().list_inline(&caller.tenant, chat).await?;
            drop(tx);
            let there = Attached::of(there)?;
            let servers = self.attached(&caller.tenant, actor, drafts, &there).await?;
            let written = self.try_attach(caller, (actor, chat), &there, &servers);
            if let Some(written) = written.await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// The set as it is to be stored, in place of what is there.
    async fn attached(
        &self,
        tenant: &TenantId,
        actor: &Actor,
        drafts: &[InlineDraft],
        there: &Attached,
    ) -> Result<Vec<InlineServer>> {
        let mut servers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let slug = inline_slug(&draft.slug);
            let slug = slug.map_err(|why| Error::invalid("servers", why.to_string()))?;
            let before = there.servers.iter().find(|server| server.slug == slug);
            let id = before.map_or_else(
                || ServerId::mint(&*self.0.clock, &*self.0.random),
                |server| server.id,
            );
            let row = id.to_string();
            let headers = if draft.headers.is_empty() {
                None
            } else {
                let place = place(tenant, &actor.user, &row);
                let values = HeaderValues(draft.headers.clone());
                Some(self.0.vault.seal(&place, &values).await?)
            };
            servers.push(InlineServer {
                id,
                slug,
                url: draft.url.clone(),
                headers,
                header_count: i64::try_from(draft.headers.len()).unwrap_or(i64::MAX),
                tools: draft.tools.clone(),
                allowed: draft.allowed,
                forward_identity_headers: draft.forward_identity_headers,
                version: before.map_or(1, |server| server.version + 1),
            });
        }
        Ok(servers)
    }

    /// One try; `None` when something else is attached by now.
    async fn try_attach(
        &self,
        caller: &Caller,
        (actor, chat): (&Actor, &ChatId),
        before: &Attached,
        servers: &[InlineServer],
    ) -> Result<Option<Written<ChatView>>> {
        let tenant = &caller.tenant;
        let mut event = self.event(tenant, caller.origin(), "chat.attach", chat);
        event.user = Some(actor.user.to_string());
        event.detail = serde_json::json!({
            "before": describe(&before.servers),
            "after": describe(servers),
        });
        let mut tx = self.0.store.write().await?;
        let owner = (&actor.user, event.at);
        if !tx.chats_mut().hold(tenant, chat, owner).await? {
            return Err(Error::ChatOwnedByAnother);
        }
        let there = Attached::of(tx.chats().list_inline(tenant, chat).await?)?;
        if !there.is_alike(before) {
            return Ok(None);
        }
        let kept = |id: ServerId| servers.iter().any(|server| server.id == id);
        let gone = there.servers.iter().filter(|server| !kept(server.id));
        let gone = gone.map(|server| server.id.to_string());
        for id in gone.chain(there.unread) {
            tx.chats_mut().delete_inline(tenant, chat, &id).await?;
        }
        for server in servers {
            tx.chats_mut().put_inline(tenant, chat, server).await?;
        }
        tx.chats_mut().touch(tenant, chat, event.at).await?;
        let chat = tx.chats().get(tenant, chat).await?;
        let chat = chat.ok_or(Error::ChatNotFound)?;
        let mut inline = servers.to_vec();
        inline.sort_by(|one, other| one.slug.cmp(&other.slug));
        let revision = tx.commit(&event).await?;
        Ok(Some(Written {
            value: ChatView { chat, inline },
            revision,
        }))
    }

    /// What is attached to a chat for its turns: nothing where the deployment does not want it.
    pub(super) async fn inline_of(
        &self,
        tx: &mut Read,
        caller: &Caller,
        chat: &ChatId,
    ) -> Result<Vec<InlineServer>> {
        if !self.0.settings.allow_inline_servers {
            return Ok(Vec::new());
        }
        Ok(readable(
            tx.chats().list_inline(&caller.tenant, chat).await?,
        ))
    }

    /// The headers of what is attached to a chat of this user.
    pub(super) async fn resolve_inline(
        &self,
        tenant: &TenantId,
        (owner, identity): (&UserId, &IdentityContext),
        server: InlineServer,
    ) -> Result<ResolvedInline> {
        let row = server.id.to_string();
        let mut outcome = match &server.headers {
            None => unending(Vec::new(), 0),
            Some(sealed) => {
                let place = place(tenant, owner, &row);
                match self.0.vault.open::<HeaderValues>(&place, sealed).await {
                    Ok(headers) => unending(headers.0, server.version),
                    Err(Unopened::Unreadable(_)) => Outcome::Unreadable,
                    Err(error @ Unopened::Store(_)) => return Err(error.into()),
                }
            }
        };
        if let Outcome::Ready { headers, .. } = &mut outcome
            && server.forward_identity_headers
        {
            Forwarding::default().add_to(headers, owner, identity);
        }
        self.count_resolved(&outcome);
        Ok(ResolvedInline { server, outcome })
    }
}
