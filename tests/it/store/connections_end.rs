//! Connections that end: at the version they were read with, and as revocations.

use stationmaster::domain::authorization::Issuer;
use stationmaster::domain::connections::{Connection, Origin};
use stationmaster::domain::registrations::Registration;
use stationmaster::domain::text::UserId;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, user};

on_both_engines! {
    a_connection_is_taken_at_its_version_only,
    a_taken_connection_leaves_its_generation,
    another_client_of_the_server_keeps_its_connection,
    grants_of_one_client_are_counted_for_one_user,
    what_cannot_be_read_can_be_taken_and_leaves_its_generation,
    what_logins_were_exchanged_for_goes_by_user_and_issuer,
}

async fn stored(db: &Db, home: &Home) -> (Registration, Connection) {
    let registration = home.store_registration(db, "one").await;
    let connection = home.full_connection(&registration, "ann");
    home.store_connection(db, &connection).await;
    (registration, connection)
}

async fn take(db: &Db, home: &Home, connection: &Connection) -> bool {
    let mut tx = db.write().await.unwrap();
    let taken = tx.connections_mut().take(connection).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    taken
}

async fn get(db: &Db, connection: &Connection) -> Option<Connection> {
    let mut tx = db.read().await.unwrap();
    let (tenant, user) = (&connection.tenant, &connection.user);
    let mut at = tx.connections();
    at.get(tenant, user, connection.server).await.unwrap()
}

async fn a_connection_is_taken_at_its_version_only(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, connection) = stored(db, &home).await;
    let mut stale = connection.clone();
    stale.version -= 1;
    let mut foreign = connection.clone();
    foreign.tenant = Home::settle(db, "other").await.tenant;

    assert!(!take(db, &home, &stale).await);
    assert!(!take(db, &home, &foreign).await);
    assert_eq!(get(db, &connection).await.as_ref(), Some(&connection));
    assert!(take(db, &home, &connection).await);
    assert!(!take(db, &home, &connection).await);
    assert_eq!(get(db, &connection).await, None);
}

async fn a_taken_connection_leaves_its_generation(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, connection) = stored(db, &home).await;

    take(db, &home, &connection).await;

    let mut tx = db.read().await.unwrap();
    let (tenant, user) = (&connection.tenant, &connection.user);
    let mut at = tx.connections();
    let last = at.last_generation(tenant, user, connection.server).await;
    assert_eq!(last.unwrap(), connection.life.generation);
}

async fn another_client_of_the_server_keeps_its_connection(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (registration, ann) = stored(db, &home).await;
    let other = Registration {
        issuer: Issuer::new("https://other.test"),
        generation: 2,
        id: stationmaster::domain::ids::RegistrationId::from_bytes([7; 16]),
        ..registration
    };
    let mut tx = db.write().await.unwrap();
    tx.registrations_mut().insert(&other).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    let bob = home.full_connection(&other, "bob");
    home.store_connection(db, &bob).await;

    take(db, &home, &ann).await;

    assert_eq!(get(db, &bob).await, Some(bob));
}

async fn grants_of_one_client_are_counted_for_one_user(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (registration, connection) = stored(db, &home).await;
    let bare = home.connection(&registration, "bob");
    home.store_connection(db, &bare).await;
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    let mut count = async |user, issuer: &str, client| {
        let issuer = Issuer::new(issuer);
        let counted = at.count_of_client(&connection.tenant, user, &issuer, client);
        counted.await.unwrap()
    };
    let (user, issuer) = (&connection.user, registration.issuer.as_str());

    assert_eq!(count(user, issuer, &registration.client_id).await, 1);
    assert_eq!(count(user, issuer, "another").await, 0);
    assert_eq!(
        count(user, "https://other.test", &registration.client_id).await,
        0
    );
    // Bob's connection holds no token.
    assert_eq!(count(&bare.user, issuer, &registration.client_id).await, 0);
}

async fn what_cannot_be_read_can_be_taken_and_leaves_its_generation(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (_, connection) = stored(db, &home).await;
    db.execute("UPDATE connections SET status = 'odd'").await;
    let other = Home::settle(db, "other").await.tenant;
    let (tenant, user, server) = (&connection.tenant, &connection.user, connection.server);
    let id = connection.id.to_string();

    let mut tx = db.write().await.unwrap();
    let mut at = tx.connections_mut();
    let foreign = at.take_unread(&other, user, &id).await.unwrap();
    let taken = at.take_unread(tenant, user, &id).await.unwrap();
    let again = at.take_unread(tenant, user, &id).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!((foreign, taken, again), (false, true, false));
    let mut tx = db.read().await.unwrap();
    let mut at = tx.connections();
    assert_eq!(at.get(tenant, user, server).await.unwrap(), None);
    let last = at.last_generation(tenant, user, server).await.unwrap();
    assert_eq!(last, connection.life.generation);
}

async fn what_logins_were_exchanged_for_goes_by_user_and_issuer(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (registration, consented) = stored(db, &home).await;
    let exchanged = |name: &str| Connection {
        origin: Origin::Automatic,
        ..home.connection(&registration, name)
    };
    for name in ["ann2", "bob"] {
        home.store_connection(db, &exchanged(name)).await;
    }
    let tenant = &home.tenant;
    let other = Issuer::new("https://other.test");

    let mut tx = db.write().await.unwrap();
    let mut gone = async |name: &UserId, issuer| {
        let servers = tx.connections().list_exchanged(tenant, name, issuer).await;
        let servers = servers.unwrap();
        for server in &servers {
            assert_eq!(*server, consented.server);
            tx.connections_mut()
                .delete(tenant, name, *server)
                .await
                .unwrap();
        }
        servers.len()
    };
    let consented_user = &consented.user;
    let counts = [
        gone(consented_user, None).await,
        gone(&user("bob"), Some(&other)).await,
        gone(&user("bob"), Some(&registration.issuer)).await,
        gone(&user("bob"), None).await,
        gone(&user("ann2"), None).await,
    ];
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(counts, [0, 0, 1, 0, 1]);
    assert_eq!(get(db, &consented).await, Some(consented));
}
