//! Tenants: names used once, in order.

use stationmaster::domain::page::PageRequest;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, tenant, tenant_id};

on_both_engines! {
    a_tenant_reads_back_as_it_was_written,
    a_name_in_use_is_a_conflict,
    pages_follow_display_names_by_their_bytes,
}

async fn a_tenant_reads_back_as_it_was_written(db: &Db) {
    Home::settle(db, "acme").await;

    let mut tx = db.read().await.unwrap();
    let stored = tx.tenants().get(&tenant_id("acme")).await.unwrap();
    let other = tx.tenants().get(&tenant_id("acm")).await.unwrap();

    assert_eq!(stored, Some(tenant("acme")));
    assert_eq!(other, None);
}

async fn a_name_in_use_is_a_conflict(db: &Db) {
    Home::settle(db, "acme").await;

    let mut tx = db.write().await.unwrap();
    let again = tx.tenants_mut().insert(&tenant("acme")).await;

    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
}

async fn pages_follow_display_names_by_their_bytes(db: &Db) {
    let home = Home::settle(db, "z-first").await;
    let mut tx = db.write().await.unwrap();
    for (name, display_name) in [("e", "ä"), ("b", "a"), ("d", "B"), ("a", "a"), ("c", "Ab")] {
        let mut tenant = tenant(name);
        tenant.display_name = display_name.into();
        tx.tenants_mut().insert(&tenant).await.unwrap();
    }
    tx.commit(&home.event()).await.unwrap();

    let mut names = Vec::new();
    let mut page = PageRequest {
        size: 2,
        after: None,
    };
    let mut tx = db.read().await.unwrap();
    loop {
        let got = tx.tenants().list(&page).await.unwrap();
        names.extend(
            got.entries
                .into_iter()
                .map(|tenant| tenant.unwrap().id.to_string()),
        );
        page.after = got.next;
        if page.after.is_none() {
            break;
        }
    }

    assert_eq!(names, ["c", "d", "z-first", "a", "b", "e"]);
}
