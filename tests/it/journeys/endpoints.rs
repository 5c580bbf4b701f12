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
