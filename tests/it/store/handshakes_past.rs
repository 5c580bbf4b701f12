//! What a user was asked for before, by user, server and time.

use stationmaster::domain::handshakes::{Failure, Handshake, State};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    what_is_over_is_found_the_newest_first,
}

async fn what_is_over_is_found_the_newest_first(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let one = home.store_registration(db, "one").await;
    let two = home.store_registration(db, "two").await;
    let over = |seconds, state| Handshake {
        state,
        finished_at: Some(later(seconds)),
        ..home.handshake(&one, "ann")
    };
    let early = over(10, State::Completed { generation: 1 });
    let late = over(30, State::Failed(Failure::AccessDenied));
    let too_early = over(9, State::Completed { generation: 2 });
    let open = home.handshake(&one, "ann");
    let bobs = Handshake {
        finished_at: Some(later(20)),
        ..home.handshake(&one, "bob")
    };
    let elsewhere = Handshake {
        finished_at: Some(later(20)),
        ..home.handshake(&two, "ann")
    };
    for handshake in [&early, &late, &too_early, &open, &bobs, &elsewhere] {
        home.store_handshake(db, handshake).await;
    }

    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    let whose = (&home.tenant, &early.user, one.server);
    let found = at.list_finished(whose, later(10)).await.unwrap();
    let foreign = (&other.tenant, &early.user, one.server);
    let foreign = at.list_finished(foreign, later(10)).await.unwrap();

    let found = found.into_iter().map(|one| one.unwrap().id);
    assert_eq!(found.collect::<Vec<_>>(), [late.id, early.id]);
    assert!(foreign.is_empty());
}
