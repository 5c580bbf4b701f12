//! A user connects: from the link that a daemon shows, over the consent page, to a stored grant.
//! Here by the binding LINK.

use std::cell::RefCell;
use std::time::Duration;

use stationmaster::client::{answer, v1};
use v1::HandshakeState as State;

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::{actor, reason};
use crate::harness::http;
use crate::harness::service::Engine;
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_user_connects_and_the_token_is_handed_out,
    the_page_names_user_and_server_and_opening_it_binds_nothing,
    the_button_works_from_our_page_and_a_known_browser_only,
    looking_ahead_does_no_harm,
    another_browser_is_refused_at_the_link_and_at_the_callback,
    a_second_callback_shows_the_first_result,
    callbacks_at_the_same_time_redeem_one_code,
    a_link_and_its_state_expire_after_ten_minutes,
    a_state_nobody_knows_gets_a_clear_page,
    a_callback_at_another_servers_address_is_refused,
    a_cancelled_handshake_leads_nowhere,
    a_watcher_sees_every_state_to_the_end,
    a_watcher_is_told_of_the_end_by_time,
    a_client_made_by_hand_connects_with_its_secret,
    a_user_who_connects_again_gets_a_higher_generation,
    handshakes_of_yesterday_are_swept_away,
}

async fn a_user_connects_and_the_token_is_handed_out(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();

    let consent = browser.depart(&started.connect_url).await;
    let callback = browser.get(&consent).await.header("location").to_owned();
    let page = browser.get(&callback).await;

    assert_eq!(parameter(&consent, "resource"), Some(server.url));
    assert_eq!(
        parameter(&consent, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(
        parameter(&consent, "redirect_uri"),
        Some(server.redirect_uri)
    );
    assert_eq!(page.status, 200);
    assert!(page.text.contains("TOOLS is connected"), "{}", page.text);
    let ended = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(ended.state(), State::Completed);
    assert_eq!(ended.connection_generation, 1);
    let connection = world.connection("alice", "tools").await.unwrap();
    assert_eq!(connection.state(), v1::ConnectionState::Active);
    assert_eq!((connection.generation, connection.renewable), (1, true));
    assert_eq!(connection.issuer, world.idp.issuer());
    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header), "{header}");
}

async fn the_page_names_user_and_server_and_opening_it_binds_nothing(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let (first, second) = (Browser::default(), Browser::default());

    let page = first.get(&link).await;
    let again = second.get(&link).await;
    let done = second.connect(&link).await;

    assert_eq!((page.status.as_u16(), again.status.as_u16()), (200, 200));
    assert!(page.text.contains("alice") && page.text.contains("TOOLS"));
    assert!(done.text.contains("TOOLS is connected"), "{}", done.text);
}

async fn the_button_works_from_our_page_and_a_known_browser_only(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let browser = Browser::default();
    browser.get(&link).await;

    let stranger = Browser::default().press(&link).await;
    let foreign = browser
        .send("POST", &link, &[("origin", "https://evil.example")])
        .await;
    let crossing = browser
        .send("POST", &link, &[("sec-fetch-site", "cross-site")])
        .await;

    for (page, text) in [
        (stranger, "not recognised"),
        (foreign, "did not come from our page"),
        (crossing, "did not come from our page"),
    ] {
        assert_eq!(page.status, 403);
        assert!(page.text.contains(text), "{}", page.text);
    }
    assert_eq!(browser.connect(&link).await.status, 200);
}

async fn looking_ahead_does_no_harm(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;

    let head = browser.send("HEAD", &callback, &[]).await;
    let prefetch = browser
        .send("GET", &callback, &[("sec-purpose", "prefetch")])
        .await;

    assert_eq!((head.status.as_u16(), prefetch.status.as_u16()), (204, 403));
    assert_eq!(world.idp.exchanges(), 0);
    assert_eq!(browser.get(&callback).await.status, 200);
}

async fn another_browser_is_refused_at_the_link_and_at_the_callback(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let (own, other) = (Browser::default(), Browser::default());
    let callback = own.consent(&link).await;

    let opened = other.get(&link).await;
    // Whoever visits any link has a cookie of ours.
    other
        .get(&world.begin("mallory", "tools").await.connect_url)
        .await;
    let returned = other.get(&callback).await;
    let bare = http::get(&callback, &[]).await;

    for page in [opened, returned, bare] {
        assert_eq!(page.status, 403, "{}", page.text);
    }
    assert_eq!(world.idp.exchanges(), 0);
    assert_eq!(own.get(&callback).await.status, 200);
}

async fn a_second_callback_shows_the_first_result(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;

    let first = browser.get(&callback).await;
    let second = browser.get(&callback).await;
    let reopened = browser.get(&link).await;

    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert!(second.text.contains("TOOLS is connected"));
    assert_eq!(world.idp.exchanges(), 1);
    assert_eq!(reopened.status, 410);
}

async fn callbacks_at_the_same_time_redeem_one_code(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;

    let pages = (0..8).map(|_| browser.get(&callback));
    let pages = futures_util::future::join_all(pages).await;

    for page in pages {
        assert!(page.text.contains("TOOLS is connected"), "{}", page.text);
    }
    assert_eq!(world.idp.exchanges(), 1);
    assert_eq!(
        world.connection("alice", "tools").await.unwrap().generation,
        1
    );
}

async fn a_link_and_its_state_expire_after_ten_minutes(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let link = started.connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;
    world.pass(600);

    let opened = browser.get(&link).await;
    let returned = browser.get(&callback).await;

    for page in [opened, returned] {
        assert_eq!(page.status, 410);
        assert!(page.text.contains("expired"), "{}", page.text);
    }
    assert_eq!(world.idp.exchanges(), 0);
    let ended = world.handshake(&started.handshake.unwrap().id).await;
    assert_eq!(ended.state(), State::Expired);
}

async fn a_state_nobody_knows_gets_a_clear_page(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    let at = |query: &str| format!("{}?{query}", server.redirect_uri);

    let unknown = http::get(&at("state=unknown&code=a"), &[]).await;
    let absent = http::get(&at("code=a"), &[]).await;

    for page in [unknown, absent] {
        assert_eq!(page.status, 404);
        assert!(
            page.text.contains("This link is not known"),
            "{}",
            page.text
        );
    }
}

async fn a_callback_at_another_servers_address_is_refused(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.found("tools").await;
    let other = world.found("other").await;
    let link = world.begin("alice", "tools").await.connect_url;
    let browser = Browser::default();
    let callback = browser.consent(&link).await;

    let shared = callback.replace(&format!("/{}", server.id), "");
    for astray in [callback.replace(&server.id, &other.id), shared] {
        let page = browser.get(&astray).await;

        assert_eq!(page.status, 404, "{astray}");
    }
    assert_eq!(world.idp.exchanges(), 0);
    assert_eq!(browser.get(&callback).await.status, 200);
}

async fn a_cancelled_handshake_leads_nowhere(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let browser = Browser::default();
    let callback = browser.consent(&started.connect_url).await;
    let request = || v1::CancelHandshakeRequest {
        handshake: started.handshake.clone().unwrap().id,
    };

    let cancelled = answer(world.daemon.handshakes().cancel_handshake(request())).await;
    let again = answer(world.daemon.handshakes().cancel_handshake(request())).await;

    assert_eq!(
        cancelled.unwrap().handshake.unwrap().state(),
        State::Cancelled
    );
    assert_eq!(again.unwrap().handshake.unwrap().state(), State::Cancelled);
    assert_eq!(browser.get(&started.connect_url).await.status, 410);
    assert_eq!(browser.get(&callback).await.status, 410);
    assert_eq!(world.idp.exchanges(), 0);
}

/// The states of a handshake from now on, with whatever `meanwhile` does to it.
async fn watched(
    world: &World,
    id: &str,
    meanwhile: impl AsyncFnOnce(&RefCell<Vec<State>>),
) -> Vec<State> {
    let request = v1::WatchHandshakeRequest {
        handshake: id.to_owned(),
    };
    let watch = answer(world.daemon.handshakes().watch_handshake(request)).await;
    let mut watch = watch.unwrap();
    let states = RefCell::new(Vec::new());
    let watching = async {
        while let Some(event) = watch.message().await.unwrap() {
            let state = event.handshake.unwrap().state();
            states.borrow_mut().push(state);
        }
    };
    let changing = async {
        World::until("the first state", async || !states.borrow().is_empty()).await;
        meanwhile(&states).await;
    };
    let watching = tokio::time::timeout(Duration::from_secs(20), watching);
    let (watched, ()) = tokio::join!(watching, changing);
    watched.expect("the watch ends with the handshake");
    states.into_inner()
}

async fn a_watcher_sees_every_state_to_the_end(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let started = world.begin("alice", "tools").await;
    let id = started.handshake.unwrap().id;
    let gate = world.idp.hold();
    let browser = Browser::default();

    let states = watched(&world, &id, async |seen| {
        let callback = browser.consent(&started.connect_url).await;
        let open = async {
            let told = async || seen.borrow().contains(&State::Exchanging);
            World::until("the exchange is told of", told).await;
            gate.close();
        };
        tokio::join!(browser.get(&callback), open);
    });

    assert_eq!(
        states.await,
        [State::Pending, State::Exchanging, State::Completed]
    );
}

async fn a_watcher_is_told_of_the_end_by_time(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let id = world.begin("alice", "tools").await.handshake.unwrap().id;

    let states = watched(&world, &id, async |_| world.pass(600)).await;

    assert_eq!(states, [State::Pending, State::Expired]);
}

async fn a_client_made_by_hand_connects_with_its_secret(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(world.manual("tools")).await.unwrap();
    world
        .idp
        .add_client("by-hand", "hush", &server.redirect_uri);

    world.connect("alice", "tools").await;

    let header = world.header("alice", "tools").await;
    assert!(world.idp.accepts(&header));
}

async fn a_user_who_connects_again_gets_a_higher_generation(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let before = world.header("alice", "tools").await;

    world.connect("alice", "tools").await;

    let resolved = world.resolve("alice", "tools").await;
    assert_eq!(resolved.credential_version, 2);
    assert_ne!(resolved.headers[0].value, before);
    let request = v1::ListConnectionsRequest {
        actor: actor("alice"),
        ..v1::ListConnectionsRequest::default()
    };
    let listed = answer(world.daemon.tokens().list_connections(request)).await;
    assert_eq!(listed.unwrap().connections.len(), 1);
}

async fn handshakes_of_yesterday_are_swept_away(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    let old = world.begin("alice", "tools").await.handshake.unwrap().id;
    world.pass(24 * 3600 + 1);
    let new = world.begin("alice", "tools").await.handshake.unwrap().id;

    let gone = world
        .service
        .within(|app| async move { app.sweep().await })
        .await
        .unwrap();

    assert_eq!(gone, 1);
    assert_eq!(world.handshake(&new).await.state(), State::Pending);
    let request = v1::GetHandshakeRequest { handshake: old };
    let old = answer(world.daemon.handshakes().get_handshake(request)).await;
    assert_eq!(reason(old), "HANDSHAKE_NOT_FOUND");
}
