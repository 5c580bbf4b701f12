//! Requests: what a repeated creation is answered with.

use stationmaster::domain::secrets::SecretHash;
use stationmaster::domain::tenants::TenantId;
use stationmaster::store::{Error, NewRequest, PastRequest};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};

on_both_engines! {
    a_request_reads_back_what_it_made,
    a_request_served_twice_is_a_conflict,
    old_requests_are_forgotten,
}

fn request<'a>(tenant: &'a TenantId, principal: &'a str, id: &'a str) -> NewRequest<'a> {
    NewRequest {
        tenant,
        principal,
        request_id: id,
        fingerprint: SecretHash::of("body"),
    }
}

async fn a_request_reads_back_what_it_made(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let served = request(&home.tenant, "key_a", "r1");
    let mut tx = db.write().await.unwrap();
    tx.requests_mut()
        .insert(&served, "srv_1", NOW)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.read().await.unwrap();
    let past = tx.requests().get(&served).await.unwrap();

    let made = PastRequest {
        fingerprint: served.fingerprint,
        subject: "srv_1".into(),
    };
    assert_eq!(past, Some(made));
    for stranger in [
        request(&other.tenant, "key_a", "r1"),
        request(&home.tenant, "key_b", "r1"),
        request(&home.tenant, "key_a", "R1"),
    ] {
        assert_eq!(
            tx.requests().get(&stranger).await.unwrap(),
            None,
            "{stranger:?}"
        );
    }
}

async fn a_request_served_twice_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let served = request(&home.tenant, "key_a", "r1");
    let mut tx = db.write().await.unwrap();
    tx.requests_mut()
        .insert(&served, "srv_1", NOW)
        .await
        .unwrap();

    let again = tx.requests_mut().insert(&served, "srv_2", NOW).await;

    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
}

async fn old_requests_are_forgotten(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (old, new) = (
        request(&home.tenant, "key_a", "old"),
        request(&home.tenant, "key_a", "new"),
    );
    let mut tx = db.write().await.unwrap();
    tx.requests_mut().insert(&old, "srv_1", NOW).await.unwrap();
    tx.requests_mut()
        .insert(&new, "srv_2", later(10))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.upkeep().await.unwrap();
    let gone = tx.past_requests().delete_old(later(10)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(gone, 1);
    let mut tx = db.read().await.unwrap();
    assert!(tx.requests().get(&old).await.unwrap().is_none());
    assert!(tx.requests().get(&new).await.unwrap().is_some());
}
