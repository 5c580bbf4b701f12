//! `header …`: the values that users supply for headers of servers. They go in and are not shown again.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::caller::{As, Caller};
use super::output::{Output, table};
use super::parse;
use super::secrets;
use super::show::{time, yes};
use super::tokens::Actor;
use crate::client::{answer, v1};

/// `header …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the headers whose values a server wants of its users, and which of them a user has supplied
    #[command(after_long_help = "Example:\n  stationmaster header list tools --user alice")]
    List {
        /// The server, by id or slug
        server: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// Supply values for a user; those there are for other headers stay
    #[command(after_long_help = "\
Examples:
  stationmaster header set tools --user alice --header-file X-Token=token.txt
  vault read -field=pat alice |
    stationmaster header set tools --user alice --header-file Authorization=-")]
    Set(Set),
    /// Forget a user's values: of these headers, or all; fine to repeat
    ///
    /// All of them: works after access to the server was lost, too.
    #[command(after_long_help = "\
Examples:
  stationmaster header clear tools --user alice
  stationmaster header clear tools X-Token --user alice")]
    Clear {
        /// The server, by id or slug
        server: String,
        /// The headers; all without any
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
struct Set {
    /// The server, by id or slug
    server: String,
    #[command(flatten)]
    actor: Actor,
    /// A header and the file with its whole value, `-` for standard input; repeat for more
    #[arg(
        long = "header-file",
        value_name = "NAME=FILE",
        value_parser = parse::file_pair,
        required_unless_present = "variables"
    )]
    files: Vec<(String, PathBuf)>,
    /// A header and the environment variable with its whole value; repeat for more
    #[arg(long = "header-env", value_name = "NAME=VARIABLE", value_parser = parse::pair)]
    variables: Vec<(String, String)>,
}

impl Set {
    fn request(self) -> Result<v1::SetUserHeadersRequest> {
        secrets::check_input(self.files.iter().map(|(_, file)| file.as_path()))?;
        let mut headers = Vec::new();
        for (name, file) in self.files {
            let value = secrets::from_file(&file)?;
            headers.push(v1::UserHeaderValue { name, value });
        }
        for (name, variable) in self.variables {
            let value = secrets::from_variable(&variable)?;
            headers.push(v1::UserHeaderValue { name, value });
        }
        Ok(v1::SetUserHeadersRequest {
            actor: Some(self.actor.into()),
            server: self.server,
            headers,
        })
    }
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match self.action {
            Action::List { server, actor } => {
                let client = self.caller.client(As::Daemon).await?;
                let request = v1::GetUserHeadersRequest {
                    actor: Some(actor.into()),
                    server,
                };
                let found = answer(client.tokens().get_user_headers(request)).await?;
                out.answer(&found, |found| all(&found.headers));
            }
            Action::Set(set) => {
                let request = set.request()?;
                let client = self.caller.client(As::Daemon).await?;
                let set = answer(client.tokens().set_user_headers(request)).await?;
                out.answer(&set, |set| all(&set.headers));
            }
            Action::Clear {
                server,
                names,
                actor,
            } if names.is_empty() => {
                let client = self.caller.client(As::Daemon).await?;
                let words = format!("{} has no values stored for {server}.", actor.user());
                let request = v1::DeleteUserHeadersRequest {
                    actor: Some(actor.into()),
                    server,
                };
                let done = answer(client.tokens().delete_user_headers(request)).await?;
                out.answer(&done, |_| words);
            }
            Action::Clear {
                server,
                names,
                actor,
            } => {
                let client = self.caller.client(As::Daemon).await?;
                let headers = names.into_iter().map(|name| v1::UserHeaderValue {
                    name,
                    value: String::new(),
                });
                let request = v1::SetUserHeadersRequest {
                    actor: Some(actor.into()),
                    server,
                    headers: headers.collect(),
                };
                let set = answer(client.tokens().set_user_headers(request)).await?;
                out.answer(&set, |set| all(&set.headers));
            }
        }
        Ok(())
    }
}

fn all(headers: &[v1::UserHeader]) -> String {
    if headers.is_empty() {
        return "The server wants no values of its users.".to_owned();
    }
    let rows = headers.iter().map(|header| {
        [
            header.name.clone(),
            yes(header.required),
            yes(header.has_value),
            time(header.update_time.as_ref()),
            header.description.clone(),
        ]
    });
    table(
        ["HEADER", "REQUIRED", "SUPPLIED", "SET", "WHAT IT IS"],
        rows,
    )
}
