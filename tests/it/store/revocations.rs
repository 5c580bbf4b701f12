//! Revocations: moved from connections as they are, written at their version only, wiped when given
//! up.

use stationmaster::domain::connections::{Connection, Status};
use stationmaster::domain::resolution::Reconnect;
use stationmaster::domain::revocations::{MARGIN, Reason, Revocation, Work, WorkState};
use stationmaster::domain::time::Timestamp;
use stationmaster::store::{Error, Retiring};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW};
use crate::harness::outbox::ENDPOINT;

on_both_engines! {
    a_revocation_reads_back_as_it_was_written,
    an_impossible_revocation_is_named,
    what_waits_and_what_was_given_up_is_counted,
    connections_of_one_client_become_revocations_at_once,
    what_cannot_be_revoked_is_not_queued,
    newer_tokens_take_the_place_of_those_that_wait,
    what_is_done_goes_once,
    what_is_given_up_keeps_no_secret,
    everything_of_a_tenant_goes_and_nothing_else,
}

async fn get(db: &Db, revocation: &Revocation) -> Option<Revocation> {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.revocations();
    at.get(&revocation.tenant, revocation.id).await.unwrap()
}

async fn a_revocation_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let client = home.retired();
    home.store_retired(db, &client).await;
    let bare = Revocation {
        client: None,
        refresh_token: None,
        access_token: None,
        ..home.revocation(&client)
    };

    for revocation in [bare, home.full_revocation(&client)] {
        home.store_revocation(db, &revocation).await;

        assert_eq!(get(db, &revocation).await.as_ref(), Some(&revocation));
        let mut tx = db.read().await.unwrap();
        let foreign = tx.revocations().get(&other.tenant, revocation.id).await;
        assert_eq!(foreign.unwrap(), None);
    }
}

async fn an_impossible_revocation_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, revocation) = home.queue(db).await;

    for (damage, wrong) in [
        ("UPDATE revocations SET reason = 'whim'", "reason"),
        (
            "UPDATE revocations SET reason = 'purge', state = 'odd'",
            "state",
        ),
        (
            "UPDATE revocations SET state = 'dead', access_token = NULL",
            "access_token",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx.revocations().get(&home.tenant, revocation.id).await;
        let Err(Error::Corrupt { table, column, .. }) = read else {
            panic!("{wrong} should be corrupt: {read:?}");
        };
        assert_eq!((table, column), ("revocations", wrong));
    }
}

async fn what_waits_and_what_was_given_up_is_counted(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let (client, _) = home.queue(db).await;
    home.store_revocation(db, &home.full_revocation(&client))
        .await;
    home.store_retired(db, &home.managed()).await;
    other.queue(db).await;

    let mut tx = db.read().await.unwrap();
    let mut at = tx.revocations();

    assert_eq!(at.count().await.unwrap(), (3, 1));
    assert_eq!(at.count_pending(&home.tenant).await.unwrap(), 2);
    assert_eq!(at.count_pending(&other.tenant).await.unwrap(), 1);
}

/// Moves the connections of a client as the change of a server does.
async fn retire(db: &Db, home: &Home, connection: &Connection) -> u64 {
    let client = home.retired();
    let mut tx = db.write().await.unwrap();
    tx.retired_clients_mut().insert(&client).await.unwrap();
    let retiring = Retiring {
        server: connection.server,
        registration: connection.registration,
        auth_version: connection.auth_version,
        endpoint: ENDPOINT,
        reason: Reason::ServerChanged,
        now: NOW,
    };
    let mut at = tx.revocations_mut();
    let moved = at.insert_of_registration(&client, &retiring).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    moved
}

async fn connections_of_one_client_become_revocations_at_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let elsewhere = home.store_registration(db, "two").await;
    let ann = home.full_connection(&registration, "ann");
    let mut bob = home.full_connection(&registration, "bob");
    bob.life.attempt = None;
    let mut set_aside = home.full_connection(&registration, "cid");
    set_aside.auth_version -= 1;
    set_aside.life.status = Status::ReconnectRequired(Reconnect::IssuerChanged);
    let kept = home.full_connection(&elsewhere, "ann");
    for connection in [&ann, &bob, &set_aside, &kept] {
        home.store_connection(db, connection).await;
    }

    let moved = retire(db, &home, &ann).await;

    assert_eq!(moved, 3);
    let mut tx = db.read().await.unwrap();
    let mut at = tx.revocations();
    assert_eq!(at.get(&home.tenant, kept.id).await.unwrap(), None);
    let until = ann.life.attempt.map(|attempt| attempt.until.after(MARGIN));
    for (connection, not_before) in [(&ann, until.unwrap()), (&bob, Timestamp::default())] {
        let found = at.get(&home.tenant, connection.id).await.unwrap().unwrap();
        let expected = Revocation {
            id: connection.id,
            tenant: home.tenant.clone(),
            user: connection.user.clone(),
            server: connection.server,
            client: found.client,
            issuer: connection.issuer.clone(),
            endpoint: ENDPOINT.into(),
            reason: Reason::ServerChanged,
            refresh_token: connection.refresh_token.clone(),
            access_token: connection.access_token.clone(),
            work: Work::from(NOW, not_before),
        };
        assert_eq!(found, expected);
    }
}

async fn what_cannot_be_revoked_is_not_queued(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let ann = home.full_connection(&registration, "ann");
    let older = Connection {
        auth_version: ann.auth_version - 1,
        ..home.full_connection(&registration, "bob")
    };
    let spent = Connection {
        auth_version: ann.auth_version,
        ..home.connection(&registration, "cid")
    };
    home.store_connection(db, &older).await;
    home.store_connection(db, &spent).await;

    assert_eq!(retire(db, &home, &ann).await, 0);
}

async fn newer_tokens_take_the_place_of_those_that_wait(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (client, mut old) = home.queue(db).await;
    let mut held = home.revocation(&client);
    held.work.not_before = Timestamp::from_micros(9);
    held.work.lease_until = Some(NOW);
    home.store_revocation(db, &held).await;
    held.refresh_token = home.sealed(b"newer refresh");
    held.access_token = home.sealed(b"newer access");
    let replace = async |revocation: &Revocation| {
        let mut tx = db.write().await.unwrap();
        let replaced = tx.revocations_mut().update_tokens(revocation).await;
        tx.commit(&home.event()).await.unwrap();
        replaced.unwrap()
    };

    assert!(replace(&held).await);

    assert!(!replace(&held).await, "the version is stale");
    held.work.version += 1;
    held.work.not_before = Timestamp::default();
    held.work.lease_until = None;
    assert_eq!(get(db, &held).await, Some(held));
    assert_eq!(get(db, &old).await.as_ref(), Some(&old));
    db.execute("UPDATE revocations SET state = 'dead'").await;
    old.access_token = None;
    assert!(!replace(&old).await, "what is dead stays dead");
}

async fn what_is_done_goes_once(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, revocation) = home.queue(db).await;
    let mut stale = revocation.clone();
    stale.work.version += 1;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.work_mut();
    let missed = at.delete(&stale).await.unwrap();
    let gone = at.delete(&revocation).await.unwrap();
    let again = at.delete(&revocation).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!((missed, gone, again), (false, true, false));
    assert_eq!(get(db, &revocation).await, None);
}

async fn what_is_given_up_keeps_no_secret(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, revocation) = home.queue(db).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.work_mut();
    let buried = at.update_dead(&revocation, "invalid_client").await.unwrap();
    let again = at.update_dead(&revocation, "other").await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(buried && !again);
    let expected = Revocation {
        client: None,
        refresh_token: None,
        access_token: None,
        work: Work {
            state: WorkState::Dead,
            last_error: Some("invalid_client".into()),
            version: 2,
            ..revocation.work.clone()
        },
        ..revocation.clone()
    };
    assert_eq!(get(db, &revocation).await, Some(expected));
}

async fn everything_of_a_tenant_goes_and_nothing_else(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let (client, _) = home.queue(db).await;
    home.store_revocation(db, &home.full_revocation(&client))
        .await;
    let (_, kept) = other.queue(db).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.revocations_mut();
    let gone = at.delete_of_tenant(&home.tenant).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone, 2);
    assert_eq!(get(db, &kept).await, Some(kept));
}
