//! `identity …`: the tokens of a user's own login, deposited and forgotten; never shown.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::caller::{As, Caller};
use super::output::{Output, fields};
use super::secrets;
use super::show::{time, yes};
use super::tokens::Actor;
use crate::client::{answer, v1};

/// `identity …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Deposit the tokens of a user's login at an identity provider, in the place of those it gave before
    ///
    /// A refresh token is the service's from then on: whoever had it must stop using it.
    #[command(after_long_help = "\
Examples:
  stationmaster identity put https://idp.example.com --user alice --access-token-file access.txt
  print-tokens alice | stationmaster identity put https://idp.example.com --user alice \\
    --refresh-token-file - --id-token-file id.txt")]
    Put(Box<Put>),
    /// Forget the tokens of a user's login
    #[command(after_long_help = "\
Examples:
  stationmaster identity delete --user alice
  stationmaster identity delete https://idp.example.com --user alice")]
    Delete {
        /// The identity provider; without, all of them
        issuer: Option<String>,
        #[command(flatten)]
        actor: Actor,
    },
}

/// What is deposited. Tokens come from files and standard input only.
#[derive(Debug, Args)]
struct Put {
    /// The identity provider, as its tokens name it
    issuer: String,
    #[command(flatten)]
    actor: Actor,
    /// The file that holds the access token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
    /// The file that holds the ID token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    id_token_file: Option<PathBuf>,
    /// The file that holds the refresh token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
    /// When the access token ends, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", requires = "access_token_file")]
    expires: Option<Timestamp>,
}

impl Put {
    fn request(self) -> Result<v1::PutUserIdentityRequest> {
        let files = [
            &self.access_token_file,
            &self.id_token_file,
            &self.refresh_token_file,
        ];
        secrets::check_input(files.into_iter().filter_map(|file| file.as_deref()))?;
        let given = |file: &Option<PathBuf>| {
            let token = secrets::given(file.as_ref(), None)?;
            Ok::<_, anyhow::Error>(token.unwrap_or_default())
        };
        Ok(v1::PutUserIdentityRequest {
            access_token: given(&self.access_token_file)?,
            id_token: given(&self.id_token_file)?,
            refresh_token: given(&self.refresh_token_file)?,
            actor: Some(self.actor.into()),
            issuer: self.issuer,
            expire_time: self.expires,
        })
    }
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match self.action {
            Action::Put(put) => {
                let request = put.request()?;
                let client = self.caller.client(As::Daemon).await?;
                let put = answer(client.tokens().put_user_identity(request)).await?;
                out.answer(&put, |put| one(&put.identity.clone().unwrap_or_default()));
            }
            Action::Delete { issuer, actor } => {
                let request = v1::DeleteUserIdentityRequest {
                    actor: Some(actor.into()),
                    issuer: issuer.unwrap_or_default(),
                };
                let client = self.caller.client(As::Daemon).await?;
                let gone = answer(client.tokens().delete_user_identity(request)).await?;
                out.answer(&gone, |gone| {
                    fields([("revision", gone.revision.to_string())])
                });
            }
        }
        Ok(())
    }
}

fn one(identity: &v1::UserIdentity) -> String {
    fields([
        ("user", identity.user.clone()),
        ("issuer", identity.issuer.clone()),
        ("access token", yes(identity.has_access_token)),
        ("id token", yes(identity.has_id_token)),
        ("renewable", yes(identity.renewable)),
        ("expires", time(identity.expire_time.as_ref())),
        (
            "id token expires",
            time(identity.id_token_expire_time.as_ref()),
        ),
        ("generation", identity.generation.to_string()),
    ])
}
