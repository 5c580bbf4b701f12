//! What an administrator says of identity headers: how they are called, and whether daemons sign them.

use stationmaster::client::{signing, v1};
use v1::IdentityHeaderPreset as Preset;
use v1::server::Auth;

use super::identity::{asking, context, named, resolve};
use crate::harness::client::fields;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows;

on_both_engines! {
    a_daemon_signs_where_a_secret_is_set_and_headers_are_sent,
    names_that_no_header_can_have_are_refused,
    how_headers_are_called_is_changed_part_by_part,
}

async fn a_daemon_signs_where_a_secret_is_set_and_headers_are_sent(engine: Engine) {
    let world = World::start(engine).await;
    let header = v1::CustomHeader {
        name: "x-coder-SIGNATURE".to_owned(),
        value: Some("theirs".to_owned()),
    };
    let taken = Auth::CustomHeaders(v1::CustomHeadersAuth {
        headers: vec![header],
        ..v1::CustomHeadersAuth::default()
    });
    for (slug, preset, auth, signature) in [
        (
            "ours",
            Preset::Stationmaster,
            None,
            "X-Stationmaster-Signature",
        ),
        ("custom", Preset::Custom, None, "X-Stationmaster-Signature"),
        ("coder", Preset::Coder, None, "X-Coder-Signature"),
        ("taken", Preset::Coder, Some(taken), ""),
    ] {
        let mut forwarding = named(preset);
        if preset == Preset::Custom {
            "X-Who".clone_into(&mut forwarding.owner_header);
        }
        let mut server = v1::Server {
            identity_forwarding: Some(forwarding),
            signing_secret: Some("as typed ".to_owned()),
            ..asking(slug)
        };
        server.auth = auth.or(server.auth);
        world.create(server).await.unwrap();

        let resolved = resolve(&world, ("Zoë", slug), context("c1", "", "")).await;

        let key = resolved.signing_key.clone();
        if signature.is_empty() {
            assert_eq!(key, None, "{slug}");
            continue;
        }
        let key = key.unwrap();
        assert_eq!(key.signature_header, signature);
        assert_eq!(key.timestamp_header, format!("{signature}-Timestamp"));
        assert_eq!(key.secret, "as typed ");
        // What is signed is what is sent.
        let sent = |name: &str| {
            let found = resolved
                .headers
                .iter()
                .find(|header| header.name.ends_with(name));
            found.map_or("", |header| &*header.value)
        };
        let owner = if preset == Preset::Custom {
            "Who"
        } else {
            "Owner-Id"
        };
        let identity = signing::Identity {
            owner: sent(owner),
            chat: sent("Chat-Id"),
            subchat: sent("Subchat-Id"),
            workspace: sent("Workspace-Id"),
        };
        assert_eq!(identity.owner, "Zo%C3%AB");
        let request = signing::Request {
            method: "POST",
            uri: "/mcp",
            body: b"{}",
        };
        let [signature, timestamp] = signing::sign(&key, &request, 1_000).unwrap();
        let signed = signing::Signed {
            signature: &signature.value,
            timestamp: &timestamp.value,
        };
        let checked = signing::verify("as typed ", &request, &identity, &signed, 1_001);
        assert_eq!(checked, Ok(()), "{slug}");
    }
    let cleared = v1::Server {
        id: "ours".to_owned(),
        signing_secret: Some(String::new()),
        ..v1::Server::default()
    };
    world.update(cleared, &["signing_secret"]).await.unwrap();
    let resolved = resolve(&world, ("ann", "ours"), context("", "", "")).await;
    assert_eq!(resolved.signing_key, None);
}

async fn names_that_no_header_can_have_are_refused(engine: Engine) {
    let world = World::start(engine).await;
    let custom = v1::IdentityForwarding {
        owner_header: "X-A".to_owned(),
        chat_header: "x-a".to_owned(),
        subchat_header: "Host".to_owned(),
        workspace_header: "a b".to_owned(),
        signed_token_header: "X-Stationmaster-Signature".to_owned(),
        ..named(Preset::Custom)
    };
    let mixed = v1::IdentityForwarding {
        owner_header: "X-A".to_owned(),
        ..named(Preset::Coder)
    };
    let unknown = v1::IdentityForwarding {
        preset: 99,
        ..v1::IdentityForwarding::default()
    };
    for (forwarding, wanted) in [
        (
            custom,
            &[
                ".chat_header",
                ".subchat_header",
                ".workspace_header",
                ".signed_token_header",
            ][..],
        ),
        (mixed, &[".owner_header"]),
        (unknown, &[".preset"]),
        (named(Preset::Custom), &[""]),
    ] {
        let server = v1::Server {
            identity_forwarding: Some(forwarding),
            ..open("tools")
        };

        let refused = fields(world.create(server).await);

        let wanted = wanted.iter();
        let wanted = wanted.map(|field| format!("server.identity_forwarding{field}"));
        assert_eq!(refused, wanted.collect::<Vec<_>>());
    }
}

async fn how_headers_are_called_is_changed_part_by_part(engine: Engine) {
    const RECORDED: &str = "SELECT COUNT(*) FROM audit_events WHERE action = 'server.update' \
        AND detail LIKE '%\"naming\":\"coder\"%'";
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(asking("tools")).await.unwrap();
    let update = async |forwarding: Option<v1::IdentityForwarding>, mask: &str| {
        let server = v1::Server {
            id: "tools".to_owned(),
            identity_forwarding: forwarding,
            ..v1::Server::default()
        };
        let updated = world.update(server, &[mask]).await.unwrap();
        updated.server.unwrap().identity_forwarding
    };

    let coder = update(Some(named(Preset::Coder)), "identity_forwarding").await;
    let token = v1::IdentityForwarding {
        signed_token: true,
        ..v1::IdentityForwarding::default()
    };
    let both = update(Some(token), "identity_forwarding.signed_token").await;
    let seen = world.get("tools").await.unwrap();
    let none = update(None, "identity_forwarding").await;

    let wanted = |signed_token| {
        Some(v1::IdentityForwarding {
            signed_token,
            signed_token_header: "X-Stationmaster-Identity".to_owned(),
            ..named(Preset::Coder)
        })
    };
    assert_eq!((coder, both), (wanted(false), wanted(true)));
    assert_eq!(seen.identity_forwarding, wanted(true));
    assert_eq!(seen.auth_version, 1, "no grant ends");
    assert_eq!(none, None);
    let mut raw = rows::raw(&database).await;
    assert_eq!(raw.number(RECORDED).await, 3);
    world.service.stop().await;
}
