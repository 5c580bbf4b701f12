//! Grants that wait to be confirmed, and what becomes of those that nobody confirms.

use stationmaster::domain::handshakes::{Handshake, State};
use stationmaster::domain::ids::HandshakeId;
use stationmaster::domain::registrations::Registration;
use stationmaster::store::Result;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later, user};

on_both_engines! {
    parked_grants_are_found_by_server_user_and_time,
    a_parked_grant_is_taken_once,
    all_handshakes_of_a_user_go_and_no_others,
    what_may_come_of_handshakes_is_counted,
}

fn parked(home: &Home, registration: &Registration, name: &str) -> Handshake {
    Handshake {
        state: State::AwaitingConfirmation,
        parked: home.sealed(b"grant"),
        code_hash: Some(home.secret()),
        ..home.handshake(registration, name)
    }
}

fn ids(handshakes: &[Handshake]) -> Vec<HandshakeId> {
    handshakes.iter().map(|handshake| handshake.id).collect()
}

async fn parked_grants_are_found_by_server_user_and_time(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let one = home.store_registration(db, "one").await;
    let two = home.store_registration(db, "two").await;
    let (ann, bob) = (parked(&home, &one, "ann"), parked(&home, &one, "bob"));
    let elsewhere = parked(&home, &two, "ann");
    for handshake in [&ann, &bob, &elsewhere, &home.handshake(&one, "ann")] {
        home.store_handshake(db, handshake).await;
    }

    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    let of_server = at.list_parked(&home.tenant, one.server).await.unwrap();
    let of_user = at.list_parked_of_user(&home.tenant, &ann.user).await;
    let foreign = at.list_parked_of_user(&other.tenant, &ann.user).await;
    let soon = at.list_unconfirmed(later(599), 9).await;
    let over = at.list_unconfirmed(later(600), 9).await;
    let some = at.list_unconfirmed(later(600), 2).await;

    let (soon, over, some) = (read(soon), read(over), read(some));
    let sorted = |mut ids: Vec<HandshakeId>| {
        ids.sort();
        ids
    };
    assert_eq!(
        sorted(ids(&read(Ok(of_server)))),
        sorted(vec![ann.id, bob.id])
    );
    assert_eq!(
        sorted(ids(&read(of_user))),
        sorted(vec![ann.id, elsewhere.id])
    );
    assert!(foreign.unwrap().is_empty());
    assert!(soon.is_empty());
    assert_eq!((over.len(), some.len()), (3, 2));
    assert_eq!(over[0].parked, ann.parked);
}

/// What was listed, each of it readable.
fn read(listed: Result<Vec<Result<Handshake>>>) -> Vec<Handshake> {
    let listed = listed.unwrap().into_iter();
    listed.map(|row| row.unwrap()).collect()
}

async fn a_parked_grant_is_taken_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let handshake = parked(&home, &registration, "ann");
    home.store_handshake(db, &handshake).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.handshakes_mut();
    let first = at.take_parked(&handshake).await.unwrap();
    let second = at.take_parked(&handshake).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(first && !second);
    let mut tx = db.read().await.unwrap();
    let kept = tx.handshakes().get(&home.tenant, handshake.id).await;
    let kept = kept.unwrap().unwrap();
    assert_eq!(
        (kept.parked, kept.code_hash, kept.state),
        (None, None, handshake.state)
    );
}

async fn all_handshakes_of_a_user_go_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let held = parked(&home, &registration, "ann");
    let open = home.handshake(&registration, "ann");
    let kept = home.handshake(&registration, "Ann");
    for handshake in [&held, &open, &kept] {
        home.store_handshake(db, handshake).await;
    }

    let mut tx = db.write().await.unwrap();
    let mut at = tx.handshakes_mut();
    let gone = at.delete_of_user(&home.tenant, &user("ann")).await;
    tx.commit(&home.event()).await.unwrap();

    let mut gone = gone.unwrap();
    gone.sort();
    let mut expected = vec![(held.id.to_string(), true), (open.id.to_string(), false)];
    expected.sort();
    assert_eq!(gone, expected);
    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    assert!(at.get(&home.tenant, held.id).await.unwrap().is_none());
    assert!(at.get(&home.tenant, kept.id).await.unwrap().is_some());
}

async fn what_may_come_of_handshakes_is_counted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let open = home.handshake(&registration, "ann");
    let waits = parked(&home, &registration, "ann");
    let exchanging = Handshake {
        state: State::Exchanging { until: later(60) },
        ..home.handshake(&registration, "ann")
    };
    let outdated = Handshake {
        auth_version: open.auth_version - 1,
        ..home.handshake(&registration, "ann")
    };
    let over = Handshake {
        state: State::Cancelled,
        ..home.handshake(&registration, "ann")
    };
    for handshake in [&open, &waits, &exchanging, &outdated, &over] {
        home.store_handshake(db, handshake).await;
    }
    let (ann, bob) = (user("ann"), user("bob"));
    let (issuer, client) = (&registration.issuer, &*registration.client_id);
    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    let mut count = async |whose, client, now, since| {
        let coming = at.count_coming((&home.tenant, whose), (issuer, client), now, since);
        coming.await.unwrap()
    };

    assert_eq!(count(&ann, client, later(59), later(59)).await, 3);
    assert_eq!(count(&ann, client, later(60), later(60)).await, 2);
    assert_eq!(count(&ann, client, later(60), later(59)).await, 3);
    assert_eq!(count(&ann, client, later(600), later(60)).await, 0);
    assert_eq!(count(&bob, client, later(59), later(59)).await, 0);
    assert_eq!(count(&ann, "another", later(59), later(59)).await, 0);
}
