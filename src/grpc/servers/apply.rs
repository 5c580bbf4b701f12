//! Many servers at once.

use super::super::call::Call;
use super::super::convert::{all, count, fingerprinted};
use super::{fingerprint, from_proto, mask, merged, to_proto};
use crate::app::{App, AppliedServer, Apply, ApplyAction, ApplyMode, Described, Result};
use crate::domain::servers::{SealedSecrets, Spec};
use crate::domain::text::{self, Slug, Violations};
use crate::pb::v1 as pb;

/// The most servers of one call.
const MOST: usize = 1000;

/// Applies what is described; a failure names the server that it is about.
pub(super) async fn apply(
    app: &App,
    call: &mut Call,
    ask: pb::ApplyServersRequest,
) -> Result<pb::ApplyServersResponse> {
    let apply = described(ask)?;
    let applied = match app.apply_servers(&call.caller, &apply).await {
        Ok(applied) => applied,
        Err(unapplied) => {
            if let Some(slug) = &unapplied.slug {
                call.naming("slug", slug.as_str());
            }
            return Err(unapplied.error);
        }
    };
    Ok(pb::ApplyServersResponse {
        servers: applied.servers.into_iter().map(told).collect(),
        revision: applied.revision.0,
    })
}

fn described(ask: pb::ApplyServersRequest) -> Result<Apply> {
    let mut found = Violations::new();
    let encoded = fingerprint::of_many(&ask);
    let once = fingerprinted(&mut found, &ask.request_id, &encoded);
    let manager = found.keep("manager", text::required(&ask.manager, 200));
    if ask.servers.len() > MOST {
        found.add(
            "servers",
            format!("at most {MOST} servers may be described"),
        );
    }
    let mut servers: Vec<Described> = Vec::new();
    for (index, server) in ask.servers.into_iter().take(MOST).enumerate() {
        if !server.owner.is_empty() {
            let what = "personal servers are not described";
            found.add(format!("servers[{index}].owner"), what);
        }
        let field = format!("servers[{index}].slug");
        let Some(slug) = found.keep(&field, Slug::parse(server.slug.trim())) else {
            continue;
        };
        if servers.iter().any(|known| known.slug == slug) {
            found.add(field, "is described twice");
            continue;
        }
        let manager = manager.clone().unwrap_or_default();
        servers.push(one(
            slug,
            pb::Server {
                managed_by: manager,
                ..server
            },
        ));
    }
    let manager = all(found, manager)?;
    Ok(Apply {
        manager,
        servers,
        prune: ask.prune,
        mode: if ask.dry_run {
            ApplyMode::DryRun
        } else {
            ApplyMode::Write
        },
        once,
        paths,
    })
}

/// A server as described: whole, but for secrets that are not given.
fn one(slug: Slug, server: pb::Server) -> Described {
    let everything = ["*".to_owned()];
    Described {
        slug,
        draft: Box::new(move |stored| match stored {
            Some(stored) => merged(stored, &server, Some(&everything)),
            None => from_proto::draft(server.clone(), &SealedSecrets::default()),
        }),
    }
}

/// The paths of fields in which one configuration differs from the other.
fn paths(before: &Spec, after: &Spec) -> Vec<String> {
    let (before, after) = (to_proto::document(before), to_proto::document(after));
    mask::differing(&before, &after)
}

fn told(server: AppliedServer) -> pb::AppliedServer {
    let action = match server.action {
        ApplyAction::Unchanged => pb::ApplyAction::Unchanged,
        ApplyAction::Create => pb::ApplyAction::Create,
        ApplyAction::Update => pb::ApplyAction::Update,
        ApplyAction::Delete => pb::ApplyAction::Delete,
    };
    pb::AppliedServer {
        action: action.into(),
        slug: server.slug,
        server_id: server.id,
        changed_paths: server.paths,
        ended_connections: count(server.ended.connections),
        ended_header_values: count(server.ended.header_values),
    }
}
