//! Servers attached to a chat, as they are given and as they are shown: without their headers.

use super::convert::count;
use super::servers::entries;
use crate::domain::chats::{Allowed, InlineDraft, InlineServer};
use crate::domain::secrets::HeaderSecret;
use crate::domain::servers::ToolPolicy;
use crate::pb::v1 as pb;

/// One as given, trimmed. What it must hold is the domain's to say.
pub(super) fn draft(given: pb::InlineServer) -> InlineDraft {
    let header = |header: pb::Header| {
        let name = header.name.trim().to_owned();
        (name, HeaderSecret::new(header.value))
    };
    InlineDraft {
        slug: given.slug.trim().to_owned(),
        url: given.url.trim().to_owned(),
        headers: given.headers.into_iter().map(header).collect(),
        tools: ToolPolicy {
            allow: entries(&given.tool_allow_list),
            deny: entries(&given.tool_deny_list),
        },
        allowed: Allowed {
            in_plan_mode: given.allow_in_plan_mode,
            in_subagents: given.allow_in_subagents,
        },
        forward_identity_headers: given.forward_identity_headers,
    }
}

/// One as shown to the chat's owner.
pub(super) fn shown(server: &InlineServer) -> pb::InlineServer {
    let count_of = usize::try_from(server.header_count).unwrap_or_default();
    pb::InlineServer {
        id: server.id.to_string(),
        slug: server.slug.to_string(),
        url: server.url.clone(),
        headers: Vec::new(),
        tool_allow_list: server.tools.allow.clone(),
        tool_deny_list: server.tools.deny.clone(),
        allow_in_subagents: server.allowed.in_subagents,
        allow_in_plan_mode: server.allowed.in_plan_mode,
        forward_identity_headers: server.forward_identity_headers,
        header_count: count(count_of),
    }
}
