//! The command line: one binary that serves, and that administers a service as any client would.
//!
//! A command's file is named as what it is about is named elsewhere. Commands that talk to a service
//! go through [`crate::client`]; those that work on this machine (`serve`, `migrate`, `keys`,
//! `config`, `apikey bootstrap`) go through `runtime`, `store` and `crypto`. Everything printed goes
//! through `output.rs`, every failure through `failure.rs`.

mod access;
mod audit;
mod caller;
mod chats;
mod connections;
mod failure;
mod handshakes;
mod headers;
mod identities;
mod imports;
mod keys;
mod links;
mod migrate;
mod output;
mod pages;
mod parse;
mod profile;
mod secrets;
mod serve;
mod servers;
mod settings;
mod show;
mod tenants;
mod tokens;
mod users;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use output::{Format, Output};

/// Variables of the environment that are the command line's own, and no settings of the service.
const VARIABLES: [&str; 8] = [
    caller::ENDPOINT,
    caller::API_KEY,
    caller::DAEMON_API_KEY,
    caller::PROFILE,
    caller::TENANT,
    caller::CA_FILE,
    settings::CONFIG,
    output::FORMAT,
];

const ABOUT: &str = "\
The control plane between chat daemons and MCP servers: it keeps the MCP server configurations that \
administrators approve, connects each user by OAuth, keeps their tokens fresh, and hands a daemon \
ready-to-send headers in one call.";

const AFTER: &str = "\
Start here:
  stationmaster serve --dev
  stationmaster server create --name Tools --url http://127.0.0.1:9000/mcp --auth oauth2 --enabled
  stationmaster connect tools --user alice
  stationmaster resolve tools --user alice

Where the service is and with which key to call it, the first that is said:
  1. --endpoint, --api-key-file
  2. STATIONMASTER_ENDPOINT, STATIONMASTER_API_KEY
  3. a profile: --profile or STATIONMASTER_PROFILE, otherwise
     $XDG_CONFIG_HOME/stationmaster/cli.toml (~/.config/…), otherwise
     ./stationmaster-data/cli.toml, which `serve --dev` writes.
     It is TOML with the keys endpoint, api_key and daemon_api_key.
  connect, resolve, disconnect, header, chat, and connection with --user act as a chat daemon: they
  prefer STATIONMASTER_DAEMON_API_KEY to STATIONMASTER_API_KEY, and daemon_api_key to api_key.

Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  serve only: stopped, but work was cut off
  4  what was named does not exist";

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "stationmaster",
    version,
    about = ABOUT,
    after_help = AFTER,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Line {
    /// How to print: tables for people, or one JSON document for programs, errors included
    #[arg(long, short, global = true, value_enum, default_value_t, env = output::FORMAT)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Bring the database to the schema of this release
    Migrate(migrate::Migrate),
    /// Root keys, which seal everything secret
    Keys(keys::Keys),
    /// The service's settings
    Config(settings::Command),
    /// API keys of daemons, administrators and others
    #[command(name = "apikey")]
    ApiKey(access::Command),
    /// Organisations; a deployment that needs one only never meets them
    Tenant(tenants::Command),
    /// MCP servers and how they are reached
    Server(servers::Command),
    /// Connect a user to a server: print a link, and wait until they have consented
    Connect(handshakes::Connect),
    /// Get ready-to-send headers for a user, or the reason why there are none
    Resolve(tokens::Resolve),
    /// Forget a user's grant on a server
    Disconnect(tokens::Disconnect),
    /// Users' grants on servers, without their tokens
    Connection(connections::Command),
    /// Values that users supply for headers of servers
    Header(headers::Command),
    /// The tokens of a user's own login, for servers that are sent them
    Identity(identities::Command),
    /// What a user leaves here
    User(users::Command),
    /// What a chat uses
    Chat(chats::Command),
    /// Who did what to what
    Audit(audit::Command),
    /// Show how the service sees this caller
    #[command(name = "whoami")]
    WhoAmI(access::WhoAmI),
    /// Print a completion script for a shell
    #[command(after_long_help = "Example:\n  stationmaster completions bash \
                                 > /etc/bash_completion.d/stationmaster")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs what was typed, and answers the code to exit with.
pub fn run() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are "errors" that go to standard output, with code 0.
            let code = u8::try_from(error.exit_code()).unwrap_or(failure::USAGE);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let output = Output::new(line.output);
    let runtime = tokio::runtime::Runtime::new().context("no threads can be started");
    match runtime.and_then(|runtime| runtime.block_on(dispatch(line.command, &output))) {
        Ok(code) => code,
        Err(error) => failure::report(&error, &output),
    }
}

async fn dispatch(command: Command, out: &Output) -> Result<ExitCode> {
    match command {
        Command::Serve(command) => return Box::pin(command.run(out)).await,
        Command::Migrate(command) => Box::pin(command.run(out)).await,
        Command::Keys(command) => {
            command.run(out);
            Ok(())
        }
        Command::Config(command) => command.run(out),
        Command::ApiKey(command) => Box::pin(command.run(out)).await,
        Command::Tenant(command) => Box::pin(command.run(out)).await,
        Command::Server(command) => Box::pin(command.run(out)).await,
        Command::Connect(command) => Box::pin(command.run(out)).await,
        Command::Resolve(command) => Box::pin(command.run(out)).await,
        Command::Disconnect(command) => Box::pin(command.run(out)).await,
        Command::Connection(command) => Box::pin(command.run(out)).await,
        Command::Header(command) => Box::pin(command.run(out)).await,
        Command::Identity(command) => Box::pin(command.run(out)).await,
        Command::User(command) => Box::pin(command.run(out)).await,
        Command::Chat(command) => Box::pin(command.run(out)).await,
        Command::Audit(command) => Box::pin(command.run(out)).await,
        Command::WhoAmI(command) => Box::pin(command.run(out)).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Line::command(), "stationmaster", &mut script);
            out.text(&String::from_utf8_lossy(&script));
            Ok(())
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
