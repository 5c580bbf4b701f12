//! How much is taken at once, and how much is answered.

use std::time::Duration;

use stationmaster::client::{answer, v1};
use v1::server::Auth;

use crate::harness::client::{actor, fields, refusal};
use crate::harness::http;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, open, resolve_many, with_auth};

on_both_engines! {
    a_hundred_servers_and_no_more_are_resolved,
    pages_follow_each_other_without_gap_or_repeat,
    a_header_has_a_length_and_a_server_a_number_of_them,
    a_message_that_is_too_large_is_refused,
    many_offences_are_told_within_what_a_status_holds,
    a_callback_that_is_too_long_is_refused,
    a_page_size_that_is_too_large_is_cut,
}

async fn a_hundred_servers_and_no_more_are_resolved(engine: Engine) {
    let world = World::start(engine).await;
    let names: Vec<String> = (0..101).map(|n| format!("server-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let fit = resolve_many(&world.daemon, "alice", &names[..100]).await;
    let more = resolve_many(&world.daemon, "alice", &names).await;

    assert_eq!(fit.unwrap().unknown_servers.len(), 100);
    assert_eq!(fields(more), ["servers"]);
}

async fn pages_follow_each_other_without_gap_or_repeat(engine: Engine) {
    let world = World::start(engine).await;
    for n in [3, 1, 4, 5, 9] {
        // Equal names are told apart by id.
        let server = v1::Server {
            display_name: format!("Name {}", n % 2),
            ..open(&format!("s{n}"))
        };
        world.create(server).await.unwrap();
    }

    let mut request = v1::ListServersRequest {
        page_size: 2,
        ..v1::ListServersRequest::default()
    };
    let (mut slugs, mut pages) = (Vec::new(), 0);
    loop {
        let page = answer(world.admin.config().list_servers(request.clone()))
            .await
            .unwrap();
        assert!(page.servers.len() <= 2);
        slugs.extend(page.servers.into_iter().map(|server| server.slug));
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }

    assert_eq!(pages, 3);
    assert_eq!(slugs[0], "s4");
    slugs.sort();
    assert_eq!(slugs, ["s1", "s3", "s4", "s5", "s9"]);
}

async fn a_header_has_a_length_and_a_server_a_number_of_them(engine: Engine) {
    let world = World::start(engine).await;
    let url = || "https://a.example.com/mcp".to_owned();
    let key = |length: usize| {
        let auth = v1::ApiKeyAuth {
            value: Some("x".repeat(length)),
            ..v1::ApiKeyAuth::default()
        };
        with_auth("key", url(), Auth::ApiKey(auth))
    };
    let many = |count: usize| {
        let header = |n| v1::CustomHeader {
            name: format!("X-{n}"),
            value: Some("1".to_owned()),
        };
        let auth = v1::CustomHeadersAuth {
            headers: (0..count).map(header).collect(),
            user_headers: Vec::new(),
        };
        with_auth("many", url(), Auth::CustomHeaders(auth))
    };

    assert_eq!(
        fields(world.create(key(8193)).await),
        ["server.api_key.value"]
    );
    assert_eq!(
        fields(world.create(many(17)).await),
        ["server.custom_headers.headers"]
    );
    world.create(key(8192)).await.unwrap();
    world.create(many(16)).await.unwrap();
    assert_eq!(world.header("alice", "key").await.len(), 8192);
}

async fn a_message_that_is_too_large_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let server = v1::Server {
        description: "x".repeat(8 * 1024 * 1024),
        ..open("tools")
    };

    let refused = refusal(world.create(server).await);

    assert_eq!(refused.reason, "MESSAGE_TOO_LARGE");
    assert!(refused.metadata["limit"].parse::<usize>().is_ok());
}

async fn many_offences_are_told_within_what_a_status_holds(engine: Engine) {
    let world = World::start(engine).await;
    let groups = (0..900).map(|n| format!("bad\u{1}{n}{}", "x".repeat(200)));
    let request = v1::ResolveCredentialsRequest {
        actor: Some(v1::Actor {
            user: "alice".to_owned(),
            groups: groups.collect(),
        }),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    };

    let refused = refusal(answer(world.daemon.tokens().resolve_credentials(request)).await);

    assert_eq!(refused.reason, "INVALID_ARGUMENT");
    assert!((1..=32).contains(&refused.field_violations.len()));
}

async fn a_callback_that_is_too_long_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    let long = "x".repeat(8 * 1024 + 1);

    let page = http::get(&format!("{}?state={long}", server.redirect_uri), &[]).await;

    assert!(page.status.is_client_error(), "{}", page.status);
}

async fn a_page_size_that_is_too_large_is_cut(engine: Engine) {
    let world = World::start(engine).await;
    world.create(open("tools")).await.unwrap();
    let mut request = tonic::Request::new(v1::ListConnectionsRequest {
        actor: actor("alice"),
        page_size: i32::MAX,
        ..v1::ListConnectionsRequest::default()
    });
    request.set_timeout(Duration::from_secs(10));

    let page = answer(world.daemon.tokens().list_connections(request)).await;

    assert!(page.unwrap().connections.is_empty());
}
