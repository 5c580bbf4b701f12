//! `server apply`: servers as a file describes them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::cli::output::{Output, table};
use crate::cli::secrets;
use crate::cli::show::{list, word};
use crate::client::{Client, answer, json, v1};

/// Make servers be as a file describes them
///
/// Those of one manager: what is missing is created, what differs is changed and, with `--prune`, what is not
/// described is deleted. All of it or nothing. Secrets that the file does not give stay as they are.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  The file, with the field names of the proto:
    {\"servers\": [
      {\"slug\": \"tools\", \"displayName\": \"Tools\", \"url\": \"https://mcp.example.com/mcp\", \"enabled\": true, \"oauth2\": {}}
    ]}
  What would be done, and doing it:
    stationmaster server apply --manager git --from-file servers.json --prune --dry-run
    stationmaster server apply --manager git --from-file servers.json --prune")]
pub(super) struct Apply {
    /// Who manages them: the label that all of them have
    #[arg(long, value_name = "LABEL")]
    manager: String,
    /// The servers in JSON, `-` for standard input
    #[arg(long, value_name = "FILE")]
    from_file: PathBuf,
    /// Delete the manager's servers that are not in the file
    #[arg(long)]
    prune: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// A UUID that makes repeating this command harmless
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

impl Apply {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let text = secrets::from_file(&self.from_file)?;
        let described: v1::ApplyServersRequest =
            json::read(&text).with_context(|| format!("{}", self.from_file.display()))?;
        let request = v1::ApplyServersRequest {
            manager: self.manager,
            servers: described.servers,
            prune: self.prune,
            dry_run: self.dry_run,
            request_id: self.request_id.unwrap_or_default(),
        };
        let applied = answer(Box::pin(client.config().apply_servers(request))).await?;
        out.answer(&applied, |applied| plan(&applied.servers));
        Ok(())
    }
}

fn plan(servers: &[v1::AppliedServer]) -> String {
    let rows = servers.iter().map(|server| {
        let ended = match server.ended_connections {
            0 => String::new(),
            ended => ended.to_string(),
        };
        [
            word(server.action().as_str_name(), "APPLY_ACTION"),
            server.slug.clone(),
            list(&server.changed_paths),
            ended,
        ]
    });
    table(["ACTION", "SERVER", "CHANGED", "CONNECTIONS ENDED"], rows)
}
