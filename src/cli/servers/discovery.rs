//! `server discover` and `server rediscover`: what a server says of its authorization, URL by URL.

use anyhow::Result;
use clap::Args;

use super::super::failure::Failure;
use super::super::output::{Output, fields, table};
use super::super::show::{list, word};
use super::auth::Auth;
use super::show;
use crate::client::{Client, answer, v1};

/// Preview what would be found for a URL; stores and registers nothing
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  stationmaster server discover https://mcp.example.com/mcp")]
pub(super) struct Discover {
    /// Where the server is
    url: String,
    /// The id that it shall have, for its redirect URI
    #[arg(long, value_name = "ID")]
    server_id: Option<String>,
    #[command(flatten)]
    auth: Auth,
}

/// Discover a stored server anew
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster server rediscover tools
  stationmaster server rediscover tools --approve-issuer https://login.example.com
  stationmaster server rediscover tools --register-again")]
pub(super) struct Rediscover {
    /// The server, by id or slug
    server: String,
    /// Go on with this issuer, byte for byte as the server names it
    #[arg(long, value_name = "URL")]
    approve_issuer: Option<String>,
    /// Have a new client, however well the present one does
    #[arg(long)]
    register_again: bool,
    /// Only if this is still its version
    #[arg(long)]
    etag: Option<String>,
}

impl Discover {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let oauth2 = match self.auth.whole()? {
            Some(v1::server::Auth::Oauth2(oauth2)) => Some(oauth2),
            Some(_) => return Err(Failure::usage("only OAuth is discovered: --auth oauth2")),
            None => None,
        };
        let request = v1::DiscoverServerRequest {
            url: self.url,
            oauth2,
            server_id: self.server_id.unwrap_or_default(),
        };
        let found = answer(Box::pin(client.config().discover_server(request))).await?;
        out.answer(&found, previewed);
        Ok(())
    }
}

impl Rediscover {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Result<()> {
        let request = v1::RediscoverServerRequest {
            server: self.server,
            etag: self.etag.unwrap_or_default(),
            approve_issuer: self.approve_issuer.unwrap_or_default(),
            register_again: self.register_again,
        };
        let found = answer(Box::pin(client.config().rediscover_server(request))).await?;
        out.answer(&found, |found| {
            let one = show::one(found.server.as_ref());
            let ended = show::ended(found.ended_connections);
            format!("{}\n\n{one}\n\n{ended}", steps(&found.steps))
        });
        Ok(())
    }
}

fn previewed(found: &v1::DiscoverServerResponse) -> String {
    let discovered = found.discovered.clone().unwrap_or_default();
    let warnings = discovered.warnings.iter();
    let warnings: Vec<_> = warnings.map(|warning| warning.detail.clone()).collect();
    let kind = discovered.registration_kind();
    let said = fields([
        (
            "result",
            word(found.result().as_str_name(), "DISCOVERY_RESULT"),
        ),
        ("issuer", discovered.issuer.clone()),
        ("resource", discovered.resource.clone()),
        ("scopes", list(&discovered.scopes_supported)),
        ("client", word(kind.as_str_name(), "REGISTRATION_KIND")),
        ("profile", found.provider_profile.clone()),
        ("warnings", list(&warnings)),
        ("server id", found.server_id.clone()),
        ("redirect uri", found.redirect_uri.clone()),
    ]);
    format!("{}\n\n{said}", steps(&found.steps))
}

/// Every URL tried, and what it said.
fn steps(steps: &[v1::DiscoveryStep]) -> String {
    let rows = steps.iter().map(|step| {
        let status = match step.http_status {
            0 => String::new(),
            status => status.to_string(),
        };
        [
            step.method.clone(),
            step.url.clone(),
            status,
            step.detail.clone(),
        ]
    });
    table(["METHOD", "URL", "STATUS", "WHAT IT SAID"], rows)
}
