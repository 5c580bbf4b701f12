//! Retired clients: they go when nothing is revoked by them any more, and those that we registered
//! are deleted at their provider after that.

use std::time::Duration;

use stationmaster::domain::authorization::Issuer;
use stationmaster::domain::revocations::{Kind, RetiredClient, WorkState};
use stationmaster::domain::time::Timestamp;
use stationmaster::store::{Claim, Error, Store};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};
use crate::harness::outbox::claim_at;

on_both_engines! {
    a_client_reads_back_as_it_was_written,
    a_registration_is_deleted_after_the_last_grant_of_its_client,
    few_are_under_way_at_one_issuer,
    of_two_that_claim_at_once_one_wins,
    what_is_to_come_later_is_given_back,
    what_is_done_goes_once,
    what_is_given_up_keeps_no_secret,
    what_cannot_be_read_is_given_up_and_its_secrets_forgotten,
    a_client_without_work_goes,
    everything_of_a_tenant_goes_and_nothing_else,
    leases_left_behind_are_ended,
    what_was_given_up_long_ago_is_deleted,
}

async fn get(db: &Db, client: &RetiredClient) -> Option<RetiredClient> {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.retired_clients();
    at.get(&client.tenant, client.id).await.unwrap()
}

async fn claim(store: &Store, at: Timestamp) -> Vec<RetiredClient> {
    let mut tx = store.upkeep().await.unwrap();
    let claimed = tx.retired_client_claims().claim_due(&claim_at(at)).await;
    tx.commit().await.unwrap();
    claimed.unwrap().into_iter().map(Result::unwrap).collect()
}

async fn a_client_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;

    for client in [home.retired(), home.full_retired()] {
        let mut tx = db.write().await.unwrap();
        tx.retired_clients_mut().insert(&client).await.unwrap();
        tx.commit(&home.event()).await.unwrap();

        assert_eq!(get(db, &client).await.as_ref(), Some(&client));
        let mut tx = db.read().await.unwrap();
        let foreign = tx.retired_clients().get(&other.tenant, client.id).await;
        assert_eq!(foreign.unwrap(), None);
    }
}

async fn a_registration_is_deleted_after_the_last_grant_of_its_client(db: &Db) {
    let home = Home::settle(db, "acme").await;
    // Queued apart from each other, they are the same client all the same.
    let (_, waiting) = home.queue(db).await;
    let managed = home.managed();
    home.store_retired(db, &managed).await;
    let stranger = RetiredClient {
        client_id: "stranger".into(),
        ..home.managed()
    };
    home.store_retired(db, &stranger).await;

    let before = claim(db, NOW).await;
    let mut tx = db.write().await.unwrap();
    tx.work_mut().update_dead(&waiting, "gone").await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    let after = claim(db, NOW).await;

    assert_eq!(before.len(), 1);
    assert_eq!(before[0].id, stranger.id);
    let mut expected = managed;
    expected.work.attempts = 1;
    expected.work.version = 2;
    expected.work.lease_until = Some(later(60));
    assert_eq!(after, [expected]);
}

async fn few_are_under_way_at_one_issuer(db: &Db) {
    let home = Home::settle(db, "acme").await;
    for _ in 0..3 {
        home.store_retired(db, &home.managed()).await;
    }
    let elsewhere = RetiredClient {
        issuer: Issuer::new("https://other.test"),
        ..home.managed()
    };
    home.store_retired(db, &elsewhere).await;
    let few = async || {
        let few = Claim {
            per_place: 2,
            ..claim_at(NOW)
        };
        let mut tx = db.upkeep().await.unwrap();
        let claimed = tx.retired_client_claims().claim_due(&few).await.unwrap();
        tx.commit().await.unwrap();
        claimed.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };

    let claimed = few().await;
    let more = few().await;

    assert_eq!(claimed.len(), 3);
    assert!(claimed.iter().any(|one| one.id == elsewhere.id));
    assert!(more.is_empty(), "two are under way");
    let done = claimed.iter().find(|one| one.id != elsewhere.id).unwrap();
    let mut tx = db.write().await.unwrap();
    assert!(tx.work_mut().delete(done).await.unwrap());
    tx.commit(&home.event()).await.unwrap();
    assert_eq!(few().await.len(), 1, "one is done");
}

async fn of_two_that_claim_at_once_one_wins(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_retired(db, &home.managed()).await;
    let other = db.another().await;

    let (one, two) = futures_util::join!(claim(db, NOW), claim(&other, NOW));

    assert_eq!(one.len() + two.len(), 1);
    assert_eq!(claim(db, later(60)).await.len(), 1, "the lease ended");
}

async fn what_is_to_come_later_is_given_back(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_retired(db, &home.managed()).await;
    let claimed = claim(db, NOW).await.remove(0);

    let mut tx = db.upkeep().await.unwrap();
    let mut at = tx.work_claims();
    let given = at.update_later(&claimed, later(30), "later").await.unwrap();
    let again = at.update_later(&claimed, later(90), "later").await.unwrap();
    tx.commit().await.unwrap();

    assert!(given && !again);
    assert!(claim(db, later(29)).await.is_empty());
    let back = claim(db, later(30)).await.remove(0);
    assert_eq!(back.work.last_error.as_deref(), Some("later"));
}

async fn what_is_done_goes_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let client = home.managed();
    home.store_retired(db, &client).await;
    let mut stale = client.clone();
    stale.work.version += 1;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.work_mut();
    let missed = at.delete(&stale).await.unwrap();
    let gone = at.delete(&client).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(!missed && gone);
    assert_eq!(get(db, &client).await, None);
}

async fn what_is_given_up_keeps_no_secret(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let client = home.full_retired();
    home.store_retired(db, &client).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.work_mut();
    let buried = at.update_dead(&client, "status_405").await.unwrap();
    let again = at.update_dead(&client, "other").await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(buried && !again);
    let kept = get(db, &client).await.unwrap();
    assert_eq!((kept.client_secret, kept.management), (None, None));
    assert_eq!(kept.work.state, WorkState::Dead);
    assert_eq!(kept.work.last_error.as_deref(), Some("status_405"));
}

async fn what_cannot_be_read_is_given_up_and_its_secrets_forgotten(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let client = home.managed();
    home.store_retired(db, &client).await;
    db.execute("UPDATE retired_clients SET auth_method = 'odd'")
        .await;

    let mut tx = db.upkeep().await.unwrap();
    let claimed = tx.retired_client_claims().claim_due(&claim_at(NOW)).await;
    let Err(Error::Corrupt { id, .. }) = claimed.unwrap().remove(0) else {
        panic!("it can be read");
    };
    tx.work_claims().bury(Kind::Deletion, &id).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(id, client.id.to_string());
    let dead = "SELECT COUNT(*) FROM retired_clients WHERE state = 'dead' AND client_secret IS NULL \
        AND management_token IS NULL AND lease_until IS NULL AND last_error = 'unreadable'";
    assert_eq!(db.number(dead).await, 1);
    assert!(claim(db, later(9_999)).await.is_empty());
}

async fn a_client_without_work_goes(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (busy, _) = home.queue(db).await;
    let (idle, managed) = (home.retired(), home.managed());
    home.store_retired(db, &idle).await;
    home.store_retired(db, &managed).await;

    let mut tx = db.upkeep().await.unwrap();
    let gone = tx.retired_client_claims().delete_idle().await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(gone, 1);
    assert_eq!(get(db, &idle).await, None);
    assert_eq!(get(db, &busy).await, Some(busy));
    assert_eq!(get(db, &managed).await, Some(managed));
}

async fn everything_of_a_tenant_goes_and_nothing_else(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    home.store_retired(db, &home.managed()).await;
    let kept = other.retired();
    other.store_retired(db, &kept).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.retired_clients_mut();
    let gone = at.delete_of_tenant(&home.tenant).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone, 1);
    assert_eq!(get(db, &kept).await, Some(kept));
}

async fn leases_left_behind_are_ended(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_retired(db, &home.managed()).await;
    claim(db, NOW).await;

    let mut tx = db.upkeep().await.unwrap();
    let ended = tx.work_claims().end_leases().await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(ended, 1);
    assert_eq!(claim(db, NOW).await.len(), 1);
}

async fn what_was_given_up_long_ago_is_deleted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_retired(db, &home.managed()).await;
    let dead = home.full_retired();
    home.store_retired(db, &dead).await;
    let delete = async |before: Timestamp| {
        let mut tx = db.upkeep().await.unwrap();
        let gone = tx.work_claims().delete_dead(before).await;
        tx.commit().await.unwrap();
        gone.unwrap()
    };
    let born = dead.work.created_at;

    assert_eq!(delete(born).await, 0);
    assert_eq!(delete(born.after(Duration::from_micros(1))).await, 1);
}
