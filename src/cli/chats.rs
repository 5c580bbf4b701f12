//! `chat …`: which servers a chat uses, what is attached to it, and all of them for one turn.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};

use super::caller::{As, Caller};
use super::output::{Output, fields};
use super::secrets;
use super::show::{list, time};
use super::tokens::{Actor, Wishes, resolved};
use crate::client::{answer, json, v1};

/// `chat …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Resolve(Resolve),
    /// Choose a chat's servers; without any, it has none but forced ones
    #[command(
        after_long_help = "Example:\n  stationmaster chat set c1 --user alice --server tools"
    )]
    Set {
        /// The chat
        chat: String,
        #[command(flatten)]
        actor: Actor,
        /// A server, by id or slug; repeat for more
        #[arg(long = "server", value_name = "SERVER")]
        servers: Vec<String>,
    },
    Attach(Attach),
    /// Forget a chat, with what is attached to it
    #[command(after_long_help = "Example:\n  stationmaster chat delete c1 --user alice")]
    Delete {
        /// The chat
        chat: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// Show what a chat has chosen
    #[command(after_long_help = "Example:\n  stationmaster chat get c1 --user alice")]
    Get {
        /// The chat
        chat: String,
        #[command(flatten)]
        actor: Actor,
    },
}

/// Attach servers to one chat, in place of those attached before
///
/// They are described in JSON with the field names of the proto: `{"servers": [{"slug": "notes", "url":
/// "https://notes.example.com/mcp", "headers": [{"name": "X-Key", "value": "…"}]}]}`. An empty list removes all.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster chat attach c1 --user alice --from-file servers.json
  echo '{\"servers\": []}' | stationmaster chat attach c1 --user alice --from-file -")]
struct Attach {
    /// The chat
    chat: String,
    #[command(flatten)]
    actor: Actor,
    /// The servers in JSON, `-` for standard input; it holds secrets
    #[arg(long, value_name = "FILE")]
    from_file: PathBuf,
}

/// Get everything one turn of a chat may use, as a chat daemon does
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster chat resolve c1 --user alice
  stationmaster chat resolve c1 --user alice --server tools --server mail --mode plan")]
struct Resolve {
    /// The chat
    chat: String,
    #[command(flatten)]
    actor: Actor,
    /// Choose these servers first, in place of what was chosen; repeat for more
    #[arg(long = "server", value_name = "SERVER", conflicts_with = "subagent")]
    servers: Vec<String>,
    /// How the turn is run
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// The sub-chat, when a sub-agent takes the turn
    #[arg(long, value_name = "SUBCHAT")]
    subagent: Option<String>,
    #[command(flatten)]
    wishes: Wishes,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Mode {
    #[default]
    Normal,
    Plan,
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Daemon).await?;
        let mut chats = client.chats();
        match self.action {
            Action::Resolve(command) => {
                let show_secrets = command.wishes.show_secrets;
                let found = answer(chats.resolve_chat(command.request())).await?;
                out.answer(&found, |found| {
                    resolved(&found.servers, &found.unknown_servers, show_secrets)
                });
            }
            Action::Attach(command) => {
                let set = answer(chats.set_chat_inline_servers(command.request()?)).await?;
                out.answer(&set, |set| one(set.chat.as_ref()));
            }
            Action::Set {
                chat,
                actor,
                servers,
            } => {
                let request = v1::SetChatServersRequest {
                    actor: Some(actor.into()),
                    chat_id: chat,
                    servers,
                };
                let set = answer(chats.set_chat_servers(request)).await?;
                out.answer(&set, |set| one(set.chat.as_ref()));
            }
            Action::Delete { chat, actor } => {
                let request = v1::DeleteChatRequest {
                    actor: Some(actor.into()),
                    chat_id: chat.clone(),
                };
                let deleted = answer(chats.delete_chat(request)).await?;
                out.answer(&deleted, |_| format!("there is no chat {chat} any more"));
            }
            Action::Get { chat, actor } => {
                let request = v1::GetChatServersRequest {
                    actor: Some(actor.into()),
                    chat_id: chat,
                };
                let found = answer(chats.get_chat_servers(request)).await?;
                out.answer(&found, |found| one(found.chat.as_ref()));
            }
        }
        Ok(())
    }
}

impl Attach {
    fn request(self) -> Result<v1::SetChatInlineServersRequest> {
        let file = self.from_file.display();
        let text = secrets::from_file(&self.from_file)?;
        let described: v1::SetChatInlineServersRequest =
            json::read(&text).with_context(|| format!("{file}"))?;
        Ok(v1::SetChatInlineServersRequest {
            actor: Some(self.actor.into()),
            chat_id: self.chat,
            servers: described.servers,
        })
    }
}

impl Resolve {
    fn request(self) -> v1::ResolveChatRequest {
        let mode = match self.mode {
            Mode::Normal => v1::ChatMode::Normal,
            Mode::Plan => v1::ChatMode::Plan,
        };
        let servers = self.servers;
        v1::ResolveChatRequest {
            actor: Some(self.actor.into()),
            chat_id: self.chat,
            selection: (!servers.is_empty()).then_some(v1::ServerSelection { servers }),
            mode: mode.into(),
            subagent: self.subagent.map(|subchat_id| v1::Subagent { subchat_id }),
            min_valid_for: self.wishes.min_valid_for(),
            min_revision: self.wishes.min_revision,
            identity: Some(self.wishes.identity()),
            ..Default::default()
        }
    }
}

fn one(chat: Option<&v1::Chat>) -> String {
    let chat = chat.cloned().unwrap_or_default();
    let servers = if chat.has_selection {
        format!("chosen: {}", list(&chat.servers))
    } else {
        "the default ones".to_owned()
    };
    let attached = chat.inline_servers.iter();
    let attached: Vec<_> = attached.map(|server| server.slug.clone()).collect();
    fields([
        ("chat", chat.id),
        ("owner", chat.owner),
        ("servers", servers),
        ("attached", list(&attached)),
        ("changed", time(chat.update_time.as_ref())),
    ])
}
