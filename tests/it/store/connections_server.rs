//! Who is connected to one server, by user.

use stationmaster::domain::connections::{Status, StatusKind};
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::resolution::Reconnect;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, tenant_id};

on_both_engines! {
    a_servers_connections_are_listed_by_user,
}

async fn a_servers_connections_are_listed_by_user(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let one = home.store_registration(db, "one").await;
    let two = home.store_registration(db, "two").await;
    let refused = Status::ReconnectRequired(Reconnect::RefreshRefused);
    for (registration, name, status) in [
        (&one, "carol", refused),
        (&one, "ann", Status::Active),
        (&two, "bea", Status::Active),
        (&one, "Bob", refused),
        (&one, "bob", Status::Unreadable),
    ] {
        let mut connection = home.connection(registration, name);
        connection.life.status = status;
        home.store_connection(db, &connection).await;
    }
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();

    for (status, expected) in [
        (None, &["Bob", "ann", "bob", "carol"][..]),
        (Some(StatusKind::Active), &["ann"]),
        (Some(StatusKind::ReconnectRequired), &["Bob", "carol"]),
    ] {
        let mut users = Vec::new();
        let mut page = PageRequest {
            size: 1,
            after: None,
        };
        loop {
            let found = at.list_of_server(&home.tenant, one.server, status, &page);
            let found = found.await.unwrap();
            let read = found.entries.into_iter().map(|one| one.unwrap().user);
            users.extend(read.map(|user| user.to_string()));
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(users, expected, "{status:?}");
    }
    let page = PageRequest {
        size: 9,
        after: None,
    };
    let other = tenant_id("other");
    let elsewhere = at.list_of_server(&other, one.server, None, &page);
    assert!(elsewhere.await.unwrap().entries.is_empty());
}
