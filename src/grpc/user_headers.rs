//! Values that users supply for headers of servers, on their way in, and which of them are there.

use super::convert::{actor, all, server, timestamp};
use crate::app::{App, Result, ServerRef};
use crate::domain::access::{Actor, Caller};
use crate::domain::secrets::HeaderSecret;
use crate::domain::text::{self, Violations};
use crate::domain::user_headers::{HeaderEdit, Supplied, check};
use crate::pb::v1 as pb;

/// Sets and clears values.
pub(super) async fn set(
    app: &App,
    caller: &Caller,
    ask: pb::SetUserHeadersRequest,
) -> Result<pb::SetUserHeadersResponse> {
    let edits: Vec<_> = ask.headers.into_iter().map(edit).collect();
    let found = check(&edits);
    let (actor, server) = whose(found, caller, ask.actor, &ask.server)?;
    let written = app
        .set_user_headers(caller, &actor, &server, &edits)
        .await?;
    Ok(pb::SetUserHeadersResponse {
        headers: written.value.iter().map(header).collect(),
        revision: written.revision.0,
    })
}

fn edit(from: pb::UserHeaderValue) -> HeaderEdit {
    let given = !from.value.is_empty();
    HeaderEdit {
        name: from.name.trim().to_owned(),
        value: given.then(|| HeaderSecret::new(from.value)),
    }
}

/// Tells which values are there.
pub(super) async fn get(
    app: &App,
    caller: &Caller,
    ask: pb::GetUserHeadersRequest,
) -> Result<pb::GetUserHeadersResponse> {
    let (actor, server) = whose(Violations::new(), caller, ask.actor, &ask.server)?;
    let supplied = app.get_user_headers(caller, &actor, &server).await?;
    Ok(pb::GetUserHeadersResponse {
        headers: supplied.iter().map(header).collect(),
    })
}

/// Forgets all values.
pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    ask: pb::DeleteUserHeadersRequest,
) -> Result<pb::DeleteUserHeadersResponse> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    // Any text: the answer is the same whether or not it names a server.
    let server = found.keep("server", text::required(&ask.server, 255));
    let (actor, server) = all(found, actor.zip(server))?;
    let revision = app.delete_user_headers(caller, &actor, &server).await?;
    Ok(pb::DeleteUserHeadersResponse {
        revision: revision.0,
    })
}

/// The user and the server that a request names, unless it has offences.
fn whose(
    mut found: Violations,
    caller: &Caller,
    named: Option<pb::Actor>,
    text: &str,
) -> Result<(Actor, ServerRef)> {
    let actor = actor(&mut found, caller, named);
    let server = server(&mut found, "server", text);
    let (actor, server) = all(found, actor.zip(server))?;
    Ok((actor, server?))
}

fn header(supplied: &Supplied) -> pb::UserHeader {
    let header = &supplied.header;
    pb::UserHeader {
        name: header.name.clone(),
        description: header.description.clone(),
        required: !header.can_be_missing,
        has_value: supplied.set_at.is_some(),
        update_time: supplied.set_at.map(timestamp),
    }
}
