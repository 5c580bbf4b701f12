//! The client under test of the official MCP conformance suite. It plays everybody around the
//! service: the operator who makes a tenant, the administrator who describes the MCP server, the
//! daemon that calls it, and the browser of the user.
//!
//! It does no OAuth of its own and knows no scenario: what it sends to the MCP server are the
//! headers it was given, what it does about a 401 or 403 is what the service answers to its report.
//!
//! The last line it prints says how it ended; see [`Stopped`]. Begin with `daemon.rs`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose output is read by the suite and its runner"
)]

mod browser;
mod configuration;
mod conversation;
mod daemon;
mod mcp;
mod patience;
mod sse;
mod stopped;
mod tenant;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use configuration::{Context, Kind};
use conversation::Conversation;
use daemon::{Binding, Daemon};
use mcp::Wire;
use stopped::Stopped;
use tenant::Tenant;

/// The suite gives up after 30 seconds, and then leaves a client behind that has not ended.
const DEADLINE: Duration = Duration::from_secs(25);

/// What the runner and the suite say.
#[derive(Parser)]
struct Arguments {
    /// The service's gRPC endpoint
    #[arg(long)]
    endpoint: String,
    /// An operator's key
    #[arg(long, env = "STATIONMASTER_API_KEY", hide_env_values = true)]
    api_key: String,
    /// The tenant to make for this run
    #[arg(long)]
    tenant: String,
    /// How an administrator describes the MCP server's authorization
    #[arg(long, value_enum)]
    auth: Kind,
    /// Where handshakes are to be confirmed; without it, the link alone binds
    #[arg(long)]
    completion_url: Option<String>,
    /// The revision of MCP to speak
    #[arg(long, env = "MCP_CONFORMANCE_PROTOCOL_VERSION")]
    wire: Wire,
    /// What an administrator was told about the MCP server, as a JSON object
    #[arg(
        long,
        env = "MCP_CONFORMANCE_CONTEXT",
        default_value = "{}",
        hide_env_values = true
    )]
    context: Context,
    /// The MCP server
    url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = tokio::time::timeout(DEADLINE, run(arguments)).await;
    let error = match ended {
        Ok(Ok(())) => {
            println!("connected");
            return ExitCode::SUCCESS;
        }
        Ok(Err(error)) => error,
        Err(late) => late.into(),
    };
    match error.downcast_ref::<Stopped>() {
        Some(stopped) => println!("{stopped}"),
        None => println!("broken"),
    }
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let http = http()?;
    let tenant = Tenant::make(&arguments.endpoint, &arguments.api_key, arguments.tenant).await?;
    let server = configuration::server(&arguments.url, arguments.auth, arguments.context);
    let server = tenant.create_server(server).await?;
    let binding = arguments
        .completion_url
        .map_or(Binding::Link, Binding::Confirm);
    let daemon = Daemon::new(tenant.daemon, server, binding, http.clone());
    Conversation::new(arguments.wire, arguments.url, http, daemon)
        .hold()
        .await
}

/// One HTTP client for MCP server and browser. It follows nothing by itself, and trusts no
/// certificate, since everything is on this machine.
fn http() -> anyhow::Result<reqwest::Client> {
    // An error means that a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .no_proxy()
        .build()?;
    Ok(client)
}
