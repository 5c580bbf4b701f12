//! `connection import`: a user's grant comes here from another system.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prost_types::Timestamp;

use super::secrets;
use super::tokens::Actor;
use crate::client::v1;

/// What is imported. Secrets come from files, standard input or the environment only.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The server, by id or slug
    server: String,
    #[command(flatten)]
    actor: Actor,
    /// The file that holds the refresh token; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "refresh_token_env")]
    refresh_token_file: Option<PathBuf>,
    /// The environment variable that holds the refresh token
    #[arg(long, value_name = "NAME")]
    refresh_token_env: Option<String>,
    /// The file that holds the access token; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "access_token_env")]
    access_token_file: Option<PathBuf>,
    /// The environment variable that holds the access token
    #[arg(long, value_name = "NAME")]
    access_token_env: Option<String>,
    /// When the access token ends, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<Timestamp>,
    /// A scope that was granted; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The issuer it came from, to be held against the server's
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The resource it is for, to be held against the server's
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// The client it was issued to, when it is not the server's
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The file that holds that client's secret; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret_env")]
    client_secret_file: Option<PathBuf>,
    /// The environment variable that holds that client's secret
    #[arg(long, value_name = "NAME")]
    client_secret_env: Option<String>,
    /// Replace the connection that the user has
    #[arg(long)]
    replace: bool,
    /// A UUID: the same import with the same one is made once, within 24 hours
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

impl Import {
    /// The request, with its secrets read.
    pub(super) fn request(self) -> Result<v1::ImportConnectionRequest> {
        let files = [
            &self.refresh_token_file,
            &self.access_token_file,
            &self.client_secret_file,
        ];
        secrets::check_input(files.into_iter().filter_map(|file| file.as_deref()))?;
        let given = |file: &Option<PathBuf>, variable: &Option<String>| {
            let secret = secrets::given(file.as_ref(), variable.as_ref())?;
            Ok::<_, anyhow::Error>(secret.unwrap_or_default())
        };
        Ok(v1::ImportConnectionRequest {
            access_token: given(&self.access_token_file, &self.access_token_env)?,
            refresh_token: given(&self.refresh_token_file, &self.refresh_token_env)?,
            client_secret: given(&self.client_secret_file, &self.client_secret_env)?,
            actor: Some(self.actor.into()),
            server: self.server,
            expire_time: self.expires,
            scopes: self.scopes,
            issuer: self.issuer.unwrap_or_default(),
            resource: self.resource.unwrap_or_default(),
            client_id: self.client_id.unwrap_or_default(),
            replace: self.replace,
            request_id: self.request_id.unwrap_or_default(),
            ..v1::ImportConnectionRequest::default()
        })
    }
}
