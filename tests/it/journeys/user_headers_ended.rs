//! What ends the values that users supplied: another origin, another kind, a header that is no more,
//! and whoever goes. What is made anew has none of them.

use stationmaster::client::{answer, v1};
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::client::{actor, fields};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::user_headers::{
    custom, delete, found, get, header, missing, per_user_key, sent, set, supply,
};
use crate::harness::world::{World, create, on_both_engines, resolve, with_auth};
use crate::walks::rows;

on_both_engines! {
    another_origin_takes_everybodys_values,
    another_kind_takes_everybodys_values,
    a_header_that_is_no_more_takes_its_values,
    a_key_for_everybody_and_one_for_each_exclude_each_other,
    a_purged_user_leaves_no_values,
    a_server_made_again_has_no_values_and_no_version_again,
    values_set_while_a_server_moves_stay_where_they_were_meant_for,
    a_value_set_while_its_header_goes_is_not_left_behind,
}

const ELSEWHERE: &str = "https://b.example.com/mcp";

fn patch() -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        ..v1::Server::default()
    }
}

fn moved(url: &str) -> v1::Server {
    v1::Server {
        url: url.to_owned(),
        auth: Some(custom(vec![header("X-Token"), header("X-Team")])),
        ..patch()
    }
}

fn declaring(names: &[&str]) -> v1::Server {
    v1::Server {
        auth: Some(custom(names.iter().map(|name| header(name)).collect())),
        ..patch()
    }
}

/// How many values an update ended.
async fn ends(world: &World, change: v1::Server, mask: &[&str]) -> i32 {
    let updated = world.update(change, mask).await.unwrap();
    updated.ended_header_values
}

async fn another_origin_takes_everybodys_values(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    supply(&world, "alice", "tools", "hush").await;
    set(&world, ("bob", "tools"), &[("X-Team", "blue")])
        .await
        .unwrap();
    let before = world.resolve("alice", "tools").await.credential_version;
    let described = v1::Server {
        description: "as before".to_owned(),
        ..patch()
    };
    assert_eq!(ends(&world, described, &["description"]).await, 0);
    let path = moved("https://a.example.com/other");
    assert_eq!(ends(&world, path, &["url"]).await, 0);
    assert_eq!(sent(&world, "alice", "tools").await.len(), 3);

    // The administrator's value is given again, the users' are not.
    let whole = ["url", "auth"];
    assert_eq!(ends(&world, moved(ELSEWHERE), &whole).await, 3);

    for user in ["alice", "bob"] {
        assert_eq!(missing(&world, user, "tools").await, ["X-Token", "X-Team"]);
    }
    assert_eq!(
        ends(&world, moved("https://a.example.com/mcp"), &whole).await,
        0
    );
    assert_eq!(missing(&world, "alice", "tools").await.len(), 2);
    supply(&world, "alice", "tools", "hush").await;
    let after = world.resolve("alice", "tools").await.credential_version;
    assert!(after > before);
}

async fn another_kind_takes_everybodys_values(engine: Engine) {
    let world = World::start(engine).await;
    let server = with_auth("tools", ELSEWHERE.to_owned(), per_user_key());
    world.create(server).await.unwrap();
    for user in ["alice", "bob"] {
        set(&world, (user, "tools"), &[("X-Key", "hush")])
            .await
            .unwrap();
    }
    // Whose header has the very same name.
    let custom = v1::Server {
        auth: Some(custom(vec![header("X-Key")])),
        ..patch()
    };

    assert_eq!(ends(&world, custom, &["auth"]).await, 2);

    assert_eq!(missing(&world, "alice", "tools").await, ["X-Key"]);
    set(&world, ("alice", "tools"), &[("X-Key", "hush")])
        .await
        .unwrap();
    let none = v1::Server {
        auth: Some(Auth::None(v1::NoAuth {})),
        ..patch()
    };
    assert_eq!(ends(&world, none, &["auth"]).await, 1);
    assert!(get(&world, "alice", "tools").await.unwrap().is_empty());
}

async fn a_header_that_is_no_more_takes_its_values(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    supply(&world, "alice", "tools", "hush").await;
    supply(&world, "bob", "tools", "hush").await;
    let mask = ["custom_headers.user_headers"];

    let renamed = declaring(&["X-Token", "X-Crew"]);
    assert_eq!(ends(&world, renamed, &mask).await, 2);

    for user in ["alice", "bob"] {
        assert_eq!(missing(&world, user, "tools").await, ["X-Crew"]);
    }
    // What is declared again, or for the first time, is to be supplied.
    let again = declaring(&["X-Team", "x-token"]);
    assert_eq!(ends(&world, again, &mask).await, 0);
    assert_eq!(missing(&world, "alice", "tools").await, ["X-Team"]);
    set(&world, ("alice", "tools"), &[("X-Team", "blue")])
        .await
        .unwrap();
    // A name is the same in whatever case; it is sent as it is declared.
    assert_eq!(
        sent(&world, "alice", "tools").await,
        ["X-Ours: ours", "X-Team: blue", "x-token: hush"]
    );
    assert_eq!(ends(&world, declaring(&[]), &mask).await, 3);
    assert_eq!(sent(&world, "alice", "tools").await, ["X-Ours: ours"]);
}

async fn a_key_for_everybody_and_one_for_each_exclude_each_other(engine: Engine) {
    let world = World::start(engine).await;
    let key = |per_user: bool, value: Option<&str>| v1::Server {
        auth: Some(Auth::ApiKey(v1::ApiKeyAuth {
            header: "X-Key".to_owned(),
            per_user,
            value: value.map(str::to_owned),
            description: String::new(),
        })),
        ..patch()
    };
    let ours = key(false, Some("ours")).auth.unwrap();
    let server = with_auth("tools", ELSEWHERE.to_owned(), ours);
    world.create(server).await.unwrap();
    let mask = ["api_key.per_user"];

    let per_user = world.update(key(true, None), &mask).await.unwrap();

    assert!(!per_user.server.unwrap().has_api_key, "nobody sends it");
    assert_eq!(missing(&world, "alice", "tools").await, ["X-Key"]);
    set(&world, ("alice", "tools"), &[("X-Key", "mine")])
        .await
        .unwrap();
    let shared = key(false, Some("new"));
    let mask = ["api_key.per_user", "api_key.value"];
    assert_eq!(ends(&world, shared, &mask).await, 1);
    assert_eq!(sent(&world, "alice", "tools").await, ["X-Key: new"]);
}

async fn a_purged_user_leaves_no_values(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;
    found(&world, "other").await;
    supply(&world, "alice", "tools", "hush").await;
    supply(&world, "bob", "tools", "hush").await;
    set(&world, ("alice", "other"), &[("X-Team", "blue")])
        .await
        .unwrap();
    let purge = async || {
        let request = v1::PurgeUserRequest {
            user: "alice".to_owned(),
        };
        answer(world.admin.tokens().purge_user(request))
            .await
            .unwrap()
    };

    let purged = purge().await;
    let again = purge().await;

    assert_eq!((purged.header_values, again.header_values), (3, 0));
    assert_eq!(again.revision, purged.revision);
    assert_eq!(missing(&world, "alice", "tools").await.len(), 2);
    assert_eq!(sent(&world, "bob", "tools").await.len(), 3);
    supply(&world, "alice", "tools", "anew").await;
    assert_eq!(sent(&world, "alice", "tools").await[1], "X-Token: anew");
}

async fn a_server_made_again_has_no_values_and_no_version_again(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let server = found(&world, "tools").await;
    supply(&world, "alice", "tools", "hush").await;
    let before = world.resolve("alice", "tools").await.credential_version;
    let request = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    answer(world.admin.config().delete_server(request))
        .await
        .unwrap();
    let mut raw = rows::raw(&database).await;
    let left = raw.number("SELECT COUNT(*) FROM user_headers").await;
    let gone = delete(&world, "alice", "tools").await;

    let request = v1::CreateServerRequest {
        server_id: server.id,
        server: Some(v1::Server {
            slug: "tools".to_owned(),
            display_name: "Another".to_owned(),
            enabled: true,
            ..moved(ELSEWHERE)
        }),
        ..v1::CreateServerRequest::default()
    };
    let made = create(&world.admin, request).await.unwrap();

    assert_eq!(left, 0);
    assert!(gone < made.revision);
    assert_eq!(missing(&world, "alice", "tools").await.len(), 2);
    supply(&world, "alice", "tools", "new").await;
    let after = world.resolve("alice", "tools").await.credential_version;
    assert!(after > before, "{after} {before}");
    let late = world.rejected("alice", "tools", before).await;
    assert_eq!(late.action(), v1::ReportAction::Retry);
    world.service.stop().await;
}

async fn values_set_while_a_server_moves_stay_where_they_were_meant_for(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, "tools").await;

    for round in 0..8 {
        let url = format!("https://host-{round}.example.com/mcp");
        let value = format!("value-{round}");
        let both = [("X-Token", &*value), ("X-Team", &*value)];
        let whole = ["url", "auth"];
        let (moved, given) = tokio::join!(
            world.update(moved(&url), &whole),
            set(&world, ("alice", "tools"), &both)
        );
        let (moved, given) = (moved.unwrap().revision, given.unwrap().revision);

        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(resolved.url, url);
        if given > moved {
            assert_eq!(resolved.status(), Status::Ready, "{round}");
            assert_eq!(resolved.headers[1].value, value, "{round}");
        } else {
            assert_eq!(resolved.status(), Status::MissingUserHeaders, "{round}");
        }
    }
}

async fn a_value_set_while_its_header_goes_is_not_left_behind(engine: Engine) {
    const LEFT: &str = "SELECT COUNT(*) FROM user_headers";
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let auth = custom(vec![header("X-0")]);
    let server = with_auth("tools", ELSEWHERE.to_owned(), auth);
    world.create(server).await.unwrap();
    let mut raw = rows::raw(&database).await;

    for round in 0..12 {
        let (old, new) = (format!("X-{round}"), format!("X-{}", round + 1));
        let users = ["alice", "bob", "carol"];
        let given = [(&*old, "hush")];
        let given = users.map(|user| set(&world, (user, "tools"), &given));
        let mask = ["custom_headers.user_headers"];
        let (changed, given) = tokio::join!(
            world.update(declaring(&[new.as_str()]), &mask),
            futures_util::future::join_all(given)
        );

        changed.unwrap();
        for refused in given.into_iter().filter(Result::is_err) {
            assert_eq!(fields(refused), ["headers[0].name"], "{round}");
        }
        assert_eq!(raw.number(LEFT).await, 0, "{round}");
    }
    world.service.stop().await;
}

#[tokio::test]
async fn what_one_replica_stores_another_hands_out() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    let other = second.client(world.service.daemon_key()).await;
    found(&world, "tools").await;

    for value in ["one", "two"] {
        let both = [("X-Token", value), ("X-Team", value)];
        let written = set(&world, ("alice", "tools"), &both).await.unwrap();
        let request = v1::ResolveCredentialsRequest {
            actor: actor("alice"),
            servers: vec!["tools".to_owned()],
            min_revision: written.revision,
            ..v1::ResolveCredentialsRequest::default()
        };
        let resolved = answer(other.tokens().resolve_credentials(request)).await;
        let resolved = resolved.unwrap();
        assert!(resolved.revision >= written.revision);
        let headers = &resolved.servers[0].headers;
        assert_eq!(headers[1].value, value);
        assert_eq!(headers, &world.resolve("alice", "tools").await.headers);
    }
    // A report that comes in there knows what is stored here.
    let old = resolve(&other, "alice", "tools").await.credential_version;
    supply(&world, "alice", "tools", "three").await;
    let response = v1::HttpResponse {
        status: 401,
        credential_version: old,
        ..v1::HttpResponse::default()
    };
    let request = v1::ReportResponseRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        outcome: Some(v1::report_response_request::Outcome::HttpResponse(response)),
        ..v1::ReportResponseRequest::default()
    };
    let late = answer(other.tokens().report_response(request)).await;
    assert_eq!(late.unwrap().action(), v1::ReportAction::Retry);
    world.service.stop().await;
    second.stop().await;
}
