//! Chats: which servers one chat uses. The whole rule is [`takes_part`].

mod inline;

pub use inline::{InlineDraft, InlineServer, check as check_inline, slug as inline_slug};

use super::access::Actor;
use super::ids::ServerId;
use super::servers::{Availability, Policy};
use super::tenants::TenantId;
use super::text::{ChatId, UserId};
use super::time::Timestamp;

/// A chat that is known: it has chosen, or something was attached to it, or an agent that it spawned had a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// Whose it is.
    pub tenant: TenantId,
    /// The caller's name for it.
    pub id: ChatId,
    /// The user it acts for; fixed when it is first stored.
    pub owner: UserId,
    /// The servers chosen, in the caller's order, if anybody chose. Forced ones are not stored.
    pub selection: Option<Vec<ServerId>>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When the selection, or what is attached, last changed.
    pub updated_at: Timestamp,
}

/// What an agent that a chat spawned has, fixed by its first turn. Servers that are deleted vanish from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subchat {
    /// Whose it is.
    pub tenant: TenantId,
    /// The chat that spawned it.
    pub chat: ChatId,
    /// The caller's name for it, within that chat.
    pub id: ChatId,
    /// The servers the chat had then and sub-agents were allowed, by id.
    pub servers: Vec<ServerId>,
    /// The same of those that were attached to the chat.
    pub inline: Vec<ServerId>,
    /// When it had its first turn.
    pub created_at: Timestamp,
}

/// How the turn is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As usual.
    #[default]
    Normal,
    /// Planning: only servers approved for it.
    Plan,
}

/// Which agent of the chat takes the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Agent {
    /// The chat's own.
    #[default]
    Root,
    /// One it spawned.
    Sub,
}

/// Where a server is allowed, beyond the usual turns of the chat's own agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// While the chat plans.
    pub in_plan_mode: bool,
    /// For agents that the chat spawned.
    pub in_subagents: bool,
}

impl Allowed {
    /// Whether it may be used in such a turn. No agent that was spawned has anything while the chat plans.
    pub fn admits(self, mode: Mode, agent: Agent) -> bool {
        match (mode, agent) {
            (Mode::Normal, Agent::Root) => true,
            (Mode::Normal, Agent::Sub) => self.in_subagents,
            (Mode::Plan, Agent::Root) => self.in_plan_mode,
            (Mode::Plan, Agent::Sub) => false,
        }
    }
}

/// What a chat has of the servers that its user may use.
#[derive(Debug, Clone, Copy)]
pub enum Chosen<'a> {
    /// Nobody chose: what is on by default.
    Default,
    /// These.
    Only(&'a [ServerId]),
    /// An agent that the chat spawned has what the chat had then, and nothing that came later, by force
    /// neither.
    Then(&'a [ServerId]),
}

impl Chosen<'_> {
    /// Whether a server of this availability is among them.
    fn has(self, id: ServerId, availability: Availability) -> bool {
        match (self, availability) {
            (Self::Default | Self::Only(_), Availability::ForceOn)
            | (Self::Default, Availability::DefaultOn) => true,
            (Self::Default, Availability::DefaultOff) => false,
            (Self::Only(ids), Availability::DefaultOn | Availability::DefaultOff)
            | (Self::Then(ids), _) => ids.contains(&id),
        }
    }
}

/// Whether a turn has a server, in the order of the design: it is on and the user may use it; it is
/// forced, or the chat has it; plan mode and sub-agents are allowed it.
pub fn takes_part(
    server: &Policy<'_>,
    actor: &Actor,
    chosen: Chosen<'_>,
    (mode, agent): (Mode, Agent),
) -> bool {
    let allowed = Allowed {
        in_plan_mode: server.allow_in_plan_mode,
        in_subagents: server.allow_in_subagents,
    };
    server.admits(actor)
        && chosen.has(server.id, server.availability)
        && allowed.admits(mode, agent)
}

#[cfg(test)]
mod tests;
