//! Servers as people read them.

use super::super::output::{fields, table};
use super::super::pages::more;
use super::super::show::{list, time, word, yes};
use crate::client::v1;

/// A table of servers.
pub(super) fn all(found: &v1::ListServersResponse) -> String {
    let asked = found
        .servers
        .iter()
        .any(|server| server.connected.is_some());
    let rows = found.servers.iter().map(|server| {
        let state = if server.enabled {
            "enabled"
        } else {
            "disabled"
        };
        let last = if asked {
            yes(server.connected == Some(true))
        } else {
            problems(server)
        };
        let name = server.display_name.clone();
        [
            server.slug.clone(),
            name,
            state.to_owned(),
            auth(server),
            server.url.clone(),
            last,
        ]
    });
    let last = if asked { "CONNECTED" } else { "PROBLEMS" };
    let head = ["SLUG", "NAME", "STATE", "AUTH", "URL", last];
    more(table(head, rows), &found.next_page_token)
}

/// One server.
pub(super) fn one(server: Option<&v1::Server>) -> String {
    let server = server.cloned().unwrap_or_default();
    let oauth = OAuth::of(&server);
    let access = [
        server
            .allowed_users
            .iter()
            .map(|user| format!("user {user}"))
            .collect::<Vec<_>>(),
        server
            .allowed_groups
            .iter()
            .map(|group| format!("group {group}"))
            .collect(),
    ]
    .concat();
    fields([
        ("id", server.id.clone()),
        ("slug", server.slug.clone()),
        ("name", server.display_name.clone()),
        ("description", server.description.clone()),
        ("url", server.url.clone()),
        ("owner", server.owner.clone()),
        (
            "state",
            if server.enabled {
                "enabled"
            } else {
                "disabled"
            }
            .to_owned(),
        ),
        (
            "availability",
            word(server.availability().as_str_name(), "AVAILABILITY"),
        ),
        ("in plan mode", yes(server.allow_in_plan_mode)),
        ("for sub-agents", yes(server.allow_in_subagents)),
        ("auth", auth(&server)),
        ("secrets", secrets(&server)),
        ("headers", headers(&server)),
        ("profile", oauth.profile),
        ("issuer", oauth.issuer),
        ("client", oauth.client),
        ("registered", oauth.registered),
        ("authorization endpoint", oauth.authorization_endpoint),
        ("token endpoint", oauth.token_endpoint),
        ("scopes", oauth.scopes),
        ("redirect uri", server.redirect_uri.clone()),
        ("only tools", list(&server.tool_allow_list)),
        ("never tools", list(&server.tool_deny_list)),
        ("only for", list(&access)),
        ("accounts", accounts(&server)),
        ("identity", identity(&server)),
        (
            "connected",
            server
                .connected
                .map_or_else(String::new, |connected| connected.to_string()),
        ),
        ("problems", problems(&server)),
        ("changed", time(server.update_time.as_ref())),
        ("etag", server.etag.clone()),
    ])
}

/// What is known of a server's OAuth: written by hand, or found.
#[derive(Default)]
struct OAuth {
    profile: String,
    issuer: String,
    client: String,
    registered: String,
    authorization_endpoint: String,
    token_endpoint: String,
    scopes: String,
}

impl OAuth {
    fn of(server: &v1::Server) -> Self {
        use v1::server::Auth;
        let nothing = v1::Discovered::default();
        match &server.auth {
            Some(Auth::Oauth2(oauth2)) => {
                let found = oauth2.discovered.as_ref().unwrap_or(&nothing);
                let made = oauth2.preregistered.clone().unwrap_or_default();
                Self {
                    profile: oauth2.provider_profile.clone(),
                    issuer: first([&found.issuer, &made.issuer, &oauth2.issuer]),
                    client: first([&oauth2.client_id, &made.client_id, &found.client_id]),
                    registered: registered(found),
                    authorization_endpoint: first([
                        &oauth2.authorization_endpoint,
                        &found.authorization_endpoint,
                    ]),
                    token_endpoint: first([&oauth2.token_endpoint, &found.token_endpoint]),
                    scopes: list(&oauth2.scopes),
                }
            }
            Some(Auth::ClientCredentials(own)) => {
                let found = own.discovered.as_ref().unwrap_or(&nothing);
                Self {
                    profile: own.provider_profile.clone(),
                    issuer: first([&found.issuer, &own.issuer]),
                    client: own.client_id.clone(),
                    registered: registered(found),
                    token_endpoint: first([&own.token_endpoint, &found.token_endpoint]),
                    scopes: list(&own.scopes),
                    ..Self::default()
                }
            }
            _ => Self::default(),
        }
    }
}

/// The first text that says anything.
fn first<const N: usize>(texts: [&String; N]) -> String {
    let mut texts = texts.into_iter();
    texts
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_default()
}

fn registered(found: &v1::Discovered) -> String {
    word(found.registration_kind().as_str_name(), "REGISTRATION_KIND")
}

/// One server that was made, and what to do about it next.
pub(super) fn made(server: Option<&v1::Server>) -> String {
    let one = one(server);
    match server.filter(|server| !server.enabled) {
        Some(server) => format!(
            "{one}\n\nUsers and daemons do not see it yet: stationmaster server update {} --enabled",
            server.slug
        ),
        None => one,
    }
}

/// What became of the connections.
pub(super) fn ended(count: i32) -> String {
    match count {
        0 => "no connection ended".to_owned(),
        1 => "1 connection ended".to_owned(),
        count => format!("{count} connections ended"),
    }
}

fn auth(server: &v1::Server) -> String {
    word(server.auth_kind().as_str_name(), "AUTH_KIND")
}

/// The headers that authorize, whoever supplies their values.
fn headers(server: &v1::Server) -> String {
    let Some(v1::server::Auth::CustomHeaders(custom)) = &server.auth else {
        return String::new();
    };
    let own = server.custom_header_names.clone().into_iter();
    let users = custom.user_headers.iter().map(|header| {
        let name = &header.name;
        if header.can_be_missing {
            format!("{name} (each user's own, may be missing)")
        } else {
            format!("{name} (each user's own)")
        }
    });
    list(&own.chain(users).collect::<Vec<_>>())
}

/// What is demanded of the accounts that users connect.
fn accounts(server: &v1::Server) -> String {
    let Some(binding) = &server.account_binding else {
        return String::new();
    };
    let policy = word(binding.policy().as_str_name(), "ACCOUNT_POLICY");
    format!(
        "{policy} those whose {} is not the user",
        binding.upstream_claim
    )
}

/// How requests say whom they are for.
fn identity(server: &v1::Server) -> String {
    if !server.forward_identity_headers {
        return String::new();
    }
    let forwarding = server.identity_forwarding.clone();
    let forwarding = forwarding.unwrap_or(v1::IdentityForwarding {
        preset: v1::IdentityHeaderPreset::Stationmaster.into(),
        ..v1::IdentityForwarding::default()
    });
    let preset = forwarding.preset().as_str_name();
    let names = word(preset, "IDENTITY_HEADER_PRESET");
    let mut parts = vec![format!("{names} headers")];
    if forwarding.signed_token {
        parts.push(format!(
            "signed token in {}",
            forwarding.signed_token_header
        ));
    }
    list(&parts)
}

fn problems(server: &v1::Server) -> String {
    let problems = server.problems.iter().map(|problem| {
        let reason = word(problem.reason().as_str_name(), "STATUS_REASON");
        match problem.detail.as_str() {
            "" => reason,
            detail => format!("{reason}: {detail}"),
        }
    });
    list(&problems.collect::<Vec<_>>())
}

/// Which secrets are stored.
fn secrets(server: &v1::Server) -> String {
    let flags = [
        ("client secret", server.has_client_secret),
        ("key", server.has_api_key),
        ("signing secret", server.has_signing_secret),
        ("private key", server.has_private_key),
        ("idp client secret", server.has_idp_client_secret),
        ("assertion", server.has_assertion),
    ];
    let stored = flags.into_iter().filter(|(_, stored)| *stored);
    let stored = stored.map(|(name, _)| name.to_owned());
    let headers = server.custom_header_names.iter().cloned();
    list(&stored.chain(headers).collect::<Vec<_>>())
}
