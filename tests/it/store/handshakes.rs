//! Handshakes: every step once.

use stationmaster::domain::handshakes::{Binding, Failure, Handshake, State};
use stationmaster::domain::secrets::Sealed;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    a_handshake_reads_back_as_it_was_written,
    every_state_reads_back,
    a_link_or_state_in_use_is_a_conflict,
    link_and_state_find_their_handshake_alone,
    another_tenant_never_touches_a_handshake,
    the_first_browser_wins,
    an_exchange_is_claimed_once,
    an_end_is_reached_once_and_forgets_the_secrets,
    what_is_no_end_ends_nothing,
    a_grant_is_parked_only_out_of_an_exchange,
    old_handshakes_are_deleted,
    the_newest_open_handshake_of_a_principal_is_found,
    exchanges_left_behind_are_interrupted,
}

/// Everything of a handshake, hashes and sealed bytes included, which `Debug` hides.
fn shown(handshake: &Handshake) -> String {
    let sealed = |value: &Option<Sealed>| value.as_ref().map(|sealed| sealed.bytes.clone());
    let hashes = [
        Some(handshake.link_hash),
        Some(handshake.state_hash),
        handshake.browser_hash,
        handshake.code_hash,
    ]
    .map(|hash| hash.map(|hash| hash.as_bytes().to_vec()));
    let sealed = (sealed(&handshake.flow), sealed(&handshake.parked));
    format!("{handshake:#?} {hashes:?} {sealed:?}")
}

async fn get(db: &Db, handshake: &Handshake) -> Handshake {
    let mut tx = db.read().await.unwrap();
    let found = tx.handshakes().get(&handshake.tenant, handshake.id).await;
    found.unwrap().unwrap()
}

async fn store_one(db: &Db, home: &Home) -> Handshake {
    let registration = home.store_registration(db, "one").await;
    let mut handshake = home.handshake(&registration, "ann");
    handshake.flow = home.sealed(b"flow");
    home.store_handshake(db, &handshake).await;
    handshake
}

async fn claim(db: &Db, handshake: &Handshake) -> bool {
    let mut tx = db.upkeep().await.unwrap();
    let claimed = tx
        .handshake_steps()
        .claim_exchange(handshake, later(30))
        .await;
    tx.commit().await.unwrap();
    claimed.unwrap()
}

async fn finish(db: &Db, home: &Home, from: &Handshake, end: State) -> bool {
    let mut tx = db.write().await.unwrap();
    let finished = tx
        .handshakes_mut()
        .finish(from, end, later(40))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    finished
}

async fn park(db: &Db, home: &Home, handshake: &Handshake) -> bool {
    let (grant, code) = (home.sealed(b"grant").unwrap(), home.secret());
    let mut tx = db.write().await.unwrap();
    let parked = tx
        .handshakes_mut()
        .park(handshake, &grant, &code)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    if parked {
        let stored = get(db, handshake).await;
        assert_eq!(stored.state, State::AwaitingConfirmation);
        assert_eq!((stored.parked, stored.code_hash), (Some(grant), Some(code)));
        assert_eq!(stored.flow, None, "the code is redeemed");
        assert_eq!(stored.account, handshake.account);
    }
    parked
}

async fn a_handshake_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let plain = home.handshake(&registration, "ann");
    let full = Handshake {
        binding: Binding::Confirm,
        auth_version: 3,
        flow: home.sealed(b"flow"),
        browser_hash: Some(home.secret()),
        return_url: Some("https://app.test/back".into()),
        opener_origin: Some("https://app.test".into()),
        completion_url: Some("https://app.test/complete".into()),
        code_hash: Some(home.secret()),
        parked: home.sealed(b"parked"),
        account: Some("ann@as.test".into()),
        finished_at: Some(later(9)),
        ..home.handshake(&registration, "Ann")
    };
    let login = Handshake {
        binding: Binding::Login,
        ..home.handshake(&registration, "ann")
    };

    for handshake in [plain, full, login] {
        home.store_handshake(db, &handshake).await;

        assert_eq!(shown(&get(db, &handshake).await), shown(&handshake));
    }
}

async fn every_state_reads_back(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;

    for state in [
        State::Pending,
        State::Exchanging { until: later(5) },
        State::AwaitingConfirmation,
        State::Completed { generation: 7 },
        State::Failed(Failure::AccessDenied),
        State::Cancelled,
    ] {
        let handshake = Handshake {
            state,
            ..home.handshake(&registration, "ann")
        };
        home.store_handshake(db, &handshake).await;

        assert_eq!(shown(&get(db, &handshake).await), shown(&handshake));
    }
}

async fn a_link_or_state_in_use_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = store_one(db, &home).await;
    let fresh = || Handshake {
        link_hash: home.secret(),
        state_hash: home.secret(),
        id: home.handshake_id(),
        ..stored.clone()
    };
    let mut same = [fresh(), fresh(), fresh()];
    same[0].link_hash = stored.link_hash;
    same[1].state_hash = stored.state_hash;
    same[2].id = stored.id;

    for handshake in same {
        let mut tx = db.write().await.unwrap();
        let inserted = tx.handshakes_mut().insert(&handshake).await;

        assert!(matches!(inserted, Err(Error::Conflict)), "{inserted:?}");
    }
}

async fn link_and_state_find_their_handshake_alone(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = store_one(db, &home).await;

    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    let by_link = at.find_by_link(&stored.link_hash).await.unwrap();
    let by_state = at.find_by_state(&stored.state_hash).await.unwrap();

    assert_eq!(by_link.map(|found| found.id), Some(stored.id));
    assert_eq!(by_state.map(|found| found.id), Some(stored.id));
    assert!(at.find_by_link(&stored.state_hash).await.unwrap().is_none());
    assert!(at.find_by_state(&stored.link_hash).await.unwrap().is_none());
}

async fn another_tenant_never_touches_a_handshake(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let mine = store_one(db, &home).await;
    let stolen = Handshake {
        tenant: other.tenant.clone(),
        ..mine.clone()
    };

    let mut tx = db.read().await.unwrap();
    assert!(
        tx.handshakes()
            .get(&other.tenant, mine.id)
            .await
            .unwrap()
            .is_none()
    );
    drop(tx);
    assert!(!claim(db, &stolen).await);
    assert!(!bind(db, &stolen, &other).await);
    assert!(!finish(db, &other, &stolen, State::Cancelled).await);
    assert!(!park(db, &other, &stolen).await);

    assert_eq!(shown(&get(db, &mine).await), shown(&mine));
}

async fn bind(db: &Db, handshake: &Handshake, home: &Home) -> bool {
    let browser = home.secret();
    let mut tx = db.upkeep().await.unwrap();
    let bound = tx
        .handshake_steps()
        .bind_browser(handshake, &browser)
        .await
        .unwrap();
    let again = tx
        .handshake_steps()
        .bind_browser(handshake, &browser)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bound, again, "the same browser again changes nothing");
    bound
}

async fn the_first_browser_wins(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let handshake = store_one(db, &home).await;

    assert!(bind(db, &handshake, &home).await);
    let first = get(db, &handshake).await.browser_hash;
    assert!(!bind(db, &handshake, &home).await);

    assert!(first.is_some());
    assert_eq!(get(db, &handshake).await.browser_hash, first);
    claim(db, &handshake).await;
    assert!(
        !bind(db, &handshake, &home).await,
        "nor when it is no longer pending"
    );
}

async fn an_exchange_is_claimed_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let handshake = store_one(db, &home).await;

    assert!(claim(db, &handshake).await);
    assert!(!claim(db, &handshake).await);

    let claimed = get(db, &handshake).await;
    assert_eq!(claimed.state, State::Exchanging { until: later(30) });
    assert_eq!(claimed.flow, handshake.flow);
}

async fn an_end_is_reached_once_and_forgets_the_secrets(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;

    for end in [
        State::Completed { generation: 4 },
        State::Failed(Failure::Interrupted),
        State::Cancelled,
    ] {
        let mut handshake = home.handshake(&registration, "ann");
        handshake.flow = home.sealed(b"flow");
        handshake.parked = home.sealed(b"grant");
        handshake.code_hash = Some(home.secret());
        home.store_handshake(db, &handshake).await;
        assert!(claim(db, &handshake).await);
        let claimed = get(db, &handshake).await;

        assert!(
            !finish(db, &home, &handshake, end).await,
            "it is no longer pending"
        );
        assert!(finish(db, &home, &claimed, end).await);
        assert!(!finish(db, &home, &claimed, State::Cancelled).await);

        let done = get(db, &handshake).await;
        assert_eq!((done.state, done.finished_at), (end, Some(later(40))));
        assert_eq!((done.flow, done.parked, done.code_hash), (None, None, None));
        assert!(!claim(db, &handshake).await && !park(db, &home, &handshake).await);
        assert_eq!(get(db, &handshake).await.state, end);
    }
}

async fn what_is_no_end_ends_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let handshake = store_one(db, &home).await;

    for no_end in [
        State::Pending,
        State::Exchanging { until: later(1) },
        State::AwaitingConfirmation,
        State::Expired,
    ] {
        assert!(!finish(db, &home, &handshake, no_end).await, "{no_end:?}");
    }

    assert_eq!(shown(&get(db, &handshake).await), shown(&handshake));
}

async fn a_grant_is_parked_only_out_of_an_exchange(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let handshake = store_one(db, &home).await;

    assert!(!park(db, &home, &handshake).await);
    claim(db, &handshake).await;
    assert!(park(db, &home, &handshake).await);
    assert!(!park(db, &home, &handshake).await);
    let parked = get(db, &handshake).await;
    assert!(finish(db, &home, &parked, State::Completed { generation: 1 }).await);
    assert!(!finish(db, &home, &parked, State::Completed { generation: 1 }).await);
}

async fn old_handshakes_are_deleted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let old = store_one(db, &home).await;
    let registration = home.store_registration(db, "two").await;
    let mut young = home.handshake(&registration, "ann");
    young.created_at = later(1);
    home.store_handshake(db, &young).await;

    let mut tx = db.upkeep().await.unwrap();
    let deleted = tx.handshake_steps().delete_old(later(1)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(deleted, 1);
    let mut tx = db.read().await.unwrap();
    assert!(
        tx.handshakes()
            .get(&home.tenant, old.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        tx.handshakes()
            .get(&home.tenant, young.id)
            .await
            .unwrap()
            .is_some()
    );
}

async fn the_newest_open_handshake_of_a_principal_is_found(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let first = store_one(db, &home).await;
    let whose = (&first.tenant, &first.user, first.server);
    let by = first.created_by.as_str();
    let ended = first.expires_at;
    let before = ended.before(std::time::Duration::from_secs(1));

    let mut tx = db.read().await.unwrap();
    let mut at = tx.handshakes();
    let id = |found: Option<Handshake>| found.map(|found| found.id);

    assert_eq!(
        id(at.find_pending(whose, by, before).await.unwrap()),
        Some(first.id)
    );
    assert_eq!(id(at.find_pending(whose, by, ended).await.unwrap()), None);
    assert_eq!(
        id(at.find_pending(whose, "key_other", before).await.unwrap()),
        None
    );
}

async fn exchanges_left_behind_are_interrupted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let handshake = store_one(db, &home).await;
    assert!(claim(db, &handshake).await);

    let mut tx = db.upkeep().await.unwrap();
    let left = tx
        .handshake_steps()
        .interrupt_exchanges(later(5))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    assert_eq!(left, 1);
    let state = get(db, &handshake).await.state_at(later(5));
    assert_eq!(state, State::Failed(Failure::Interrupted));
}
