//! Who sees a server, how much of it, and who may change it.

use crate::app::error::{Error, Result};
use crate::domain::access::{Actor, Caller, Role};
use crate::domain::servers::{Policy, Server};
use crate::domain::text::UserId;

/// Whether a server is this caller's own.
fn owns(caller: &Caller, owner: Option<&UserId>) -> bool {
    owner.is_some() && caller.user.as_ref() == owner
}

/// Whether a caller sees all of a server that it may know of.
pub(super) fn sees_all(caller: &Caller, server: &Server) -> bool {
    let own = caller.role == Role::User && owns(caller, server.owner.as_ref());
    caller.sees_configuration() || own
}

/// Users change what is their own and nothing else.
pub(super) fn check_may_change(caller: &Caller, server: &Server) -> Result<()> {
    if caller.role == Role::User && !owns(caller, server.owner.as_ref()) {
        return Err(Error::RoleNotAllowed {
            role: caller.role.as_str(),
        });
    }
    Ok(())
}

/// Whether a caller, or the actor it speaks for, may know of a server.
pub(in crate::app) fn may_see(caller: &Caller, actor: Option<&Actor>, server: &Server) -> bool {
    may_see_any(caller, actor, &server.policy())
}

/// The same of a server of which only the rules' part may be known.
pub(in crate::app) fn may_see_any(
    caller: &Caller,
    actor: Option<&Actor>,
    server: &Policy<'_>,
) -> bool {
    let narrowed = caller.narrowing.admits_server(server.id);
    let own = caller.own_actor();
    let actor = actor.or(own.as_ref());
    let admitted = |actor: &Actor| server.admits(actor);
    // Who speaks for nobody sees what is everybody's.
    let shown = || server.enabled && actor.map_or(server.owner.is_none(), admitted);
    let own = caller.role == Role::User && owns(caller, server.owner);
    narrowed && (caller.sees_configuration() || own || shown())
}
