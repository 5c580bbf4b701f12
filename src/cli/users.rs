//! `user …`: what a user leaves here.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::caller::{As, Caller};
use super::output::{Output, fields};
use crate::client::{answer, v1};

/// `user …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Forget everything about a user, and end their grants at the providers
    #[command(after_long_help = "Example:\n  stationmaster user purge alice --yes")]
    Purge {
        /// The user
        user: String,
        /// Really
        #[arg(long, required = true)]
        yes: bool,
    },
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let Action::Purge { user, yes: _ } = self.action;
        let request = v1::PurgeUserRequest { user };
        let purged = answer(client.tokens().purge_user(request)).await?;
        out.answer(&purged, |purged| {
            fields([
                ("connections", purged.connections.to_string()),
                ("header values", purged.header_values.to_string()),
                ("identities", purged.identities.to_string()),
                ("chats", purged.chats.to_string()),
                ("servers", purged.servers.to_string()),
            ])
        });
        Ok(())
    }
}
