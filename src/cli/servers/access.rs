//! `server access`: who may use a server.

use anyhow::Result;
use clap::Args;

use super::show;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::client::{Client, answer, v1};

/// Change who may use a server
///
/// Users and groups are added to and taken from the lists there are, so that changes made at the same time add
/// up. With nobody on the lists everyone may use it; the first on them shuts everyone else out.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster server access tools --add-user alice --add-group sales
  stationmaster server access tools --remove-user bob
  stationmaster server access tools --remove-group sales --allow-everyone")]
pub(super) struct Access {
    /// The server, by id or slug
    server: String,
    /// A user who may use it from now on; repeat for more
    #[arg(long = "add-user", value_name = "USER")]
    add_users: Vec<String>,
    /// A user to take from the list; repeat for more
    #[arg(long = "remove-user", value_name = "USER")]
    remove_users: Vec<String>,
    /// A group whose members may use it from now on; repeat for more
    #[arg(long = "add-group", value_name = "GROUP")]
    add_groups: Vec<String>,
    /// A group to take from the list; repeat for more
    #[arg(long = "remove-group", value_name = "GROUP")]
    remove_groups: Vec<String>,
    /// Let everyone use it if nobody is left on the lists
    #[arg(long)]
    allow_everyone: bool,
    /// Only if this is still its version
    #[arg(long)]
    etag: Option<String>,
}

impl Access {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let lists = [
            &self.add_users,
            &self.remove_users,
            &self.add_groups,
            &self.remove_groups,
        ];
        if lists.iter().all(|list| list.is_empty()) {
            return Err(Failure::usage(
                "nothing to change; see `stationmaster server access --help`",
            ));
        }
        let request = v1::ModifyServerAccessRequest {
            server: self.server,
            add_users: self.add_users,
            remove_users: self.remove_users,
            add_groups: self.add_groups,
            remove_groups: self.remove_groups,
            etag: self.etag.unwrap_or_default(),
            allow_everyone: self.allow_everyone,
        };
        let modified = answer(Box::pin(client.config().modify_server_access(request))).await?;
        out.answer(&modified, |modified| show::one(modified.server.as_ref()));
        Ok(())
    }
}
