//! An administrator changes a server: what the mask says, judged as a whole, with everything the
//! change entails.

use stationmaster::client::{Error, v1};
use v1::server::Auth;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, open, with_auth};

on_both_engines! {
    a_mask_changes_what_it_names_and_nothing_else,
    the_merged_result_is_judged_as_a_whole,
    a_stale_etag_changes_nothing,
    another_kind_of_authorization_clears_the_secrets_of_the_old_one,
    another_origin_demands_the_key_again,
    another_path_keeps_the_key_and_ends_grants,
    a_new_token_endpoint_demands_the_secret_and_ends_connections,
    a_secret_added_later_is_used,
    a_new_address_ends_connections_and_registers_anew,
    a_change_that_cannot_be_discovered_changes_nothing,
    a_slug_can_be_changed_but_not_to_a_taken_one,
    changes_at_the_same_time_merge,
    what_does_not_matter_to_grants_leaves_them,
    header_values_not_given_again_are_kept,
}

const ONE: &str = "https://a.example.com/mcp";

fn patch() -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        ..v1::Server::default()
    }
}

fn api_key(value: Option<&str>) -> Auth {
    Auth::ApiKey(v1::ApiKeyAuth {
        value: value.map(str::to_owned),
        ..v1::ApiKeyAuth::default()
    })
}

async fn keyed(world: &World) -> v1::Server {
    let server = with_auth("tools", ONE.to_owned(), api_key(Some("hush")));
    world.create(server).await.unwrap()
}

async fn a_mask_changes_what_it_names_and_nothing_else(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.create(open("tools")).await.unwrap();
    let change = v1::Server {
        display_name: "Ours".to_owned(),
        description: "ignored".to_owned(),
        tool_deny_list: vec![" rm_* ".to_owned(), String::new()],
        ..patch()
    };

    let after = world
        .update(change, &["display_name", "tool_deny_list"])
        .await
        .unwrap();

    let after = after.server.unwrap();
    assert_eq!(after.display_name, "Ours");
    assert_eq!(after.tool_deny_list, ["rm_*"]);
    assert_eq!(after.description, before.description);
    assert_eq!(after.auth_version, before.auth_version);
    assert_ne!(after.etag, before.etag);
    assert_eq!(world.get("tools").await.unwrap(), after);
}

async fn the_merged_result_is_judged_as_a_whole(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.create(world.manual("tools")).await.unwrap();
    let bad = v1::Server {
        display_name: " ".to_owned(),
        url: "nowhere".to_owned(),
        auth: Some(Auth::Oauth2(v1::OAuth2Auth::default())),
        ..patch()
    };
    let mask = ["display_name", "url", "oauth2.token_endpoint"];

    let refused = world.update(bad, &mask).await;
    let unknown = world
        .update(patch(), &["display_name", "nothing", "create_time"])
        .await;

    let mut found = fields(refused);
    found.sort();
    found.dedup();
    for field in [
        "server.display_name",
        "server.oauth2.token_endpoint",
        "server.url",
    ] {
        assert!(found.contains(&field.to_owned()), "{field} in {found:?}");
    }
    assert_eq!(fields(unknown).len(), 2);
    assert_eq!(world.get("tools").await.unwrap(), before);
}

async fn a_stale_etag_changes_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let read = world.create(open("tools")).await.unwrap();
    let rename = |name: &str, etag: &str| v1::Server {
        display_name: name.to_owned(),
        etag: etag.to_owned(),
        ..patch()
    };

    let first = world
        .update(rename("One", &read.etag), &["display_name"])
        .await;
    let second = world
        .update(rename("Two", &read.etag), &["display_name"])
        .await;

    let now = first.unwrap().server.unwrap();
    let second = refusal(second);
    assert_eq!(second.reason, "ETAG_MISMATCH");
    assert_eq!(second.metadata["etag"], now.etag);
    assert_eq!(world.get("tools").await.unwrap(), now);
}

async fn another_kind_of_authorization_clears_the_secrets_of_the_old_one(engine: Engine) {
    let world = World::start(engine).await;
    keyed(&world).await;
    let to = |auth| v1::Server {
        auth: Some(auth),
        ..patch()
    };

    let none = world
        .update(to(Auth::None(v1::NoAuth {})), &["auth"])
        .await
        .unwrap();
    let back = world.update(to(api_key(None)), &["auth"]).await;

    assert!(!none.server.unwrap().has_api_key);
    assert_eq!(fields(back), ["server.api_key.value"]);
}

async fn another_origin_demands_the_key_again(engine: Engine) {
    let world = World::start(engine).await;
    let before = keyed(&world).await;
    let moved = |auth| v1::Server {
        url: "https://b.example.com/mcp".to_owned(),
        auth,
        ..patch()
    };

    let steered = world.update(moved(None), &["url"]).await;
    assert_eq!(fields(steered), ["server.api_key.value"]);
    assert_eq!(world.get("tools").await.unwrap(), before);
    let supplied = moved(Some(api_key(Some("new"))));
    let supplied = world.update(supplied, &["url", "api_key.value"]).await;

    assert!(supplied.unwrap().server.unwrap().has_api_key);
    assert_eq!(world.header("alice", "tools").await, "new");
}

async fn another_path_keeps_the_key_and_ends_grants(engine: Engine) {
    let world = World::start(engine).await;
    let before = keyed(&world).await;
    let moved = v1::Server {
        url: format!("{ONE}/v2"),
        ..patch()
    };

    let after = world.update(moved, &["url"]).await.unwrap().server.unwrap();

    assert!(after.has_api_key);
    assert_eq!(after.auth_version, before.auth_version + 1);
    assert_eq!(world.header("alice", "tools").await, "hush");
}

async fn a_new_token_endpoint_demands_the_secret_and_ends_connections(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(world.manual_anywhere("tools")).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    let elsewhere = |secret: Option<&str>| v1::Server {
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            token_endpoint: "https://evil.example/token".to_owned(),
            client_secret: secret.map(str::to_owned),
            ..v1::OAuth2Auth::default()
        })),
        ..patch()
    };

    let steered = world
        .update(elsewhere(None), &["oauth2.token_endpoint"])
        .await;
    assert_eq!(fields(steered), ["server.oauth2.client_secret"]);
    assert!(world.header("alice", "tools").await.starts_with("Bearer "));
    let mask = ["oauth2.token_endpoint", "oauth2.client_secret"];
    let moved = world.update(elsewhere(Some("hush")), &mask).await.unwrap();

    assert_eq!(moved.ended_connections, 1);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::ReconnectRequired);
    assert_eq!(resolved.reason(), Reason::ServerChanged);
    assert!(resolved.headers.is_empty());
}

async fn a_secret_added_later_is_used(engine: Engine) {
    let world = World::start(engine).await;
    let mut public = world.manual("tools");
    let Some(Auth::Oauth2(oauth2)) = &mut public.auth else {
        panic!("{public:?}");
    };
    oauth2.client_secret = None;
    let server = world.create(public).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    let secret = v1::Server {
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            client_secret: Some("hush".to_owned()),
            ..v1::OAuth2Auth::default()
        })),
        ..patch()
    };

    world
        .update(secret, &["oauth2.client_secret"])
        .await
        .unwrap();
    world.connect("alice", "tools").await;

    assert!(world.header("alice", "tools").await.starts_with("Bearer "));
}

async fn a_new_address_ends_connections_and_registers_anew(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.found("tools").await;
    world.connect("alice", "tools").await;
    world.connect("bob", "tools").await;
    let moved = v1::Server {
        url: world.idp.mcp("elsewhere"),
        ..patch()
    };

    let after = world.update(moved, &["url"]).await.unwrap();

    assert_eq!(after.ended_connections, 2);
    assert_eq!(after.server.unwrap().auth_version, before.auth_version + 1);
    assert_eq!(world.idp.registered().len(), 2);
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.reason(), Reason::ServerChanged);
    world.connect("alice", "tools").await;
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
    assert_eq!(
        world.connection("alice", "tools").await.unwrap().generation,
        2
    );
}

async fn a_change_that_cannot_be_discovered_changes_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.found("tools").await;
    world.connect("alice", "tools").await;
    let lost = v1::Server {
        url: world.idp.web().url("/nothing"),
        ..patch()
    };

    let refused = world.update(lost, &["url"]).await;

    assert_eq!(reason(refused), "DISCOVERY_FAILED");
    assert_eq!(world.get("tools").await.unwrap(), before);
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
}

async fn a_slug_can_be_changed_but_not_to_a_taken_one(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    world.create(open("other")).await.unwrap();
    let named = |slug: &str| v1::Server {
        slug: slug.to_owned(),
        ..patch()
    };

    let taken = world.update(named("other"), &["slug"]).await;
    let bad = world.update(named("No Slug"), &["slug"]).await;
    let free = world.update(named("anvil"), &["slug"]).await;

    assert_eq!(reason(taken), "SLUG_TAKEN");
    assert_eq!(fields(bad), ["server.slug"]);
    assert_eq!(free.unwrap().server.unwrap().slug, "anvil");
    assert_eq!(reason(world.get("tools").await), "SERVER_NOT_FOUND");
}

async fn changes_at_the_same_time_merge(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let rename = v1::Server {
        display_name: "Ours".to_owned(),
        ..patch()
    };
    let describe = v1::Server {
        description: "new".to_owned(),
        ..patch()
    };

    let (one, two): (Result<_, Error>, _) = tokio::join!(
        world.update(rename, &["display_name"]),
        world.update(describe, &["description"]),
    );

    one.and(two).unwrap();
    let now = world.get("tools").await.unwrap();
    assert_eq!(
        (now.display_name.as_str(), now.description.as_str()),
        ("Ours", "new")
    );
}

async fn what_does_not_matter_to_grants_leaves_them(engine: Engine) {
    let world = World::start(engine).await;
    let before = world.found("tools").await;
    world.connect("alice", "tools").await;
    let change = v1::Server {
        display_name: "Ours".to_owned(),
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            scopes: vec!["read".to_owned()],
            ..v1::OAuth2Auth::default()
        })),
        ..patch()
    };

    let after = world
        .update(change, &["display_name", "oauth2.scopes"])
        .await
        .unwrap();

    assert_eq!(after.ended_connections, 0);
    assert_eq!(after.server.unwrap().auth_version, before.auth_version);
    // A client names its scopes: who connects next has another.
    assert_eq!(world.idp.registered().len(), 2);
    assert_eq!(
        world.resolve("alice", "tools").await.status(),
        Status::Ready
    );
}

async fn header_values_not_given_again_are_kept(engine: Engine) {
    let world = World::start(engine).await;
    let header = |name: &str, value: Option<&str>| v1::CustomHeader {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    let custom = |headers| {
        Auth::CustomHeaders(v1::CustomHeadersAuth {
            headers,
            user_headers: Vec::new(),
        })
    };
    let first = custom(vec![header("X-A", Some("1")), header("X-B", Some("2"))]);
    world
        .create(with_auth("tools", ONE.to_owned(), first))
        .await
        .unwrap();
    let change = |headers| v1::Server {
        auth: Some(custom(headers)),
        ..patch()
    };
    let kept = vec![header("X-C", Some("3")), header("X-B", None)];
    let valueless = vec![header("X-D", None)];

    let refused = world
        .update(change(valueless), &["custom_headers.headers"])
        .await;
    world
        .update(change(kept), &["custom_headers.headers"])
        .await
        .unwrap();

    assert_eq!(fields(refused), ["server.custom_headers.headers"]);
    let headers = world.resolve("alice", "tools").await.headers;
    let headers: Vec<_> = headers
        .iter()
        .map(|h| (h.name.as_str(), h.value.as_str()))
        .collect();
    assert_eq!(headers, [("X-C", "3"), ("X-B", "2")]);
}
