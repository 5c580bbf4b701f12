//! Keys of identity tokens: one of each generation.

use stationmaster::domain::identity_tokens::IdentityKey;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};

on_both_engines! {
    keys_read_back_by_generation,
    a_generation_is_used_once,
    another_tenant_has_keys_of_its_own,
    a_deleted_key_is_gone_and_no_other,
    an_impossible_key_is_named_and_counted,
}

fn key(home: &Home, generation: i64) -> IdentityKey {
    IdentityKey {
        id: format!("{}-{generation}", home.tenant),
        generation,
        public: "the public half".to_owned(),
        private: home.sealed(b"the private half\0\xff").unwrap(),
        signs_from: later(9),
        created_at: NOW,
    }
}

async fn insert(db: &Db, home: &Home, key: &IdentityKey) -> Result<(), Error> {
    let mut tx = db.write().await.unwrap();
    tx.identity_keys_mut().insert(&home.tenant, key).await?;
    tx.commit(&home.event()).await.map(drop)
}

async fn list(db: &Db, home: &Home) -> Vec<IdentityKey> {
    let mut tx = db.read().await.unwrap();
    let keys = tx.identity_keys().list(&home.tenant).await.unwrap();
    keys.into_iter().map(Result::unwrap).collect()
}

async fn last(db: &Db, home: &Home) -> i64 {
    let mut tx = db.read().await.unwrap();
    tx.identity_keys()
        .last_generation(&home.tenant)
        .await
        .unwrap()
}

async fn keys_read_back_by_generation(db: &Db) {
    let home = Home::settle(db, "acme").await;
    assert_eq!(last(db, &home).await, 0);
    let keys = [key(&home, 1), key(&home, 2)];

    for key in keys.iter().rev() {
        insert(db, &home, key).await.unwrap();
    }

    assert_eq!(list(db, &home).await, keys);
    assert_eq!(last(db, &home).await, 2);
}

async fn a_generation_is_used_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    insert(db, &home, &key(&home, 1)).await.unwrap();
    let rival = IdentityKey {
        id: "another".to_owned(),
        ..key(&home, 1)
    };

    let refused = insert(db, &home, &rival).await;

    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    assert_eq!(list(db, &home).await, [key(&home, 1)]);
}

async fn another_tenant_has_keys_of_its_own(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    insert(db, &home, &key(&home, 1)).await.unwrap();

    assert_eq!(
        (list(db, &other).await.len(), last(db, &other).await),
        (0, 0)
    );
    insert(db, &other, &key(&other, 1)).await.unwrap();
    assert_eq!(list(db, &other).await, [key(&other, 1)]);
}

async fn a_deleted_key_is_gone_and_no_other(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let keys = [key(&home, 1), key(&home, 2)];
    for key in &keys {
        insert(db, &home, key).await.unwrap();
    }

    let mut tx = db.write().await.unwrap();
    let mut stored = tx.identity_keys_mut();
    let theirs = stored.delete(&other.tenant, &keys[0].id).await.unwrap();
    let deleted = stored.delete(&home.tenant, &keys[0].id).await.unwrap();
    let again = stored.delete(&home.tenant, &keys[0].id).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!((theirs, deleted, again), (false, true, false));
    assert_eq!(list(db, &home).await, keys[1..]);
}

async fn an_impossible_key_is_named_and_counted(db: &Db) {
    const DATA_KEY: &str = "INSERT INTO data_keys (id, tenant, root_key, wrapped, active, \
        reserved_uses, created_at) SELECT 'odd', tenant, root_key, wrapped, FALSE, 0, 0 \
        FROM data_keys";
    let home = Home::settle(db, "acme").await;
    for generation in [1, 2] {
        insert(db, &home, &key(&home, generation)).await.unwrap();
    }
    db.execute(DATA_KEY).await;
    db.execute("UPDATE identity_keys SET private_key_key = 'odd' WHERE generation = 2")
        .await;

    let mut tx = db.read().await.unwrap();
    let keys = tx.identity_keys().list(&home.tenant).await.unwrap();

    assert_eq!(keys[0].as_ref().ok(), Some(&key(&home, 1)));
    let named = matches!(
        &keys[1],
        Err(Error::Corrupt {
            table: "identity_keys",
            column: "private_key",
            ..
        })
    );
    assert!(named, "{keys:?}");
    drop(tx);
    assert_eq!(last(db, &home).await, 2);
}
