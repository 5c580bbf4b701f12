//! Grants of another system are taken over: handed out as they are, renewed by the client they were
//! issued to, and never presented by two.

use stationmaster::client::{Error, answer, v1};
use stationmaster::domain::time::Clock as _;
use v1::ServerStatus as Status;
use v1::server::Auth;

use crate::harness::client::{actor, refusal};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows;

on_both_engines! {
    an_imported_grant_is_handed_out_and_its_first_refresh_takes_it_over,
    without_an_access_token_the_first_resolve_redeems,
    an_access_token_alone_lives_until_its_end,
    a_token_that_is_over_is_renewed_first,
    a_connection_stays_unless_it_is_to_be_replaced,
    what_is_replaced_is_revoked_where_another_client_obtained_it,
    the_same_grant_is_not_revoked,
    a_grant_of_another_client_is_renewed_and_revoked_with_it,
    a_redemption_under_way_is_not_repeated,
    a_generation_is_not_used_again,
}

const OLD_LEASES: &str = "UPDATE connections SET lease_until = 1 WHERE intent IS NOT NULL";

/// A deployment with a server whose client was made by hand.
pub(super) async fn deployment(engine: Engine) -> World {
    settled(World::start(engine).await).await
}

async fn settled(world: World) -> World {
    let mut server = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.revocation_endpoint = world.idp.revocation_endpoint();
    }
    world.idp.revokes();
    let server = world.create(server).await.unwrap();
    let redirect_uri = &server.redirect_uri;
    world.idp.add_client("by-hand", "hush", redirect_uri);
    world.idp.add_client("foreign", "secret-of-old", "");
    world
}

/// The import of a grant with both tokens that lives for an hour.
pub(super) fn grant(world: &World, user: &str, client: &str) -> v1::ImportConnectionRequest {
    let (access_token, refresh_token) = world.idp.grant(client);
    let now = world.service.clock().now();
    v1::ImportConnectionRequest {
        actor: actor(user),
        server: "tools".to_owned(),
        access_token,
        refresh_token,
        expire_time: Some(prost_types::Timestamp {
            seconds: now.as_secs() + 3600,
            nanos: 0,
        }),
        scopes: vec!["read".to_owned()],
        ..v1::ImportConnectionRequest::default()
    }
}

/// The same of a client that is not the server's.
pub(super) fn foreign(world: &World, user: &str) -> v1::ImportConnectionRequest {
    v1::ImportConnectionRequest {
        client_id: "foreign".to_owned(),
        client_secret: "secret-of-old".to_owned(),
        ..grant(world, user, "foreign")
    }
}

pub(super) async fn import(
    world: &World,
    ask: v1::ImportConnectionRequest,
) -> Result<v1::Connection, Error> {
    let made = answer(world.daemon.tokens().import_connection(ask)).await;
    made.map(|made| made.connection.unwrap())
}

async fn an_imported_grant_is_handed_out_and_its_first_refresh_takes_it_over(engine: Engine) {
    let world = deployment(engine).await;
    let ask = grant(&world, "alice", "by-hand");

    let made = import(&world, ask.clone()).await.unwrap();

    assert_eq!(made.origin(), v1::ConnectionOrigin::Import);
    assert_eq!(made.state(), v1::ConnectionState::Active);
    assert_eq!(made.generation, 1);
    assert_eq!(made.granted_scopes, ["read"]);
    assert_eq!(made.issuer, world.idp.issuer());
    assert!(made.renewable);
    assert_eq!(made, world.connection("alice", "tools").await.unwrap());
    let header = world.header("alice", "tools").await;
    assert_eq!(header, format!("Bearer {}", ask.access_token));
    assert!(world.idp.redemptions().is_empty());
    for generation in [2, 3] {
        world.pass(3600);
        let resolved = world.resolve("alice", "tools").await;
        assert_eq!(resolved.credential_version, generation);
        assert!(world.idp.accepts(&resolved.headers[0].value));
    }
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed[0], ask.refresh_token);
    assert_eq!(redeemed.len(), 2);
    assert_ne!(redeemed[1], ask.refresh_token);
}

async fn without_an_access_token_the_first_resolve_redeems(engine: Engine) {
    let world = deployment(engine).await;
    let ask = v1::ImportConnectionRequest {
        access_token: String::new(),
        expire_time: None,
        ..grant(&world, "alice", "by-hand")
    };
    import(&world, ask.clone()).await.unwrap();

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.credential_version, 2);
    assert!(world.idp.accepts(&resolved.headers[0].value));
    assert_eq!(world.idp.redemptions(), [ask.refresh_token]);
}

async fn an_access_token_alone_lives_until_its_end(engine: Engine) {
    let world = deployment(engine).await;
    let ask = v1::ImportConnectionRequest {
        refresh_token: String::new(),
        ..grant(&world, "alice", "by-hand")
    };

    let made = import(&world, ask).await.unwrap();

    assert!(!made.renewable);
    let ready = world.resolve("alice", "tools").await;
    assert_eq!(ready.status(), Status::Ready);
    world.pass(3600);
    let ended = world.resolve("alice", "tools").await;
    assert_eq!(ended.status(), Status::Expired);
    assert!(world.idp.redemptions().is_empty());
}

async fn a_token_that_is_over_is_renewed_first(engine: Engine) {
    let world = deployment(engine).await;
    let ask = grant(&world, "alice", "by-hand");
    world.pass(3601);
    import(&world, ask.clone()).await.unwrap();

    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(resolved.credential_version, 2);
    assert_eq!(world.idp.redemptions(), [ask.refresh_token]);
}

async fn a_connection_stays_unless_it_is_to_be_replaced(engine: Engine) {
    let world = deployment(engine).await;
    world.connect("alice", "tools").await;
    let before = world.connection("alice", "tools").await.unwrap();
    let ask = grant(&world, "alice", "by-hand");

    let refused = refusal(import(&world, ask.clone()).await);
    let kept = world.connection("alice", "tools").await.unwrap();
    let replace = v1::ImportConnectionRequest {
        replace: true,
        ..ask.clone()
    };
    let made = import(&world, replace).await.unwrap();

    assert_eq!(refused.reason, "CONNECTION_EXISTS");
    assert_eq!(refused.metadata["connection"], before.id);
    assert_eq!(kept, before);
    assert_ne!(made.id, before.id);
    assert_eq!(made.generation, before.generation + 1);
    let header = world.header("alice", "tools").await;
    assert_eq!(header, format!("Bearer {}", ask.access_token));
    // At many providers ending one grant of a client ends its siblings.
    assert_eq!(world.outbox().await, (0, 0));
    assert!(world.idp.revocations().is_empty());
}

async fn what_is_replaced_is_revoked_where_another_client_obtained_it(engine: Engine) {
    let world = deployment(engine).await;
    world.connect("alice", "tools").await;
    let before = world.header("alice", "tools").await;
    let replace = v1::ImportConnectionRequest {
        replace: true,
        ..foreign(&world, "alice")
    };

    import(&world, replace).await.unwrap();

    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.revocations().len(), 1);
    assert!(!world.idp.accepts(&before));
    let after = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&after));
}

async fn the_same_grant_is_not_revoked(engine: Engine) {
    let world = deployment(engine).await;
    let ask = foreign(&world, "alice");
    import(&world, ask.clone()).await.unwrap();
    // Somebody mistook the client: the token says that it is one grant.
    let again = v1::ImportConnectionRequest {
        replace: true,
        client_id: String::new(),
        client_secret: String::new(),
        access_token: String::new(),
        expire_time: None,
        ..ask.clone()
    };

    import(&world, again).await.unwrap();

    assert_eq!(world.outbox().await, (0, 0));
    assert!(world.idp.revocations().is_empty());
    assert!(world.idp.accepts(&format!("Bearer {}", ask.access_token)));
}

async fn a_grant_of_another_client_is_renewed_and_revoked_with_it(engine: Engine) {
    let world = deployment(engine).await;

    let alice = import(&world, foreign(&world, "alice")).await.unwrap();
    let bob = import(&world, foreign(&world, "bob")).await.unwrap();
    world.connect("carol", "tools").await;
    let carol = world.connection("carol", "tools").await.unwrap();
    world.pass(3600);
    let resolved = world.resolve("alice", "tools").await;

    assert_eq!(alice.registration_id, bob.registration_id);
    assert_ne!(alice.registration_id, carol.registration_id);
    assert_eq!(resolved.credential_version, 2);
    let proof = Some("Basic Zm9yZWlnbjpzZWNyZXQtb2Ytb2xk");
    let asked = world.idp.last_redemption().unwrap();
    assert_eq!(asked.header("authorization"), proof);
    world.disconnect("alice", "tools").await;
    world.outbox_is((0, 0)).await;
    let asked = world.idp.revocation_requests().remove(0);
    assert_eq!(asked.header("authorization"), proof);
    assert!(!world.idp.accepts(&resolved.headers[0].value));
    assert_eq!(
        world.resolve("carol", "tools").await.status(),
        Status::Ready
    );
}

async fn a_redemption_under_way_is_not_repeated(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let world = settled(World::around(service).await).await;
    let ask = grant(&world, "alice", "by-hand");
    import(&world, ask.clone()).await.unwrap();
    world.pass(3600);
    let gate = world.idp.hold();
    let replace = v1::ImportConnectionRequest {
        replace: true,
        ..ask
    };
    let resolve = async || {
        let mut request = tonic::Request::new(v1::ResolveCredentialsRequest {
            actor: actor("alice"),
            servers: vec!["tools".to_owned()],
            ..v1::ResolveCredentialsRequest::default()
        });
        request.set_timeout(std::time::Duration::from_millis(1500));
        let resolved = answer(world.daemon.tokens().resolve_credentials(request)).await;
        resolved.unwrap().servers.remove(0).status()
    };

    let swap = async {
        World::until("the token is redeemed", async || {
            world.idp.redemptions().len() == 1
        })
        .await;
        import(&world, replace).await.unwrap();
        gate.close();
    };
    let (first, ()) = tokio::join!(resolve(), swap);
    let second = resolve().await;

    // The one that took over the token has what the redemption brought.
    assert_ne!(first, Status::ReconnectRequired);
    assert_eq!(second, Status::Ready);
    assert_eq!(world.idp.redemptions().len(), 1);
    assert!(world.idp.revocations().is_empty());
    rows::raw(&database).await.execute(OLD_LEASES).await;
    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.status(), Status::Ready);
    assert_eq!(resolved.credential_version, 3);
    assert!(world.idp.accepts(&resolved.headers[0].value));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_generation_is_not_used_again(engine: Engine) {
    let world = deployment(engine).await;
    import(&world, grant(&world, "alice", "by-hand"))
        .await
        .unwrap();
    world.disconnect("alice", "tools").await;

    let made = import(&world, grant(&world, "alice", "by-hand"))
        .await
        .unwrap();

    assert_eq!(made.generation, 2);
    world.outbox_is((0, 0)).await;
}
