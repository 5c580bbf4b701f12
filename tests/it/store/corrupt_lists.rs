//! Lists answer the rows beside one that cannot be read, and that row as an error of its own.

use stationmaster::domain::page::PageRequest;
use stationmaster::store::Which;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, user};

on_both_engines! {
    pages_go_on_over_what_cannot_be_read,
}

async fn pages_go_on_over_what_cannot_be_read(db: &Db) {
    let home = Home::settle(db, "acme").await;
    for slug in ["a", "b", "c"] {
        let registration = home.store_registration(db, slug).await;
        let connection = home.connection(&registration, "ann");
        home.store_connection(db, &connection).await;
    }
    let mut tx = db.write().await.unwrap();
    tx.api_keys_mut()
        .insert(&home.api_key("ann"))
        .await
        .unwrap();
    tx.api_keys_mut()
        .insert(&home.api_key("bob"))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    db.execute(
        "UPDATE connections SET status = 'odd' WHERE id = (SELECT MIN(id) FROM connections)",
    )
    .await;
    db.execute("UPDATE servers SET transport = 'pigeon' WHERE slug = 'b'")
        .await;
    db.execute("UPDATE api_keys SET role = 'king' WHERE name = 'ann'")
        .await;

    let mut tx = db.read().await.unwrap();
    macro_rules! pages {
        ($list:expr) => {{
            let mut page = PageRequest {
                size: 1,
                after: None,
            };
            let mut readable = Vec::new();
            loop {
                let found = $list(&page).await.unwrap();
                assert_eq!(found.entries.len(), 1);
                readable.extend(found.entries.iter().map(Result::is_ok));
                page.after = found.next;
                if page.after.is_none() {
                    break readable;
                }
            }
        }};
    }
    let tenant = &home.tenant;
    let connections = pages!(async |page| tx.connections().list(tenant, None, page).await);
    let of_user = pages!(async |page| {
        let ann = user("ann");
        tx.connections().list(tenant, Some(&ann), page).await
    });
    let servers = pages!(async |page| tx.servers().list(tenant, Which::All, page).await);
    let keys = pages!(async |page| tx.api_keys().list(Some(tenant), page).await);

    assert_eq!(connections, [false, true, true]);
    assert_eq!(of_user, [false, true, true]);
    assert_eq!(servers, [true, false, true]);
    assert_eq!(keys, [false, true]);
}
