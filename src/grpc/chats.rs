//! `ChatService`: what a chat uses. One of the two files that put secrets into an answer: the
//! headers of resolved servers, written by [`entry`].

use tonic::{Request, Response, Status, async_trait};

use super::call::Call;
use super::convert::{actor, all, choice, revision, servers, span, timestamp};
use super::tokens::{MAX_VALIDITY, entry};
use super::{inline_servers, resolve};
use crate::app::{App, ChatView, ResolveChat, Result as Done};
use crate::domain::access::{Actor, Caller};
use crate::domain::chats::Mode;
use crate::domain::forwarding::IdentityContext;
use crate::domain::text::{ChatId, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::chat_service_server::ChatService;

/// The service.
#[derive(Debug)]
pub(super) struct Chats(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ChatService for Chats {
    async fn set_chat_servers(
        &self,
        request: Request<pb::SetChatServersRequest>,
    ) -> Answer<pb::SetChatServersResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(set(&self.0, &call.caller, ask).await)
    }

    async fn get_chat_servers(
        &self,
        request: Request<pb::GetChatServersRequest>,
    ) -> Answer<pb::GetChatServersResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(get(&self.0, &call.caller, ask).await)
    }

    async fn delete_chat(
        &self,
        request: Request<pb::DeleteChatRequest>,
    ) -> Answer<pb::DeleteChatResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(delete(&self.0, &call.caller, ask).await)
    }

    async fn set_chat_inline_servers(
        &self,
        request: Request<pb::SetChatInlineServersRequest>,
    ) -> Answer<pb::SetChatInlineServersResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(Box::pin(attach(&self.0, &call.caller, ask)).await)
    }

    async fn resolve_chat(
        &self,
        request: Request<pb::ResolveChatRequest>,
    ) -> Answer<pb::ResolveChatResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(resolve_chat(&self.0, &call, ask).await)
    }
}

/// A chat as stored.
fn chat(ChatView { chat, inline }: &ChatView) -> pb::Chat {
    pb::Chat {
        id: chat.id.to_string(),
        owner: chat.owner.to_string(),
        servers: chat
            .selection
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect(),
        has_selection: chat.selection.is_some(),
        inline_servers: inline.iter().map(inline_servers::shown).collect(),
        create_time: Some(timestamp(chat.created_at)),
        update_time: Some(timestamp(chat.updated_at)),
    }
}

/// Whose chat, and which.
fn owned(
    found: &mut Violations,
    caller: &Caller,
    owner: Option<pb::Actor>,
    chat_id: &str,
) -> Option<(Actor, ChatId)> {
    let owner = actor(found, caller, owner);
    let chat = found.keep("chat_id", ChatId::parse(chat_id));
    owner.zip(chat)
}

async fn set(
    app: &App,
    caller: &Caller,
    ask: pb::SetChatServersRequest,
) -> Done<pb::SetChatServersResponse> {
    let mut found = Violations::new();
    let whose = owned(&mut found, caller, ask.actor, &ask.chat_id);
    let servers = servers(&mut found, "servers", &ask.servers);
    let ((owner, id), servers) = all(found, whose.zip(servers))?;
    let written = app.set_chat_servers(caller, &owner, &id, &servers).await?;
    Ok(pb::SetChatServersResponse {
        chat: Some(chat(&written.value)),
        revision: written.revision.0,
    })
}

async fn attach(
    app: &App,
    caller: &Caller,
    ask: pb::SetChatInlineServersRequest,
) -> Done<pb::SetChatInlineServersResponse> {
    let mut found = Violations::new();
    let whose = owned(&mut found, caller, ask.actor, &ask.chat_id);
    let (owner, id) = all(found, whose)?;
    let drafts: Vec<_> = ask.servers.into_iter().map(inline_servers::draft).collect();
    let written = app
        .set_chat_inline_servers(caller, &owner, &id, &drafts)
        .await?;
    Ok(pb::SetChatInlineServersResponse {
        chat: Some(chat(&written.value)),
        revision: written.revision.0,
    })
}

async fn get(
    app: &App,
    caller: &Caller,
    ask: pb::GetChatServersRequest,
) -> Done<pb::GetChatServersResponse> {
    let mut found = Violations::new();
    let whose = owned(&mut found, caller, ask.actor, &ask.chat_id);
    let (owner, id) = all(found, whose)?;
    let read = app.get_chat_servers(caller, &owner, &id).await?;
    Ok(pb::GetChatServersResponse {
        chat: Some(chat(&read)),
    })
}

async fn delete(
    app: &App,
    caller: &Caller,
    ask: pb::DeleteChatRequest,
) -> Done<pb::DeleteChatResponse> {
    let mut found = Violations::new();
    let whose = owned(&mut found, caller, ask.actor, &ask.chat_id);
    let (owner, id) = all(found, whose)?;
    let revision = app.delete_chat(caller, &owner, &id).await?;
    Ok(pb::DeleteChatResponse {
        revision: revision.0,
    })
}

async fn resolve_chat(
    app: &App,
    call: &Call,
    ask: pb::ResolveChatRequest,
) -> Done<pb::ResolveChatResponse> {
    let ask = asked(call, ask)?;
    let resolved = app.resolve_chat(&call.caller, ask).await?;
    Ok(pb::ResolveChatResponse {
        servers: resolved.entries.into_iter().map(entry).collect(),
        revision: resolved.revision.0,
        unknown_servers: resolved.unknown,
    })
}

fn asked(call: &Call, ask: pb::ResolveChatRequest) -> Done<ResolveChat> {
    let mut found = Violations::new();
    let whose = owned(&mut found, &call.caller, ask.actor, &ask.chat_id);
    let selection = ask.selection.as_ref();
    let selection = selection
        .and_then(|selection| servers(&mut found, "selection.servers", &selection.servers));
    let mode = mode(&mut found, ask.mode);
    let subchat = subchat(&mut found, ask.subagent.as_ref(), selection.is_some());
    let identity = identity(
        &mut found,
        ask.identity.as_ref(),
        &ask.chat_id,
        ask.subagent.as_ref(),
    );
    resolve::check_target(&mut found, ask.target.as_ref());
    let min_valid_for = span(&mut found, "min_valid_for", ask.min_valid_for, MAX_VALIDITY);
    let min_revision = revision(&mut found, "min_revision", ask.min_revision);
    let (actor, chat) = all(found, whose)?;
    let deadline = call.deadline;
    Ok(ResolveChat {
        actor,
        chat,
        selection,
        mode,
        subchat,
        min_valid_for,
        min_revision,
        deadline,
        identity,
    })
}

fn mode(found: &mut Violations, mode: i32) -> Mode {
    match choice(found, "mode", mode) {
        Some(pb::ChatMode::Plan) => Mode::Plan,
        Some(pb::ChatMode::Unspecified | pb::ChatMode::Normal) | None => Mode::Normal,
    }
}

/// The sub-chat of the agent that takes the turn.
fn subchat(found: &mut Violations, sub: Option<&pb::Subagent>, selects: bool) -> Option<ChatId> {
    let sub = sub?;
    if selects {
        found.add(
            "selection",
            "is for the root agent: a sub-agent chooses no servers",
        );
    }
    found.keep("subagent.subchat_id", ChatId::parse(&sub.subchat_id))
}

/// Who and what a turn belongs to: the turn's own chat, which it may repeat.
fn identity(
    found: &mut Violations,
    identity: Option<&pb::IdentityContext>,
    chat_id: &str,
    sub: Option<&pb::Subagent>,
) -> IdentityContext {
    let said = resolve::identity(found, identity);
    let subchat = sub.map_or("", |sub| sub.subchat_id.as_str());
    if let Some(identity) = identity {
        if !identity.chat_id.is_empty() && identity.chat_id != chat_id {
            found.add("identity.chat_id", "must be empty or the same as chat_id");
        }
        if !identity.subchat_id.is_empty() && identity.subchat_id != subchat {
            found.add(
                "identity.subchat_id",
                "must be empty or the same as subagent.subchat_id",
            );
        }
    }
    // What is wrong with these two was noted where they are read.
    IdentityContext {
        chat: ChatId::parse(chat_id).ok(),
        subchat: ChatId::parse(subchat).ok(),
        ..said
    }
}
