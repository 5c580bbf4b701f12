//! The secret of a client made by hand is changed, at the provider and here, and never in the same
//! moment: for a day the one before is tried where the present one is refused.

use stationmaster::client::v1;
use v1::server::Auth;
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, with_auth};
use crate::walks::rows;

on_both_engines! {
    a_secret_changed_here_first_interrupts_nobody,
    a_secret_changed_there_first_is_mended_at_once,
    a_grant_of_our_own_is_had_by_either_secret,
    the_same_secret_written_again_leaves_the_one_before,
    after_a_day_the_former_secret_is_tried_no_more_and_forgotten,
    a_former_secret_is_not_shown_to_another_client,
    a_secret_that_was_cleared_is_tried_no_more,
}

const HOUR: u64 = 3600;
const MEND_IT: (Status, Reason) = (Status::ConfigError, Reason::RegistrationRefused);
const FORMER: &str = "SELECT COUNT(*) FROM servers WHERE former_client_secret IS NOT NULL";

fn patch(oauth2: v1::OAuth2Auth) -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(oauth2)),
        ..v1::Server::default()
    }
}

async fn change(world: &World, secret: &str) {
    let oauth2 = v1::OAuth2Auth {
        client_secret: Some(secret.to_owned()),
        ..v1::OAuth2Auth::default()
    };
    let mask = ["oauth2.client_secret"];
    world.update(patch(oauth2), &mask).await.unwrap();
}

/// Alice is connected by a client made by hand, whose secret is "hush". Answers its redirect URI.
async fn connected(world: &World) -> String {
    let server = world.create(world.manual("tools")).await.unwrap();
    let to = server.redirect_uri;
    world.idp.add_client("by-hand", "hush", &to);
    world.connect("alice", "tools").await;
    to
}

async fn renews(world: &World) {
    world.pass(HOUR + 1);
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

/// How the next renewal ends, and how often it was asked for.
async fn refused(world: &World) -> (Status, Reason, usize) {
    let before = world.idp.redemptions().len();
    world.pass(HOUR + 1);
    let told = world.resolve("alice", "tools").await;
    let asked = world.idp.redemptions().len() - before;
    (told.status(), told.reason(), asked)
}

async fn a_secret_changed_here_first_interrupts_nobody(engine: Engine) {
    let world = World::start(engine).await;
    let to = connected(&world).await;

    change(&world, "new").await;

    renews(&world).await;
    let presented = world.idp.redemptions();
    assert_eq!(presented.len(), 2);
    assert_eq!(presented[0], presented[1]);
    world.connect("bob", "tools").await;
    world.idp.add_client("by-hand", "new", &to);
    renews(&world).await;
    assert_eq!(world.idp.redemptions().len(), 3);
    world.connect("carol", "tools").await;
}

async fn a_secret_changed_there_first_is_mended_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let to = connected(&world).await;
    world.idp.add_client("by-hand", "new", &to);
    let (status, reason, asked) = refused(&world).await;
    assert_eq!((status, reason), MEND_IT);
    assert_eq!(asked, 1);

    change(&world, "new").await;

    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_grant_of_our_own_is_had_by_either_secret(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.add_client("machine", "hush", "");
    let client = |secret: &str| {
        let auth = v1::ClientCredentialsAuth {
            client_id: "machine".to_owned(),
            client_secret: Some(secret.to_owned()),
            ..v1::ClientCredentialsAuth::default()
        };
        Auth::ClientCredentials(auth)
    };
    let server = with_auth("tools", world.idp.mcp("tools"), client("hush"));
    world.create(server).await.unwrap();
    let new = v1::Server {
        id: "tools".to_owned(),
        auth: Some(client("new")),
        ..v1::Server::default()
    };
    let mask = ["client_credentials.client_secret"];
    world.update(new, &mask).await.unwrap();

    let header = world.header("alice", "tools").await;

    assert!(world.idp.accepts(&header));
    assert_eq!(world.idp.own_requests().len(), 2);
}

async fn the_same_secret_written_again_leaves_the_one_before(engine: Engine) {
    let world = World::start(engine).await;
    connected(&world).await;

    for secret in ["new", "new"] {
        change(&world, secret).await;
    }

    renews(&world).await;
}

async fn after_a_day_the_former_secret_is_tried_no_more_and_forgotten(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    connected(&world).await;
    change(&world, "new").await;
    world.pass(23 * HOUR);
    world.sweep().await;
    let mut raw = rows::raw(&database).await;
    assert_eq!(raw.number(FORMER).await, 1);

    let told = refused(&world).await;

    assert_eq!(told, (MEND_IT.0, MEND_IT.1, 1));
    world.sweep().await;
    assert_eq!(raw.number(FORMER).await, 0);
    world.service.stop().await;
}

async fn a_former_secret_is_not_shown_to_another_client(engine: Engine) {
    let world = World::start(engine).await;
    let to = connected(&world).await;
    let oauth2 = v1::OAuth2Auth {
        client_id: "another".to_owned(),
        client_secret: Some("new".to_owned()),
        ..v1::OAuth2Auth::default()
    };
    let mask = ["oauth2.client_id", "oauth2.client_secret"];
    world.update(patch(oauth2), &mask).await.unwrap();
    world.idp.add_client("another", "hush", &to);

    let started = world.begin("alice", "tools").await;
    let page = crate::harness::browser::Browser::default()
        .connect(&started.connect_url)
        .await;

    assert_ne!(page.status, 200);
    assert_eq!(world.idp.exchanges(), 2);
}

async fn a_secret_that_was_cleared_is_tried_no_more(engine: Engine) {
    let world = World::start(engine).await;
    connected(&world).await;
    change(&world, "new").await;
    change(&world, "").await;
    change(&world, "newer").await;

    let (status, _, asked) = refused(&world).await;

    assert_ne!(status, Status::Ready);
    assert_eq!(asked, 1);
}
