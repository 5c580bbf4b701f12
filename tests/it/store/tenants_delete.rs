//! Deleting a tenant: nothing of it stays but its name, the feed's entries and the audit trail.

use stationmaster::domain::changes::Owner;
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::secrets::SecretHash;
use stationmaster::domain::tenants::TenantState;
use stationmaster::store::{Error, NewRequest};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later, tenant, user};

on_both_engines! {
    nothing_of_a_deleted_tenant_stays_but_its_name,
    keys_stay_until_they_are_shredded,
    a_deleted_tenants_name_is_never_used_again,
    other_tenants_keep_what_they_have,
    only_a_tenant_in_use_is_held,
}

/// Every table with rows of tenants, but for what tells of the past.
const ROWS: &[(&str, &str)] = &[
    (
        "api_keys",
        "SELECT COUNT(*) FROM api_keys WHERE tenant = 'acme'",
    ),
    ("chats", "SELECT COUNT(*) FROM chats WHERE tenant = 'acme'"),
    (
        "chat_servers",
        "SELECT COUNT(*) FROM chat_servers WHERE tenant = 'acme'",
    ),
    (
        "connections",
        "SELECT COUNT(*) FROM connections WHERE tenant = 'acme'",
    ),
    (
        "tombstones",
        "SELECT COUNT(*) FROM connection_tombstones WHERE tenant = 'acme'",
    ),
    (
        "data_keys",
        "SELECT COUNT(*) FROM data_keys WHERE tenant = 'acme'",
    ),
    (
        "handshakes",
        "SELECT COUNT(*) FROM handshakes WHERE tenant = 'acme'",
    ),
    (
        "registrations",
        "SELECT COUNT(*) FROM registrations WHERE tenant = 'acme'",
    ),
    (
        "requests",
        "SELECT COUNT(*) FROM requests WHERE tenant = 'acme'",
    ),
    (
        "servers",
        "SELECT COUNT(*) FROM servers WHERE tenant = 'acme'",
    ),
    (
        "user_headers",
        "SELECT COUNT(*) FROM user_headers WHERE tenant = 'acme'",
    ),
    (
        "user_header_versions",
        "SELECT COUNT(*) FROM user_header_versions WHERE tenant = 'acme'",
    ),
];

/// A tenant that has something of everything.
async fn furnish(db: &Db, name: &str) -> Home {
    let home = Home::settle(db, name).await;
    let server = home.full_server("full");
    let registration = home.registration(&server);
    let mut handshake = home.handshake(&registration, "ann");
    handshake.flow = home.sealed(b"flow");
    let mut tx = db.write().await.unwrap();
    tx.servers_mut().insert(&server).await.unwrap();
    tx.registrations_mut().insert(&registration).await.unwrap();
    for name in ["ann", "bob"] {
        let connection = home.full_connection(&registration, name);
        tx.connections_mut().insert(&connection).await.unwrap();
    }
    tx.connections_mut()
        .delete(&home.tenant, &user("bob"), server.id)
        .await
        .unwrap();
    tx.handshakes_mut().insert(&handshake).await.unwrap();
    let owner = Owner {
        user: user("ann"),
        server: server.id,
    };
    let value = home.header_value(&server, "ann", "x-key");
    let mut values = tx.user_headers_mut();
    values
        .update(&home.tenant, &owner, &[value], &[])
        .await
        .unwrap();
    tx.api_keys_mut()
        .insert(&home.api_key("key"))
        .await
        .unwrap();
    tx.chats_mut()
        .put(&home.chat("chat", "ann", &[&server]))
        .await
        .unwrap();
    let request = NewRequest {
        tenant: &home.tenant,
        principal: "key_a",
        request_id: "r1",
        fingerprint: SecretHash::of("body"),
    };
    tx.requests_mut()
        .insert(&request, "srv_1", NOW)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    home
}

async fn delete(db: &Db, home: &Home) -> bool {
    let mut tx = db.write().await.unwrap();
    let deleted = tx
        .tenants_mut()
        .delete(&home.tenant, later(9))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    deleted
}

async fn shred(db: &Db, home: &Home) -> bool {
    let mut tx = db.write().await.unwrap();
    let shredded = tx.tenants_mut().shred(&home.tenant).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    shredded
}

async fn keys_stay_until_they_are_shredded(db: &Db) {
    const KEYS: &str = "SELECT COUNT(*) FROM data_keys WHERE tenant = 'acme'";
    let home = furnish(db, "acme").await;
    let other = furnish(db, "other").await;
    assert!(!shred(db, &home).await, "a tenant in use is not shredded");

    delete(db, &home).await;

    let mut tx = db.read().await.unwrap();
    let deleting = tx.tenants().list_deleting().await.unwrap();
    drop(tx);
    assert_eq!(deleting.len(), 1);
    let deleting = deleting[0].as_ref().unwrap();
    assert_eq!(
        (&deleting.id, deleting.state),
        (&home.tenant, TenantState::Deleting)
    );
    assert_eq!(db.number(KEYS).await, 1);
    assert!(shred(db, &home).await);
    assert!(!shred(db, &home).await, "a tenant is shredded once");
    assert_eq!(db.number(KEYS).await, 0);
    let mut tx = db.read().await.unwrap();
    assert!(tx.tenants().list_deleting().await.unwrap().is_empty());
    drop(tx);
    db.execute(
        "INSERT INTO tenants (id, display_name, state, created_at, updated_at) \
         SELECT 'No Tenant', display_name, state, created_at, updated_at FROM tenants \
         WHERE id = 'acme'",
    )
    .await;
    let mut tx = db.read().await.unwrap();
    let gone = tx.tenants().list_deleted(later(8)).await.unwrap();
    assert_eq!(gone.len(), 2);
    assert!(gone.iter().any(Result::is_err), "one cannot be read");
    let read: Vec<_> = gone.into_iter().flatten().collect();
    assert_eq!(read, std::slice::from_ref(&home.tenant));
    assert!(
        tx.tenants()
            .list_deleted(later(9))
            .await
            .unwrap()
            .is_empty()
    );
    let kept = tx.keys().find_active(&other.tenant).await.unwrap();
    assert!(kept.is_some());
}

async fn nothing_of_a_deleted_tenant_stays_but_its_name(db: &Db) {
    let home = furnish(db, "acme").await;
    for (table, count) in ROWS {
        assert_ne!(db.number(count).await, 0, "{table} has something to delete");
    }

    let deleted = delete(db, &home).await;

    assert!(deleted && shred(db, &home).await);
    for (table, count) in ROWS {
        assert_eq!(db.number(count).await, 0, "{table} has nothing left");
    }
    let mut tx = db.read().await.unwrap();
    let kept = tx.tenants().get(&home.tenant).await.unwrap().unwrap();
    assert_eq!(kept.state, TenantState::Deleted);
    assert_eq!(
        (kept.display_name.as_str(), kept.updated_at),
        ("", later(9))
    );
    let page = PageRequest {
        size: 9,
        after: None,
    };
    assert!(tx.tenants().list(&page).await.unwrap().entries.is_empty());
}

async fn a_deleted_tenants_name_is_never_used_again(db: &Db) {
    let home = furnish(db, "acme").await;
    delete(db, &home).await;

    let again = delete(db, &home).await;
    let mut tx = db.write().await.unwrap();
    let reused = tx.tenants_mut().insert(&tenant("acme")).await;

    assert!(!again, "a tenant is deleted once");
    assert!(matches!(reused, Err(Error::Conflict)), "{reused:?}");
}

async fn other_tenants_keep_what_they_have(db: &Db) {
    let other = furnish(db, "other").await;
    furnish(db, "acme").await;
    delete(db, &other).await;

    for (table, count) in ROWS {
        assert_ne!(db.number(count).await, 0, "{table}");
    }
}

async fn only_a_tenant_in_use_is_held(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let held = async || {
        let mut tx = db.write().await.unwrap();
        let held = tx.tenants_mut().hold(&home.tenant).await.unwrap();
        tx.commit(&home.event()).await.unwrap();
        held
    };
    let kept = async || {
        let mut tx = db.write().await.unwrap();
        let kept = tx.tenants_mut().hold_kept(&home.tenant).await.unwrap();
        tx.commit(&home.event()).await.unwrap();
        kept
    };
    assert!(held().await && kept().await);
    let mut tx = db.read().await.unwrap();
    let unchanged = tx.tenants().get(&home.tenant).await.unwrap();
    drop(tx);
    assert_eq!(unchanged, Some(tenant("acme")));

    delete(db, &home).await;

    assert!(!held().await && kept().await, "deleting");
    shred(db, &home).await;
    assert!(!held().await && !kept().await, "deleted");
}

#[tokio::test]
async fn who_holds_a_tenant_keeps_it_from_being_deleted() {
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let mut holding = db.write().await.unwrap();
    assert!(holding.tenants_mut().hold(&home.tenant).await.unwrap());

    let event = home.event();
    let (deleted, committed) = futures_util::join!(delete(&db, &home), async {
        db.somebody_waits().await;
        holding.commit(&event).await
    });

    committed.unwrap();
    assert!(deleted);
}
