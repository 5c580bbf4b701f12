//! Users' own logins kept fresh: once each, whoever asks, whatever the provider says, and whatever is deposited
//! or forgotten meanwhile.

use futures_util::future::join_all;
use stationmaster::client::{answer, v1};
use stationmaster::runtime::lifecycle::Outcome;
use v1::{ServerStatus as Status, StatusReason as Reason};

use super::logins::{bearer, crm, forget};
use crate::harness::ahead::renew_ahead;
use crate::harness::idp::{Fault, Idp};
use crate::harness::logins::{self, login};
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::trail;
use crate::harness::world::{World, on_both_engines, resolve};
use crate::walks::rows::raw;

on_both_engines! {
    a_login_is_sent_and_renewed_before_it_ends,
    a_refused_login_is_used_while_it_lives,
    a_new_deposit_during_a_renewal_wins,
    what_was_deposited_before_changes_nothing,
    a_refresh_token_alone_is_redeemed_when_it_is_first_asked_for,
    what_is_forgotten_is_not_sent_and_not_brought_back,
    a_login_in_use_is_renewed_ahead_of_time,
    a_provider_that_has_trouble_costs_no_login,
    a_process_that_ends_amid_a_renewal_leaves_the_login_to_the_next,
}

async fn a_login_is_sent_and_renewed_before_it_ends(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;

    let deposit = world.fresh_login("ann");
    let token = deposit.access_token.clone();
    let put = world.put(deposit).await.unwrap();
    let first = world.resolve("ann", "crm").await;
    world.pass(3000);
    let enough = world.header("ann", "crm").await;
    world.pass(1);
    let renewed = world.resolve("ann", "crm").await;

    assert!(put.has_access_token && put.renewable && !put.has_id_token);
    assert_eq!((put.generation, put.user.as_str()), (1, "ann"));
    assert_eq!(first.headers[0].name, "Authorization");
    assert_eq!(first.headers[0].value, bearer(&token));
    assert_eq!((first.credential_version, first.warnings.len()), (1, 0));
    assert_eq!(
        first.expire_time.unwrap().seconds,
        put.expire_time.unwrap().seconds
    );
    assert_eq!(enough, bearer(&token));
    assert_eq!(
        (renewed.status(), renewed.credential_version),
        (Status::Ready, 2)
    );
    assert!(world.idp.accepts(&renewed.headers[0].value));
    assert_eq!(world.idp.redemptions().len(), 1);
    let sent = world.idp.last_redemption().unwrap();
    assert!(sent.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!((sent.form("resource"), sent.form("scope")), (None, None));
    assert_eq!(world.get("crm").await.unwrap().problems, []);
}

async fn a_refused_login_is_used_while_it_lives(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let token = world.log_in("ann").await;
    world.pass(3300);
    world.idp.once(Fault::InvalidGrant);

    for _ in 0..2 {
        let refused = world.resolve("ann", "crm").await;
        assert_eq!(refused.status(), Status::Ready);
        assert_eq!(refused.headers[0].value, bearer(&token));
        assert_eq!(refused.warnings[0].reason(), Reason::RenewalRefused);
    }
    world.pass(300);
    let over = crm(&world, "ann").await;

    assert_eq!(over, (Status::NoUserIdentity, Reason::IdentityExpired));
    assert_eq!(world.idp.redemptions().len(), 1);
    let again = world.log_in("ann").await;
    assert_eq!(world.header("ann", "crm").await, bearer(&again));
}

async fn a_new_deposit_during_a_renewal_wins(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.pass(3600);
    let gate = world.idp.hold();
    let late = async {
        world.redeemed(1).await;
        let token = world.log_in("ann").await;
        let header = world.header("ann", "crm").await;
        gate.close();
        (token, header)
    };

    let (resolved, (token, header)) = tokio::join!(world.resolve("ann", "crm"), late);
    World::until("the late answer is done with", async || {
        world.refreshes("success").await == 1
    })
    .await;

    assert_eq!(header, bearer(&token));
    assert_eq!(resolved.headers[0].value, header);
    let after = world.resolve("ann", "crm").await;
    assert_eq!(
        (after.credential_version, &after.headers[0].value),
        (2, &header)
    );
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn what_was_deposited_before_changes_nothing(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let deposit = world.fresh_login("ann");
    world.put(deposit.clone()).await.unwrap();
    let again = world.put(deposit.clone()).await.unwrap();
    assert_eq!(again.generation, 1);
    world.pass(3600);
    let renewed = world.header("ann", "crm").await;

    let again = world.put(deposit).await.unwrap();

    assert_eq!(again.generation, 2);
    assert_eq!(world.header("ann", "crm").await, renewed);
    world.pass(3600);
    let third = world.header("ann", "crm").await;
    assert!(world.idp.accepts(&third));
    assert_eq!(world.idp.redemptions().len(), 2);
}

async fn a_refresh_token_alone_is_redeemed_when_it_is_first_asked_for(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let alone = v1::PutUserIdentityRequest {
        access_token: String::new(),
        expire_time: None,
        ..world.fresh_login("ann")
    };

    let put = world.put(alone).await.unwrap();
    let headers = join_all((0..10).map(|_| world.header("ann", "crm"))).await;

    assert!(put.renewable && !put.has_access_token);
    assert!(world.idp.accepts(&headers[0]));
    assert!(headers.iter().all(|header| *header == headers[0]));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn what_is_forgotten_is_not_sent_and_not_brought_back(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.pass(3600);
    let gate = world.idp.hold();
    let forgotten = async {
        world.redeemed(1).await;
        let revision = forget(&world, "ann", "").await;
        gate.close();
        revision
    };

    let (resolved, revision) = tokio::join!(world.resolve("ann", "crm"), forgotten);
    World::until("the late answer is done with", async || {
        world.refreshes("success").await == 1
    })
    .await;

    assert!(revision > 0);
    assert_eq!(resolved.status(), Status::NoUserIdentity);
    assert_eq!(
        crm(&world, "ann").await,
        (Status::NoUserIdentity, Reason::Unspecified)
    );
    forget(&world, "ann", "").await;
    let forgotten = trail::list(&world.admin, trail::done(&["identity.delete"])).await;
    assert_eq!(forgotten.unwrap().len(), 1);
    world.log_in("ann").await;
    assert_eq!(world.resolve("ann", "crm").await.credential_version, 2);
    let user = world.service.client_as(v1::Role::User, "ann").await;
    let own = v1::DeleteUserIdentityRequest::default();
    answer(user.tokens().delete_user_identity(own))
        .await
        .unwrap();
    assert_eq!(crm(&world, "ann").await.0, Status::NoUserIdentity);
}

async fn a_login_in_use_is_renewed_ahead_of_time(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    for user in ["ann", "bob"] {
        world.log_in(user).await;
    }
    world.header("ann", "crm").await;
    world.write_uses().await;

    world.pass(2500);
    let begun = renew_ahead(&world.service).await;
    world.redeemed(1).await;
    World::until("the new token is stored", async || {
        world.resolve("ann", "crm").await.credential_version == 2
    })
    .await;
    world.pass(500);
    let still = world.header("ann", "crm").await;

    assert!(begun <= 1, "{begun}");
    assert!(world.idp.accepts(&still));
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_provider_that_has_trouble_costs_no_login(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let token = world.log_in("ann").await;
    world.pass(3300);
    world.idp.once(Fault::Busy(30));

    let living = world.resolve("ann", "crm").await;
    world.pass(10);
    let spared = world.resolve("ann", "crm").await;
    world.pass(300);
    let renewed = world.resolve("ann", "crm").await;

    for resolved in [living, spared] {
        assert_eq!(resolved.headers[0].value, bearer(&token));
        assert_eq!(resolved.warnings[0].reason(), Reason::ShorterThanAsked);
    }
    assert_eq!(
        (renewed.status(), renewed.credential_version),
        (Status::Ready, 2)
    );
    assert_eq!(world.idp.redemptions().len(), 2);
    // A client that the provider does not know is the operator's to mend.
    world.idp.add_client(logins::CLIENT.0, "changed", "");
    world.pass(3600);
    assert_eq!(
        crm(&world, "ann").await,
        (Status::ConfigError, Reason::RegistrationRefused)
    );
}

async fn a_process_that_ends_amid_a_renewal_leaves_the_login_to_the_next(engine: Engine) {
    const OLD_LEASES: &str = "UPDATE identities SET lease_until = 1 WHERE intent IS NOT NULL";
    let (world, database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.pass(3600);
    let gate = world.idp.hold();
    let asking = world.resolve("ann", "crm");
    tokio::select! {
        resolved = asking => panic!("{resolved:?}"),
        () = world.redeemed(1) => {}
    }
    let World { service, idp, .. } = world;
    service.ask_once();
    service.ask_once();
    assert_eq!(service.outcome().await, Outcome::Aborted);
    gate.close();
    if engine == Engine::Postgres {
        raw(&database).await.execute(OLD_LEASES).await;
    }

    let world = logins::world_on(&database, idp).await;
    world.pass(3600);
    let first = world.resolve("ann", "crm").await;
    let again = world.resolve("ann", "crm").await;

    // The provider had not come to the first one; whoever it had would have been told so.
    assert_eq!(first.status(), Status::Ready, "{first:?}");
    assert_eq!(again, first);
    let redeemed = world.idp.redemptions();
    assert_eq!(redeemed.len(), 2);
    assert_eq!(redeemed[0], redeemed[1]);
    world.service.stop().await;
}

#[tokio::test]
async fn twenty_callers_at_two_replicas_redeem_one_login_once() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = logins::world_on(&database, Idp::start().await).await;
    let auth = v1::UserOidcAuth::default();
    world.create(login("crm", auth)).await.unwrap();
    world.log_in("ann").await;
    let url = world.service.public_url().to_owned();
    let config = database.settings(&[("public.url", &url)]);
    let second = TestService::start_as(logins::trusting(
        config,
        &world.idp.issuer(),
        logins::CLIENT,
    ))
    .await;
    let theirs = second.client(world.service.daemon_key()).await;
    world.pass(3600);
    second.clock().advance(std::time::Duration::from_hours(1));

    let (ours, others) = tokio::join!(
        join_all((0..10).map(|_| world.resolve("ann", "crm"))),
        join_all((0..10).map(|_| resolve(&theirs, "ann", "crm"))),
    );

    for resolved in ours.iter().chain(&others) {
        assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
        assert_eq!(resolved.headers, ours[0].headers);
    }
    assert_eq!(world.idp.redemptions().len(), 1);
    world.service.stop().await;
    second.stop().await;
}
