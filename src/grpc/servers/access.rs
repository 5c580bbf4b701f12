//! Who may use a server, changed by what is added and removed.

use super::super::convert::{all, server};
use super::to_proto;
use crate::app::{App, Result};
use crate::domain::access::Caller;
use crate::domain::servers::AccessPatch;
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;

/// Entries of one list of a request, and the bytes of one entry.
const LIST: (usize, usize) = (1000, 255);

/// Changes it.
pub(super) async fn modify(
    app: &App,
    caller: &Caller,
    ask: pb::ModifyServerAccessRequest,
) -> Result<pb::ModifyServerAccessResponse> {
    let mut found = Violations::new();
    let named = server(&mut found, "server", &ask.server);
    let mut list = |field: &str, entries: &[String]| {
        let list = found.keep(field, text::list(entries, LIST.0, LIST.1));
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
