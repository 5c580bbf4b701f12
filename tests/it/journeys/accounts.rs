//! Users connect an account at the provider: their own, another one, or one that nobody names.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stationmaster::client::v1;
use v1::HandshakeFailure as Failure;
use v1::HandshakeState as State;

use crate::harness::browser::Browser;
use crate::harness::client::{fields, reason};
use crate::harness::idp::Idp;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines, open};
use crate::walks::rows;

on_both_engines! {
    the_account_is_recorded_and_any_is_taken,
    another_account_is_marked_where_that_is_asked_for,
    another_account_is_refused_where_that_is_asked_for,
    an_account_that_nobody_names_is_not_the_users_own,
    an_identity_for_somebody_else_is_not_believed,
    who_has_no_id_token_is_asked_for_at_the_userinfo_endpoint,
    userinfo_about_somebody_else_is_not_believed,
    userinfo_that_is_of_no_use_names_nobody,
    who_is_refused_for_the_account_again_and_again_is_not_asked,
    a_binding_goes_with_the_kind_it_belongs_to,
}

pub(super) const ANN: &str = "ann@corp.test";
const USERINFO: &str = "/as/userinfo";

/// What the provider says to our client about whoever signed in, besides what it always says.
pub(super) fn names(idp: &Idp, claims: Value) {
    let issuer = idp.issuer();
    idp.dresses(move |seen, answer| {
        let mut all = json!({
            "iss": issuer,
            "aud": seen.form("client_id"),
            "sub": "7",
            // In the year 2096.
            "exp": 4_000_000_000_u32,
        });
        for (claim, value) in claims.as_object().unwrap() {
            all[claim] = value.clone();
        }
        let claims = BASE64_URL_SAFE_NO_PAD.encode(all.to_string());
        answer["id_token"] = json!(format!("e30.{claims}.c2ln"));
    });
}

pub(super) fn binding(policy: v1::AccountPolicy, claim: &str) -> v1::AccountBinding {
    v1::AccountBinding {
        policy: policy.into(),
        upstream_claim: claim.to_owned(),
        user_claim: String::new(),
    }
}

/// A server with this policy about mail addresses.
pub(super) async fn found(world: &World, policy: v1::AccountPolicy) {
    let server = v1::Server {
        account_binding: Some(binding(policy, "")),
        ..world.automatic("tools")
    };
    world.create(server).await.unwrap();
}

/// Ann tries to connect, and is refused for the account: nothing is stored.
async fn is_refused(world: &World) {
    let started = world.begin(ANN, "tools").await;
    let page = Browser::default().connect(&started.connect_url).await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(
        page.text.contains("choose your own account"),
        "{}",
        page.text
    );
    let ended = world.handshake(&started.handshake.unwrap().id).await;
    let end = (ended.state(), ended.failure());
    assert_eq!(end, (State::Failed, Failure::AccountMismatch));
    assert_eq!(ended.account, "", "it is nobody's business here");
    let connection = world.connection(ANN, "tools").await;
    assert_eq!(reason(connection), "CONNECTION_NOT_FOUND");
}

/// Ann connects; the account recorded.
async fn connects(world: &World) -> String {
    world.connect(ANN, "tools").await;
    let connection = world.connection(ANN, "tools").await.unwrap();
    assert!(connection.warnings.is_empty(), "{connection:?}");
    connection.account
}

async fn the_account_is_recorded_and_any_is_taken(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    {
        let world = World::around(TestService::start_on(&database, &[]).await).await;
        names(&world.idp, json!({ "email": "bob@corp.test" }));
        world.found("tools").await;
        assert_eq!(connects(&world).await, "bob@corp.test");

        let accept = v1::Server {
            id: "tools".to_owned(),
            account_binding: Some(binding(v1::AccountPolicy::Accept, "login")),
            ..v1::Server::default()
        };
        names(&world.idp, json!({ "login": 583_231 }));
        let updated = world.update(accept, &["account_binding"]).await.unwrap();

        assert_eq!(updated.ended_connections, 0);
        assert_eq!(connects(&world).await, "583231");
        let recorded = "SELECT COUNT(*) FROM audit_events WHERE action = 'connection.connect' \
            AND detail LIKE '%583231%'";
        assert_eq!(rows::raw(&database).await.number(recorded).await, 1);
        world.service.stop().await;
    }
}

async fn another_account_is_marked_where_that_is_asked_for(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, v1::AccountPolicy::Warn).await;
    names(&world.idp, json!({ "email": "bob@corp.test" }));

    world.connect(ANN, "tools").await;

    let connection = world.connection(ANN, "tools").await.unwrap();
    assert_eq!(connection.account, "bob@corp.test");
    let warnings: Vec<_> = connection
        .warnings
        .iter()
        .map(v1::Warning::reason)
        .collect();
    assert_eq!(warnings, [v1::StatusReason::AccountMismatch]);
    let header = world.header(ANN, "tools").await;
    assert!(world.idp.accepts(&header));
    names(&world.idp, json!({ "email": "Ann@Corp.test" }));
    assert_eq!(connects(&world).await, "Ann@Corp.test");
}

async fn another_account_is_refused_where_that_is_asked_for(engine: Engine) {
    let world = World::revoking(engine).await;
    found(&world, v1::AccountPolicy::Refuse).await;
    names(&world.idp, json!({ "email": "bob@corp.test" }));

    is_refused(&world).await;

    // Nobody keeps the grant of another account.
    world.outbox_is((0, 0)).await;
    assert_eq!(world.idp.grants(), 0);
    names(&world.idp, json!({ "email": ANN }));
    assert_eq!(connects(&world).await, ANN);
}

async fn an_account_that_nobody_names_is_not_the_users_own(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, v1::AccountPolicy::Refuse).await;
    is_refused(&world).await;
    names(&world.idp, json!({ "email": ANN, "email_verified": false }));
    is_refused(&world).await;
    names(&world.idp, json!({ "email": ANN, "email_verified": true }));
    assert_eq!(connects(&world).await, ANN);
}

async fn an_identity_for_somebody_else_is_not_believed(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, v1::AccountPolicy::Refuse).await;
    for (claim, value) in [
        ("iss", json!("https://as.example")),
        ("aud", json!("another client")),
        ("exp", json!(1)),
    ] {
        let mut claims = json!({ "email": ANN });
        claims[claim] = value;
        names(&world.idp, claims);

        is_refused(&world).await;
    }
}

/// From here on the provider says that it tells whose a token is, and tells so.
fn tells(world: &World, who: &Value) {
    let idp = &world.idp;
    answers(idp, Reply::json(200, who));
    let mut metadata = idp.metadata();
    metadata["userinfo_endpoint"] = json!(idp.web().url(USERINFO));
    idp.publish(&metadata);
}

fn answers(idp: &Idp, reply: Reply) {
    idp.web().on(USERINFO, reply);
}

async fn who_has_no_id_token_is_asked_for_at_the_userinfo_endpoint(engine: Engine) {
    let world = World::start(engine).await;
    tells(&world, &json!({ "email": "bob@corp.test" }));
    found(&world, v1::AccountPolicy::Refuse).await;

    is_refused(&world).await;

    let asked = world.idp.web().seen_at(USERINFO);
    assert_eq!(asked.len(), 1);
    let shown = asked[0].header("authorization").unwrap();
    assert!(world.idp.accepts(shown));
    tells(&world, &json!({ "email": ANN }));
    assert_eq!(connects(&world).await, ANN);
    world.found("other").await;
    world.connect(ANN, "other").await;
    // Where nobody wants to know, nobody asks.
    assert_eq!(world.idp.web().seen_at(USERINFO).len(), 2);
}

async fn userinfo_about_somebody_else_is_not_believed(engine: Engine) {
    let world = World::start(engine).await;
    tells(&world, &json!({ "email": ANN, "sub": "8" }));
    found(&world, v1::AccountPolicy::Refuse).await;
    // Of the person 7, of whom it says no more.
    names(&world.idp, json!({}));
    is_refused(&world).await;
    tells(&world, &json!({ "email": ANN, "sub": "7" }));
    assert_eq!(connects(&world).await, ANN);
}

async fn userinfo_that_is_of_no_use_names_nobody(engine: Engine) {
    let world = World::start(engine).await;
    tells(&world, &json!({ "email": ANN }));
    let elsewhere = world.idp.web().url(USERINFO);
    found(&world, v1::AccountPolicy::Refuse).await;
    for reply in [
        Reply::status(500),
        Reply::status(302).with("location", elsewhere),
        Reply::text(200, "application/jwt", "e30.e30.sig"),
        Reply::json(200, &json!({ "email": ANN, "padding": "x".repeat(70_000) })),
        Reply::Silence,
    ] {
        answers(&world.idp, reply);
        is_refused(&world).await;
    }
    // What the ID token refutes is not asked for elsewhere.
    tells(&world, &json!({ "email": ANN }));
    names(&world.idp, json!({ "email": ANN, "email_verified": false }));
    is_refused(&world).await;
    names(&world.idp, json!({ "aud": "another client" }));
    is_refused(&world).await;
    names(&world.idp, json!({}));
    // It is not the same subject that it tells of.
    is_refused(&world).await;
}

async fn who_is_refused_for_the_account_again_and_again_is_not_asked(engine: Engine) {
    let world = World::start(engine).await;
    found(&world, v1::AccountPolicy::Refuse).await;
    for _ in 0..2 {
        is_refused(&world).await;
    }

    let report = world.answered((401, &["Bearer"]), (ANN, "tools", 0)).await;

    assert_eq!(report.action(), v1::ReportAction::Denied);
    assert_eq!(report.reason(), v1::StatusReason::ScopeRetryLimit);
}

async fn a_binding_goes_with_the_kind_it_belongs_to(engine: Engine) {
    let world = World::start(engine).await;
    let lone = v1::Server {
        account_binding: Some(binding(v1::AccountPolicy::Refuse, "")),
        ..open("lone")
    };
    assert_eq!(fields(world.create(lone).await), ["server.account_binding"]);
    let mut by_hand = v1::Server {
        account_binding: Some(binding(v1::AccountPolicy::Refuse, "")),
        ..world.manual("by-hand")
    };
    let Some(v1::server::Auth::Oauth2(oauth2)) = &mut by_hand.auth else {
        panic!("it is OAuth");
    };
    oauth2.issuer.clear();
    assert_eq!(
        fields(world.create(by_hand).await),
        ["server.account_binding"]
    );
    let wordy = v1::Server {
        account_binding: Some(binding(v1::AccountPolicy::Refuse, &"x".repeat(65))),
        ..world.automatic("wordy")
    };
    let too_long = ["server.account_binding.upstream_claim"];
    assert_eq!(fields(world.create(wordy).await), too_long);
    found(&world, v1::AccountPolicy::Refuse).await;
    let none = v1::Server {
        id: "tools".to_owned(),
        auth: Some(v1::server::Auth::None(v1::NoAuth {})),
        ..v1::Server::default()
    };

    let updated = world.update(none, &["auth"]).await.unwrap();

    assert_eq!(updated.server.unwrap().account_binding, None);
}
