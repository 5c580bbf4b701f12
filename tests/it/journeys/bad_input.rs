//! What bad input gets: every offence named at once, nothing stored, nothing sent upstream.

use stationmaster::client::{answer, v1};
use v1::server::Auth;

use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, create, list, on_both_engines, open, resolve_many, with_auth};

on_both_engines! {
    every_offence_of_a_creation_is_named_at_once,
    a_part_of_the_oauth_settings_is_not_enough,
    headers_take_no_injection,
    urls_are_what_they_must_be,
    texts_are_trimmed_and_empty_entries_dropped,
    control_characters_are_refused,
    ids_that_are_none_find_nothing,
    a_wrong_page_token_is_refused,
    a_wrong_request_id_is_refused,
    reports_and_resolves_are_judged_whole,
    what_this_release_does_not_do_it_says,
}

async fn every_offence_of_a_creation_is_named_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let server = v1::Server {
        slug: "No Slug".to_owned(),
        url: "ftp://a.example.com".to_owned(),
        description: "x".repeat(4097),
        transport: 99,
        tool_allow_list: vec!["x".repeat(257)],
        ..v1::Server::default()
    };

    let found = fields(world.create(server).await);

    for field in [
        "slug",
        "url",
        "display_name",
        "description",
        "transport",
        "tool_allow_list",
    ] {
        let field = format!("server.{field}");
        assert!(found.contains(&field), "{field} in {found:?}");
    }
    assert_eq!(list(&world.admin).await, []);
}

async fn a_part_of_the_oauth_settings_is_not_enough(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.token_endpoint.clear();
    }

    let refused = refusal(world.create(server).await);

    let [violation] = refused.field_violations.as_slice() else {
        panic!("{refused:?}");
    };
    assert_eq!(violation.field, "server.oauth2.token_endpoint");
    assert!(violation.description.contains("manual"));
    assert!(violation.description.contains("automatic"));
    assert_eq!(world.idp.web().paths(), Vec::<String>::new());
}

async fn headers_take_no_injection(engine: Engine) {
    let world = World::start(engine).await;
    let url = "https://a.example.com/mcp";
    let key = |header: &str, value: &str| {
        let auth = v1::ApiKeyAuth {
            header: header.to_owned(),
            value: Some(value.to_owned()),
            ..v1::ApiKeyAuth::default()
        };
        with_auth("tools", url.to_owned(), Auth::ApiKey(auth))
    };

    for (header, value, field) in [
        ("X-Key", "a\r\nX-Evil: 1", "value"),
        ("X-Key", "a\nb", "value"),
        ("X-Key", "a\0b", "value"),
        ("X-Key", "schlüssel", "value"),
        ("X-Key: 1\r\nX-Evil", "a", "header"),
        ("X Key", "a", "header"),
        ("Host", "a", "header"),
        ("content-length", "1", "header"),
        ("Transfer-Encoding", "chunked", "header"),
        ("Connection", "close", "header"),
    ] {
        let refused = world.create(key(header, value)).await;
        let expected = format!("server.api_key.{field}");
        assert_eq!(fields(refused), [expected], "{header:?} {value:?}");
    }
    let twice = v1::CustomHeadersAuth {
        headers: ["X-A", "x-a"]
            .map(|name| v1::CustomHeader {
                name: name.to_owned(),
                value: Some("1".to_owned()),
            })
            .to_vec(),
        user_headers: Vec::new(),
    };
    let twice = with_auth("tools", url.to_owned(), Auth::CustomHeaders(twice));
    assert_eq!(
        fields(world.create(twice).await),
        ["server.custom_headers.headers"]
    );
}

async fn urls_are_what_they_must_be(engine: Engine) {
    let settings = [("egress.allow_http", "false")];
    let world = World::start_with(engine, &settings).await;

    for url in [
        "",
        "nowhere",
        "/mcp",
        "http://a.example.com/mcp",
        "javascript:alert(1)",
        "https://user@a.example.com/mcp",
        "https://a.example.com/mcp#part",
        "https://a.example.com/\nmcp",
    ] {
        let server = v1::Server {
            url: url.to_owned(),
            ..open("tools")
        };
        assert_eq!(
            fields(world.create(server).await),
            ["server.url"],
            "{url:?}"
        );
    }
}

async fn texts_are_trimmed_and_empty_entries_dropped(engine: Engine) {
    let world = World::start(engine).await;
    let server = v1::Server {
        display_name: "  Our tools ".to_owned(),
        slug: String::new(),
        url: " https://a.example.com/mcp ".to_owned(),
        tool_allow_list: [" read_* ", "", "  ", "read_*"].map(str::to_owned).to_vec(),
        allowed_users: [" alice ", ""].map(str::to_owned).to_vec(),
        ..open("x")
    };

    let made = world.create(server).await.unwrap();

    assert_eq!(
        (made.display_name.as_str(), made.slug.as_str()),
        ("Our tools", "our-tools")
    );
    assert_eq!(made.url, "https://a.example.com/mcp");
    assert_eq!(made.tool_allow_list, ["read_*"]);
    assert_eq!(made.allowed_users, ["alice"]);
}

async fn control_characters_are_refused(engine: Engine) {
    let world = World::start(engine).await;
    let server = v1::Server {
        display_name: "a\0b".to_owned(),
        managed_by: "a\u{7}b".to_owned(),
        allowed_users: vec!["a\nb".to_owned()],
        ..open("tools")
    };

    let mut found = fields(world.create(server).await);

    found.sort();
    found.dedup();
    assert_eq!(
        found,
        [
            "server.allowed_users",
            "server.display_name",
            "server.managed_by"
        ]
    );
    let user = resolve_many(&world.daemon, "a\0b", &["tools"]).await;
    assert_eq!(fields(user), ["actor.user"]);
}

async fn ids_that_are_none_find_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let handshake = |id: &str| v1::GetHandshakeRequest {
        handshake: id.to_owned(),
    };

    for id in ["nowhere", "srv_0198c0de000070008000000000000009"] {
        assert_eq!(reason(world.get(id).await), "SERVER_NOT_FOUND", "{id}");
    }
    assert_eq!(fields(world.get("").await), ["server"]);
    let unknown = handshake("hsk_0198c0de000070008000000000000009");
    let unknown = answer(world.daemon.handshakes().get_handshake(unknown)).await;
    assert_eq!(reason(unknown), "HANDSHAKE_NOT_FOUND");
    let none = answer(world.daemon.handshakes().get_handshake(handshake("x"))).await;
    assert_eq!(fields(none), ["handshake"]);
}

async fn a_wrong_page_token_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let request = v1::ListServersRequest {
        page_token: "nonsense".to_owned(),
        page_size: -1,
        ..v1::ListServersRequest::default()
    };

    let mut found = fields(answer(world.admin.config().list_servers(request)).await);

    found.sort();
    assert_eq!(found, ["page_size", "page_token"]);
}

async fn a_wrong_request_id_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let request = v1::CreateServerRequest {
        server: Some(world.automatic("tools")),
        request_id: "mine".to_owned(),
        server_id: "tools".to_owned(),
    };

    let mut found = fields(create(&world.admin, request).await);

    found.sort();
    assert_eq!(found, ["request_id", "server_id"]);
    assert_eq!(world.idp.web().paths(), Vec::<String>::new());
}

async fn reports_and_resolves_are_judged_whole(engine: Engine) {
    let world = World::start(engine).await;
    let report = v1::ReportResponseRequest {
        actor: actor(""),
        server: String::new(),
        ..v1::ReportResponseRequest::default()
    };
    let resolve = v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["tools".to_owned()],
        min_revision: -1,
        min_valid_for: Some(prost_types::Duration {
            seconds: 90_000,
            nanos: 0,
        }),
        target: Some(v1::RequestTarget::default()),
        ..v1::ResolveCredentialsRequest::default()
    };

    let report = fields(answer(world.daemon.tokens().report_response(report)).await);
    let resolve = fields(answer(world.daemon.tokens().resolve_credentials(resolve)).await);

    assert_eq!(report, ["actor.user", "server", "outcome"]);
    assert_eq!(resolve, ["target.method", "min_valid_for", "min_revision"]);
}

async fn what_this_release_does_not_do_it_says(engine: Engine) {
    let world = World::start(engine).await;

    let request = v1::CheckServerRequest::default();
    let later = refusal(answer(world.admin.config().check_server(request)).await);

    assert_eq!(later.reason, "NOT_IMPLEMENTED");
    assert_eq!(
        later.metadata["method"],
        "/stationmaster.v1.ConfigService/CheckServer"
    );
}
