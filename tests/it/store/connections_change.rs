//! Connections that change: only at the version they were read with.

use stationmaster::domain::authorization::Issuer;
use stationmaster::domain::authorization::Scopes;
use stationmaster::domain::changes::{ChangeKind, Revision};
use stationmaster::domain::connections::{Connection, Lifecycle, Status};
use stationmaster::domain::registrations::Registration;
use stationmaster::domain::resolution::Reconnect;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later};

on_both_engines! {
    a_renewal_writes_tokens_and_lifecycle_and_ends_the_attempt,
    a_renewal_of_a_stale_version_writes_nothing,
    a_lifecycle_is_written_without_touching_tokens,
    a_lifecycle_of_a_stale_version_writes_nothing,
    upkeep_of_a_lifecycle_is_in_nobodys_feed,
    of_two_claims_of_one_version_one_wins,
    a_late_flight_never_touches_a_new_connection,
    a_changed_server_ends_its_connections_and_no_others,
    a_connection_of_another_issuer_is_set_aside_with_its_tokens,
    a_deleted_servers_connections_go_and_no_others,
    leases_left_behind_are_ended,
}

async fn stored(db: &Db, home: &Home) -> (Registration, Connection) {
    let registration = home.store_registration(db, "one").await;
    let connection = home.full_connection(&registration, "ann");
    home.store_connection(db, &connection).await;
    (registration, connection)
}

async fn get(db: &Db, connection: &Connection) -> Connection {
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    let found = at
        .get(&connection.tenant, &connection.user, connection.server)
        .await;
    found.unwrap().unwrap()
}

/// The connection after its tokens were renewed.
fn renewed(home: &Home, connection: &Connection) -> Connection {
    Connection {
        scopes: Scopes::parse("c"),
        token_type: "DPoP".into(),
        life: Lifecycle {
            generation: connection.life.generation + 1,
            status: Status::Active,
            renewable: true,
            obtained_at: later(10),
            expires_at: Some(later(20)),
            forced: true,
            forced_at: [Some(later(12)), Some(later(1)), None],
            rejected: false,
            attempt: None,
            attempts: 4,
            redeemed_by: 4,
            keeps: true,
            unknown_outcomes: 1,
            unknown_since: Some(later(13)),
            unclear_refusals: 1,
            client_refused: true,
            failures: 2,
            next_attempt_at: Some(later(30)),
        },
        access_token: home.sealed(b"new access"),
        refresh_token: home.sealed(b"new refresh"),
        refreshed_at: Some(later(11)),
        reconnect_before: Some(later(99)),
        last_error: None,
        failed_at: Some(later(14)),
        due_at: Some(later(15)),
        updated_at: later(16),
        ..connection.clone()
    }
}

async fn renew(db: &Db, home: &Home, connection: &Connection) -> bool {
    let mut tx = db.write().await.unwrap();
    let renewed = tx.connections_mut().renew(connection).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    renewed
}

async fn a_renewal_writes_tokens_and_lifecycle_and_ends_the_attempt(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    let mut new = renewed(&home, &old);

    assert!(renew(db, &home, &new).await);

    new.version += 1;
    assert_eq!(get(db, &old).await, new);
    let mut bare = Connection {
        access_token: None,
        refresh_token: None,
        refreshed_at: None,
        ..new
    };
    bare.life.renewable = false;
    bare.life.expires_at = None;
    bare.life.next_attempt_at = None;
    bare.life.unknown_since = None;
    bare.life.forced_at = [None; 3];
    assert!(renew(db, &home, &bare).await);
    bare.version += 1;
    assert_eq!(get(db, &old).await, bare);
}

async fn a_renewal_of_a_stale_version_writes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    assert!(renew(db, &home, &renewed(&home, &old)).await);
    let kept = get(db, &old).await;

    let again = renew(db, &home, &renewed(&home, &old)).await;

    assert!(!again);
    assert_eq!(get(db, &old).await, kept);
}

/// The connection refused, everything of its lifecycle that is written with that changed.
fn refused(home: &Home, connection: &Connection) -> Connection {
    Connection {
        life: Lifecycle {
            status: Status::ReconnectRequired(Reconnect::RefreshRefused),
            rejected: !connection.life.rejected,
            attempt: Some(home.attempt()),
            attempts: home.attempt().serial,
            unknown_outcomes: 8,
            unknown_since: Some(later(3)),
            unclear_refusals: 2,
            client_refused: !connection.life.client_refused,
            failures: 9,
            next_attempt_at: None,
            ..connection.life
        },
        last_error: Some("invalid_grant".into()),
        failed_at: Some(later(5)),
        due_at: None,
        updated_at: later(6),
        ..connection.clone()
    }
}

async fn a_lifecycle_is_written_without_touching_tokens(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    let mut new = refused(&home, &old);

    let mut tx = db.write().await.unwrap();
    let saved = tx.connections_mut().save_life(&new).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(saved);
    new.version += 1;
    assert_eq!(get(db, &old).await, new);
}

async fn a_lifecycle_of_a_stale_version_writes_nothing(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    assert!(renew(db, &home, &renewed(&home, &old)).await);
    let kept = get(db, &old).await;

    let mut tx = db.write().await.unwrap();
    let saved = tx
        .connections_mut()
        .save_life(&refused(&home, &old))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();
    let mut tx = db.upkeep().await.unwrap();
    let kept_up = tx
        .connection_leases()
        .save_life(&refused(&home, &old))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    assert!(!saved && !kept_up);
    assert_eq!(get(db, &old).await, kept);
}

async fn upkeep_of_a_lifecycle_is_in_nobodys_feed(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    let head = db
        .read()
        .await
        .unwrap()
        .feed()
        .head(&home.tenant)
        .await
        .unwrap();
    let mut new = old.clone();
    new.life.attempt = None;

    let mut tx = db.upkeep().await.unwrap();
    let saved = tx.connection_leases().save_life(&new).await.unwrap();
    tx.commit().await.unwrap();

    assert!(saved);
    assert_eq!(get(db, &old).await.life, new.life);
    let after = db
        .read()
        .await
        .unwrap()
        .feed()
        .head(&home.tenant)
        .await
        .unwrap();
    assert_eq!(after, head);
}

async fn of_two_claims_of_one_version_one_wins(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, old) = stored(db, &home).await;
    let other = db.another().await;
    let claim = async |store: &stationmaster::store::Store| {
        let mut new = old.clone();
        new.life.attempt = Some(home.attempt());
        let mut tx = store.upkeep().await.unwrap();
        let won = tx.connection_leases().save_life(&new).await.unwrap();
        tx.commit().await.unwrap();
        (won, new.life.attempt)
    };

    let (one, two) = futures_util::join!(claim(db), claim(&other));

    assert_ne!(one.0, two.0, "exactly one wins");
    let winner = if one.0 { one.1 } else { two.1 };
    assert_eq!(get(db, &old).await.life.attempt, winner);
}

async fn a_late_flight_never_touches_a_new_connection(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (registration, old) = stored(db, &home).await;
    let new = Connection {
        version: old.version,
        ..home.connection(&registration, "ann")
    };
    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    at.delete(&home.tenant, &old.user, old.server)
        .await
        .unwrap();
    at.insert(&new).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert!(!renew(db, &home, &renewed(&home, &old)).await);

    assert_eq!(get(db, &old).await, new);
}

async fn a_connection_of_another_issuer_is_set_aside_with_its_tokens(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, ann) = stored(db, &home).await;
    let elsewhere = home.store_registration(db, "two").await;
    let kept = home.full_connection(&elsewhere, "ann");
    home.store_connection(db, &kept).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let first = at.suspend_of_server(&home.tenant, ann.server, later(40));
    let first = first.await.unwrap();
    let again = at.suspend_of_server(&home.tenant, ann.server, later(50));
    let again = again.await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.write().await.unwrap();
    let elsewhere = Issuer::new("https://other.test");
    let mut at = tx.connections_mut();
    let other = at.resume_of_server(&home.tenant, ann.server, (&elsewhere, 7), later(60));
    assert_eq!(other.await.unwrap(), 0);
    tx.commit(&home.event()).await.unwrap();

    assert_eq!((first, again), (1, 0));
    let mut new = ann.clone();
    new.life.status = Status::ReconnectRequired(Reconnect::IssuerChanged);
    new.due_at = None;
    new.updated_at = later(40);
    new.version += 1;
    assert_eq!(get(db, &ann).await, new);
    assert_eq!(get(db, &kept).await, kept);
    let mut tx = db.write().await.unwrap();
    let back = (&ann.issuer, 7);
    let mut at = tx.connections_mut();
    let resumed = at.resume_of_server(&home.tenant, ann.server, back, later(70));
    assert_eq!(resumed.await.unwrap(), 1);
    tx.commit(&home.event()).await.unwrap();
    new.life.status = Status::Active;
    new.auth_version = 7;
    new.updated_at = later(70);
    new.version += 1;
    assert_eq!(get(db, &ann).await, new);
}

async fn a_changed_server_ends_its_connections_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (registration, ann) = stored(db, &home).await;
    let bob = home.connection(&registration, "bob");
    home.store_connection(db, &bob).await;
    let elsewhere = home.store_registration(db, "two").await;
    let kept = home.full_connection(&elsewhere, "ann");
    home.store_connection(db, &kept).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let ended = at
        .invalidate_of_server(&home.tenant, ann.server, later(40))
        .await
        .unwrap();
    let revision = tx.commit(&home.event()).await.unwrap();

    assert_eq!(ended, 2);
    for old in [ann, bob] {
        let mut new = old.clone();
        new.life.status = Status::ReconnectRequired(Reconnect::ServerChanged);
        new.life.attempt = None;
        new.life.renewable = false;
        (new.access_token, new.refresh_token) = (None, None);
        new.due_at = None;
        new.updated_at = later(40);
        new.version += 1;
        assert_eq!(get(db, &old).await, new);
    }
    assert_eq!(get(db, &kept).await, kept);
    let mut tx = db.read().await.unwrap();
    let stretch = tx
        .feed()
        .list_of_kind(
            &home.tenant,
            ChangeKind::Connection,
            Revision(revision.0 - 2),
            9,
        )
        .await
        .unwrap();
    let changes = stretch.changes;
    assert!(
        changes
            .iter()
            .all(|change| change.what.kind == ChangeKind::Connection)
    );
    assert_eq!(changes.len(), 2);
}

async fn a_deleted_servers_connections_go_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, ann) = stored(db, &home).await;
    let elsewhere = home.store_registration(db, "two").await;
    let kept = home.full_connection(&elsewhere, "ann");
    home.store_connection(db, &kept).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let gone = at.delete_of_server(&home.tenant, ann.server).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone, 1);
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    let found = at.get(&home.tenant, &ann.user, ann.server).await.unwrap();
    assert_eq!(found, None);
    let last = at
        .last_generation(&home.tenant, &ann.user, ann.server)
        .await;
    assert_eq!(last.unwrap(), ann.life.generation);
    assert_eq!(get(db, &kept).await, kept);
}

async fn leases_left_behind_are_ended(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, held) = stored(db, &home).await;
    let until = held.life.attempt.map(|attempt| attempt.until).unwrap();
    let now = until.before(std::time::Duration::from_secs(1));

    let mut tx = db.upkeep().await.unwrap();
    let ended = tx.connection_leases().end_leases(now).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(ended, 1);
    let attempt = get(db, &held).await.life.attempt.unwrap();
    assert_eq!(attempt.until, now);
    assert_eq!(
        Some(attempt.intent),
        held.life.attempt.map(|attempt| attempt.intent)
    );
}
