//! `connect --all`: one list of links, for the servers that a user has to connect to and for no other.

use anyhow::Result;
use serde_json::json;

use super::failure::Failure;
use super::output::{Format, Output, table};
use super::pages::{Page, Pages};
use super::show::time;
use crate::client::{self, Client, answer, json, v1};

/// Starts a handshake for each server to which the user is not connected, and prints the links. One that
/// cannot be started keeps back no other.
pub(super) async fn start(
    client: &Client,
    request: v1::StartHandshakeRequest,
    out: &Output,
) -> Result<()> {
    let mut begun = Vec::new();
    for server in unconnected(client, request.actor.as_ref()).await? {
        let request = v1::StartHandshakeRequest {
            server: server.id.clone(),
            ..request.clone()
        };
        let started = answer(client.handshakes().start_handshake(request)).await;
        begun.push((server, started));
    }
    match out.format() {
        Format::Table => out.text(&links(&begun)),
        Format::Json => {
            let started = begun
                .iter()
                .filter_map(|(_, started)| started.as_ref().ok());
            let started: Vec<_> = started.map(json::write).collect();
            out.document(&json!({ "handshakes": started }));
        }
    }
    let failed = begun.iter().filter(|(_, started)| started.is_err()).count();
    if failed == 0 {
        return Ok(());
    }
    let all = begun.len();
    Err(anyhow::Error::new(Failure {
        code: "NOT_STARTED",
        reason: String::new(),
        message: format!("{failed} of {all} handshakes could not be started"),
        exit: 1,
    }))
}

/// The servers that the user may use and has to connect to.
async fn unconnected(client: &Client, actor: Option<&v1::Actor>) -> Result<Vec<v1::Server>> {
    let page = async |page: Page| {
        let request = v1::ListServersRequest {
            actor: actor.cloned(),
            page_size: page.size,
            page_token: page.token,
            ..v1::ListServersRequest::default()
        };
        let found = answer(client.config().list_servers(request)).await?;
        Ok((found.servers, found.next_page_token))
    };
    let (mut servers, _) = Pages::default().collect(page).await?;
    servers.retain(|server| {
        server.auth_kind() == v1::AuthKind::Oauth2 && server.connected == Some(false)
    });
    Ok(servers)
}

fn links(
    begun: &[(
        v1::Server,
        Result<v1::StartHandshakeResponse, client::Error>,
    )],
) -> String {
    if begun.is_empty() {
        return "there is nothing to connect to".to_owned();
    }
    let rows = begun.iter().map(|(server, started)| {
        let slug = server.slug.clone();
        match started {
            Ok(started) => {
                let handshake = started.handshake.as_ref();
                let ends = handshake.and_then(|handshake| handshake.expire_time.as_ref());
                [slug, time(ends), started.connect_url.clone()]
            }
            Err(error) => [slug, String::new(), format!("none: {error}")],
        }
    });
    table(["SERVER", "UNTIL", "LINK"], rows)
}
