//! Signed identity tokens: receivers check them with what is published, whatever becomes of the keys.

use std::time::Duration;

use serde_json::json;
use stationmaster::client::{answer, v1};
use stationmaster::domain::identity_tokens::{KEPT, LEAD, LIFETIME, PERIOD};
use v1::ServerStatus as Status;

use super::identity::{asking, context, named, resolve};
use crate::harness::client::actor;
use crate::harness::receiver::{Token, fetched, published};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::world::{World, on_both_engines, resolve as resolve_by};
use crate::walks::rows;

on_both_engines! {
    a_receiver_checks_a_token_with_what_is_published,
    nothing_but_public_halves_is_published,
    a_token_is_sent_only_where_one_is_wanted,
    headers_end_with_the_first_of_them,
    a_new_key_is_published_before_it_signs_and_an_old_one_for_a_while,
    a_key_that_cannot_be_opened_is_replaced,
    a_row_that_cannot_be_read_does_not_stand_in_the_way,
    a_token_says_which_tenant_it_is_of,
}

const HEADER: &str = "X-Stationmaster-Identity";

/// A server that wants tokens.
fn sure(server: v1::Server) -> v1::Server {
    v1::Server {
        forward_identity_headers: true,
        identity_forwarding: Some(v1::IdentityForwarding {
            signed_token: true,
            ..named(v1::IdentityHeaderPreset::Stationmaster)
        }),
        ..server
    }
}

/// The token among the headers, which is the last of them.
fn token(resolved: &v1::ResolvedServer) -> Token {
    assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
    let last = resolved.headers.last().unwrap();
    assert_eq!(last.name, HEADER);
    Token::read(&last.value)
}

/// Ann's token for a server.
async fn anns(world: &World, server: &str) -> Token {
    token(&resolve(world, ("ann", server), context("", "", "")).await)
}

async fn sweep(world: &World) {
    let swept = world.service.within(|app| async move { app.sweep().await });
    swept.await.unwrap();
}

/// The names of the keys that are published.
async fn names(world: &World) -> Vec<String> {
    let keys = published(&world.service).await;
    let name = |key: &serde_json::Value| key["kid"].as_str().unwrap().to_owned();
    keys.iter().map(name).collect()
}

async fn a_receiver_checks_a_token_with_what_is_published(engine: Engine) {
    let world = World::start(engine).await;
    world.create(sure(asking("tools"))).await.unwrap();

    let first = resolve(&world, ("Zoë", "tools"), context("c1", "s1", "w 1")).await;
    let second = anns(&world, "tools").await;

    let first = token(&first);
    assert!(first.holds(&world.service).await);
    assert_eq!(
        first.header,
        json!({ "alg": "EdDSA", "typ": "stationmaster-identity+jwt", "kid": first.key() })
    );
    assert_eq!(
        first.claims,
        json!({
            "iss": world.service.public_url(), "aud": "https://tools.example.com/mcp",
            "sub": "Zoë", "tenant": "default", "chat": "c1", "subchat": "s1", "workspace": "w 1",
            "iat": 1_767_225_600, "exp": 1_767_225_900, "jti": first.claims["jti"],
        })
    );
    assert!(second.holds(&world.service).await);
    assert_eq!(second.key(), first.key());
    assert_ne!(second.claims["jti"], first.claims["jti"]);
    for absent in ["chat", "subchat", "workspace"] {
        assert!(second.claims.get(absent).is_none(), "{absent}");
    }
}

async fn nothing_but_public_halves_is_published(engine: Engine) {
    let world = World::start(engine).await;
    world.create(sure(asking("tools"))).await.unwrap();
    assert_eq!(names(&world).await, Vec::<String>::new());
    let token = anns(&world, "tools").await;

    let answer = fetched(&world.service).await;

    for (header, value) in [
        ("content-type", "application/jwk-set+json"),
        ("cache-control", "public, max-age=300"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(answer.header(header), value);
    }
    let set: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let key = &set["keys"][0];
    assert_eq!(
        set,
        json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": token.key(), "x": key["x"],
        }]})
    );
    assert_eq!(key["x"].as_str().unwrap().len(), 43);
}

async fn a_token_is_sent_only_where_one_is_wanted(engine: Engine) {
    let world = World::start(engine).await;
    world.create(asking("plain")).await.unwrap();
    let off = v1::Server {
        forward_identity_headers: false,
        ..sure(asking("off"))
    };
    world.create(off).await.unwrap();

    for server in ["plain", "off"] {
        let resolved = resolve(&world, ("ann", server), context("", "", "")).await;

        let sent = resolved.headers.iter().any(|header| header.name == HEADER);
        assert!(!sent, "{resolved:?}");
    }
    assert_eq!(names(&world).await, Vec::<String>::new(), "none is needed");
}

async fn headers_end_with_the_first_of_them(engine: Engine) {
    let world = World::start(engine).await;
    world.create(sure(asking("open"))).await.unwrap();
    world.create(sure(world.automatic("tools"))).await.unwrap();
    world.connect("ann", "tools").await;
    let end = |resolved: &v1::ResolvedServer| resolved.expire_time.unwrap().seconds;

    let open = resolve(&world, ("ann", "open"), context("", "", "")).await;
    let tools = resolve(&world, ("ann", "tools"), context("", "", "")).await;

    assert_eq!(token(&open).claims["exp"], end(&open));
    assert_eq!(end(&open), 1_767_225_900);
    assert_eq!(tools.headers[0].name, "Authorization");
    assert_eq!(token(&tools).claims["exp"], end(&tools));
    assert_eq!(end(&tools), 1_767_225_900);
    // Ann's access token ends an hour after it was obtained: sooner than an identity token of now.
    world
        .idp
        .web()
        .on("/as/token", crate::harness::web::Reply::status(503));
    world.pass(3_600 - 60);
    let late = resolve(&world, ("ann", "tools"), context("", "", "")).await;
    assert_eq!(token(&late).claims["exp"], 1_767_229_140 + 300);
    assert_eq!(end(&late), 1_767_229_200);
    let request = v1::ResolveCredentialsRequest {
        actor: actor("ann"),
        servers: vec!["open".to_owned()],
        min_valid_for: Some(prost_types::Duration {
            seconds: 600,
            nanos: 0,
        }),
        ..v1::ResolveCredentialsRequest::default()
    };
    let wished = answer(world.daemon.tokens().resolve_credentials(request)).await;
    let wished = wished.unwrap().servers.swap_remove(0);
    let warnings: Vec<_> = wished.warnings.iter().map(v1::Warning::reason).collect();
    assert_eq!(warnings, [v1::StatusReason::ShorterThanAsked]);
}

async fn a_new_key_is_published_before_it_signs_and_an_old_one_for_a_while(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(sure(asking("tools"))).await.unwrap();
    let old = anns(&world, "tools").await;
    let pass = |by: Duration| world.service.clock().advance(by);
    let second = Duration::from_secs(1);

    pass(PERIOD.saturating_sub(LEAD + second));
    sweep(&world).await;
    assert_eq!(names(&world).await, [old.key()]);
    pass(second);
    for _ in 0..2 {
        sweep(&world).await;
    }
    let keys = names(&world).await;
    assert_eq!((keys.len(), &*keys[0]), (2, old.key()));
    pass(LEAD.saturating_sub(second));
    let last = anns(&world, "tools").await;
    assert_eq!(last.key(), old.key());

    pass(second + LIFETIME);
    let new = anns(&world, "tools").await;

    assert_eq!(new.key(), keys[1]);
    assert!(new.holds(&world.service).await);
    sweep(&world).await;
    assert!(
        last.holds(&world.service).await,
        "who keeps time badly may hold it still"
    );
    pass(KEPT);
    assert_eq!(names(&world).await, [new.key()], "before anybody swept");
    sweep(&world).await;
    assert_eq!(names(&world).await, [new.key()]);
    let mut raw = rows::raw(&database).await;
    let kept = raw.number("SELECT COUNT(*) FROM identity_keys").await;
    let records = "SELECT COUNT(*) FROM audit_events WHERE action LIKE 'identity_key.%'";
    assert_eq!((kept, raw.number(records).await), (1, 3));
    world.service.stop().await;
}

/// A deployment that has signed, and then something happened to its rows. Time passes, so that no
/// replica has a key at hand.
async fn damaged(engine: Engine, damage: &'static str) -> (TestDatabase, World, Token) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.create(sure(asking("tools"))).await.unwrap();
    let before = anns(&world, "tools").await;
    rows::raw(&database).await.execute(damage).await;
    world.pass(60);
    (database, world, before)
}

async fn a_key_that_cannot_be_opened_is_replaced(engine: Engine) {
    const LOST: &str = "UPDATE identity_keys SET private_key = (SELECT wrapped FROM data_keys)";
    let (_database, world, before) = damaged(engine, LOST).await;

    let after = anns(&world, "tools").await;

    assert_ne!(after.key(), before.key());
    assert!(after.holds(&world.service).await);
    assert!(
        before.holds(&world.service).await,
        "it was signed while there was a key"
    );
    assert_eq!(anns(&world, "tools").await.key(), after.key());
    world.service.stop().await;
}

async fn a_row_that_cannot_be_read_does_not_stand_in_the_way(engine: Engine) {
    // The data key is there, and its id is none: no foreign key is broken.
    const ODD: &str = "UPDATE identity_keys SET generation = generation + 7, \
        private_key_key = 'odd'";
    const DATA_KEY: &str = "INSERT INTO data_keys (id, tenant, root_key, wrapped, active, \
        reserved_uses, created_at) SELECT 'odd', tenant, root_key, wrapped, FALSE, 0, 0 \
        FROM data_keys";
    let (database, world, before) = damaged(engine, DATA_KEY).await;
    rows::raw(&database).await.execute(ODD).await;

    let after = anns(&world, "tools").await;

    assert_ne!(after.key(), before.key());
    assert!(after.holds(&world.service).await);
    world.service.stop().await;
}

async fn a_token_says_which_tenant_it_is_of(engine: Engine) {
    let world = World::start(engine).await;
    let request = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
    let service = &world.service;
    let theirs = service.client_in(service.admin_key(), Some("acme")).await;
    let request = v1::CreateServerRequest {
        server: Some(sure(asking("tools"))),
        ..v1::CreateServerRequest::default()
    };
    crate::harness::world::create(&theirs, request)
        .await
        .unwrap();
    world.create(sure(asking("tools"))).await.unwrap();
    let key = service.key_in(Some("acme"), v1::Role::Daemon, "").await;
    let daemon = service.client(&key).await;

    let ours = anns(&world, "tools").await;
    let theirs = token(&resolve_by(&daemon, "ann", "tools").await);

    for claim in ["iss", "aud", "sub"] {
        assert_eq!(ours.claims[claim], theirs.claims[claim], "{claim}");
    }
    assert_eq!(ours.claims["tenant"], "default");
    assert_eq!(theirs.claims["tenant"], "acme");
    assert!(ours.holds(service).await && theirs.holds(service).await);
}

#[tokio::test]
async fn replicas_that_need_a_key_at_once_settle_on_one() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    world.create(sure(asking("tools"))).await.unwrap();
    let other = second.client(world.service.daemon_key()).await;

    let ours = (0..8).map(|_| world.resolve("ann", "tools"));
    let theirs = (0..8).map(|_| resolve_by(&other, "ann", "tools"));
    let (ours, theirs) = tokio::join!(
        futures_util::future::join_all(ours),
        futures_util::future::join_all(theirs)
    );

    let keys = names(&world).await;
    assert_eq!(keys.len(), 1);
    for resolved in ours.iter().chain(&theirs) {
        let token = token(resolved);
        assert_eq!(token.key(), keys[0]);
        assert!(token.holds(&second).await);
    }
    for service in [&world.service, &second] {
        service.clock().advance(PERIOD);
    }
    let both = [&world.service, &second];
    let sweeps = both.map(|service| service.within(|app| async move { app.sweep().await }));
    for swept in futures_util::future::join_all(sweeps).await {
        swept.unwrap();
    }
    assert_eq!(names(&world).await.len(), 2);
    world.service.stop().await;
    second.stop().await;
}
