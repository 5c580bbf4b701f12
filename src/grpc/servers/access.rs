//! Who may use a server, changed by what is added and removed.

use super::super::convert::{all, server};
use super::to_proto;
use crate::app::{App, Result};
use crate::domain::access::Caller;
use crate::domain::servers::{Access, AccessPatch};
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;

/// Changes it.
pub(super) async fn modify(
    app: &App,
    caller: &Caller,
    ask: pb::ModifyServerAccessRequest,
) -> Result<pb::ModifyServerAccessResponse> {
    let mut found = Violations::new();
    let named = server(&mut found, "server", &ask.server);
    let mut list = |field: &str, entries: &[String]| {
        let list = found.keep(field, text::list(entries, Access::MOST, Access::LONGEST));
        list.unwrap_or_default()
    };
    let patch = AccessPatch {
        add_users: list("add_users", &ask.add_users),
        remove_users: list("remove_users", &ask.remove_users),
        add_groups: list("add_groups", &ask.add_groups),
        remove_groups: list("remove_groups", &ask.remove_groups),
        allow_everyone: ask.allow_everyone,
    };
    patch.check(&mut found);
    let named = all(found, named)??;
    let etag = (!ask.etag.is_empty()).then_some(ask.etag.as_str());
    let written = app
        .modify_server_access(caller, &named, etag, &patch)
        .await?;
    Ok(pb::ModifyServerAccessResponse {
        server: Some(to_proto::view(&written.value)),
        revision: written.revision.0,
    })
}
