//! API keys: found by their public half, listed by name, revoked once.

use stationmaster::domain::access::{ApiKey, Narrowing, Role};
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::tenants::TenantId;
use stationmaster::domain::time::Timestamp;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later, user};

on_both_engines! {
    a_key_reads_back_as_it_was_written,
    an_id_in_use_is_a_conflict,
    pages_follow_names_by_their_bytes,
    operators_keys_are_listed_apart,
    operators_are_counted_until_they_are_revoked,
    a_key_is_revoked_once,
    a_use_is_noted_unless_one_was_noted_lately,
}

async fn insert(db: &Db, home: &Home, keys: &[&ApiKey]) {
    let mut tx = db.write().await.unwrap();
    for key in keys {
        tx.api_keys_mut().insert(key).await.unwrap();
    }
    tx.commit(&home.event()).await.unwrap();
}

async fn get(db: &Db, key: &ApiKey) -> Option<ApiKey> {
    let mut tx = db.read().await.unwrap();
    tx.api_keys().get(key.id).await.unwrap()
}

async fn a_key_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let plain = home.api_key("plain");
    let full = ApiKey {
        role: Role::User,
        user: Some(user("Ann@x")),
        narrowing: Narrowing {
            methods: vec!["/stationmaster.v1.TokenService/Disconnect".into()],
            servers: vec![home.server("a").id, home.server("b").id],
            source_cidrs: ["10.0.0.0/8", "2001:db8::/32"]
                .map(|net| net.parse().unwrap())
                .to_vec(),
            requires_user_token: true,
        },
        expires_at: Some(later(1)),
        revoked_at: Some(later(2)),
        last_used_at: Some(later(3)),
        ..home.api_key("Füll")
    };
    let operator = ApiKey {
        tenant: None,
        role: Role::Operator,
        ..home.api_key("operator")
    };

    for key in [plain, full, operator] {
        insert(db, &home, &[&key]).await;

        assert_eq!(get(db, &key).await, Some(key));
    }
    assert_eq!(get(db, &home.api_key("unknown")).await, None);
}

async fn an_id_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let key = home.api_key("one");
    insert(db, &home, &[&key]).await;

    let mut tx = db.write().await.unwrap();
    let again = tx.api_keys_mut().insert(&key).await;

    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
}

/// The names of all pages, in order.
async fn names(db: &Db, tenant: Option<&TenantId>, size: i64) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = PageRequest { size, after: None };
    let mut tx = db.read().await.unwrap();
    loop {
        let got = tx.api_keys().list(tenant, &page).await.unwrap();
        assert!(got.entries.len() <= usize::try_from(size).unwrap());
        names.extend(got.entries.into_iter().map(|key| key.unwrap().name));
        page.after = got.next;
        if page.after.is_none() {
            return names;
        }
    }
}

async fn pages_follow_names_by_their_bytes(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let all = [
        "b", "B", "Ä", "ä", "a", "a", "A", "日本", "_", "a b", "a-b", "é",
    ];
    for name in all {
        insert(db, &home, &[&home.api_key(name)]).await;
    }
    insert(db, &other, &[&other.api_key("theirs")]).await;

    let mut expected: Vec<String> = all.map(str::to_owned).to_vec();
    expected.sort();

    for size in [1, 5, 12] {
        assert_eq!(names(db, Some(&home.tenant), size).await, expected);
    }
    assert_eq!(names(db, Some(&other.tenant), 9).await, ["theirs"]);
}

fn operator(home: &Home, name: &str) -> ApiKey {
    ApiKey {
        tenant: None,
        role: Role::Operator,
        ..home.api_key(name)
    }
}

async fn operators_keys_are_listed_apart(db: &Db) {
    let home = Home::settle(db, "acme").await;
    for name in ["b", "a", "B"] {
        insert(db, &home, &[&operator(&home, name)]).await;
    }
    insert(db, &home, &[&home.api_key("mine")]).await;

    assert_eq!(names(db, None, 1).await, ["B", "a", "b"]);
    assert_eq!(names(db, Some(&home.tenant), 1).await, ["mine"]);
}

async fn operators_are_counted_until_they_are_revoked(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let first = operator(&home, "first");
    insert(
        db,
        &home,
        &[&first, &operator(&home, "second"), &home.api_key("mine")],
    )
    .await;
    revoke(db, &home, &first, NOW).await;

    let mut tx = db.read().await.unwrap();

    assert_eq!(tx.api_keys().count_operators().await.unwrap(), 1);
}

async fn revoke(db: &Db, home: &Home, key: &ApiKey, at: Timestamp) -> bool {
    let mut tx = db.write().await.unwrap();
    let revoked = tx.api_keys_mut().revoke(key, at).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    revoked
}

async fn a_key_is_revoked_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (key, other) = (home.api_key("one"), home.api_key("other"));
    insert(db, &home, &[&key, &other]).await;

    assert!(revoke(db, &home, &key, later(1)).await);
    assert!(!revoke(db, &home, &key, later(2)).await);
    assert!(!revoke(db, &home, &home.api_key("unknown"), later(2)).await);

    assert_eq!(get(db, &key).await.unwrap().revoked_at, Some(later(1)));
    assert_eq!(get(db, &other).await.unwrap().revoked_at, None);
}

async fn a_use_is_noted_unless_one_was_noted_lately(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let key = home.api_key("one");
    insert(db, &home, &[&key]).await;

    for (at, unless_after, noted) in [
        (later(100), later(40), later(100)),
        (later(130), later(70), later(100)),
        (later(159), later(99), later(100)),
        (later(160), later(100), later(160)),
    ] {
        let mut tx = db.upkeep().await.unwrap();
        tx.key_sightings()
            .seen(key.id, at, unless_after)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        assert_eq!(
            get(db, &key).await.unwrap().last_used_at,
            Some(noted),
            "{at:?}"
        );
    }
}
