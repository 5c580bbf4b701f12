//! What discovery came to, as it is sent.

use super::super::convert::{all, count, duration, id, server};
use super::auth_to_proto::{found, registration_kind};
use super::{from_proto, to_proto};
use crate::app::{App, Preview, Rediscover, Result as Done, Step, Verdict};
use crate::domain::access::Caller;
use crate::domain::authorization::Issuer;
use crate::domain::servers::SealedSecrets;
use crate::domain::text::Violations;
use crate::pb::v1 as pb;

/// Previews what a URL leads to.
pub(super) async fn discover(
    app: &App,
    ask: pb::DiscoverServerRequest,
) -> Done<pb::DiscoverServerResponse> {
    let mut offences = Violations::new();
    let given = !ask.server_id.is_empty();
    let id = given
        .then(|| id(&mut offences, "server_id", &ask.server_id))
        .flatten();
    let server = pb::Server {
        display_name: "preview".to_owned(),
        url: ask.url,
        auth: Some(pb::server::Auth::Oauth2(ask.oauth2.unwrap_or_default())),
        ..pb::Server::default()
    };
    let draft = from_proto::draft(server, &SealedSecrets::default()).map_err(|more| {
        for violation in more.into_vec() {
            let field = violation.field.trim_start_matches("server.").to_owned();
            offences.add(field, violation.description);
        }
    });
    let draft = all(offences, draft.ok())?;
    let previewed = app.preview_server(Preview { draft, id }).await?;
    Ok(pb::DiscoverServerResponse {
        result: result(previewed.verdict).into(),
        discovered: previewed.discovered.as_ref().map(|discovered| {
            let kind = previewed.registration;
            let client_id = previewed.client_id.clone().unwrap_or_default();
            pb::Discovered {
                registration_kind: kind.map_or(0, |kind| registration_kind(kind).into()),
                client_id,
                ..found(discovered, None)
            }
        }),
        steps: previewed.steps.iter().map(step).collect(),
        server_id: previewed.id.to_string(),
        redirect_uri: previewed.redirect_uri,
        provider_profile: previewed.profile.unwrap_or_default(),
    })
}

/// Discovers a stored server anew.
pub(super) async fn rediscover(
    app: &App,
    caller: &Caller,
    ask: pb::RediscoverServerRequest,
) -> Done<pb::RediscoverServerResponse> {
    let mut offences = Violations::new();
    let named = server(&mut offences, "server", &ask.server);
    if ask.approve_issuer.len() > 2048 {
        offences.add("approve_issuer", "must be at most 2048 bytes");
    }
    let named = all(offences, named)??;
    let present = |text: &String| !text.is_empty();
    let ask = Rediscover {
        server: named,
        etag: Some(ask.etag).filter(present),
        approve: Some(ask.approve_issuer).filter(present).map(Issuer::new),
        register_again: ask.register_again,
    };
    let written = Box::pin(app.rediscover_server(caller, &ask)).await?;
    Ok(pb::RediscoverServerResponse {
        server: Some(to_proto::view(&written.value.view)),
        steps: written.value.steps.iter().map(step).collect(),
        revision: written.revision.0,
        ended_connections: count(written.value.ended),
    })
}

fn step(step: &Step) -> pb::DiscoveryStep {
    pb::DiscoveryStep {
        method: step.method.to_owned(),
        url: step.url.clone(),
        http_status: step.status.map_or(0, i32::from),
        detail: step.detail.clone(),
        used: step.used,
        latency: Some(duration(step.latency)),
    }
}

fn result(verdict: Verdict) -> pb::DiscoveryResult {
    match verdict {
        Verdict::Found => pb::DiscoveryResult::Found,
        Verdict::NoAuthNeeded => pb::DiscoveryResult::NoAuthNeeded,
        Verdict::Unreachable => pb::DiscoveryResult::Unreachable,
        Verdict::NoResourceMetadata => pb::DiscoveryResult::NoResourceMetadata,
        Verdict::ResourceMismatch => pb::DiscoveryResult::ResourceMismatch,
        Verdict::NoAuthorizationServer => pb::DiscoveryResult::NoAuthorizationServer,
        Verdict::NoServerMetadata => pb::DiscoveryResult::NoAuthorizationServerMetadata,
        Verdict::IssuerMismatch => pb::DiscoveryResult::IssuerMismatch,
        Verdict::MalformedMetadata => pb::DiscoveryResult::MalformedMetadata,
        Verdict::PkceUnsupported => pb::DiscoveryResult::PkceUnsupported,
        Verdict::RegistrationUnavailable => pb::DiscoveryResult::RegistrationUnavailable,
        Verdict::UrlNotAllowed => pb::DiscoveryResult::UrlNotAllowed,
        Verdict::Unsupported => pb::DiscoveryResult::Unsupported,
    }
}
