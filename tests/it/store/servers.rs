//! Servers: unique slugs, versions, order, and what goes with them.

use std::time::Duration;

use stationmaster::domain::page::PageRequest;
use stationmaster::domain::servers::Server;
use stationmaster::store::{Error, Store, Which};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, chat_id, tenant_id, user};

on_both_engines! {
    a_server_reads_back_as_it_was_written,
    a_slug_or_an_id_in_use_is_a_conflict,
    another_tenant_never_sees_a_server,
    an_update_writes_everything_but_what_never_changes,
    an_update_of_a_stale_version_writes_nothing,
    an_update_to_a_slug_in_use_is_a_conflict,
    pages_follow_display_names_by_their_bytes,
    pages_of_enabled_servers_hold_no_others,
    deleting_a_server_takes_all_that_is_its,
    an_id_is_taken_in_every_tenant,
    a_server_that_is_held_is_changed_by_nobody_else,
    a_slug_is_found_whatever_else_the_row_holds,
    former_secrets_that_nobody_tries_any_more_are_forgotten,
}

async fn get(db: &Db, server: &Server) -> Option<Server> {
    let mut tx = db.read().await.unwrap();
    tx.servers().get(&server.tenant, server.id).await.unwrap()
}

async fn a_server_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    for server in [home.server("plain"), home.full_server("full")] {
        let mut tx = db.write().await.unwrap();
        tx.servers_mut().insert(&server).await.unwrap();
        tx.commit(&home.event()).await.unwrap();

        assert_eq!(get(db, &server).await.as_ref(), Some(&server));
        let mut tx = db.read().await.unwrap();
        let slug = &server.spec.slug;
        let by_slug = tx.servers().find_by_slug(&home.tenant, slug).await.unwrap();
        assert_eq!(by_slug, Some(server));
    }
}

async fn a_slug_or_an_id_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.store_server(db, "taken").await;
    let mut same_id = home.server("free");
    same_id.id = stored.id;

    for server in [home.server("taken"), same_id] {
        let mut tx = db.write().await.unwrap();
        let inserted = tx.servers_mut().insert(&server).await;

        assert!(matches!(inserted, Err(Error::Conflict)), "{inserted:?}");
    }
}

async fn another_tenant_never_sees_a_server(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let server = home.store_server(db, "mine").await;
    let mut stolen = server.clone();
    stolen.tenant = other.tenant.clone();

    let mut tx = db.write().await.unwrap();
    let servers = &mut tx.servers();
    assert_eq!(servers.get(&other.tenant, server.id).await.unwrap(), None);
    let slug = &server.spec.slug;
    assert_eq!(
        servers.find_by_slug(&other.tenant, slug).await.unwrap(),
        None
    );
    assert!(!tx.servers_mut().update(&stolen).await.unwrap());
    assert!(
        !tx.servers_mut()
            .delete(&other.tenant, server.id, 1)
            .await
            .unwrap()
    );
    // The same slug is free there.
    tx.servers_mut()
        .insert(&other.server("mine"))
        .await
        .unwrap();
    tx.commit(&other.event()).await.unwrap();

    assert_eq!(get(db, &server).await, Some(server));
    assert_eq!(names(db, &other, Which::All, 9).await, ["mine"]);
}

async fn an_update_writes_everything_but_what_never_changes(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.store_server(db, "plain").await;
    let mut changed = home.full_server("full");
    changed.id = stored.id;
    changed.version = stored.version;
    changed.updated_by = "key_c".into();
    changed.owner = None;

    let mut tx = db.write().await.unwrap();
    let updated = tx.servers_mut().update(&changed).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    changed.version += 1;
    assert!(updated);
    assert_eq!(get(db, &stored).await, Some(changed));
}

async fn an_update_of_a_stale_version_writes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.store_server(db, "plain").await;
    let mut first = stored.clone();
    first.spec.description = "first".into();
    let mut second = stored.clone();
    second.spec.description = "second".into();

    let mut tx = db.write().await.unwrap();
    assert!(tx.servers_mut().update(&first).await.unwrap());
    assert!(!tx.servers_mut().update(&second).await.unwrap());
    tx.commit(&home.event()).await.unwrap();

    let kept = get(db, &stored).await.unwrap();
    assert_eq!((kept.spec.description.as_str(), kept.version), ("first", 2));
}

async fn an_update_to_a_slug_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_server(db, "taken").await;
    let mut server = home.store_server(db, "mine").await;
    server.spec.slug = tenant_id("taken");

    let mut tx = db.write().await.unwrap();
    let updated = tx.servers_mut().update(&server).await;

    assert!(matches!(updated, Err(Error::Conflict)), "{updated:?}");
}

/// The display names of all pages, in order.
async fn names(store: &Store, home: &Home, which: Which<'_>, size: i64) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = PageRequest { size, after: None };
    let mut tx = store.read().await.unwrap();
    loop {
        let got = tx.servers().list(&home.tenant, which, &page).await.unwrap();
        assert!(got.entries.len() <= usize::try_from(size).unwrap());
        names.extend(
            got.entries
                .into_iter()
                .map(|server| server.unwrap().spec.display_name),
        );
        page.after = got.next;
        if page.after.is_none() {
            return names;
        }
    }
}

/// Stores a server for each display name.
async fn store_named(db: &Db, home: &Home, names: &[&str]) {
    let mut tx = db.write().await.unwrap();
    for (number, name) in names.iter().enumerate() {
        let mut server = home.server(&format!("s{number}"));
        server.spec.display_name = (*name).to_owned();
        server.spec.enabled = number.is_multiple_of(2);
        tx.servers_mut().insert(&server).await.unwrap();
    }
    tx.commit(&home.event()).await.unwrap();
}

async fn pages_follow_display_names_by_their_bytes(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let all = [
        "b", "B", "Ä", "ä", "a", "a", "A", "日本", "_", "a b", "z", "Z", "1", "é", "a-b",
    ];
    store_named(db, &home, &all).await;

    let mut expected: Vec<String> = all.map(str::to_owned).to_vec();
    expected.sort();

    for size in [1, 2, 100] {
        assert_eq!(names(db, &home, Which::All, size).await, expected);
    }
}

async fn pages_of_enabled_servers_hold_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    store_named(db, &home, &["a", "b", "c", "d", "e"]).await;

    let enabled = Which::Enabled(None);
    assert_eq!(names(db, &home, enabled, 2).await, ["a", "c", "e"]);
}

async fn deleting_a_server_takes_all_that_is_its(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "gone").await;
    let kept = home.store_registration(db, "kept").await;
    let server = registration.server;
    for registration in [&registration, &kept] {
        let connection = home.full_connection(registration, "ann");
        home.store_connection(db, &connection).await;
        home.store_connection(db, &home.connection(registration, "bob"))
            .await;
        home.store_handshake(db, &home.handshake(registration, "ann"))
            .await;
    }
    let mut tx = db.write().await.unwrap();
    let mut chat = home.chat("chat", "ann", &[]);
    chat.selection = Some(vec![server, kept.server]);
    tx.chats_mut().put(&chat).await.unwrap();
    for server in [server, kept.server] {
        tx.connections_mut()
            .delete(&home.tenant, &user("bob"), server)
            .await
            .unwrap();
    }
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.write().await.unwrap();
    assert!(
        !tx.servers_mut()
            .delete(&home.tenant, server, 2)
            .await
            .unwrap()
    );
    assert!(
        tx.servers_mut()
            .delete(&home.tenant, server, 1)
            .await
            .unwrap()
    );
    assert!(
        !tx.servers_mut()
            .delete(&home.tenant, server, 1)
            .await
            .unwrap()
    );
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.read().await.unwrap();
    let chat = tx
        .chats()
        .get(&home.tenant, &chat_id("chat"))
        .await
        .unwrap();
    assert_eq!(chat.unwrap().selection, Some(vec![kept.server]));
    assert_eq!(tx.servers().get(&home.tenant, server).await.unwrap(), None);
    drop(tx);
    for count in [
        "SELECT COUNT(*) FROM servers",
        "SELECT COUNT(*) FROM registrations",
        "SELECT COUNT(*) FROM connections",
        "SELECT COUNT(*) FROM handshakes",
        "SELECT COUNT(*) FROM chat_servers",
    ] {
        assert_eq!(db.number(count).await, 1, "{count}");
    }
}

async fn an_id_is_taken_in_every_tenant(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let unused = home.server("two");

    let mut tx = db.read().await.unwrap();

    assert!(tx.servers().exists(server.id).await.unwrap());
    assert!(!tx.servers().exists(unused.id).await.unwrap());
    let found = tx.servers().find_anywhere(server.id).await.unwrap();
    assert_eq!(found.unwrap().tenant, home.tenant);
    assert!(
        tx.servers()
            .find_anywhere(unused.id)
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_server_that_is_held_is_changed_by_nobody_else(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;
    let mut tx = db.write().await.unwrap();
    assert!(
        tx.servers_mut()
            .hold(&home.tenant, server.id)
            .await
            .unwrap()
    );
    let other = db.another().await;
    let event = home.event();

    let delete = async {
        let mut tx = other.write().await.unwrap();
        let mut at = tx.servers_mut();
        let gone = at.delete(&server.tenant, server.id, server.version).await;
        tx.commit(&event).await.unwrap();
        gone.unwrap()
    };
    let end = async {
        // On SQLite nobody else may even begin to write.
        if !db.is_exclusive() {
            db.somebody_waits().await;
        }
        let read = tx.servers().get(&home.tenant, server.id).await.unwrap();
        tx.commit(&home.event()).await.unwrap();
        read
    };
    let (gone, read) = futures_util::join!(delete, end);

    assert_eq!(read, Some(server.clone()));
    assert!(gone);
    let mut tx = db.write().await.unwrap();
    assert!(
        !tx.servers_mut()
            .hold(&home.tenant, server.id)
            .await
            .unwrap()
    );
}

async fn a_slug_is_found_whatever_else_the_row_holds(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let server = home.store_server(db, "one").await;
    db.execute("UPDATE servers SET transport = 'pigeon'").await;

    let mut tx = db.read().await.unwrap();
    let own = tx.servers().find_slug(&home.tenant, server.id).await;
    let foreign = tx.servers().find_slug(&other.tenant, server.id).await;

    assert_eq!(own.unwrap(), Some(server.spec.slug));
    assert_eq!(foreign.unwrap(), None);
}

async fn former_secrets_that_nobody_tries_any_more_are_forgotten(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.full_server("full");
    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&server).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    let until = server.secrets.former_client_secret.as_ref().unwrap().until;
    let forget = async |now| {
        let mut tx = db.upkeep().await.unwrap();
        let gone = tx.former_secrets().forget_former_secrets(now).await;
        tx.commit().await.unwrap();
        gone.unwrap()
    };

    let early = forget(until.before(Duration::from_secs(1))).await;
    let kept = get(db, &server).await;
    let due = forget(until).await;

    assert_eq!((early, due), (0, 1));
    assert_eq!(kept.as_ref(), Some(&server));
    let mut forgotten = server.clone();
    forgotten.secrets.former_client_secret = None;
    assert_eq!(get(db, &server).await, Some(forgotten));
}
