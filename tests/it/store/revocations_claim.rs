//! Revocations that are worked off: by one at a time, a few at each endpoint, again when whoever had
//! them is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use stationmaster::domain::ids::ConnectionId;
use stationmaster::domain::revocations::{Kind, Revocation};
use stationmaster::domain::time::Timestamp;
use stationmaster::store::{Claim, Error, Store};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};
use crate::harness::outbox::claim_at;

on_both_engines! {
    what_is_due_is_claimed_and_nothing_else,
    two_that_claim_at_once_get_different_rows,
    few_are_under_way_at_one_endpoint,
    a_lease_that_ended_is_claimed_again,
    what_is_to_come_later_is_given_back,
    leases_left_behind_are_ended,
    what_was_given_up_long_ago_is_deleted,
    a_row_that_cannot_be_read_is_nobody_elses_trouble,
    what_cannot_be_read_is_given_up_and_its_tokens_forgotten,
}

async fn claim(store: &Store, claim: &Claim) -> Vec<Revocation> {
    let mut tx = store.upkeep().await.unwrap();
    let claimed = tx.revocation_claims().claim_due(claim).await.unwrap();
    tx.commit().await.unwrap();
    claimed.into_iter().map(Result::unwrap).collect()
}

fn ids(revocations: &[Revocation]) -> BTreeSet<ConnectionId> {
    revocations.iter().map(|revocation| revocation.id).collect()
}

async fn what_is_due_is_claimed_and_nothing_else(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (client, due) = home.queue(db).await;
    let with = |change: fn(&mut Revocation)| {
        let mut revocation = home.revocation(&client);
        change(&mut revocation);
        revocation
    };
    for revocation in [
        with(|one| one.work.next_attempt_at = later(1)),
        with(|one| one.work.not_before = later(1)),
        with(|one| one.work.lease_until = Some(later(1))),
        home.full_revocation(&client),
    ] {
        home.store_revocation(db, &revocation).await;
    }

    let claimed = claim(db, &claim_at(NOW)).await;

    let mut expected = due;
    expected.work.lease_until = Some(later(60));
    expected.work.attempts = 1;
    expected.work.version = 2;
    assert_eq!(claimed, [expected]);
    let clocks_apart = Claim {
        lease_now: Timestamp::default(),
        ..claim_at(later(9))
    };
    let claimed = claim(db, &clocks_apart).await;
    assert_eq!(claimed.len(), 1, "waiting and leases go by their own clock");
}

async fn two_that_claim_at_once_get_different_rows(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (client, _) = home.queue(db).await;
    for _ in 0..9 {
        home.store_revocation(db, &home.revocation(&client)).await;
    }
    let other = db.another().await;
    let some = Claim {
        limit: 6,
        ..claim_at(NOW)
    };

    let mut tx = db.upkeep().await.unwrap();
    let one = tx.revocation_claims().claim_due(&some).await.unwrap();
    let end = async {
        // On SQLite nobody else may even begin to write.
        if !db.is_exclusive() {
            db.somebody_waits().await;
        }
        tx.commit().await.unwrap();
    };
    let (two, ()) = futures_util::join!(claim(&other, &some), end);
    let one: Vec<_> = one.into_iter().map(Result::unwrap).collect();
    let rest = claim(db, &claim_at(NOW)).await;

    assert_eq!(one.len() + two.len() + rest.len(), 10);
    let mut all = ids(&one);
    all.extend(ids(&two));
    all.extend(ids(&rest));
    assert_eq!(all.len(), 10);
}

async fn few_are_under_way_at_one_endpoint(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (client, mut first) = home.queue(db).await;
    for _ in 0..4 {
        home.store_revocation(db, &home.revocation(&client)).await;
    }
    let elsewhere = Revocation {
        endpoint: "https://other.test/revoke".into(),
        ..home.revocation(&client)
    };
    home.store_revocation(db, &elsewhere).await;
    let few = Claim {
        per_place: 2,
        ..claim_at(NOW)
    };

    let claimed = claim(db, &few).await;
    let more = claim(db, &few).await;

    assert_eq!(claimed.len(), 3);
    assert!(ids(&claimed).contains(&elsewhere.id));
    assert!(more.is_empty(), "two are under way");
    first = claimed
        .into_iter()
        .find(|one| one.endpoint == first.endpoint)
        .unwrap();
    let mut tx = db.write().await.unwrap();
    assert!(tx.work_mut().delete(&first).await.unwrap());
    tx.commit(&home.event()).await.unwrap();
    assert_eq!(claim(db, &few).await.len(), 1, "one is done");
}

async fn a_lease_that_ended_is_claimed_again(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.queue(db).await;
    let first = claim(db, &claim_at(NOW)).await.remove(0);

    let early = claim(db, &claim_at(later(59))).await;
    let second = claim(db, &claim_at(later(60))).await.remove(0);

    assert!(early.is_empty());
    assert_eq!((second.id, second.work.attempts), (first.id, 2));
    let mut tx = db.write().await.unwrap();
    let mut at = tx.work_mut();
    assert!(!at.delete(&first).await.unwrap(), "the first came too late");
    assert!(at.delete(&second).await.unwrap());
    tx.commit(&home.event()).await.unwrap();
}

async fn what_is_to_come_later_is_given_back(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.queue(db).await;
    let claimed = claim(db, &claim_at(NOW)).await.remove(0);

    let mut tx = db.upkeep().await.unwrap();
    let mut at = tx.work_claims();
    let given = at.update_later(&claimed, later(30), "later").await.unwrap();
    let again = at.update_later(&claimed, later(90), "later").await.unwrap();
    tx.commit().await.unwrap();

    assert!(given && !again);
    assert!(claim(db, &claim_at(later(29))).await.is_empty());
    let back = claim(db, &claim_at(later(30))).await.remove(0);
    assert_eq!(back.work.last_error.as_deref(), Some("later"));
}

async fn leases_left_behind_are_ended(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.queue(db).await;
    claim(db, &claim_at(NOW)).await;

    let mut tx = db.upkeep().await.unwrap();
    let ended = tx.work_claims().end_leases().await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(ended, 1);
    assert_eq!(claim(db, &claim_at(NOW)).await.len(), 1);
}

async fn what_was_given_up_long_ago_is_deleted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (client, _) = home.queue(db).await;
    let dead = home.full_revocation(&client);
    home.store_revocation(db, &dead).await;
    let delete = async |before: Timestamp| {
        let mut tx = db.upkeep().await.unwrap();
        let gone = tx.work_claims().delete_dead(before).await.unwrap();
        tx.commit().await.unwrap();
        gone
    };
    let born = dead.work.created_at;

    assert_eq!(delete(born).await, 0);
    assert_eq!(delete(born.after(Duration::from_micros(1))).await, 1);
    assert_eq!(db.number("SELECT COUNT(*) FROM revocations").await, 1);
}

async fn a_row_that_cannot_be_read_is_nobody_elses_trouble(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.queue(db).await;
    db.execute("UPDATE revocations SET reason = 'whim'").await;
    let (_, good) = home.queue(db).await;

    let mut tx = db.upkeep().await.unwrap();
    let mut at = tx.revocation_claims();
    let claimed = at.claim_due(&claim_at(NOW)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(claimed.len(), 2);
    let readable: Vec<_> = claimed.into_iter().filter_map(Result::ok).collect();
    assert_eq!(ids(&readable), BTreeSet::from([good.id]));
}

async fn what_cannot_be_read_is_given_up_and_its_tokens_forgotten(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, queued) = home.queue(db).await;
    db.execute("UPDATE revocations SET reason = 'odd'").await;

    let mut tx = db.upkeep().await.unwrap();
    let claimed = tx.revocation_claims().claim_due(&claim_at(NOW)).await;
    let Err(Error::Corrupt { id, .. }) = claimed.unwrap().remove(0) else {
        panic!("it can be read");
    };
    tx.work_claims().bury(Kind::Revocation, &id).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(id, queued.id.to_string());
    let dead = "SELECT COUNT(*) FROM revocations WHERE state = 'dead' AND refresh_token IS NULL \
        AND access_token IS NULL AND lease_until IS NULL AND client IS NULL";
    assert_eq!(db.number(dead).await, 1);
    assert!(claim(db, &claim_at(later(9_999))).await.is_empty());
}
