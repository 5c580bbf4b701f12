//! A server whose resource names another issuer than before: it is followed, or an administrator is
//! asked, and grants of the issuer of before go nowhere.

use futures_util::future::join_all;
use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{
    ConnectionState as State, IssuerChange, ReportAction as Action, ServerStatus as Status,
    StatusReason as Reason,
};

use crate::harness::browser::Browser;
use crate::harness::client::{actor, fields, reason};
use crate::harness::idp::Idp;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines, rediscover, resolve};

on_both_engines! {
    another_issuer_is_followed_and_old_grants_go_nowhere,
    a_resource_that_says_nothing_leaves_all_as_it_is,
    of_several_issuers_the_present_one_stays,
    another_issuer_waits_for_approval_where_it_must,
    a_client_made_by_hand_is_never_shown_to_another_issuer,
    a_callback_of_the_issuer_of_before_comes_to_nothing,
    grants_of_an_issuer_that_comes_back_are_good_again,
    what_waits_for_approval_is_looked_at_now_and_then,
    nobody_is_connected_while_an_issuer_waits_for_approval,
    an_update_never_moves_a_server_to_another_issuer,
    scopes_of_one_issuer_are_not_asked_of_another,
}

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp/tools";

/// A server with a connected user, and another authorization server beside the one it names.
async fn connected(engine: Engine, server: impl FnOnce(&World) -> v1::Server) -> (World, Idp) {
    let world = World::start(engine).await;
    world.create(server(&world)).await.unwrap();
    for user in ["alice", "bob"] {
        world.connect(user, "tools").await;
    }
    (world, Idp::start().await)
}

fn automatic(world: &World) -> v1::Server {
    world.automatic("tools")
}

fn approving(world: &World) -> v1::Server {
    let mut server = automatic(world);
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.issuer_change = IssuerChange::Approve.into();
    }
    server
}

async fn found(world: &World) -> v1::Discovered {
    match world.get("tools").await.unwrap().auth {
        Some(Auth::Oauth2(oauth2)) => oauth2.discovered.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn told(resolved: &v1::ResolvedServer) -> (Status, Reason) {
    (resolved.status(), resolved.reason())
}

const WAITS: (Status, Reason) = (Status::ConfigError, Reason::IssuerApprovalPending);
const SET_ASIDE: (Status, Reason) = (Status::ReconnectRequired, Reason::IssuerChanged);

async fn another_issuer_is_followed_and_old_grants_go_nowhere(engine: Engine) {
    let (world, other) = connected(engine, automatic).await;
    world.idp.names("tools", &[other.issuer()]);

    let answers = join_all((0..5).map(|_| world.rejected("alice", "tools", 1))).await;

    for answer in &answers {
        assert_eq!(answer.action(), Action::Authorize, "{answer:?}");
    }
    assert_eq!(other.registered().len(), 1);
    assert_eq!(found(&world).await.issuer, other.issuer());
    assert!(world.idp.redemptions().is_empty());
    for user in ["alice", "bob"] {
        assert_eq!(told(&world.resolve(user, "tools").await), SET_ASIDE);
        let connection = world.connection(user, "tools").await.unwrap();
        assert_eq!(connection.state(), State::ReconnectRequired);
        assert_eq!(connection.reason(), Reason::IssuerChanged);
    }
    // Time passes, and nothing of the old grants is renewed, neither asked for nor unasked.
    world.pass(4 * 3600);
    world.work().await;
    world.resolve("bob", "tools").await;
    assert!(world.idp.redemptions().is_empty());

    world.connect("alice", "tools").await;
    let header = world.header("alice", "tools").await;
    assert!(other.accepts(&header));
    assert_eq!(other.exchanges(), 1);
    assert_eq!(told(&world.resolve("bob", "tools").await), SET_ASIDE);
}

async fn a_resource_that_says_nothing_leaves_all_as_it_is(engine: Engine) {
    let (world, _) = connected(engine, automatic).await;
    for (version, reply) in [
        (1, Reply::status(404)),
        (2, Reply::status(503)),
        (3, Reply::text(200, "text/html", "<html>maintenance</html>")),
    ] {
        world.idp.web().on(RESOURCE, reply);

        let answer = world.rejected("alice", "tools", version).await;

        assert_eq!(
            (answer.action(), answer.credential_version),
            (Action::Retry, version + 1)
        );
        // It is not looked again at once, whoever reports.
        let looks = world.idp.web().seen_at(RESOURCE).len();
        world.rejected("bob", "tools", version).await;
        assert_eq!(world.idp.web().seen_at(RESOURCE).len(), looks);
        world.pass(30);
        world.idp.web().on(RESOURCE, Reply::status(404));
        let header = world.header("alice", "tools").await;
        assert!(world.idp.accepts(&header));
        world.worked("alice", "tools", version + 1).await;
    }
    assert_eq!(found(&world).await.issuer, world.idp.issuer());
}

async fn of_several_issuers_the_present_one_stays(engine: Engine) {
    let (world, other) = connected(engine, automatic).await;
    let present = world.idp.issuer();
    world.idp.names("tools", &[other.issuer(), present.clone()]);

    let answer = world.rejected("alice", "tools", 1).await;
    let asked = rediscover(&world.admin, "tools", "").await.unwrap();

    assert_eq!(answer.action(), Action::Retry);
    assert_eq!(asked.ended_connections, 0);
    let found = found(&world).await;
    assert_eq!(found.issuer, present);
    assert_eq!(found.authorization_servers, [other.issuer(), present]);
    assert!(other.registered().is_empty());
}

async fn another_issuer_waits_for_approval_where_it_must(engine: Engine) {
    let (world, other) = connected(engine, approving).await;
    world.idp.names("tools", &[other.issuer()]);

    let denied = world.rejected("alice", "tools", 1).await;
    let unconnected = world.rejected("carol", "tools", 0).await;

    for answer in [&denied, &unconnected] {
        assert_eq!(answer.action(), Action::Denied, "{answer:?}");
        assert_eq!(answer.reason(), Reason::IssuerApprovalPending);
    }
    assert!(other.registered().is_empty());
    assert_eq!(found(&world).await.pending_issuer, other.issuer());
    // What is in use is neither sent nor renewed meanwhile.
    world.pass(3600);
    for user in ["alice", "bob"] {
        assert_eq!(told(&world.resolve(user, "tools").await), WAITS);
    }
    assert!(world.idp.redemptions().is_empty());
    let problems = world.get("tools").await.unwrap().problems;
    assert_eq!(problems[0].reason(), Reason::IssuerApprovalPending);
    let unapproved = rediscover(&world.admin, "tools", "").await.unwrap();
    assert_eq!(unapproved.ended_connections, 0);
    assert_eq!(found(&world).await.issuer, world.idp.issuer());

    let approved = rediscover(&world.admin, "tools", &other.issuer()).await;

    assert_eq!(approved.unwrap().ended_connections, 2);
    let now = found(&world).await;
    assert_eq!(
        (now.issuer, now.pending_issuer.as_str()),
        (other.issuer(), "")
    );
    world.connect("alice", "tools").await;
    let header = world.header("alice", "tools").await;
    assert!(other.accepts(&header));
}

async fn a_client_made_by_hand_is_never_shown_to_another_issuer(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = automatic(&world);
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.preregistered = Some(v1::PreregisteredClient {
            client_id: "by-hand".to_owned(),
            issuer: world.idp.issuer(),
        });
        oauth2.client_secret = Some("hush".to_owned());
    }
    let server = world.create(server).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    let other = Idp::start().await;
    world.idp.names("tools", &[other.issuer()]);

    let denied = world.rejected("alice", "tools", 1).await;

    assert_eq!(denied.reason(), Reason::IssuerApprovalPending);
    assert_eq!(found(&world).await.pending_issuer, other.issuer());
    let approving = rediscover(&world.admin, "tools", &other.issuer()).await;
    assert_eq!(fields(approving), ["approve_issuer"]);
    let looking = rediscover(&world.admin, "tools", "").await;
    assert_eq!(reason(looking), "DISCOVERY_FAILED");
    assert!(
        other
            .web()
            .seen()
            .iter()
            .all(|seen| seen.path.contains("well-known"))
    );
    // It comes back, and all is as before.
    world.idp.names("tools", &[world.idp.issuer()]);
    let retried = world.rejected("alice", "tools", 1).await;
    assert_eq!(retried.action(), Action::Retry);
    assert_eq!(found(&world).await.pending_issuer, "");
}

async fn a_callback_of_the_issuer_of_before_comes_to_nothing(engine: Engine) {
    let (world, other) = connected(engine, automatic).await;
    let started = world.begin("carol", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    world.idp.names("tools", &[other.issuer()]);
    world.rejected("alice", "tools", 1).await;

    let page = browser.get(&callback).await;

    assert_ne!(page.status, 200, "{}", page.text);
    assert_eq!(world.idp.exchanges(), 2);
    let failed = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(failed.failure(), v1::HandshakeFailure::ServerChanged);
}

async fn grants_of_an_issuer_that_comes_back_are_good_again(engine: Engine) {
    let (world, other) = connected(engine, automatic).await;
    world.idp.names("tools", &[other.issuer()]);
    world.rejected("alice", "tools", 1).await;
    world.connect("alice", "tools").await;
    assert_eq!(told(&world.resolve("bob", "tools").await), SET_ASIDE);
    world.idp.names("tools", &[world.idp.issuer()]);

    let answer = world.rejected("alice", "tools", 2).await;

    assert_eq!(answer.action(), Action::Authorize);
    assert_eq!(told(&world.resolve("alice", "tools").await), SET_ASIDE);
    let header = world.header("bob", "tools").await;
    assert!(world.idp.accepts(&header));
    world.pass(3600);
    let header = world.header("bob", "tools").await;
    assert!(world.idp.accepts(&header));
    // The client of then serves again, and stays.
    world.connect("alice", "tools").await;
    world.work().await;
    assert_eq!(world.idp.registered().len(), 1);
}

async fn what_waits_for_approval_is_looked_at_now_and_then(engine: Engine) {
    let (world, other) = connected(engine, approving).await;
    world.idp.names("tools", &[other.issuer()]);
    world.rejected("alice", "tools", 1).await;
    assert_eq!(told(&world.resolve("bob", "tools").await), WAITS);
    world.idp.names("tools", &[world.idp.issuer()]);
    world.pass(61);

    World::until("nothing waits any more", async || {
        world.resolve("bob", "tools").await.status() == Status::Ready
    })
    .await;

    assert_eq!(found(&world).await.pending_issuer, "");
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn nobody_is_connected_while_an_issuer_waits_for_approval(engine: Engine) {
    let (world, other) = connected(engine, approving).await;
    let start = async || {
        let request = v1::StartHandshakeRequest {
            actor: actor("carol"),
            server: "tools".to_owned(),
            ..v1::StartHandshakeRequest::default()
        };
        answer(world.daemon.handshakes().start_handshake(request)).await
    };
    let more = r#"Bearer error="insufficient_scope", scope="write""#;
    let open = world.answered((403, &[more]), ("alice", "tools", 1)).await;
    assert_eq!(open.action(), Action::Authorize);
    world.idp.names("tools", &[other.issuer()]);
    world.rejected("bob", "tools", 1).await;

    let refused = start().await;
    let reported = world.answered((403, &[more]), ("alice", "tools", 1)).await;

    assert_eq!(reason(refused), "ISSUER_APPROVAL_PENDING");
    assert_eq!(reported.action(), Action::Denied, "{reported:?}");
    assert_eq!(reported.reason(), Reason::IssuerApprovalPending);
    // Who only wants to connect has it looked at as well.
    world.idp.names("tools", &[world.idp.issuer()]);
    world.pass(61);
    World::until("users may connect again", async || start().await.is_ok()).await;
}

async fn an_update_never_moves_a_server_to_another_issuer(engine: Engine) {
    let (world, other) = connected(engine, automatic).await;
    let overriding = v1::Server {
        id: "tools".to_owned(),
        auth: Some(Auth::Oauth2(v1::OAuth2Auth {
            overrides: Some(v1::OAuth2Overrides {
                omit_resource: true,
                ..v1::OAuth2Overrides::default()
            }),
            ..v1::OAuth2Auth::default()
        })),
        ..v1::Server::default()
    };
    let mask = ["oauth2.overrides"];
    let both = [other.issuer(), world.idp.issuer()];
    world.idp.names("tools", &both);

    let stays = world.update(overriding.clone(), &mask).await.unwrap();
    world.idp.names("tools", &[other.issuer()]);
    let refused = world.update(
        v1::Server {
            auth: Some(Auth::Oauth2(v1::OAuth2Auth::default())),
            ..overriding
        },
        &mask,
    );

    assert_eq!(stays.ended_connections, 0);
    assert_eq!(reason(refused.await), "DISCOVERY_FAILED");
    assert_eq!(found(&world).await.issuer, world.idp.issuer());
    assert!(other.registered().is_empty());
}

async fn scopes_of_one_issuer_are_not_asked_of_another(engine: Engine) {
    let world = World::start(engine).await;
    world.idp.grants_only("of-before");
    world.found("tools").await;
    for user in ["alice", "bob"] {
        world.connect(user, "tools").await;
    }
    let other = Idp::start().await;
    world.idp.names("tools", &[other.issuer()]);

    for user in ["alice", "bob"] {
        let answer = world.rejected(user, "tools", 1).await;

        let step = answer.authorize.unwrap();
        assert!(step.scopes.is_empty(), "{user}: {:?}", step.scopes);
    }
}

#[tokio::test]
async fn two_replicas_that_follow_at_once_keep_one_client() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    let theirs = second.client(world.service.daemon_key()).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let other = Idp::start().await;
    other.manages();
    world.idp.names("tools", &[other.issuer()]);
    let gate = other.hold_registrations();
    let beside = World {
        daemon: theirs.clone(),
        ..World::beside(second, Idp::start().await).await
    };

    let (ours, answered, ()) = tokio::join!(
        world.rejected("alice", "tools", 1),
        beside.rejected("alice", "tools", 1),
        async {
            World::until("both register", async || other.registered().len() == 2).await;
            gate.close();
        }
    );

    for answer in [ours, answered] {
        assert_eq!(answer.action(), Action::Authorize, "{answer:?}");
    }
    World::until("the other client is taken back", async || {
        world.work().await;
        other.unregistered().len() == 1
    })
    .await;
    world.connect("alice", "tools").await;
    let resolved = resolve(&theirs, "alice", "tools").await;
    assert!(other.accepts(&resolved.headers[0].value));
    world.service.stop().await;
    beside.service.stop().await;
}
