//! Connections: one per user and server, and generations that are never used again.

use stationmaster::domain::connections::{Connection, Status, StatusKind};
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::resolution::Reconnect;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, user};

on_both_engines! {
    a_connection_reads_back_as_it_was_written,
    a_connection_is_found_by_its_id_in_its_tenant,
    every_status_reads_back,
    a_second_connection_of_a_user_is_a_conflict,
    another_tenant_never_sees_a_connection,
    pages_follow_ids_and_keep_to_the_user,
    pages_keep_to_a_status,
    a_deleted_connection_leaves_its_generation,
    a_generation_never_falls,
}

async fn get(db: &Db, connection: &Connection) -> Option<Connection> {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    at.get(&connection.tenant, &connection.user, connection.server)
        .await
        .unwrap()
}

async fn delete(db: &Db, home: &Home, connection: &Connection) -> Option<String> {
    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let gone = at
        .delete(&home.tenant, &connection.user, connection.server)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    gone
}

async fn last_generation(db: &Db, connection: &Connection) -> i64 {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    let (tenant, user, server) = (&connection.tenant, &connection.user, connection.server);
    at.last_generation(tenant, user, server).await.unwrap()
}

async fn a_connection_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;

    for connection in [
        home.connection(&registration, "ann"),
        home.full_connection(&registration, "Ann"),
    ] {
        home.store_connection(db, &connection).await;

        assert_eq!(get(db, &connection).await, Some(connection));
    }
    assert_eq!(get(db, &home.connection(&registration, "bob")).await, None);
}

async fn a_connection_is_found_by_its_id_in_its_tenant(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let registration = home.store_registration(db, "one").await;
    let ann = home.full_connection(&registration, "ann");
    home.store_connection(db, &ann).await;
    let bob = home.connection(&registration, "bob");

    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();

    let found = at.find_by_id(&home.tenant, ann.id).await.unwrap();
    assert_eq!(found, Some(ann.clone()));
    assert_eq!(at.find_by_id(&home.tenant, bob.id).await.unwrap(), None);
    assert_eq!(at.find_by_id(&other.tenant, ann.id).await.unwrap(), None);
}

async fn every_status_reads_back(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let statuses = [
        Status::Active,
        Status::Unreadable,
        Status::ReconnectRequired(Reconnect::RefreshRefused),
        Status::ReconnectRequired(Reconnect::OutcomeUnknown),
        Status::ReconnectRequired(Reconnect::ServerChanged),
        Status::ReconnectRequired(Reconnect::IssuerChanged),
        Status::ReconnectRequired(Reconnect::TokenRejected),
    ];

    for (number, status) in statuses.into_iter().enumerate() {
        let mut connection = home.connection(&registration, &number.to_string());
        connection.life.status = status;
        home.store_connection(db, &connection).await;

        assert_eq!(get(db, &connection).await, Some(connection));
    }
}

async fn a_second_connection_of_a_user_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    home.store_connection(db, &home.connection(&registration, "ann"))
        .await;

    let mut tx = db.write().await.unwrap();
    let second = home.connection(&registration, "ann");
    let inserted = tx.connections_mut().insert(&second).await;

    assert!(matches!(inserted, Err(Error::Conflict)), "{inserted:?}");
}

async fn another_tenant_never_sees_a_connection(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let registration = home.store_registration(db, "one").await;
    let mine = home.full_connection(&registration, "ann");
    home.store_connection(db, &mine).await;
    let stolen = Connection {
        tenant: other.tenant.clone(),
        ..mine.clone()
    };
    let page = PageRequest {
        size: 9,
        after: None,
    };

    assert_eq!(get(db, &stolen).await, None);
    assert_eq!(last_generation(db, &stolen).await, 0);
    assert_eq!(delete(db, &other, &stolen).await, None);
    let mut tx = db.write().await.unwrap();
    let all = tx
        .connections()
        .list(&other.tenant, None, &page)
        .await
        .unwrap();
    let anns = tx
        .connections()
        .list(&other.tenant, Some(&mine.user), &page)
        .await;
    assert!(all.entries.is_empty() && anns.unwrap().entries.is_empty());
    let mut at = tx.connections_mut();
    assert!(!at.renew(&stolen).await.unwrap());
    assert!(!at.save_life(&stolen).await.unwrap());
    let ended = at
        .invalidate_of_server(&other.tenant, mine.server, NOW)
        .await
        .unwrap();
    assert_eq!(ended, 0);
    tx.commit(&other.event()).await.unwrap();

    assert_eq!(get(db, &mine).await, Some(mine));
}

async fn pages_follow_ids_and_keep_to_the_user(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let mut all = Vec::new();
    for slug in ["a", "b", "c"] {
        let registration = home.store_registration(db, slug).await;
        for name in ["ann", "Ann"] {
            let connection = home.connection(&registration, name);
            home.store_connection(db, &connection).await;
            all.push(connection);
        }
    }
    all.sort_by_key(|connection| connection.id.to_string());

    for who in [
        None,
        Some(user("ann")),
        Some(user("Ann")),
        Some(user("ANN")),
    ] {
        let expected = all
            .iter()
            .filter(|c| who.as_ref().is_none_or(|who| *who == c.user));
        let expected: Vec<_> = expected.cloned().collect();
        let mut got = Vec::new();
        let mut page = PageRequest {
            size: 2,
            after: None,
        };
        let mut tx = db.read().await.unwrap();
        loop {
            let list = tx
                .connections()
                .list(&home.tenant, who.as_ref(), &page)
                .await;
            let list = list.unwrap();
            got.extend(list.entries.into_iter().map(Result::unwrap));
            page.after = list.next;
            if page.after.is_none() {
                break;
            }
        }

        assert_eq!(got, expected, "{who:?}");
    }
}

async fn pages_keep_to_a_status(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let one = home.store_registration(db, "one").await;
    let two = home.store_registration(db, "two").await;
    let refused = Status::ReconnectRequired(Reconnect::RefreshRefused);
    let rejected = Status::ReconnectRequired(Reconnect::TokenRejected);
    let mut all = Vec::new();
    for (registration, name, status) in [
        (&one, "ann", refused),
        (&two, "ann", Status::Active),
        (&one, "bob", Status::Unreadable),
        (&two, "bob", rejected),
        (&one, "carol", refused),
    ] {
        let mut connection = home.connection(registration, name);
        connection.life.status = status;
        home.store_connection(db, &connection).await;
        all.push(connection);
    }
    all.sort_by_key(|connection| connection.id.to_string());
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();

    for kind in [
        None,
        Some(StatusKind::Active),
        Some(StatusKind::ReconnectRequired),
        Some(StatusKind::Unreadable),
    ] {
        for who in [None, Some(user("ann")), Some(user("bob"))] {
            let wanted = |one: &&Connection| {
                kind.is_none_or(|kind| kind == one.life.status.kind())
                    && who.as_ref().is_none_or(|who| *who == one.user)
            };
            let expected: Vec<_> = all.iter().filter(wanted).cloned().collect();
            let mut got = Vec::new();
            let mut page = PageRequest {
                size: 2,
                after: None,
            };
            loop {
                let found = at.list_in(&home.tenant, who.as_ref(), kind, &page).await;
                let found = found.unwrap();
                got.extend(found.entries.into_iter().map(Result::unwrap));
                page.after = found.next;
                if page.after.is_none() {
                    break;
                }
            }

            assert_eq!(got, expected, "{kind:?} {who:?}");
        }
    }
}

async fn a_deleted_connection_leaves_its_generation(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let mut first = home.connection(&registration, "ann");
    first.life.generation = 7;
    assert_eq!(last_generation(db, &first).await, 0);
    home.store_connection(db, &first).await;
    assert_eq!(last_generation(db, &first).await, 7);

    assert_eq!(delete(db, &home, &first).await, Some(first.id.to_string()));
    assert_eq!(delete(db, &home, &first).await, None);
    assert_eq!(last_generation(db, &first).await, 7);
    assert_eq!(get(db, &first).await, None);

    let mut second = home.connection(&registration, "ann");
    second.life.generation = 8;
    home.store_connection(db, &second).await;
    assert_eq!(last_generation(db, &second).await, 8);
    delete(db, &home, &second).await;
    assert_eq!(last_generation(db, &second).await, 8);
    let bob = home.connection(&registration, "bob");
    assert_eq!(
        last_generation(db, &bob).await,
        0,
        "another user's is another count"
    );
}

async fn a_generation_never_falls(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    for generation in [9, 3] {
        let mut connection = home.connection(&registration, "ann");
        connection.life.generation = generation;
        home.store_connection(db, &connection).await;
        assert_eq!(last_generation(db, &connection).await, 9);

        delete(db, &home, &connection).await;

        assert_eq!(last_generation(db, &connection).await, 9);
    }
}
