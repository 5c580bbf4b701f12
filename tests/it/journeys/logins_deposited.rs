//! What daemons deposit of logins, again and again and beside one another: no refresh token is presented twice,
//! no better login gives way to a worse one, and nobody deposits for whom they may not speak.

use serde_json::json;
use stationmaster::client::{Client, answer, v1};
use v1::{ServerStatus as Status, StatusReason as Reason};

use super::logins::{bearer, crm};
use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::idp::Fault;
use crate::harness::logins::{jwt, login, put};
use crate::harness::service::Engine;
use crate::harness::trail;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_refresh_token_that_was_deposited_is_not_presented_again,
    tokens_that_end_do_not_replace_a_login_that_is_renewed,
    an_id_token_that_no_renewal_brings_is_taken_beside_the_rest,
    a_login_that_nobody_can_renew_gives_way,
    the_same_tokens_again_are_not_written_again,
    a_refused_refresh_token_is_not_taken_back,
    an_id_token_of_long_ago_is_no_reason_to_renew,
    a_provider_that_never_says_how_long_is_not_asked_again_and_again,
    a_login_is_redeemed_for_users_of_its_issuers_tenants_only,
    a_key_narrowed_to_servers_chooses_no_login,
    what_was_sent_of_two_logins_is_told_apart,
    a_user_is_logged_in_at_a_few_places,
}

/// A deposit of these tokens alone.
fn access_only(world: &World, token: &str) -> v1::PutUserIdentityRequest {
    v1::PutUserIdentityRequest {
        actor: actor("ann"),
        issuer: world.idp.issuer(),
        access_token: token.to_owned(),
        ..v1::PutUserIdentityRequest::default()
    }
}

async fn a_refresh_token_that_was_deposited_is_not_presented_again(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let one = world.fresh_login("ann");
    world.put(one.clone()).await.unwrap();
    world.pass(3600);
    world.header("ann", "crm").await;
    let other = world.fresh_login("ann");
    let second = world.put(other.clone()).await.unwrap();

    // Whoever has the first session deposits at every turn.
    let again = world.put(one.clone()).await.unwrap();
    let mixed = v1::PutUserIdentityRequest {
        access_token: "new".to_owned(),
        ..one.clone()
    };
    let mixed = world.put(mixed).await.unwrap();

    assert_eq!((second.generation, again.generation), (3, 3));
    assert_eq!(mixed.generation, 3);
    assert_eq!(
        world.header("ann", "crm").await,
        bearer(&other.access_token)
    );
    world.pass(3600);
    let header = world.header("ann", "crm").await;
    assert!(world.idp.accepts(&header));
    let presented = world.idp.redemptions();
    assert_eq!(presented, [one.refresh_token, other.refresh_token]);
}

async fn tokens_that_end_do_not_replace_a_login_that_is_renewed(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let token = world.log_in("ann").await;

    let put = world.put(access_only(&world, "other")).await.unwrap();

    assert!(put.renewable);
    assert_eq!(put.generation, 1);
    assert_eq!(world.header("ann", "crm").await, bearer(&token));
    // Beside one that ended they are welcome.
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    assert_eq!(crm(&world, "ann").await.0, Status::NoUserIdentity);
    let put = world.put(access_only(&world, "other")).await.unwrap();
    assert!(!put.renewable);
    assert_eq!(world.header("ann", "crm").await, bearer("other"));
    let told = trail::detail(&world.admin, "identity.put").await;
    assert_eq!(told["before"]["status"], "reconnect_required");
    assert_eq!(
        (&told["before"]["renewable"], &told["after"]["renewable"]),
        (&json!(true), &json!(false))
    );
}

async fn an_id_token_that_no_renewal_brings_is_taken_beside_the_rest(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let auth = v1::UserOidcAuth {
        token_kind: v1::IdentityTokenKind::IdToken.into(),
        ..v1::UserOidcAuth::default()
    };
    world.create(login("hr", auth)).await.unwrap();
    let token = world.log_in("ann").await;
    let ends = world.in_seconds(900).seconds;
    let id_token = jwt(&json!({ "iss": world.idp.issuer(), "sub": "ann", "exp": ends }));
    let deposit = v1::PutUserIdentityRequest {
        id_token: id_token.clone(),
        ..access_only(&world, "other")
    };

    let put = world.put(deposit.clone()).await.unwrap();
    let again = world.put(deposit).await.unwrap();

    assert!(put.renewable && put.has_id_token);
    assert_eq!((put.generation, again.generation), (2, 2));
    assert_eq!(world.header("ann", "hr").await, bearer(&id_token));
    assert_eq!(world.header("ann", "crm").await, bearer(&token));
    world.pass(3600);
    let renewed = world.header("ann", "crm").await;
    assert!(world.idp.accepts(&renewed));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_login_that_nobody_can_renew_gives_way(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.pass(3600);
    world.idp.once(Fault::InvalidClient);
    let refused = (Status::ConfigError, Reason::RegistrationRefused);
    assert_eq!(crm(&world, "ann").await, refused);

    let put = world.put(access_only(&world, "other")).await.unwrap();

    assert!(!put.renewable);
    assert_eq!(world.header("ann", "crm").await, bearer("other"));
}

async fn the_same_tokens_again_are_not_written_again(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let ends = world.in_seconds(900).seconds;
    let same = access_only(&world, &jwt(&json!({ "exp": ends })));
    let deposit = async |deposit: &v1::PutUserIdentityRequest| {
        let request = deposit.clone();
        let put = answer(world.daemon.tokens().put_user_identity(request)).await;
        let put = put.unwrap();
        (put.identity.unwrap().generation, put.revision)
    };

    let first = deposit(&same).await;
    let second = deposit(&same).await;
    world.pass(900);
    let ended = deposit(&same).await;
    let other = deposit(&access_only(&world, "other")).await;

    assert_eq!((first.0, second, ended), (1, first, first));
    assert_eq!(other.0, 2);
    assert!(other.1 > first.1);
}

async fn a_refused_refresh_token_is_not_taken_back(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let deposit = world.fresh_login("ann");
    world.put(deposit.clone()).await.unwrap();
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    let ended = (Status::NoUserIdentity, Reason::IdentityExpired);
    assert_eq!(crm(&world, "ann").await, ended);

    for _ in 0..3 {
        let again = world.put(deposit.clone()).await.unwrap();
        assert_eq!(again.generation, 1);
        assert_eq!(crm(&world, "ann").await, ended);
    }
    let newer = v1::PutUserIdentityRequest {
        access_token: "newer".to_owned(),
        expire_time: Some(world.in_seconds(3600)),
        ..deposit
    };
    let newer = world.put(newer).await.unwrap();

    assert!(newer.has_access_token && !newer.renewable);
    assert_eq!(world.header("ann", "crm").await, bearer("newer"));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn an_id_token_of_long_ago_is_no_reason_to_renew(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let ended = jwt(&json!({ "iss": world.idp.issuer(), "exp": 1 }));
    let deposit = v1::PutUserIdentityRequest {
        id_token: ended.clone(),
        ..world.fresh_login("ann")
    };
    let token = deposit.access_token.clone();
    world.put(deposit).await.unwrap();

    assert_eq!(world.header("ann", "crm").await, bearer(&token));
    assert!(world.idp.redemptions().is_empty());
    // Nor is one that comes along with every renewal.
    world
        .idp
        .dresses(move |_, body| body["id_token"] = json!(ended));
    world.pass(3600);
    let renewed = world.header("ann", "crm").await;
    assert_eq!(world.header("ann", "crm").await, renewed);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_provider_that_never_says_how_long_is_not_asked_again_and_again(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.idp.lifetime(None);
    let over = v1::PutUserIdentityRequest {
        access_token: jwt(&json!({ "exp": 1 })),
        expire_time: None,
        ..world.fresh_login("ann")
    };
    world.put(over).await.unwrap();

    let renewed = world.header("ann", "crm").await;
    world.pass(120);

    assert!(world.idp.accepts(&renewed));
    assert_eq!(world.header("ann", "crm").await, renewed);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_login_is_redeemed_for_users_of_its_issuers_tenants_only(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let request = v1::CreateTenantRequest {
        tenant_id: "other".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
    let key = world
        .service
        .key_in(Some("other"), v1::Role::Daemon, "")
        .await;
    let stranger = world.service.client(&key).await;
    let stolen = world.fresh_login("ann");

    let refused = put(&stranger, stolen.clone()).await;

    assert_eq!(reason(refused), "URL_NOT_ALLOWED");
    assert!(world.idp.token_requests().is_empty());
    let without = v1::PutUserIdentityRequest {
        refresh_token: String::new(),
        ..stolen.clone()
    };
    put(&stranger, without).await.unwrap();
    world.put(stolen).await.unwrap();
}

async fn narrowed(world: &World, server: &str) -> Client {
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "narrow".to_owned(),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec![server.to_owned()],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = answer(world.admin.access().create_api_key(request)).await;
    world.service.client(&made.unwrap().secret).await
}

async fn a_key_narrowed_to_servers_chooses_no_login(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world
        .create(login("hr", v1::UserOidcAuth::default()))
        .await
        .unwrap();
    let token = world.log_in("ann").await;
    let narrow = narrowed(&world, "hr").await;

    let put = refusal(put(&narrow, access_only(&world, "theirs")).await);
    let forget = v1::DeleteUserIdentityRequest {
        actor: actor("ann"),
        issuer: String::new(),
    };
    let forgotten = answer(narrow.tokens().delete_user_identity(forget)).await;

    assert_eq!(put.reason, "KEY_NARROWED");
    assert_eq!(put.metadata["narrowing"], "servers");
    assert_eq!(reason(forgotten), "KEY_NARROWED");
    assert_eq!(world.header("ann", "crm").await, bearer(&token));
}

async fn what_was_sent_of_two_logins_is_told_apart(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    let first = world.resolve("ann", "crm").await.credential_version;
    let other = v1::PutUserIdentityRequest {
        issuer: "https://other.test".to_owned(),
        ..access_only(&world, "theirs")
    };
    world.pass(1);
    world.put(other).await.unwrap();

    let second = world.resolve("ann", "crm").await;

    assert_eq!(second.headers[0].value, bearer("theirs"));
    assert!(second.credential_version > first);
    let report = v1::ReportResponseRequest {
        actor: actor("ann"),
        server: "crm".to_owned(),
        outcome: Some(v1::report_response_request::Outcome::HttpResponse(
            v1::HttpResponse {
                status: 401,
                credential_version: first,
                ..v1::HttpResponse::default()
            },
        )),
        ..v1::ReportResponseRequest::default()
    };
    let told = answer(world.daemon.tokens().report_response(report)).await;
    let told = told.unwrap();
    assert_eq!(told.action(), v1::ReportAction::Retry);
    assert_eq!(told.credential_version, second.credential_version);
}

async fn a_user_is_logged_in_at_a_few_places(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let at = |number: usize| v1::PutUserIdentityRequest {
        issuer: format!("https://idp-{number}.test"),
        ..access_only(&world, "token")
    };
    for number in 0..16 {
        world.put(at(number)).await.unwrap();
    }

    let more = refusal(world.put(at(16)).await);
    let again = v1::PutUserIdentityRequest {
        access_token: "newer".to_owned(),
        ..at(3)
    };

    assert_eq!(more.reason, "QUOTA_EXCEEDED");
    assert_eq!(
        (
            more.metadata["quota"].as_str(),
            more.metadata["limit"].as_str()
        ),
        ("identities", "16")
    );
    world.put(again).await.unwrap();
    let nowhere = v1::PutUserIdentityRequest {
        issuer: "nowhere".to_owned(),
        ..at(0)
    };
    assert_eq!(fields(world.put(nowhere).await), ["issuer"]);
}
