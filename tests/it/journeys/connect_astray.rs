//! Handshakes that take another way than they should: consent pages that lead nowhere, answers that
//! say more than they may, several tabs, replicas and servers that go meanwhile.

use stationmaster::client::{answer, v1};
use v1::HandshakeFailure as Failure;
use v1::HandshakeState as State;

use crate::harness::browser::Browser;
use crate::harness::client::reason;
use crate::harness::idp::Consent;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching::{of, watch};
use crate::harness::web::Reply;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_consent_page_that_leads_nowhere_ends_by_time_and_another_client_helps,
    an_answer_of_another_issuer_is_not_shown_and_decides_nothing,
    two_tabs_both_finish_and_the_later_grant_stays,
    a_server_that_goes_meanwhile_gets_nothing_stored,
    a_callback_after_a_restart_is_answered_as_before,
    a_link_may_be_opened_on_another_device_and_comes_back_there_only,
    a_consent_after_the_chat_gave_up_is_stored_and_told,
}

async fn a_consent_page_that_leads_nowhere_ends_by_time_and_another_client_helps(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    // It has forgotten our client, or never took the redirect URI that it registered.
    for status in [400, 422, 500] {
        world.idp.web().once("/as/authorize", Reply::status(status));
        let started = world.begin("alice", "tools").await;
        let browser = Browser::default();

        let consent = browser.depart(&started.connect_url).await;
        assert_eq!(browser.get(&consent).await.status, status);

        let id = started.handshake.unwrap().id;
        assert_eq!(world.handshake(&id).await.state(), State::Pending);
        world.pass(600);
        assert_eq!(world.handshake(&id).await.state(), State::Expired);
    }
    world.idp.forget_clients();

    let request = v1::RediscoverServerRequest {
        server: "tools".to_owned(),
        register_again: true,
        ..v1::RediscoverServerRequest::default()
    };
    answer(world.admin.config().rediscover_server(request))
        .await
        .unwrap();

    world.connect("alice", "tools").await;
    assert_eq!(world.idp.registered().len(), 2);
}

async fn an_answer_of_another_issuer_is_not_shown_and_decides_nothing(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.idp.consent(Consent::WrongIssuer);
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    let callback = format!(
        "{callback}&error=access_denied&error_description=hush&error_uri=https%3A%2F%2Fhush.example"
    );

    let page = browser.get(&callback).await;

    assert_eq!(page.status, 400);
    for word in ["hush", "access_denied", "Access was refused"] {
        assert!(!page.text.contains(word), "{}", page.text);
    }
    let ended = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(
        (ended.state(), ended.failure()),
        (State::Failed, Failure::IssMismatch)
    );
    assert!(!format!("{ended:?}").contains("hush"));
    assert_eq!(world.idp.exchanges(), 0);
}

async fn two_tabs_both_finish_and_the_later_grant_stays(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let browser = Browser::default();
    let first = world.begin("alice", "tools").await;
    let second = world.begin("alice", "tools").await;
    let one = browser.consent(&first.connect_url).await;
    let other = browser.consent(&second.connect_url).await;

    let late = browser.get(&other).await;
    let header = world.header("alice", "tools").await;
    let later = browser.get(&one).await;

    for page in [late, later] {
        assert_eq!(page.status, 200, "{}", page.text);
    }
    for started in [first, second] {
        let ended = world.handshake(&started.handshake.unwrap().id).await;
        assert_eq!(ended.state(), State::Completed);
    }
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.generation, 2);
    assert_ne!(world.header("alice", "tools").await, header);
}

async fn a_server_that_goes_meanwhile_gets_nothing_stored(engine: Engine) {
    let world = World::start(engine).await;
    let on = |enabled| v1::Server {
        id: "off".to_owned(),
        enabled,
        ..v1::Server::default()
    };
    let callback = async |slug: &str| {
        world.found(slug).await;
        let started = world.begin("alice", slug).await;
        let browser = Browser::default();
        let callback = browser.consent(&started.connect_url).await;
        (browser, callback, started.handshake.unwrap().id)
    };
    let (off, to_off, handshake) = callback("off").await;
    let (gone, to_gone, _) = callback("gone").await;

    world.update(on(false), &["enabled"]).await.unwrap();
    let request = v1::DeleteServerRequest {
        server: "gone".to_owned(),
        ..v1::DeleteServerRequest::default()
    };
    let deleted = answer(world.admin.config().delete_server(request)).await;
    deleted.unwrap();
    let pages = [off.get(&to_off).await, gone.get(&to_gone).await];

    for page in pages {
        assert!(page.status.is_client_error(), "{}", page.text);
    }
    assert_eq!(world.idp.exchanges(), 0);
    world.update(on(true), &["enabled"]).await.unwrap();
    assert_eq!(
        world.handshake(&handshake).await.failure(),
        Failure::ServerChanged
    );
    let connection = world.connection("alice", "off").await;
    assert_eq!(reason(connection), "CONNECTION_NOT_FOUND");
}

async fn a_callback_after_a_restart_is_answered_as_before(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let before = World::around(TestService::start_on(&database, &[]).await).await;
    before.found("tools").await;
    let started = before.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    let World { service, idp, .. } = before;
    let (url, old) = (service.public_url().to_owned(), service.public_listener());
    service.stop().await;
    let again = TestService::start_on(&database, &[("public.url", &url)]).await;
    let world = World::beside(again, idp).await;
    let listener = world.service.public_listener();
    browser.takes_for(&old, &listener);

    let page = browser.get(&callback.replace(&old, &listener)).await;

    assert_eq!(page.status, 200, "{}", page.text);
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
    world.service.stop().await;
}

#[tokio::test]
async fn a_callback_at_another_replica_is_answered_once_by_either() {
    let database = TestDatabase::new(Engine::Postgres).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    let second = world.service.replica_on(&database).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    let (here, there) = (world.service.public_listener(), second.public_listener());
    browser.takes_for(&here, &there);
    let elsewhere = callback.replace(&here, &there);

    let (one, other) = tokio::join!(browser.get(&callback), browser.get(&elsewhere));

    for page in [one, other] {
        assert!(page.text.contains("TOOLS is connected"), "{}", page.text);
    }
    assert_eq!(world.idp.exchanges(), 1);
    world.service.stop().await;
    second.stop().await;
}

async fn a_link_may_be_opened_on_another_device_and_comes_back_there_only(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let (desk, phone) = (Browser::default(), Browser::default());
    desk.get(&link).await;

    let callback = phone.consent(&link).await;
    let at_the_desk = desk.get(&callback).await;
    let on_the_phone = phone.get(&callback).await;

    assert_eq!(at_the_desk.status, 403, "{}", at_the_desk.text);
    assert_eq!(on_the_phone.status, 200, "{}", on_the_phone.text);
}

async fn a_consent_after_the_chat_gave_up_is_stored_and_told(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let mut watch = watch(&world.daemon, of("alice")).await.unwrap();
    watch.existing().await;
    let reported = world.rejected("alice", "tools", 0).await;
    let link = reported.authorize.unwrap().connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;
    world.pass(590);

    let page = browser.get(&callback).await;

    assert_eq!(page.status, 200, "{}", page.text);
    let told = watch.next().await;
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(told.connection, Some(connection));
    world.header("alice", "tools").await;
}
