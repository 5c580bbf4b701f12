//! A server configuration as it is answered: in full to who configures, redacted to all others,
//! without secrets to everyone.

use super::super::convert::timestamp;
use super::{auth_to_proto, forwarding};
use crate::app::ServerView;
use crate::domain::accounts::{AccountBinding, AccountPolicy};
use crate::domain::servers::{Auth, AuthKind, Availability, Server, Spec, Transport};
use crate::domain::tools::name_prefix;
use crate::pb::v1 as pb;

/// The server as its viewer may see it.
pub(super) fn view(view: &ServerView) -> pb::Server {
    if view.full {
        full(view)
    } else {
        redacted(view)
    }
}

/// What an administrator wrote, secrets left out: the form that an update is merged into.
pub(super) fn document(spec: &Spec) -> pb::Server {
    pb::Server {
        slug: spec.slug.to_string(),
        display_name: spec.display_name.clone(),
        description: spec.description.clone(),
        icon_url: spec.icon_url.clone(),
        url: spec.url.clone(),
        transport: transport(spec.transport).into(),
        managed_by: spec.managed_by.clone(),
        enabled: spec.enabled,
        availability: availability(spec.availability).into(),
        allow_in_plan_mode: spec.allow_in_plan_mode,
        allow_in_subagents: spec.allow_in_subagents,
        model_intent: spec.model_intent,
        forward_identity_headers: spec.forward_identity_headers,
        tool_allow_list: spec.tools.allow.clone(),
        tool_deny_list: spec.tools.deny.clone(),
        allowed_users: spec.access.users.clone(),
        allowed_groups: spec.access.groups.clone(),
        auth: Some(auth_to_proto::write(&spec.auth)),
        account_binding: spec.account_binding.as_ref().map(account_binding),
        identity_forwarding: spec.identity_forwarding.as_ref().map(forwarding::write),
        ..pb::Server::default()
    }
}

fn account_binding(binding: &AccountBinding) -> pb::AccountBinding {
    let policy = match binding.policy {
        AccountPolicy::Accept => pb::AccountPolicy::Accept,
        AccountPolicy::Warn => pb::AccountPolicy::Warn,
        AccountPolicy::Refuse => pb::AccountPolicy::Refuse,
    };
    pb::AccountBinding {
        policy: policy.into(),
        upstream_claim: binding.claim.clone(),
        user_claim: String::new(),
    }
}

fn full(view: &ServerView) -> pb::Server {
    let server = &view.server;
    let mut answer = document(&server.spec);
    if let (Some(auth), Some(found)) = (&mut answer.auth, &server.discovered) {
        auth_to_proto::add_discovered(auth, found, view.registration.as_ref());
    }
    let secrets = &server.secrets;
    answer.has_client_secret = secrets.client_secret.is_some();
    answer.has_api_key = secrets.api_key.is_some();
    answer.has_signing_secret = secrets.signing_secret.is_some();
    answer.has_private_key = secrets.private_key.is_some();
    answer.has_idp_client_secret = secrets.idp_client_secret.is_some();
    answer.has_assertion = secrets.assertion.is_some();
    if let Auth::CustomHeaders(custom) = &server.spec.auth {
        answer.custom_header_names.clone_from(&custom.names);
    }
    answer.redirect_uri = view.redirect_uri.clone().unwrap_or_default();
    answer.auth_version = server.auth_version;
    answer.created_by.clone_from(&server.created_by);
    answer.updated_by.clone_from(&server.updated_by);
    answer.etag = view.etag();
    answer.problems = problems(server);
    output(answer, view)
}

/// What an administrator should mend.
fn problems(server: &Server) -> Vec<pb::ServerProblem> {
    let mut found = Vec::new();
    let mut add = |reason: pb::StatusReason, detail: String| {
        found.push(pb::ServerProblem {
            reason: reason.into(),
            detail,
            since_time: None,
        });
    };
    let pending = server.discovered.as_ref();
    if let Some(issuer) = pending.and_then(|found| found.pending_issuer.as_ref()) {
        let detail =
            format!("the resource names {issuer} now; approve it, or give a client made there");
        add(pb::StatusReason::IssuerApprovalPending, detail);
    }
    let secrets = &server.secrets;
    match &server.spec.auth {
        Auth::Enterprise(_) | Auth::Workload(_) => {
            let detail = "this release stores it and does not serve it".to_owned();
            add(pb::StatusReason::AuthKindUnsupported, detail);
        }
        Auth::ApiKey(key) if !key.per_user && secrets.api_key.is_none() => {
            add(
                pb::StatusReason::SecretMissing,
                "the key's value is missing".to_owned(),
            );
        }
        Auth::None
        | Auth::OAuth2(_)
        | Auth::ApiKey(_)
        | Auth::CustomHeaders(_)
        | Auth::UserOidc(_)
        | Auth::ClientCredentials(_) => {}
    }
    found
}

/// What users and daemons see: enough to choose a server and to connect, nothing of how it works.
fn redacted(view: &ServerView) -> pb::Server {
    let spec = &view.server.spec;
    let answer = pb::Server {
        slug: spec.slug.to_string(),
        display_name: spec.display_name.clone(),
        description: spec.description.clone(),
        icon_url: spec.icon_url.clone(),
        enabled: spec.enabled,
        availability: availability(spec.availability).into(),
        allow_in_plan_mode: spec.allow_in_plan_mode,
        allow_in_subagents: spec.allow_in_subagents,
        model_intent: spec.model_intent,
        forward_identity_headers: spec.forward_identity_headers,
        tool_allow_list: spec.tools.allow.clone(),
        tool_deny_list: spec.tools.deny.clone(),
        ..pb::Server::default()
    };
    output(answer, view)
}

/// Adds what everybody sees.
fn output(mut answer: pb::Server, view: &ServerView) -> pb::Server {
    let server: &Server = &view.server;
    answer.id = server.id.to_string();
    answer.tenant = server.tenant.to_string();
    let owner = server.owner.as_ref().map(ToString::to_string);
    answer.owner = owner.unwrap_or_default();
    answer.auth_kind = auth_kind(server.spec.auth.kind()).into();
    answer.user_headers = auth_to_proto::user_headers(&server.spec.auth);
    answer.tool_name_prefix = name_prefix(&server.spec.slug);
    answer.connected = view.connected;
    answer.create_time = Some(timestamp(server.created_at));
    answer.update_time = Some(timestamp(server.updated_at));
    answer
}

/// The kind of authorisation, as sent.
pub(in crate::grpc) fn auth_kind(kind: AuthKind) -> pb::AuthKind {
    match kind {
        AuthKind::None => pb::AuthKind::None,
        AuthKind::OAuth2 => pb::AuthKind::Oauth2,
        AuthKind::ApiKey => pb::AuthKind::ApiKey,
        AuthKind::CustomHeaders => pb::AuthKind::CustomHeaders,
        AuthKind::UserOidc => pb::AuthKind::UserOidc,
        AuthKind::ClientCredentials => pb::AuthKind::ClientCredentials,
        AuthKind::Enterprise => pb::AuthKind::Enterprise,
        AuthKind::Workload => pb::AuthKind::Workload,
    }
}

/// The transport, as sent.
pub(in crate::grpc) fn transport(transport: Transport) -> pb::Transport {
    match transport {
        Transport::StreamableHttp => pb::Transport::StreamableHttp,
        Transport::Sse => pb::Transport::Sse,
    }
}

/// The availability, as sent.
pub(in crate::grpc) fn availability(availability: Availability) -> pb::Availability {
    match availability {
        Availability::ForceOn => pb::Availability::ForceOn,
        Availability::DefaultOn => pb::Availability::DefaultOn,
        Availability::DefaultOff => pb::Availability::DefaultOff,
    }
}
