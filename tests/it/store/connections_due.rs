//! Connections that are used, and renewed before anybody asks.

use stationmaster::domain::connections::{Connection, Use};
use stationmaster::domain::page::PageRequest;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    grants_of_a_refused_client_are_tried_again,
    what_is_due_is_found_in_order_and_in_every_tenant,
    what_cannot_be_read_is_due_no_more_and_holds_up_nothing,
    a_use_is_noted_unless_a_later_one_is_known,
    what_nobody_planned_for_is_found_page_by_page,
}

async fn due(db: &Db, secs: u64, each: i64, limit: i64) -> Vec<Connection> {
    let mut tx = db.read().await.unwrap();
    let due = tx.connections().list_due(later(secs), each, limit).await;
    due.unwrap().into_iter().map(Result::unwrap).collect()
}

async fn what_is_due_is_found_in_order_and_in_every_tenant(db: &Db) {
    let mut stored = Vec::new();
    for (tenant, due_at, endpoint) in [
        ("acme", Some(later(20)), "https://one.test/token"),
        ("umbrella", Some(later(10)), "https://one.test/token"),
        ("initech", None, "https://one.test/token"),
        ("hooli", Some(later(30)), "https://two.test/token"),
    ] {
        let home = Home::settle(db, tenant).await;
        let registration = home.store_registration(db, "one").await;
        let connection = Connection {
            due_at,
            token_endpoint: endpoint.into(),
            ..home.connection(&registration, "ann")
        };
        home.store_connection(db, &connection).await;
        stored.push(connection);
    }
    let [acme, umbrella, _, hooli] = <[Connection; 4]>::try_from(stored).unwrap();

    assert_eq!(due(db, 9, 9, 9).await, []);
    assert_eq!(due(db, 20, 9, 9).await, [umbrella.clone(), acme.clone()]);
    assert_eq!(due(db, 99, 1, 9).await, [umbrella.clone(), hooli]);
    assert_eq!(due(db, 99, 9, 2).await, [umbrella, acme]);
}

async fn what_cannot_be_read_is_due_no_more_and_holds_up_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    for (user, secs) in [("ann", 10), ("bob", 20)] {
        let connection = Connection {
            due_at: Some(later(secs)),
            ..home.connection(&registration, user)
        };
        home.store_connection(db, &connection).await;
    }
    db.execute("UPDATE connections SET status = 'odd' WHERE user_id = 'ann'")
        .await;

    let mut tx = db.read().await.unwrap();
    let found = tx.connections().list_due(later(99), 9, 9).await.unwrap();
    drop(tx);
    let Err(Error::Corrupt { id, .. }) = &found[0] else {
        panic!("{found:?}");
    };
    let mut tx = db.upkeep().await.unwrap();
    tx.connection_leases().forget_due(id).await.unwrap();
    tx.commit().await.unwrap();

    let left = due(db, 99, 9, 9).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].user.as_str(), "bob");
}

async fn a_use_is_noted_unless_a_later_one_is_known(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let old = home.full_connection(&registration, "ann");
    home.store_connection(db, &old).await;
    let note = async |generation, at, due_at| {
        let mut tx = db.lazy_upkeep().await.unwrap();
        let seen = Use {
            tenant: old.tenant.clone(),
            generation,
            at: later(at),
            due_at,
        };
        tx.connection_leases()
            .note_use(old.id, &seen)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.read().await.unwrap();
        let mut at = tx.connections();
        let now = at.get(&old.tenant, &old.user, old.server).await;
        let now = now.unwrap().unwrap();
        assert_eq!(now.version, old.version);
        (now.used_at, now.due_at)
    };
    let generation = old.life.generation;

    let first = note(generation, 2_000, Some(later(40))).await;
    let earlier = note(generation, 1_000, Some(later(41))).await;
    let of_another = note(generation - 1, 3_000, Some(later(42))).await;
    let planless = note(generation, 4_000, None).await;

    assert_eq!(first, (Some(later(2_000)), Some(later(40))));
    assert_eq!(earlier, first);
    assert_eq!(of_another, (Some(later(3_000)), Some(later(40))));
    assert_eq!(planless, (Some(later(4_000)), None));
}

async fn what_nobody_planned_for_is_found_page_by_page(db: &Db) {
    let mut expected = Vec::new();
    for tenant in ["acme", "umbrella"] {
        let home = Home::settle(db, tenant).await;
        let registration = home.store_registration(db, "one").await;
        for (user, due_at) in [
            ("ann", None),
            ("bob", None),
            ("cid", None),
            ("dan", Some(later(9))),
        ] {
            let connection = Connection {
                due_at,
                ..home.full_connection(&registration, user)
            };
            home.store_connection(db, &connection).await;
            if user == "ann" || user == "bob" {
                expected.push((connection.id, user == "ann"));
            }
        }
        let bare = home.connection(&registration, "eve");
        assert!(bare.refresh_token.is_none());
        home.store_connection(db, &bare).await;
    }
    db.execute("UPDATE connections SET status = 'reconnect_required', reason = 'expired' WHERE user_id = 'cid'")
        .await;
    db.execute("UPDATE connections SET scopes = '?' WHERE user_id = 'bob'")
        .await;
    expected.sort();

    let mut found = Vec::new();
    let mut page = PageRequest {
        size: 1,
        after: None,
    };
    loop {
        let mut tx = db.read().await.unwrap();
        let listed = tx.connections().list_unplanned(&page).await.unwrap();
        for row in listed.entries {
            found.push(match row {
                Ok(connection) => (connection.id, true),
                Err(Error::Corrupt { id, .. }) => (id.parse().unwrap(), false),
                Err(error) => panic!("{error:?}"),
            });
        }
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
    }

    assert_eq!(found, expected);
}

async fn grants_of_a_refused_client_are_tried_again(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let other = home.store_registration(db, "two").await;
    let mut paused = home.connection(&registration, "ann");
    paused.life.client_refused = true;
    paused.life.failures = 3;
    paused.life.next_attempt_at = Some(later(60));
    let mut elsewhere = home.connection(&other, "ann");
    elsewhere.life = paused.life;
    let mut failing = home.connection(&registration, "bob");
    failing.life = paused.life;
    failing.life.client_refused = false;
    for connection in [&paused, &elsewhere, &failing] {
        home.store_connection(db, connection).await;
    }

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let count = at.retry_of_registration(&registration).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(count, 1);
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    let again = at
        .find_by_id(&home.tenant, paused.id)
        .await
        .unwrap()
        .unwrap();
    let life = again.life;
    assert_eq!((life.client_refused, life.failures), (false, 0));
    assert_eq!(life.next_attempt_at, None);
    for untouched in [&elsewhere, &failing] {
        let found = at.find_by_id(&home.tenant, untouched.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(untouched));
    }
}
