//! New tokens that cannot be written at once: nobody gets them before they are.

use std::time::Duration;

use stationmaster::client::{answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::actor;
use crate::harness::database::Raw;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    new_tokens_are_kept_for_writing_and_handed_to_nobody_before,
}

/// From here on no new generation can be written; everything else can.
async fn break_writing(raw: &mut Raw) {
    let statements: &[&str] = match raw {
        Raw::Sqlite(_) => &["CREATE TRIGGER full BEFORE UPDATE ON connections \
            WHEN NEW.generation > OLD.generation BEGIN SELECT RAISE(ABORT, 'full'); END"],
        Raw::Postgres(_) => &[
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql \
                AS $$ BEGIN RAISE EXCEPTION 'full'; END $$",
            "CREATE TRIGGER full_disk BEFORE UPDATE ON connections FOR EACH ROW \
                WHEN (NEW.generation > OLD.generation) EXECUTE FUNCTION fail()",
        ],
    };
    for statement in statements {
        raw.execute(statement).await;
    }
}

async fn mend_writing(raw: &mut Raw) {
    let statement = match raw {
        Raw::Sqlite(_) => "DROP TRIGGER full",
        Raw::Postgres(_) => "DROP TRIGGER full_disk ON connections",
    };
    raw.execute(statement).await;
}

async fn hurried(world: &World) -> v1::ResolvedServer {
    let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    });
    request.set_timeout(Duration::from_secs(1));
    let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;
    resolved.unwrap().servers.remove(0)
}

async fn new_tokens_are_kept_for_writing_and_handed_to_nobody_before(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    let mut raw = raw(&database).await;
    break_writing(&mut raw).await;

    let first = hurried(&world).await;
    World::until("the provider gave new tokens", async || {
        world.refreshes("success").await == 1
    })
    .await;
    let second = hurried(&world).await;
    let unwritten = world.connection("alice", "tools").await.unwrap();
    mend_writing(&mut raw).await;
    world.renewed("alice", "tools", 2).await;
    let third = world.resolve("alice", "tools").await;

    for resolved in [first, second] {
        assert_eq!(resolved.status(), Status::UpstreamUnavailable);
        assert_eq!(resolved.reason(), Reason::StillWorking);
        assert!(resolved.headers.is_empty());
    }
    assert_eq!(unwritten.generation, 1);
    assert_eq!(third.status(), Status::Ready);
    assert!(world.idp.accepts(&third.headers[0].value));
    // The spent token was not presented again meanwhile.
    assert_eq!(world.idp.redemptions().len(), 1);
    world.service.stop().await;
}
