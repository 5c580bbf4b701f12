//! Providers that deviate, each behaving as its page or a public thread says, met by a server that
//! names its profile: how they want to be asked, and how they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use stationmaster::client::v1;
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::browser::Browser;
use crate::harness::service::Engine;
use crate::harness::web::{Reply, Seen};
use crate::harness::world::{World, on_both_engines, with_auth};

on_both_engines! {
    google_gives_a_refresh_token_to_who_asks_in_its_words,
    google_refuses_the_scope_that_others_want,
    entra_wants_scopes_and_no_resource,
    slack_is_asked_for_the_users_scopes_and_nests_the_users_tokens,
    slacks_mcp_server_is_asked_plainly_and_nests_the_users_tokens,
    a_callback_keeps_to_the_profile_its_handshake_began_with,
    notion_is_told_who_consents,
    linear_wants_commas_between_scopes,
    atlassian_is_told_for_which_api_and_to_ask_the_user,
    atlassian_gives_a_refresh_token_to_who_asks_for_it,
    zendesk_gives_tokens_the_end_it_is_asked_for,
}

/// A server that names a profile and asks for these scopes, created.
pub(super) async fn named(world: &World, profile: &str, scopes: &[&str]) -> v1::Server {
    let oauth2 = v1::OAuth2Auth {
        provider_profile: profile.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..v1::OAuth2Auth::default()
    };
    let url = world.idp.mcp(profile);
    let server = with_auth(profile, url, Auth::Oauth2(oauth2));
    world.create(server).await.unwrap()
}

/// A page of the provider instead of its consent page, unless it was asked as it wants.
fn unless(right: bool, why: &str) -> Option<Reply> {
    (!right).then(|| Reply::text(400, "text/plain", why.to_owned()))
}

fn is_asked(seen: &Seen, name: &str, value: &str) -> bool {
    seen.asked(name).as_deref() == Some(value)
}

fn asks_scope(seen: &Seen, scope: &str) -> bool {
    let asked = seen.asked("scope").unwrap_or_default();
    asked.split(' ').any(|asked| asked == scope)
}

fn is_exchange(seen: &Seen) -> bool {
    seen.form("grant_type").as_deref() == Some("authorization_code")
}

fn forget(answer: &mut Value, members: &[&str]) {
    for member in members {
        answer.as_object_mut().unwrap().remove(*member);
    }
}

/// Whatever is asked for, there is a refresh token only for who asked for it so.
fn renews_only(world: &World, asked: impl Fn(&Seen) -> bool + Send + Sync + 'static) {
    let offline = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&offline);
    world.idp.screens(move |seen| {
        noted.store(asked(seen), Ordering::SeqCst);
        None
    });
    world.idp.dresses(move |_, answer| {
        if !offline.load(Ordering::SeqCst) {
            forget(answer, &["refresh_token"]);
        }
    });
}

/// Alice's grant outlives its access token.
async fn assert_renews(world: &World, server: &str) {
    world.connect("alice", server).await;
    world.pass(3600);
    let renewed = world.resolve("alice", server).await;
    assert_eq!(renewed.status(), Status::Ready, "{renewed:?}");
    assert_eq!(renewed.credential_version, 2);
    assert!(world.idp.accepts(&renewed.headers[0].value));
}

async fn google_gives_a_refresh_token_to_who_asks_in_its_words(engine: Engine) {
    let world = World::start(engine).await;
    renews_only(&world, |seen| {
        is_asked(seen, "access_type", "offline") && is_asked(seen, "prompt", "consent")
    });
    named(&world, "google", &["read"]).await;

    assert_renews(&world, "google").await;
}

async fn google_refuses_the_scope_that_others_want(engine: Engine) {
    let world = World::start(engine).await;
    world
        .idp
        .screens(|seen| unless(!asks_scope(seen, "offline_access"), "invalid_scope"));
    let mut metadata = world.idp.metadata();
    metadata["scopes_supported"] = json!(["read", "offline_access"]);
    world.idp.publish(&metadata);
    named(&world, "google", &["read", "offline_access"]).await;

    world.connect("alice", "google").await;

    assert!(asks_scope(&world.idp.authorizations()[0], "read"));
}

async fn entra_wants_scopes_and_no_resource(engine: Engine) {
    let world = World::start(engine).await;
    let offline = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&offline);
    world.idp.screens(move |seen| {
        noted.store(asks_scope(seen, "offline_access"), Ordering::SeqCst);
        unless(seen.asked("resource").is_none(), "AADSTS9010010")
    });
    world.idp.dresses(move |seen, answer| {
        if !offline.load(Ordering::SeqCst) {
            forget(answer, &["refresh_token"]);
        }
        if seen.form("resource").is_some() {
            *answer = json!({ "error": "invalid_target" });
        }
    });
    named(&world, "entra", &["api://tools/.default"]).await;

    assert_renews(&world, "entra").await;
    world.connect("alice", "entra").await;

    let asked = world.idp.authorizations();
    let scopes: Vec<_> = asked.iter().map(|seen| seen.asked("scope")).collect();
    assert_eq!(scopes.len(), 2);
    assert_eq!(scopes[0], scopes[1], "a second consent asks for the same");
    assert!(asks_scope(&asked[0], "api://tools/.default"));
}

/// Slack as its user sees it: the user's scopes with commas in `user_scope` and nothing in `scope`,
/// which is a bot's.
fn slack(world: &World) {
    world.idp.screens(|seen| {
        let right = is_asked(seen, "user_scope", "search:read,users:read");
        unless(right && seen.asked("scope").is_none(), "no_scopes")
    });
    nests(world);
}

/// Tokens nested beside a bot's for a code, at the top for a refresh token.
fn nests(world: &World) {
    world.idp.dresses(|seen, answer| {
        answer["token_type"] = json!("user");
        answer["ok"] = json!(true);
        if is_exchange(seen) {
            let mut user = answer.clone();
            user["id"] = json!("U1");
            user["scope"] = json!("search:read,users:read");
            *answer = json!({
                "ok": true, "access_token": "bot", "token_type": "bot", "scope": "",
                "refresh_token": "bots", "expires_in": 1, "authed_user": user,
            });
        }
    });
}

async fn slack_is_asked_for_the_users_scopes_and_nests_the_users_tokens(engine: Engine) {
    let world = World::start(engine).await;
    slack(&world);
    named(&world, "slack-app", &["search:read", "users:read"]).await;

    assert_renews(&world, "slack-app").await;

    let granted = world.connection("alice", "slack-app").await.unwrap();
    assert_eq!(granted.granted_scopes, ["search:read", "users:read"]);
}

async fn slacks_mcp_server_is_asked_plainly_and_nests_the_users_tokens(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.screens(|seen| {
        let right = is_asked(seen, "scope", "search:read users:read");
        unless(right && seen.asked("user_scope").is_none(), "no_scopes")
    });
    nests(&world);
    named(&world, "slack", &["search:read", "users:read"]).await;

    assert_renews(&world, "slack").await;

    let granted = world.connection("alice", "slack").await.unwrap();
    assert_eq!(granted.granted_scopes, ["search:read", "users:read"]);
}

async fn a_callback_keeps_to_the_profile_its_handshake_began_with(engine: Engine) {
    let world = World::start(engine).await;
    slack(&world);
    let mut server = named(&world, "slack-app", &["search:read", "users:read"]).await;
    let started = world.begin("alice", "slack-app").await;
    let Some(Auth::Oauth2(oauth2)) = &mut server.auth else {
        panic!("{server:?}");
    };
    oauth2.provider_profile = String::new();
    let mask = ["oauth2.provider_profile"];
    world.update(server, &mask).await.unwrap();

    let page = Browser::default().connect(&started.connect_url).await;

    assert_eq!(page.status, 200, "{}", page.text);
    let header = world.header("alice", "slack-app").await;
    assert!(world.idp.accepts(&header), "the user's, not the bot's");
}

async fn notion_is_told_who_consents(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.screens(|seen| {
        let told = is_asked(seen, "owner", "user");
        unless(told, "owner")
    });
    named(&world, "notion", &[]).await;

    assert_renews(&world, "notion").await;
}

async fn linear_wants_commas_between_scopes(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.screens(|seen| {
        let right = is_asked(seen, "scope", "read,write");
        unless(right, "scope")
    });
    named(&world, "linear-app", &["read", "write"]).await;

    assert_renews(&world, "linear-app").await;
}

async fn atlassian_is_told_for_which_api_and_to_ask_the_user(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.screens(|seen| {
        let told = is_asked(seen, "audience", "api.atlassian.com");
        let right = told && is_asked(seen, "prompt", "consent");
        unless(right, "audience, prompt")
    });
    named(&world, "atlassian-app", &["read:jira-work"]).await;

    assert_renews(&world, "atlassian-app").await;
}

async fn atlassian_gives_a_refresh_token_to_who_asks_for_it(engine: Engine) {
    let world = World::start(engine).await;
    renews_only(&world, |seen| asks_scope(seen, "offline_access"));

    for profile in ["atlassian", "atlassian-app"] {
        named(&world, profile, &["read:jira-work"]).await;
        assert_renews(&world, profile).await;
    }
}

async fn zendesk_gives_tokens_the_end_it_is_asked_for(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.dresses(|seen, answer| {
        forget(answer, &["expires_in"]);
        let asked = |name: &str| seen.form(name).and_then(|asked| asked.parse::<u64>().ok());
        match (asked("expires_in"), asked("refresh_token_expires_in")) {
            (Some(access @ 300..=172_800), Some(refresh @ 604_800..=7_776_000)) => {
                answer["expires_in"] = json!(access);
                answer["refresh_token_expires_in"] = json!(refresh);
            }
            _ => forget(answer, &["refresh_token"]),
        }
    });
    named(&world, "zendesk", &["read"]).await;
    world.connect("alice", "zendesk").await;

    for generation in [2, 3] {
        world.pass(24 * 3600);
        let renewed = world.resolve("alice", "zendesk").await;
        assert_eq!(renewed.status(), Status::Ready, "{renewed:?}");
        assert_eq!(renewed.credential_version, generation);
    }

    let told = world.connection("alice", "zendesk").await.unwrap();
    assert!(told.reconnect_before_time.is_some(), "{told:?}");
}
