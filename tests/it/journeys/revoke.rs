//! A grant that ends here is ended at its provider: soon, again when the provider is in trouble, and
//! visibly not when it refuses.

use serde_json::json;
use stationmaster::client::v1;
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::idp::Idp;
use crate::harness::service::Engine;
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines, with_auth};

on_both_engines! {
    disconnecting_revokes_the_refresh_token_with_the_clients_own_proof,
    a_provider_in_trouble_is_asked_again_and_the_grant_is_gone_at_once,
    the_access_token_is_next_where_no_other_is_taken,
    a_refusal_is_kept_in_sight_and_its_tokens_are_not,
    what_is_invalid_already_is_done,
    a_renewal_under_way_is_waited_for_and_what_it_brings_is_revoked,
    connecting_again_by_the_same_client_revokes_nothing,
    what_waits_is_left_alone_once_its_user_connected_again,
    what_cannot_be_read_can_still_be_disconnected,
    a_provider_without_revocation_is_left_alone,
    a_deployment_that_crashed_amid_work_asks_again,
    a_provider_that_does_not_answer_holds_up_no_other,
    what_was_begun_is_finished_when_the_service_stops,
}

const OLD_LEASES: &str = "UPDATE revocations SET lease_until = 1";

async fn connected(engine: Engine) -> World {
    let world = World::revoking(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world
}

fn hints(world: &World) -> Vec<String> {
    let asked = world.idp.revocations().into_iter();
    asked.map(|(hint, _)| hint).collect()
}

fn refusal(code: &str) -> Reply {
    Reply::json(400, &json!({ "error": code }))
}

async fn disconnecting_revokes_the_refresh_token_with_the_clients_own_proof(engine: Engine) {
    let world = World::revoking(engine).await;
    let mut manual = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut manual.auth {
        oauth2.revocation_endpoint = world.idp.revocation_endpoint();
    }
    let server = world.create(manual).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);
    world.connect("alice", "tools").await;
    let header = world.header("alice", "tools").await;

    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 0)).await;
    assert_eq!(hints(&world), ["refresh_token"]);
    assert!(!world.idp.accepts(&header));
    let asked = world.idp.revocation_requests().remove(0);
    assert_eq!(
        asked.header("authorization"),
        Some("Basic YnktaGFuZDpodXNo")
    );
}

async fn a_provider_in_trouble_is_asked_again_and_the_grant_is_gone_at_once(engine: Engine) {
    let world = connected(engine).await;
    let header = world.header("alice", "tools").await;
    let busy = Reply::status(503).with("retry-after", "600".to_owned());
    world.idp.revoke_once(busy);

    world.disconnect("alice", "tools").await;

    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::NotConnected);
    world.puts_off(1).await;
    world.pass(599);
    assert_eq!(world.outbox().await, (1, 0));
    assert_eq!(hints(&world).len(), 1, "it asked for ten minutes");
    world.pass(2);
    world.outbox_is((0, 0)).await;
    assert_eq!(hints(&world).len(), 2);
    assert!(!world.idp.accepts(&header));
}

async fn the_access_token_is_next_where_no_other_is_taken(engine: Engine) {
    let world = connected(engine).await;
    let header = world.header("alice", "tools").await;
    world.idp.revoke_once(refusal("unsupported_token_type"));

    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 0)).await;
    assert_eq!(hints(&world), ["refresh_token", "access_token"]);
    assert!(!world.idp.accepts(&header));
}

async fn a_refusal_is_kept_in_sight_and_its_tokens_are_not(engine: Engine) {
    let world = connected(engine).await;
    world.idp.revoke_always(refusal("invalid_client"));

    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 1)).await;
    world.pass(7 * 24 * 3600);
    assert_eq!(world.outbox().await, (0, 1));
    assert_eq!(hints(&world).len(), 1);
}

async fn what_is_invalid_already_is_done(engine: Engine) {
    let world = connected(engine).await;
    world.idp.revoke_once(refusal("invalid_token"));

    world.disconnect("alice", "tools").await;

    world.outbox_is((0, 0)).await;
    assert_eq!(hints(&world), ["refresh_token"]);
}

async fn a_renewal_under_way_is_waited_for_and_what_it_brings_is_revoked(engine: Engine) {
    let world = connected(engine).await;
    world.pass(3600);
    let gate = world.idp.hold();

    let end = async {
        World::until("the token is redeemed", async || {
            world.idp.redemptions().len() == 1
        })
        .await;
        world.disconnect("alice", "tools").await;
        assert_eq!(world.outbox().await, (1, 0));
        assert_eq!(hints(&world), Vec::<String>::new());
        gate.close();
    };
    let (resolved, ()) = tokio::join!(world.resolve("alice", "tools"), end);

    assert_eq!(resolved.status(), Status::NotConnected);
    world.outbox_is((0, 0)).await;
    let revoked = world.idp.revocations();
    assert_eq!(revoked.len(), 1);
    assert!(!world.idp.redemptions().contains(&revoked[0].1));
    assert_eq!(world.idp.grants(), 0);
}

async fn connecting_again_by_the_same_client_revokes_nothing(engine: Engine) {
    let world = connected(engine).await;

    world.connect("alice", "tools").await;

    assert_eq!(world.outbox().await, (0, 0));
    assert_eq!(hints(&world), Vec::<String>::new());
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_provider_without_revocation_is_left_alone(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;

    world.disconnect("alice", "tools").await;

    assert_eq!(world.outbox().await, (0, 0));
    assert!(world.idp.revocation_requests().is_empty());
}

async fn a_deployment_that_crashed_amid_work_asks_again(engine: Engine) {
    use crate::harness::service::{TestDatabase, TestService};
    use crate::walks::rows;
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.idp.revokes();
        world.found("tools").await;
        world.connect("alice", "tools").await;
        let gate = world.idp.hold_revocations();
        world.disconnect("alice", "tools").await;
        let work = async {
            World::until("the provider was asked", async || hints(&world).len() == 1).await;
            rows::raw(&database).await.execute(OLD_LEASES).await;
            let again = async {
                World::until("it was asked again", async || hints(&world).len() == 2).await;
                gate.close();
            };
            tokio::join!(world.work(), again);
        };
        work.await;
        world.outbox_is((0, 0)).await;
        assert_eq!(hints(&world).len(), 2);
        assert_eq!(world.idp.grants(), 0);
    }
}

async fn what_waits_is_left_alone_once_its_user_connected_again(engine: Engine) {
    let world = connected(engine).await;
    world.idp.revoke_once(Reply::status(503));
    world.disconnect("alice", "tools").await;
    world.puts_off(1).await;
    world.connect("alice", "tools").await;
    let header = world.header("alice", "tools").await;

    world.pass(3600);

    // The same client holds a grant again, and ending the old one could end it too.
    world.outbox_is((0, 0)).await;
    assert_eq!(hints(&world).len(), 1);
    assert!(world.idp.accepts(&header));
}

async fn what_cannot_be_read_can_still_be_disconnected(engine: Engine) {
    use crate::harness::service::{TestDatabase, TestService};
    use crate::walks::rows;
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.found("tools").await;
        world.connect("alice", "tools").await;
        let damage = "UPDATE connections SET status = 'odd'";
        rows::raw(&database).await.execute(damage).await;

        world.disconnect("alice", "tools").await;

        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(resolved.status(), Status::NotConnected);
        world.service.stop().await;
    }
}

async fn a_provider_that_does_not_answer_holds_up_no_other(engine: Engine) {
    // Nobody waits for the end of the silence.
    let silence = [
        ("oauth.request_timeout", "60s"),
        ("tokens.lease", "90s"),
        ("lifecycle.shutdown_timeout", "90s"),
    ];
    let world = World::start_with(engine, &silence).await;
    world.idp.revokes();
    let other = Idp::start().await;
    other.revokes();
    world.found("tools").await;
    let elsewhere = with_auth(
        "elsewhere",
        other.mcp("elsewhere"),
        Auth::Oauth2(v1::OAuth2Auth::default()),
    );
    world.create(elsewhere).await.unwrap();
    world.connect("alice", "tools").await;
    for user in ["alice", "bob"] {
        world.connect(user, "elsewhere").await;
    }
    let gate = world.idp.hold_revocations();
    world.disconnect("alice", "tools").await;
    World::until("the silent one was asked", async || {
        hints(&world).len() == 1
    })
    .await;

    for user in ["alice", "bob"] {
        world.disconnect(user, "elsewhere").await;
        let left = usize::from(user == "alice");
        World::until("the other one revoked", async || other.grants() == left).await;
    }

    assert_eq!(world.idp.grants(), 1);
    world.outbox_is((1, 0)).await;
    gate.close();
    world.outbox_is((0, 0)).await;
    assert_eq!((world.idp.grants(), hints(&world).len()), (0, 1));
}

async fn what_was_begun_is_finished_when_the_service_stops(engine: Engine) {
    use crate::harness::service::{TestDatabase, TestService};
    use crate::walks::rows;
    use stationmaster::runtime::lifecycle::Outcome;
    let database = TestDatabase::new(engine).await;
    let World { service, idp, .. } = {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        world.idp.revokes();
        world.found("tools").await;
        world.connect("alice", "tools").await;
        let gate = world.idp.hold_revocations();
        world.disconnect("alice", "tools").await;
        World::until("the provider was asked", async || hints(&world).len() == 1).await;

        world.service.ask_once();

        gate.close();
        world
    };
    assert_eq!(service.outcome().await, Outcome::Finished);
    assert_eq!(idp.grants(), 0);
    let mut raw = rows::raw(&database).await;
    let left = "SELECT COUNT(*) FROM revocations";
    assert_eq!(raw.number(left).await, 0);
}
