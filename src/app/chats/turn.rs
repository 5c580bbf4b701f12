//! One turn of a chat: what it may use, each with its headers or the reason why not.

use std::time::Duration;

use super::super::App;
use super::super::access::check_actor;
use super::super::error::{Error, Result};
use super::super::resolve::{Candidate, Entry};
use super::subagents::Has;
use super::{TRIES, own};
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::Revision;
use crate::domain::chats::{Agent, Chosen, InlineServer, Mode, Subchat, takes_part};
use crate::domain::forwarding::IdentityContext;
use crate::domain::text::ChatId;
use crate::store;

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
    /// The sub-chat of the agent that takes it; absent for the chat's own.
    pub subchat: Option<ChatId>,
    /// How long a credential must still live.
    pub min_valid_for: Duration,
    /// The revision that must be visible.
    pub min_revision: Revision,
    /// How much time the caller has.
    pub deadline: Option<Duration>,
    /// What the turn belongs to.
    pub identity: IdentityContext,
}

/// What a turn may use.
#[derive(Debug)]
pub struct ResolvedTurn {
    /// One entry per server, by display name, then id; what is attached to the chat last, by slug. What is
    /// attached and cannot be read has none.
    pub entries: Vec<Entry>,
    /// The revision at which it was looked at.
    pub revision: Revision,
    /// What was asked for and does not exist for the actor.
    pub unknown: Vec<String>,
}

/// The servers of a turn, not resolved yet.
struct Turn {
    servers: Vec<Candidate>,
    inline: Vec<InlineServer>,
    revision: Revision,
    unknown: Vec<String>,
}

impl App {
    /// Everything a daemon needs for one turn: the servers the chat has, each with its headers or
    /// the reason why not. One whose row cannot be read is told as unreadable; where such a row may be
    /// forced and does not say on whom, the turn fails, as it does where the list cannot be read:
    /// nobody goes without a forced server and does not know.
    pub async fn resolve_chat(&self, caller: &Caller, ask: ResolveChat) -> Result<ResolvedTurn> {
        check_actor(caller, Some(&ask.actor))?;
        for _ in 0..TRIES {
            if let Some(turn) = self.servers_of_turn(caller, &ask).await? {
                return self.resolve_turn(caller, &ask, turn).await;
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    /// Which servers the turn has; stores the selection it names, and what a new sub-agent has. `None` when one
    /// of those went meanwhile.
    async fn servers_of_turn(&self, caller: &Caller, ask: &ResolveChat) -> Result<Option<Turn>> {
        let tenant = &caller.tenant;
        let mut tx = self.0.store.read().await?;
        let mut revision = self.reached(&mut tx, caller, ask.min_revision).await?;
        let stored = own(tx.chats().get(tenant, &ask.chat).await?, &ask.actor)?;
        let mut selection = stored.and_then(|chat| chat.selection);
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
        let mut subchat = match &ask.subchat {
            Some(id) => tx.chats().get_subchat(tenant, &ask.chat, id).await?,
            None => None,
        };
        let mut servers = self.candidates(&mut tx, caller, &ask.actor.user).await?;
        let mut inline = self.inline_of(&mut tx, caller, &ask.chat).await?;
        drop(tx);
        if let Some(chosen) = chosen {
            let chosen = (chosen, ask.identity.triggered_by.as_ref());
            let stored = self.store_selection(caller, &ask.actor, &ask.chat, chosen);
            let Some(stored) = stored.await? else {
                return Ok(None);
            };
            revision = stored.revision;
        }
        let chosen = selection.as_deref().map_or(Chosen::Default, Chosen::Only);
        if let (Some(id), None) = (&ask.subchat, &subchat) {
            // What the chat has, whatever this turn and this caller are narrowed to.
            let usual = (Mode::Normal, Agent::Sub);
            let policies = servers.iter().map(Candidate::policy);
            let had = policies.filter(|server| takes_part(server, &ask.actor, chosen, usual));
            let (mode, agent) = usual;
            let attached = inline
                .iter()
                .filter(|server| server.allowed.admits(mode, agent));
            let has = Has {
                servers: had.map(|server| server.id).collect(),
                inline: attached.map(|server| server.id).collect(),
            };
            let Some((spawned, seen)) = self.spawn(caller, ask, (id, has)).await? else {
                return Ok(None);
            };
            (subchat, revision) = (Some(spawned), seen);
        }
        let (chosen, agent) = match &subchat {
            Some(subchat) => (Chosen::Then(&subchat.servers), Agent::Sub),
            None => (chosen, Agent::Root),
        };
        servers.retain(|server| {
            let policy = server.policy();
            caller.narrowing.admits_server(policy.id)
                && takes_part(&policy, &ask.actor, chosen, (ask.mode, agent))
        });
        inline.retain(|server| {
            let has = |subchat: &Subchat| subchat.inline.contains(&server.id);
            caller.narrowing.admits_server(server.id)
                && subchat.as_ref().is_none_or(has)
                && server.allowed.admits(ask.mode, agent)
        });
        Ok(Some(Turn {
            servers,
            inline,
            revision,
            unknown,
        }))
    }

    async fn resolve_turn(
        &self,
        caller: &Caller,
        ask: &ResolveChat,
        turn: Turn,
    ) -> Result<ResolvedTurn> {
        let wanted = self.wanted(ask.min_valid_for, ask.deadline);
        let user = (&ask.actor, &ask.identity);
        let mut entries = self.resolve_all(user, turn.servers, wanted).await?;
        for server in turn.inline {
            let user = (&ask.actor.user, &ask.identity);
            let resolved = self.resolve_inline(&caller.tenant, user, server);
            entries.push(Entry::Inline(Box::new(resolved.await?)));
        }
        Ok(ResolvedTurn {
            entries,
            revision: turn.revision,
            unknown: turn.unknown,
        })
    }
}
