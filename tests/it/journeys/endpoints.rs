//! Endpoints written by hand: nothing but an administrator's word stands for them, and they receive
//! secrets.

use stationmaster::client::v1;
use v1::server::Auth;

use crate::harness::client::fields;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    endpoints_by_hand_stay_at_their_issuer_unless_allowed,
    a_browser_is_sent_away_in_clear_text_on_this_machine_only,
    with_endpoints_by_hand_a_challenge_names_the_scopes,
}

async fn endpoints_by_hand_stay_at_their_issuer_unless_allowed(engine: Engine) {
    let world = World::start(engine).await;
    world.create(world.manual("tools")).await.unwrap();
    for (field, path) in [
        ("token_endpoint", "oauth2.token_endpoint"),
        ("authorization_endpoint", "oauth2.authorization_endpoint"),
        ("revocation_endpoint", "oauth2.revocation_endpoint"),
    ] {
        let elsewhere = format!("https://evil.example/{field}");
        let mut oauth2 = v1::OAuth2Auth {
            client_secret: Some("hush".to_owned()),
            ..v1::OAuth2Auth::default()
        };
        match field {
            "token_endpoint" => oauth2.token_endpoint = elsewhere,
            "authorization_endpoint" => oauth2.authorization_endpoint = elsewhere,
            _ => oauth2.revocation_endpoint = elsewhere,
        }
        let moved = v1::Server {
            auth: Some(Auth::Oauth2(oauth2)),
            id: "tools".to_owned(),
            ..v1::Server::default()
        };

        let mask = [path, "oauth2.client_secret"];
        let refused = world.update(moved, &mask).await;

        assert_eq!(fields(refused), [format!("server.oauth2.{field}")]);
    }
}

/// Where http is allowed, it is to servers; a browser reaches the consent page over any network (MCP
/// authorization, communication security).
async fn a_browser_is_sent_away_in_clear_text_on_this_machine_only(engine: Engine) {
    let world = World::start(engine).await;
    for (slug, host, taken) in [
        ("name", "as.example.com", false),
        ("private", "10.0.0.1", false),
        ("local", "localhost:9000", true),
        ("loopback", "[::1]:9000", true),
    ] {
        let mut server = world.manual_anywhere(slug);
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            oauth2.authorization_endpoint = format!("http://{host}/authorize");
        }

        let made = world.create(server).await;

        if taken {
            assert!(made.is_ok(), "{made:?}");
        } else {
            assert_eq!(fields(made), ["server.oauth2.authorization_endpoint"]);
        }
    }
}

async fn with_endpoints_by_hand_a_challenge_names_the_scopes(engine: Engine) {
    let world = World::start(engine).await;
    let mut configured = world.manual("configured");
    if let Some(Auth::Oauth2(oauth2)) = &mut configured.auth {
        oauth2.scopes = vec!["read".to_owned()];
    }
    for server in [world.manual("tools"), configured] {
        world.create(server).await.unwrap();
    }
    let basic = r#"Bearer scope="mcp:basic""#;
    let more = r#"Bearer error="insufficient_scope", scope="write""#;

    for (server, status, challenge, expected) in [
        ("tools", 401, basic, &["mcp:basic"][..]),
        ("configured", 401, basic, &["read"]),
        ("tools", 403, more, &["write"]),
        ("configured", 403, more, &["read", "write"]),
    ] {
        let answered = (status, &[challenge][..]);
        let answer = world.answered(answered, ("alice", server, 0)).await;

        let scopes = answer.authorize.unwrap().scopes;
        assert_eq!(scopes, expected, "{server}, {status}");
    }
    // Without a word on scopes none are asked for.
    let answer = world.rejected("bob", "tools", 0).await;
    assert!(answer.authorize.unwrap().scopes.is_empty());
}
