//! Servers that the deployment reaches in its own name: one token for all users, kept fresh as users'
//! are, obtained by a client that an administrator made.

use futures_util::future::join_all;
use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{
    ConnectionOrigin, RegistrationKind, ReportAction as Action, ServerStatus as Status,
    StatusReason as Reason,
};

use crate::harness::client::{actor, reason};
use crate::harness::idp::Idp;
use crate::harness::keys::Key;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, rediscover, resolve, with_auth};

on_both_engines! {
    one_token_serves_all_users_and_is_had_anew_when_it_ends,
    which_extension_applies_is_told,
    a_client_that_signs_names_the_issuer,
    a_token_endpoint_by_hand_needs_no_discovery,
    a_rejected_token_is_replaced_and_nobody_is_asked,
    a_token_that_is_rejected_for_ever_is_tried_again_after_a_pause,
    a_client_that_is_refused_is_an_administrators_matter,
    other_settings_have_another_token,
    a_deleted_server_gives_its_token_back,
    another_issuer_is_never_shown_the_client,
    a_token_whose_end_is_not_told_is_used_until_it_is_rejected,
    an_update_never_shows_the_secret_to_another_issuer,
}

const ID: &str = "machine";

fn credentials() -> v1::ClientCredentialsAuth {
    v1::ClientCredentialsAuth {
        client_id: ID.to_owned(),
        client_secret: Some("hush".to_owned()),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        ..v1::ClientCredentialsAuth::default()
    }
}

fn server(world: &World, auth: v1::ClientCredentialsAuth) -> v1::Server {
    let url = world.idp.mcp("tools");
    with_auth("tools", url, Auth::ClientCredentials(auth))
}

/// A deployment with such a server, which nobody asked for yet.
async fn set_up(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.idp.add_client(ID, "hush", "");
    world.create(server(&world, credentials())).await.unwrap();
    world
}

fn patch(auth: v1::ClientCredentialsAuth) -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::ClientCredentials(auth)),
        ..v1::Server::default()
    }
}

async fn one_token_serves_all_users_and_is_had_anew_when_it_ends(engine: Engine) {
    let world = set_up(engine).await;
    assert!(world.idp.own_requests().is_empty());

    let users = ["ann", "bob", "cid", "dot", "eve"];
    let headers = join_all(users.map(|user| world.header(user, "tools"))).await;

    assert!(headers.iter().all(|header| *header == headers[0]));
    assert!(world.idp.accepts(&headers[0]));
    let requests = world.idp.own_requests();
    assert_eq!(requests.len(), 1);
    let sent = &requests[0];
    assert!(sent.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(sent.form("scope").as_deref(), Some("read write"));
    assert_eq!(sent.form("resource"), Some(world.idp.mcp("tools")));
    assert_eq!(sent.form("client_secret"), None);
    world.pass(3600);
    let renewed = world.header("ann", "tools").await;
    assert!(world.idp.accepts(&renewed) && renewed != headers[0]);
    assert_eq!(world.idp.own_requests().len(), 2);
    assert!(world.idp.redemptions().is_empty());
    let connected = v1::GetServerRequest {
        server: "tools".to_owned(),
        actor: actor("ann"),
    };
    let seen = answer(world.daemon.config().get_server(connected)).await;
    assert_eq!(seen.unwrap().server.unwrap().connected, Some(true));
}

async fn which_extension_applies_is_told(engine: Engine) {
    let world = set_up(engine).await;
    world.found("wiki").await;

    let own = world.resolve("ann", "tools").await;
    let users = world.resolve("ann", "wiki").await;

    assert_eq!(
        own.extensions,
        ["io.modelcontextprotocol/oauth-client-credentials"]
    );
    assert!(users.extensions.is_empty());
}

async fn a_client_that_signs_names_the_issuer(engine: Engine) {
    let world = World::start(engine).await;
    let issuer = world.idp.issuer();
    world.idp.add_signing_client(ID, Key::Es256, ("", &issuer));
    let auth = v1::ClientCredentialsAuth {
        client_secret: None,
        private_key: Some(Key::Es256.pem().to_owned()),
        signing_algorithm: "ES256".to_owned(),
        ..credentials()
    };

    let made = world.create(server(&world, auth)).await.unwrap();

    let Some(Auth::ClientCredentials(auth)) = made.auth else {
        panic!("{made:?}");
    };
    let found = auth.discovered.unwrap();
    assert_eq!(found.issuer, issuer);
    assert_eq!(found.registration_kind(), RegistrationKind::Preregistered);
    let header = world.header("ann", "tools").await;
    assert!(world.idp.accepts(&header));
    let sent = &world.idp.own_requests()[0];
    assert!(sent.header("authorization").is_none());
    assert!(sent.form("client_assertion").is_some());
}

async fn a_token_endpoint_by_hand_needs_no_discovery(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.add_client(ID, "hush", "");
    let auth = v1::ClientCredentialsAuth {
        token_endpoint: world.idp.token_endpoint(),
        ..credentials()
    };
    let url = world.idp.mcp("tools");

    world.create(server(&world, auth)).await.unwrap();
    let header = world.header("ann", "tools").await;

    assert!(world.idp.accepts(&header));
    let sent = &world.idp.own_requests()[0];
    assert_eq!(sent.form("resource"), Some(url));
    let paths = world.idp.web().paths();
    assert!(
        paths.iter().all(|path| !path.contains("well-known")),
        "{paths:?}"
    );
}

async fn a_rejected_token_is_replaced_and_nobody_is_asked(engine: Engine) {
    let world = set_up(engine).await;
    let before = world.header("ann", "tools").await;

    let answers = join_all((0..6).map(|_| world.rejected("bob", "tools", 1))).await;

    for answer in answers {
        assert_eq!(
            (answer.action(), answer.credential_version),
            (Action::Retry, 2)
        );
    }
    assert_eq!(world.idp.own_requests().len(), 2);
    assert_ne!(world.header("ann", "tools").await, before);
    let start = v1::StartHandshakeRequest {
        actor: actor("ann"),
        server: "tools".to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(world.daemon.handshakes().start_handshake(start)).await;
    assert_eq!(reason(started), "AUTH_NOT_INTERACTIVE");
}

async fn a_token_that_is_rejected_for_ever_is_tried_again_after_a_pause(engine: Engine) {
    let world = set_up(engine).await;
    world.header("ann", "tools").await;
    let retried = world.rejected("ann", "tools", 1).await;
    assert_eq!(retried.action(), Action::Retry);

    let denied = world.rejected("ann", "tools", 2).await;

    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
    let resolved = world.resolve("ann", "tools").await;
    assert_eq!(
        (resolved.status(), resolved.reason()),
        (Status::ConfigError, Reason::TokenRejected)
    );
    assert_eq!(world.idp.own_requests().len(), 2);
    world.pass(301);
    let header = world.header("bob", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_client_that_is_refused_is_an_administrators_matter(engine: Engine) {
    let world = set_up(engine).await;
    world.idp.add_client(ID, "another", "");

    for _ in 0..3 {
        let resolved = world.resolve("ann", "tools").await;
        assert_eq!(
            (resolved.status(), resolved.reason()),
            (Status::ConfigError, Reason::RegistrationRefused)
        );
    }
    let listed = v1::ListConnectionsRequest::default();
    let listed = answer(world.admin.tokens().list_connections(listed)).await;
    let own = &listed.unwrap().connections[0];
    assert_eq!(
        (own.reason(), own.expire_time),
        (Reason::RegistrationRefused, None)
    );

    assert_eq!(world.idp.own_requests().len(), 1);
    let secret = patch(v1::ClientCredentialsAuth {
        client_secret: Some("another".to_owned()),
        ..v1::ClientCredentialsAuth::default()
    });
    let mask = ["client_credentials.client_secret"];
    world.pass(1);
    world.update(secret, &mask).await.unwrap();
    let header = world.header("ann", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn other_settings_have_another_token(engine: Engine) {
    let world = set_up(engine).await;
    let before = world.header("ann", "tools").await;
    let listed = v1::ListConnectionsRequest::default();
    let listed = answer(world.admin.tokens().list_connections(listed)).await;
    let listed = listed.unwrap().connections;
    assert_eq!(listed.len(), 1);
    let own = v1::GetConnectionRequest {
        actor: None,
        server: "tools".to_owned(),
    };
    let read = answer(world.admin.tokens().get_connection(own.clone())).await;
    assert_eq!(read.unwrap().connection.unwrap().id, listed[0].id);
    let daemons = answer(world.daemon.tokens().get_connection(own)).await;
    assert_eq!(reason(daemons), "INVALID_ARGUMENT");
    assert_eq!(
        (listed[0].user.as_str(), listed[0].origin()),
        ("", ConnectionOrigin::Automatic)
    );
    let narrower = patch(v1::ClientCredentialsAuth {
        scopes: vec!["read".to_owned()],
        ..v1::ClientCredentialsAuth::default()
    });

    let changed = world.update(narrower, &["client_credentials.scopes"]).await;

    assert_eq!(changed.unwrap().ended_connections, 1);
    let after = world.resolve("ann", "tools").await;
    assert_eq!(after.status(), Status::Ready, "{after:?}");
    assert_ne!(after.headers[0].value, before);
    assert_eq!(after.credential_version, 2);
    let sent = world.idp.own_requests().pop().unwrap();
    assert_eq!(sent.form("scope").as_deref(), Some("read"));
}

async fn a_deleted_server_gives_its_token_back(engine: Engine) {
    let world = World::revoking(engine).await;
    world.idp.add_client(ID, "hush", "");
    world.create(server(&world, credentials())).await.unwrap();
    let header = world.header("ann", "tools").await;

    let delete = v1::DeleteServerRequest {
        server: "tools".to_owned(),
        etag: String::new(),
    };
    answer(world.admin.config().delete_server(delete))
        .await
        .unwrap();

    World::until("the token is revoked", async || {
        world.work().await;
        !world.idp.accepts(&header)
    })
    .await;
}

async fn a_token_whose_end_is_not_told_is_used_until_it_is_rejected(engine: Engine) {
    let world = set_up(engine).await;
    world.idp.lifetime(None);

    let first = world.header("ann", "tools").await;
    world.pass(4 * 3600);
    let second = world.header("bob", "tools").await;

    assert_eq!(first, second);
    assert_eq!(world.idp.own_requests().len(), 1);
    assert_eq!(
        world.rejected("ann", "tools", 1).await.action(),
        Action::Retry
    );
    assert_ne!(world.header("ann", "tools").await, first);
}

async fn another_issuer_is_never_shown_the_client(engine: Engine) {
    let world = set_up(engine).await;
    world.header("ann", "tools").await;
    let other = Idp::start().await;
    world.idp.names("tools", &[other.issuer()]);

    let denied = world.rejected("ann", "tools", 1).await;
    let looked = rediscover(&world.admin, "tools", "").await;

    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::IssuerApprovalPending)
    );
    assert_eq!(reason(looked), "DISCOVERY_FAILED");
    assert!(other.own_requests().is_empty());
    world.idp.names("tools", &[world.idp.issuer()]);
    let retried = world.rejected("ann", "tools", 1).await;
    assert_eq!(retried.action(), Action::Retry);
    let looked = rediscover(&world.admin, "tools", "").await.unwrap();
    assert_eq!(looked.ended_connections, 0);
    world.header("ann", "tools").await;
}

async fn an_update_never_shows_the_secret_to_another_issuer(engine: Engine) {
    let world = set_up(engine).await;
    let other = Idp::start().await;
    world.idp.names("tools", &[other.issuer()]);
    let scopes = v1::ClientCredentialsAuth {
        scopes: vec!["read".to_owned()],
        ..v1::ClientCredentialsAuth::default()
    };
    let key = v1::ClientCredentialsAuth {
        private_key: Some(Key::Es256.pem().to_owned()),
        ..v1::ClientCredentialsAuth::default()
    };
    for (changed, path) in [
        (scopes.clone(), "client_credentials.scopes"),
        (key, "client_credentials.private_key"),
    ] {
        let refused = world.update(patch(changed), &[path]).await;

        assert_eq!(reason(refused), "DISCOVERY_FAILED", "{path}");
    }

    let both = [other.issuer(), world.idp.issuer()];
    world.idp.names("tools", &both);
    let mask = ["client_credentials.scopes"];
    world.update(patch(scopes), &mask).await.unwrap();
    let header = world.header("ann", "tools").await;
    assert!(world.idp.accepts(&header));
    assert!(other.own_requests().is_empty());
}

#[tokio::test]
async fn two_replicas_ask_once() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    let theirs = second.client(world.service.daemon_key()).await;
    world.idp.add_client(ID, "hush", "");
    world.create(server(&world, credentials())).await.unwrap();

    let (ours, others) = tokio::join!(
        join_all((0..8).map(|_| world.resolve("ann", "tools"))),
        join_all((0..8).map(|_| resolve(&theirs, "bob", "tools"))),
    );

    for resolved in ours.iter().chain(&others) {
        assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
    }
    assert_eq!(world.idp.own_requests().len(), 1);
    world.service.stop().await;
    second.stop().await;
}
