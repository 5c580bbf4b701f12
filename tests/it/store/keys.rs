//! Keys: one active per tenant, uses within bounds, and no way to lose one that is needed.

use stationmaster::domain::ids::DataKeyId;
use stationmaster::domain::keys::{DataKey, RootKey, RootKeyId};
use stationmaster::store::Error;

use crate::harness::database::{Db, Raw, on_both_engines};
use crate::harness::fixtures::{Home, later, root_key};

on_both_engines! {
    root_keys_are_listed_by_age_and_remembered_once,
    a_data_key_reads_back_as_it_was_written,
    a_tenant_has_one_active_key,
    an_id_in_use_is_a_conflict,
    another_tenant_never_sees_a_data_key,
    uses_are_reserved_up_to_the_bound,
    a_retired_key_reserves_nothing,
    a_data_key_in_use_cannot_be_deleted,
}

async fn activate(db: &Db, home: &Home, key: &DataKey) {
    let mut tx = db.write().await.unwrap();
    tx.keys_mut().insert_active(key).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
}

async fn reserve(db: &Db, id: DataKeyId, block: i64, max: i64) -> bool {
    let mut tx = db.upkeep().await.unwrap();
    let reserved = tx.key_uses().reserve(id, block, max).await.unwrap();
    tx.commit().await.unwrap();
    reserved
}

async fn root_keys_are_listed_by_age_and_remembered_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let named = |name: &str, at| RootKey {
        id: RootKeyId(name.into()),
        canary: vec![9],
        created_at: at,
    };
    let younger = named("a", later(5));
    let twin = named("b", later(5));
    let changed = RootKey {
        canary: vec![1],
        ..root_key()
    };

    let mut tx = db.write().await.unwrap();
    for root in [&twin, &younger, &changed] {
        tx.keys_mut().insert_root(root).await.unwrap();
    }
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.read().await.unwrap();
    let roots = tx.keys().list_roots().await.unwrap();
    assert_eq!(roots, [root_key(), younger, twin]);
}

async fn a_data_key_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let key = DataKey {
        reserved_uses: 77,
        created_at: later(3),
        ..home.data_key(home.data_key_id())
    };

    activate(db, &home, &key).await;

    let mut tx = db.read().await.unwrap();
    let stored = tx.keys().get(&home.tenant, key.id).await.unwrap();
    assert_eq!(stored, Some(key));
}

async fn a_tenant_has_one_active_key(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let second = home.data_key(home.data_key_id());

    activate(db, &home, &second).await;

    let mut tx = db.read().await.unwrap();
    let first = tx.keys().get(&home.tenant, home.key).await.unwrap();
    assert_eq!(
        tx.keys().find_active(&home.tenant).await.unwrap(),
        Some(second)
    );
    assert!(
        first.is_some_and(|key| !key.active),
        "the first opens, and seals no more"
    );
    let others = tx.keys().find_active(&other.tenant).await.unwrap();
    assert_eq!(others.map(|key| key.id), Some(other.key));
}

async fn an_id_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;

    let mut tx = db.write().await.unwrap();
    let again = tx.keys_mut().insert_active(&home.data_key(home.key)).await;

    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
}

async fn another_tenant_never_sees_a_data_key(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;

    let mut tx = db.read().await.unwrap();

    assert_eq!(tx.keys().get(&other.tenant, home.key).await.unwrap(), None);
}

async fn uses_are_reserved_up_to_the_bound(db: &Db) {
    let home = Home::settle(db, "acme").await;

    assert!(reserve(db, home.key, 6, 10).await);
    assert!(!reserve(db, home.key, 5, 10).await, "one too many");
    assert!(reserve(db, home.key, 4, 10).await, "exactly the rest");
    assert!(!reserve(db, home.key, 1, 10).await);

    let mut tx = db.read().await.unwrap();
    let key = tx.keys().get(&home.tenant, home.key).await.unwrap();
    assert_eq!(key.map(|key| key.reserved_uses), Some(10));
}

async fn a_retired_key_reserves_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    activate(db, &home, &home.data_key(home.data_key_id())).await;

    assert!(!reserve(db, home.key, 1, 10).await);
    assert!(
        !reserve(db, home.data_key_id(), 1, 10).await,
        "nor does one that is not there"
    );
}

async fn a_data_key_in_use_cannot_be_deleted(db: &Db) {
    const DELETE: &str = "DELETE FROM data_keys WHERE tenant = 'acme'";
    let home = Home::settle(db, "acme").await;
    let mut tx = db.write().await.unwrap();
    tx.servers_mut()
        .insert(&home.full_server("full"))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();

    let refused = match db.raw().await {
        Raw::Sqlite(mut conn) => sqlx::query(DELETE).execute(&mut conn).await.map(drop),
        Raw::Postgres(mut conn) => sqlx::query(DELETE).execute(&mut conn).await.map(drop),
    };
    db.execute("DELETE FROM servers").await;

    let refused = refused.unwrap_err().to_string().to_lowercase();
    assert!(refused.contains("foreign key"), "{refused}");
    assert_eq!(
        db.execute(DELETE).await,
        1,
        "free once nothing is sealed under it"
    );
}

#[tokio::test]
async fn two_processes_that_make_a_key_at_once_meet_a_conflict() {
    let db = Db::postgres().await;
    let home = Home::settle(&db, "acme").await;
    let (first, second) = (
        home.data_key(home.data_key_id()),
        home.data_key(home.data_key_id()),
    );
    let mut one = db.write().await.unwrap();
    let mut other = db.write().await.unwrap();
    one.keys_mut().insert_active(&first).await.unwrap();

    let event = home.event();
    let (late, committed) = futures_util::join!(
        async { other.keys_mut().insert_active(&second).await },
        async {
            db.somebody_waits().await;
            one.commit(&event).await
        }
    );

    committed.unwrap();
    assert!(matches!(late, Err(Error::Conflict)), "{late:?}");
}
