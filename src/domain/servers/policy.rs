//! What the rules look at that say who has a server in which turn: also of one whose row cannot be read
//! otherwise, so that it is not left out in silence.

use super::super::access::Actor;
use super::super::ids::ServerId;
use super::super::text::{Slug, UserId};
use super::{Access, Availability, Server};

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Which server.
    pub id: ServerId,
    /// The kill switch.
    pub enabled: bool,
    /// Whether a chat that did not choose has it.
    pub availability: Availability,
    /// Whether its tools may be used in plan mode.
    pub allow_in_plan_mode: bool,
    /// Whether sub-agents may use it.
    pub allow_in_subagents: bool,
    /// The one user a personal server belongs to.
    pub owner: Option<&'a UserId>,
    /// Who may use it.
    pub access: &'a Access,
}

impl Policy<'_> {
    /// Whether this user may use the server at all.
    pub fn admits(&self, actor: &Actor) -> bool {
        let names = actor.group_names();
        self.enabled
            && self.owner.is_none_or(|owner| *owner == actor.user)
            && self.access.admits(actor.user.as_str(), names)
    }
}

/// A server whose row can be read as far as the rules need it, and perhaps no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Its id.
    pub id: ServerId,
    /// Unique in the tenant.
    pub slug: Slug,
    /// What people see.
    pub display_name: String,
    /// The kill switch.
    pub enabled: bool,
    /// Whether a chat that did not choose has it.
    pub availability: Availability,
    /// Whether its tools may be used in plan mode.
    pub allow_in_plan_mode: bool,
    /// Whether sub-agents may use it.
    pub allow_in_subagents: bool,
    /// The one user a personal server belongs to.
    pub owner: Option<UserId>,
    /// Who may use it.
    pub access: Access,
}

impl Glimpse {
    /// What the rules look at.
    pub fn policy(&self) -> Policy<'_> {
        Policy {
            id: self.id,
            enabled: self.enabled,
            availability: self.availability,
            allow_in_plan_mode: self.allow_in_plan_mode,
            allow_in_subagents: self.allow_in_subagents,
            owner: self.owner.as_ref(),
            access: &self.access,
        }
    }
}

impl Server {
    /// What the rules look at.
    pub fn policy(&self) -> Policy<'_> {
        let spec = &self.spec;
        Policy {
            id: self.id,
            enabled: spec.enabled,
            availability: spec.availability,
            allow_in_plan_mode: spec.allow_in_plan_mode,
            allow_in_subagents: spec.allow_in_subagents,
            owner: self.owner.as_ref(),
            access: &spec.access,
        }
    }
}
