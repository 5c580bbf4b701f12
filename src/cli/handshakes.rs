//! `connect`: starts a handshake, prints the link, and waits until the user is through with it.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

use super::caller::{As, Caller};
use super::failure::Failure;
use super::links;
use super::output::{Format, Output};
use super::show::{time, word};
use super::tokens::Actor;
use crate::client::{self, Client, answer, json, v1};
use crate::domain::time::{Clock as _, SystemClock};

/// How long to wait before watching again, when the service went away for a moment.
const AGAIN: Duration = Duration::from_secs(1);
/// How long after its end a handshake is still asked about.
const GRACE: Duration = Duration::from_mins(1);

/// Connect a user to a server: print a link, and wait until they have consented
///
/// Opens nothing by itself: show the link to the user, and to nobody else. Ends with 0 once the user
/// is connected, with 1 and the reason when they are not.
///
/// With `--output json` prints two documents, each on a line: the handshake with its link at once, and
/// how it ended. With `--no-wait` only the first.
///
/// With `--all` prints a link for each server that the user may use and has to connect to, and waits for
/// nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  stationmaster connect tools --user alice
  stationmaster connect --all --user alice
  stationmaster connect tools --user alice --no-wait --output json | jq -r .connect_url")]
pub(super) struct Connect {
    #[command(flatten)]
    caller: Caller,
    /// The server, by id or slug
    #[arg(required_unless_present = "all")]
    server: Option<String>,
    /// Every server that the user has to connect to
    #[arg(long, conflicts_with_all = ["server", "extra_scopes"])]
    all: bool,
    #[command(flatten)]
    actor: Actor,
    /// Print the link and wait for nothing
    #[arg(long)]
    no_wait: bool,
    /// What ties the browser to the user
    #[arg(long, value_enum, default_value_t)]
    binding: Binding,
    /// Ask for this scope too; repeat for more
    #[arg(long = "extra-scope", value_name = "SCOPE")]
    extra_scopes: Vec<String>,
    /// Where the result page leads back to
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// With `--binding confirm`: where the browser is sent with the one-time code
    #[arg(long, value_name = "URL", required_if_eq("binding", "confirm"))]
    completion_url: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Binding {
    /// A page names user and server, and asks whoever opens the link
    #[default]
    Link,
    /// A front end confirms for its signed-in user
    Confirm,
}

impl Connect {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Daemon).await?;
        let user = self.actor.user().to_owned();
        let request = v1::StartHandshakeRequest {
            actor: Some(self.actor.into()),
            server: self.server.clone().unwrap_or_default(),
            binding: match self.binding {
                Binding::Link => v1::HandshakeBinding::Link,
                Binding::Confirm => v1::HandshakeBinding::Confirm,
            }
            .into(),
            extra_scopes: self.extra_scopes,
            return_url: self.return_url.unwrap_or_default(),
            completion_url: self.completion_url.unwrap_or_default(),
            ..Default::default()
        };
        let Some(server) = &self.server else {
            return links::start(&client, request, out).await;
        };
        let started = answer(client.handshakes().start_handshake(request)).await?;
        out.answer(&started, |started| invitation(started, &user, server));
        if self.no_wait {
            return Ok(());
        }
        let started = started.handshake.unwrap_or_default();
        let spinner = spinner(&started);
        let ended = wait(&client, &started).await;
        spinner.finish_and_clear();
        let ended = ended?;
        if out.format() == Format::Json {
            out.document(&json!({ "handshake": json::write(&ended) }));
        }
        conclude(&ended, &user, server, out)
    }
}

fn invitation(started: &v1::StartHandshakeResponse, user: &str, server: &str) -> String {
    let ends = started
        .handshake
        .as_ref()
        .and_then(|handshake| handshake.expire_time.as_ref());
    format!(
        "To connect {user} to {server}, open this link until {}:\n\n  {}\n",
        time(ends),
        started.connect_url
    )
}

/// Turns while somebody at a terminal waits; elsewhere nothing is shown.
fn spinner(handshake: &v1::Handshake) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(format!(
        "waiting for {} (Ctrl-C stops waiting)",
        handshake.user
    ));
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// Follows the handshake to its final state, over restarts of the service.
async fn wait(client: &Client, started: &v1::Handshake) -> Result<v1::Handshake, client::Error> {
    let clock = SystemClock::new();
    let patience = started.expire_time.map_or(GRACE, |end| {
        let left = end.seconds.saturating_sub(clock.now().as_secs());
        Duration::from_secs(u64::try_from(left).unwrap_or(0)) + GRACE
    });
    let start = clock.monotonic();
    loop {
        match watch(client, &started.id).await {
            Ok(Some(ended)) => return Ok(ended),
            Err(error) if !error.is_passing() => return Err(error),
            Err(error) if clock.monotonic().saturating_sub(start) > patience => return Err(error),
            Ok(None) | Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// The handshake in its final state; none when the stream ended before.
async fn watch(client: &Client, id: &str) -> Result<Option<v1::Handshake>, client::Error> {
    let request = v1::WatchHandshakeRequest {
        handshake: id.to_owned(),
    };
    let mut states = answer(client.handshakes().watch_handshake(request)).await?;
    while let Some(state) = states.message().await? {
        let handshake = state.handshake.unwrap_or_default();
        if is_final(handshake.state()) {
            return Ok(Some(handshake));
        }
    }
    Ok(None)
}

fn is_final(state: v1::HandshakeState) -> bool {
    use v1::HandshakeState as State;
    match state {
        State::Unspecified | State::Pending | State::Exchanging | State::AwaitingConfirmation => {
            false
        }
        State::Completed | State::Failed | State::Cancelled | State::Expired => true,
    }
}

fn conclude(ended: &v1::Handshake, user: &str, server: &str, out: &Output) -> Result<()> {
    let state = ended.state();
    if state == v1::HandshakeState::Completed {
        if out.format() == Format::Table {
            let account = match ended.account.as_str() {
                "" => String::new(),
                account => format!(" as {account}"),
            };
            out.text(&format!("{user} is connected to {server}{account}."));
        }
        return Ok(());
    }
    let (reason, why) = if state == v1::HandshakeState::Failed {
        let failure = ended.failure();
        (failure.as_str_name(), why(failure))
    } else if state == v1::HandshakeState::Cancelled {
        (state.as_str_name(), "the attempt was cancelled")
    } else {
        let why = "nobody opened the link and consented in time; run connect again for a new one";
        (state.as_str_name(), why)
    };
    let reason = reason
        .trim_start_matches("HANDSHAKE_FAILURE_")
        .trim_start_matches("HANDSHAKE_STATE_");
    Err(anyhow::Error::new(Failure {
        code: "NOT_CONNECTED",
        reason: reason.to_owned(),
        message: format!(
            "{user} is not connected to {server}: {why} ({})",
            word(reason, "")
        ),
        exit: 1,
    }))
}

/// Why it came to nothing, in a sentence that says who can do something.
fn why(failure: v1::HandshakeFailure) -> &'static str {
    use v1::HandshakeFailure as Failure;
    match failure {
        Failure::Unspecified => "the service does not say why",
        Failure::AccessDenied => {
            "the authorization server denied access: the user said no, or it does not give this client these scopes"
        }
        Failure::ProviderError => "the authorization server answered with an error",
        Failure::IssMismatch => "the answer came from another issuer than the one asked",
        Failure::MalformedCallback => "the answer held neither a code nor an error",
        Failure::ExchangeRefused => "the authorization server refused the code it had given",
        Failure::ClientRefused => {
            "the authorization server refuses our client; an administrator must check its id and secret"
        }
        Failure::ExchangeUnavailable => {
            "the authorization server could not be reached, or is in trouble; try again"
        }
        Failure::Interrupted => "the exchange was interrupted and its code is spent; try again",
        Failure::ServerChanged => {
            "the server was changed, disabled or deleted meanwhile; try again"
        }
        Failure::AccountMismatch => {
            "the upstream account is not known to be the user's own; connect with the right account"
        }
        Failure::WrongUser => "somebody else than the user signed in",
        Failure::WrongBrowser => "another browser came back than the one that opened the link",
        Failure::ScopesNotGranted => "the user did not grant the scopes that are needed",
    }
}
