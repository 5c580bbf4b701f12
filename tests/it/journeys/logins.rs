//! Users' own logins: deposited, sent on, and of no use to anybody else.

use serde_json::json;
use stationmaster::client::{answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, fields, reason};
use crate::harness::logins::{self, jwt, login};
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows::raw;

on_both_engines! {
    who_has_no_login_is_told_so_and_nothing_else_is_touched,
    a_login_is_never_anybody_elses,
    a_login_without_a_refresh_token_ends,
    an_id_token_is_sent_where_it_is_wanted,
    a_login_of_another_provider_is_not_sent,
    a_deposit_is_judged_before_anything_is_kept,
    a_purge_forgets_logins,
    a_login_that_cannot_be_read_is_replaced,
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Status and reason of what a user gets of `crm`.
pub(super) async fn crm(world: &World, user: &str) -> (Status, Reason) {
    let resolved = world.resolve(user, "crm").await;
    (resolved.status(), resolved.reason())
}

pub(super) async fn forget(world: &World, user: &str, issuer: &str) -> i64 {
    let request = v1::DeleteUserIdentityRequest {
        actor: actor(user),
        issuer: issuer.to_owned(),
    };
    let gone = answer(world.daemon.tokens().delete_user_identity(request)).await;
    gone.unwrap().revision
}

async fn who_has_no_login_is_told_so_and_nothing_else_is_touched(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.create(open("notes")).await.unwrap();
    world.found("tools").await;
    world.connect("bob", "tools").await;

    assert_eq!(
        crm(&world, "bob").await,
        (Status::NoUserIdentity, Reason::Unspecified)
    );
    for server in ["notes", "tools"] {
        assert_eq!(
            world.resolve("bob", server).await.status(),
            Status::Ready,
            "{server}"
        );
    }
    let seen = v1::GetServerRequest {
        server: "crm".to_owned(),
        actor: actor("bob"),
    };
    let connected = async |request: v1::GetServerRequest| {
        let seen = answer(world.daemon.config().get_server(request)).await;
        seen.unwrap().server.unwrap().connected
    };
    assert_eq!(connected(seen.clone()).await, Some(false));
    world.log_in("bob").await;
    assert_eq!(connected(seen).await, Some(true));
}

async fn a_login_is_never_anybody_elses(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let token = world.log_in("ann").await;

    for other in ["Ann", "ANN", "ann2", "bob"] {
        let got = crm(&world, other).await;
        assert_eq!(
            got,
            (Status::NoUserIdentity, Reason::Unspecified),
            "{other}"
        );
    }
    let theirs = world.log_in("Ann").await;

    assert_eq!(world.header("ann", "crm").await, bearer(&token));
    assert_eq!(world.header("Ann", "crm").await, bearer(&theirs));
}

async fn a_login_without_a_refresh_token_ends(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let ends = world.in_seconds(900).seconds;
    let deposit = v1::PutUserIdentityRequest {
        actor: actor("ann"),
        issuer: world.idp.issuer(),
        access_token: jwt(&json!({ "exp": ends })),
        ..v1::PutUserIdentityRequest::default()
    };
    let put = world.put(deposit).await.unwrap();

    let living = world.resolve("ann", "crm").await;
    world.pass(600);
    let short = world.resolve("ann", "crm").await;
    world.pass(300);
    let ended = crm(&world, "ann").await;

    assert_eq!(put.expire_time.unwrap().seconds, ends);
    let said = |resolved: &v1::ResolvedServer| -> Vec<Reason> {
        resolved.warnings.iter().map(v1::Warning::reason).collect()
    };
    assert_eq!(
        (living.status(), said(&living)),
        (Status::Ready, vec![Reason::NotRenewable])
    );
    assert_eq!(short.status(), Status::Ready);
    assert_eq!(
        said(&short),
        [Reason::ShorterThanAsked, Reason::NotRenewable]
    );
    assert_eq!(ended, (Status::NoUserIdentity, Reason::IdentityExpired));
    assert!(world.idp.token_requests().is_empty());
}

async fn an_id_token_is_sent_where_it_is_wanted(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let auth = v1::UserOidcAuth {
        token_kind: v1::IdentityTokenKind::IdToken.into(),
        ..v1::UserOidcAuth::default()
    };
    world.create(login("hr", auth)).await.unwrap();
    let id_token = |world: &World, seconds: i64| {
        let ends = world.in_seconds(seconds).seconds;
        jwt(&json!({ "iss": world.idp.issuer(), "sub": "ann", "exp": ends }))
    };
    let without = world.fresh_login("bob");
    world.put(without).await.unwrap();
    let first = id_token(&world, 1200);
    let deposit = v1::PutUserIdentityRequest {
        id_token: first.clone(),
        ..world.fresh_login("ann")
    };
    let put = world.put(deposit).await.unwrap();

    assert_eq!(
        world.resolve("bob", "hr").await.status(),
        Status::NoUserIdentity
    );
    let resolved = world.resolve("ann", "hr").await;
    assert_eq!(resolved.headers[0].value, bearer(&first));
    assert_eq!(resolved.expire_time, put.id_token_expire_time);
    world.pass(700);
    let second = id_token(&world, 1200);
    let fresh = second.clone();
    world
        .idp
        .dresses(move |_, body| body["id_token"] = json!(fresh));
    assert_eq!(world.header("ann", "hr").await, bearer(&second));
    // One that does not come again lives until its end, and is no reason to ask on and on.
    world.pass(700);
    world.idp.dresses(|_, _| ());
    for _ in 0..3 {
        assert_eq!(world.header("ann", "hr").await, bearer(&second));
    }
    world.pass(500);
    for _ in 0..3 {
        let over = world.resolve("ann", "hr").await;
        assert_eq!(
            (over.status(), over.reason()),
            (Status::NoUserIdentity, Reason::IdentityExpired)
        );
    }
    assert_eq!(world.idp.redemptions().len(), 2);
    assert_eq!(world.resolve("ann", "crm").await.status(), Status::Ready);
}

async fn a_login_of_another_provider_is_not_sent(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let auth = v1::UserOidcAuth {
        issuer: world.idp.issuer(),
        ..v1::UserOidcAuth::default()
    };
    world.create(login("strict", auth)).await.unwrap();
    let ours = world.log_in("ann").await;
    let other = v1::PutUserIdentityRequest {
        actor: actor("ann"),
        issuer: "https://other.test".to_owned(),
        access_token: "theirs".to_owned(),
        ..v1::PutUserIdentityRequest::default()
    };
    world.pass(1);
    world.put(other).await.unwrap();

    // Without a word about the provider it is the login that was deposited last.
    assert_eq!(world.header("ann", "strict").await, bearer(&ours));
    assert_eq!(world.header("ann", "crm").await, bearer("theirs"));
    forget(&world, "ann", &world.idp.issuer()).await;
    assert_eq!(
        world.resolve("ann", "strict").await.status(),
        Status::NoUserIdentity
    );
    assert_eq!(world.header("ann", "crm").await, bearer("theirs"));
}

async fn a_deposit_is_judged_before_anything_is_kept(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let nothing = v1::PutUserIdentityRequest::default();
    let bad = v1::PutUserIdentityRequest {
        actor: actor("ann"),
        issuer: "x".repeat(2049),
        access_token: "a b".to_owned(),
        id_token: "x".repeat(32_769),
        refresh_token: "a\nb".to_owned(),
        ..nothing.clone()
    };
    let no_access = v1::PutUserIdentityRequest {
        access_token: String::new(),
        ..world.fresh_login("ann")
    };
    let foreign = v1::PutUserIdentityRequest {
        id_token: jwt(&json!({ "iss": "https://evil.test", "exp": 1 })),
        ..world.fresh_login("ann")
    };
    let stranger = v1::PutUserIdentityRequest {
        issuer: "https://stranger.test".to_owned(),
        ..world.fresh_login("ann")
    };

    assert_eq!(
        fields(world.put(nothing).await),
        ["actor.user", "issuer", "access_token"]
    );
    let complaints = fields(world.put(bad).await);
    assert_eq!(
        complaints,
        ["issuer", "access_token", "id_token", "refresh_token"]
    );
    assert_eq!(fields(world.put(no_access).await), ["expire_time"]);
    assert_eq!(fields(world.put(foreign).await), ["id_token"]);
    assert_eq!(reason(world.put(stranger).await), "URL_NOT_ALLOWED");
    assert_eq!(
        crm(&world, "ann").await,
        (Status::NoUserIdentity, Reason::Unspecified)
    );
    let user = world.service.client_as(v1::Role::User, "ann").await;
    let own = logins::put(&user, world.fresh_login("ann")).await;
    assert_eq!(reason(own), "ROLE_NOT_ALLOWED");
}

async fn a_purge_forgets_logins(engine: Engine) {
    let (world, database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.log_in("bob").await;

    let purge = v1::PurgeUserRequest {
        user: "ann".to_owned(),
    };
    let purged = answer(world.admin.tokens().purge_user(purge.clone()))
        .await
        .unwrap();
    let again = answer(world.admin.tokens().purge_user(purge))
        .await
        .unwrap();

    assert_eq!((purged.identities, again.identities), (1, 0));
    assert_eq!(crm(&world, "ann").await.0, Status::NoUserIdentity);
    assert_eq!(crm(&world, "bob").await.0, Status::Ready);
    let mut raw = raw(&database).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM identities").await, 1);
}

async fn a_login_that_cannot_be_read_is_replaced(engine: Engine) {
    let (world, database) = World::with_logins(engine).await;
    world.create(open("notes")).await.unwrap();
    world.log_in("ann").await;
    raw(&database)
        .await
        .execute("UPDATE identities SET status = 'odd'")
        .await;

    assert_eq!(crm(&world, "ann").await.0, Status::Unreadable);
    assert_eq!(world.resolve("ann", "notes").await.status(), Status::Ready);
    let listed = v1::ListServersRequest {
        actor: actor("ann"),
        ..v1::ListServersRequest::default()
    };
    let listed = answer(world.daemon.config().list_servers(listed))
        .await
        .unwrap();
    assert_eq!(listed.servers.len(), 2);
    let token = world.log_in("ann").await;
    assert_eq!(world.header("ann", "crm").await, bearer(&token));
}
