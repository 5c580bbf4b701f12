//! Header values: one for each user, server and header; versions that never go back.

use stationmaster::domain::changes::{Change, ChangeKind, Op, Owner, Revision, shard_of};
use stationmaster::domain::servers::Server;
use stationmaster::domain::user_headers::HeaderValue;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later, user};

on_both_engines! {
    values_read_back_as_they_were_set,
    a_value_set_again_takes_the_place_of_the_one_before,
    what_is_cleared_is_gone_and_was_there,
    what_changes_nothing_leaves_version_and_feed,
    all_values_of_a_user_for_a_server_go_and_no_others,
    all_values_of_a_user_go_and_no_others,
    what_a_server_does_not_declare_goes_for_everybody,
    values_go_with_their_server_and_versions_go_on,
    another_tenant_never_sees_a_value,
    an_impossible_value_is_named,
}

fn of(name: &str, server: &Server) -> Owner {
    Owner {
        user: user(name),
        server: server.id,
    }
}

async fn update(
    db: &Db,
    home: &Home,
    set: &[HeaderValue],
    clear: (&Owner, &[&str]),
) -> Vec<String> {
    let (owner, names) = clear;
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    let cleared = values.update(&home.tenant, owner, set, &names).await;
    tx.commit(&home.event()).await.unwrap();
    cleared.unwrap()
}

/// Sets a value, and answers it.
async fn put(db: &Db, home: &Home, server: &Server, (name, header): (&str, &str)) -> HeaderValue {
    let value = home.header_value(server, name, header);
    let owner = of(name, server);
    update(db, home, std::slice::from_ref(&value), (&owner, &[])).await;
    value
}

async fn list(db: &Db, home: &Home, owner: &Owner) -> Vec<HeaderValue> {
    let mut tx = db.read().await.unwrap();
    tx.user_headers().list(&home.tenant, owner).await.unwrap()
}

async fn version(db: &Db, home: &Home, owner: &Owner) -> i64 {
    let mut tx = db.read().await.unwrap();
    let mut values = tx.user_headers();
    values.version(&home.tenant, owner).await.unwrap()
}

/// What the feed tells of values: whose, and what became of them.
async fn told(db: &Db, home: &Home) -> Vec<(Owner, Op)> {
    let mut tx = db.read().await.unwrap();
    let mut feed = tx.feed();
    let shard = shard_of(&home.tenant);
    let all = feed.list_of_shard(shard, Revision(0), 1_000).await.unwrap();
    let own = |change: &Change| change.what.kind == ChangeKind::UserHeaders;
    let all = all.changes.into_iter().filter(own);
    all.map(|change| (change.what.owner.unwrap(), change.what.op))
        .collect()
}

async fn values_read_back_as_they_were_set(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    let anns = of("ann", &a);
    let two = [
        home.header_value(&a, "ann", "x-team"),
        home.header_value(&a, "ann", "x-key"),
    ];

    update(db, &home, &two, (&anns, &[])).await;
    let other = put(db, &home, &b, ("ann", "x-key")).await;

    let [team, key] = two;
    assert_eq!(list(db, &home, &anns).await, [key, team]);
    assert_eq!(list(db, &home, &of("ann", &b)).await, [other]);
    assert_eq!(list(db, &home, &of("Ann", &a)).await, []);
    let mut tx = db.read().await.unwrap();
    let mut values = tx.user_headers();
    let set = values.list_set(&home.tenant, &anns).await.unwrap();
    assert_eq!(
        set,
        [("x-key".into(), later(3)), ("x-team".into(), later(3))]
    );
    let mut names = values
        .list_names_of_user(&home.tenant, &user("ann"))
        .await
        .unwrap();
    names.sort();
    let mut expected = [
        (a.id, "x-key".to_owned()),
        (a.id, "x-team".to_owned()),
        (b.id, "x-key".to_owned()),
    ];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(told(db, &home).await[0], (anns, Op::Put));
}

async fn a_value_set_again_takes_the_place_of_the_one_before(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "a").await;
    let owner = of("ann", &server);
    put(db, &home, &server, ("ann", "x-key")).await;
    let before = version(db, &home, &owner).await;

    let mut again = home.header_value(&server, "ann", "x-key");
    again.value = home.sealed(b"another").unwrap();
    again.updated_at = later(9);
    update(db, &home, std::slice::from_ref(&again), (&owner, &[])).await;

    assert_eq!(list(db, &home, &owner).await, [again]);
    assert!(version(db, &home, &owner).await > before);
}

async fn what_is_cleared_is_gone_and_was_there(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "a").await;
    let owner = of("ann", &server);
    put(db, &home, &server, ("ann", "x-key")).await;
    let kept = put(db, &home, &server, ("ann", "x-team")).await;
    let before = version(db, &home, &owner).await;

    let cleared = update(db, &home, &[], (&owner, &["x-gone", "x-key"])).await;

    assert_eq!(cleared, ["x-key"]);
    assert_eq!(list(db, &home, &owner).await, [kept]);
    let after = version(db, &home, &owner).await;
    assert!(after > before);
    put(db, &home, &server, ("ann", "x-key")).await;
    assert!(version(db, &home, &owner).await > after);
}

async fn what_changes_nothing_leaves_version_and_feed(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "a").await;
    let owner = of("ann", &server);

    let cleared = update(db, &home, &[], (&owner, &["x-key"])).await;
    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    let gone = values.delete(&home.tenant, &owner).await.unwrap();
    let purged = values.delete_of_user(&home.tenant, &user("ann")).await;
    let ended = values.delete_undeclared(&home.tenant, server.id, &[]).await;
    tx.commit(&home.event()).await.unwrap();

    assert!(cleared.is_empty());
    assert_eq!((gone, purged.unwrap(), ended.unwrap()), (0, 0, 0));
    assert_eq!(version(db, &home, &owner).await, 0);
    assert_eq!(told(db, &home).await, []);
}

async fn all_values_of_a_user_for_a_server_go_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    put(db, &home, &a, ("ann", "x-key")).await;
    put(db, &home, &a, ("ann", "x-team")).await;
    let elsewhere = put(db, &home, &b, ("ann", "x-key")).await;
    let bobs = put(db, &home, &a, ("bob", "x-key")).await;
    let before = version(db, &home, &of("ann", &a)).await;

    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    let gone = values.delete(&home.tenant, &of("ann", &a)).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone, 2);
    assert_eq!(list(db, &home, &of("ann", &a)).await, []);
    assert_eq!(list(db, &home, &of("ann", &b)).await, [elsewhere]);
    assert_eq!(list(db, &home, &of("bob", &a)).await, [bobs]);
    assert!(version(db, &home, &of("ann", &a)).await > before);
    assert_eq!(
        told(db, &home).await.last(),
        Some(&(of("ann", &a), Op::Delete))
    );
}

async fn all_values_of_a_user_go_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    for (server, header) in [(&a, "x-key"), (&a, "x-team"), (&b, "x-key")] {
        put(db, &home, server, ("ann", header)).await;
    }
    let bobs = put(db, &home, &a, ("bob", "x-key")).await;
    let before = version(db, &home, &of("ann", &b)).await;

    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    let gone = values.delete_of_user(&home.tenant, &user("ann")).await;
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone.unwrap(), 3);
    for server in [&a, &b] {
        assert_eq!(list(db, &home, &of("ann", server)).await, []);
    }
    assert_eq!(list(db, &home, &of("bob", &a)).await, [bobs]);
    assert!(version(db, &home, &of("ann", &b)).await > before);
}

async fn what_a_server_does_not_declare_goes_for_everybody(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    let kept = put(db, &home, &a, ("ann", "x-key")).await;
    put(db, &home, &a, ("ann", "x-team")).await;
    put(db, &home, &a, ("bob", "x-team")).await;
    let elsewhere = put(db, &home, &b, ("ann", "x-team")).await;

    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    let names = ["x-key".to_owned(), "x-new".to_owned()];
    let gone = values.delete_undeclared(&home.tenant, a.id, &names).await;
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone.unwrap(), 2);
    assert_eq!(list(db, &home, &of("ann", &a)).await, [kept]);
    assert_eq!(list(db, &home, &of("bob", &a)).await, []);
    assert_eq!(list(db, &home, &of("ann", &b)).await, [elsewhere]);
    let told = told(db, &home).await;
    assert_eq!(
        told[4..],
        [(of("ann", &a), Op::Put), (of("bob", &a), Op::Put)]
    );
}

async fn values_go_with_their_server_and_versions_go_on(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let mut server = home.store_server(db, "a").await;
    let owner = of("ann", &server);
    put(db, &home, &server, ("ann", "x-key")).await;
    let before = server.version + version(db, &home, &owner).await;
    let mut tx = db.write().await.unwrap();
    assert!(tx.servers_mut().update(&server).await.unwrap());
    server.version += 1;

    let mut values = tx.user_headers_mut();
    let gone = values.delete_of_server(&home.tenant, server.id, server.version);
    assert_eq!(gone.await.unwrap(), 1);
    let mut servers = tx.servers_mut();
    let deleted = servers.delete(&home.tenant, server.id, server.version);
    assert!(deleted.await.unwrap());
    server.version = 1;
    tx.servers_mut().insert(&server).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(list(db, &home, &owner).await, []);
    let after = server.version + version(db, &home, &owner).await;
    assert!(after > before, "{after} {before}");
    assert!(version(db, &home, &of("bob", &server)).await >= 2);
    // Where a server goes by itself, so do its values.
    put(db, &home, &server, ("ann", "x-key")).await;
    db.execute("DELETE FROM servers").await;
    assert_eq!(db.number("SELECT COUNT(*) FROM user_headers").await, 0);
}

async fn another_tenant_never_sees_a_value(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let server = home.store_server(db, "a").await;
    let owner = of("ann", &server);
    let value = put(db, &home, &server, ("ann", "x-key")).await;

    assert_eq!(list(db, &other, &owner).await, []);
    assert_eq!(version(db, &other, &owner).await, 0);
    let mut tx = db.write().await.unwrap();
    let mut values = tx.user_headers_mut();
    assert_eq!(values.delete(&other.tenant, &owner).await.unwrap(), 0);
    let purged = values.delete_of_user(&other.tenant, &user("ann")).await;
    let ended = values
        .delete_undeclared(&other.tenant, server.id, &[])
        .await;
    let mut read = tx.user_headers();
    let set = read.list_set(&other.tenant, &owner).await.unwrap();
    let names = read.list_names_of_user(&other.tenant, &user("ann")).await;
    tx.commit(&other.event()).await.unwrap();

    assert_eq!((purged.unwrap(), ended.unwrap()), (0, 0));
    assert!(set.is_empty() && names.unwrap().is_empty());
    assert_eq!(list(db, &home, &owner).await, [value]);
}

async fn an_impossible_value_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "a").await;
    put(db, &home, &server, ("ann", "x-key")).await;

    db.execute("UPDATE user_headers SET id = 'odd'").await;

    let mut tx = db.read().await.unwrap();
    let mut values = tx.user_headers();
    let owner = of("ann", &server);
    let read = values.list(&home.tenant, &owner).await;
    let Err(Error::Corrupt { table, column, id }) = read else {
        panic!("it should be corrupt: {read:?}");
    };
    assert_eq!((table, column, id.as_str()), ("user_headers", "id", "odd"));
    let set = values.list_set(&home.tenant, &owner).await.unwrap();
    assert_eq!(set.len(), 1, "it can be seen that there is one");
}
