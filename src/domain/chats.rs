//! Chats: which servers one chat uses. The whole rule is [`select`].

use super::ids::ServerId;
use super::servers::{Availability, Server};
use super::tenants::TenantId;
use super::text::{ChatId, UserId};
use super::time::Timestamp;

/// A chat that has chosen, or was resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// Whose it is.
    pub tenant: TenantId,
    /// The caller's name for it.
    pub id: ChatId,
    /// The user it acts for; fixed when it is first stored.
    pub owner: UserId,
    /// The servers chosen, in the caller's order. Forced ones are not stored.
    pub servers: Vec<ServerId>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When the selection last changed.
    pub updated_at: Timestamp,
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

/// The servers a turn has, in the order given: enabled and accessible ones (`visible` holds no
/// others), of which forced ones always, then the chat's selection or, where it has none, the
/// default ones; then plan mode and sub-agent rules.
pub fn select<'a>(
    visible: &'a [Server],
    selection: Option<&[ServerId]>,
    mode: Mode,
    agent: Agent,
) -> Vec<&'a Server> {
    visible
        .iter()
        .filter(|server| match (server.spec.availability, selection) {
            (Availability::ForceOn, _) | (Availability::DefaultOn, None) => true,
            (Availability::DefaultOn | Availability::DefaultOff, Some(chosen)) => {
                chosen.contains(&server.id)
            }
            (Availability::DefaultOff, None) => false,
        })
        .filter(|server| match (mode, agent) {
            (Mode::Normal, Agent::Root) => true,
            (Mode::Normal, Agent::Sub) => server.spec.allow_in_subagents,
            (Mode::Plan, Agent::Root) => server.spec.allow_in_plan_mode,
            (Mode::Plan, Agent::Sub) => false,
        })
        .collect()
}
