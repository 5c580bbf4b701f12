//! Rows that this service never writes are named, and harm nothing but themselves.

use stationmaster::domain::changes::{ChangeKind, Revision, shard_of};
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::secrets::SecretHash;
use stationmaster::domain::text::ChatId;
use stationmaster::store::{Error, NewRequest, Result};

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, chat_id, user};

on_both_engines! {
    an_impossible_server_is_named,
    an_impossible_connection_is_named,
    half_an_attempt_is_no_attempt_but_damage,
    an_impossible_handshake_is_named,
    an_impossible_registration_is_named,
    an_impossible_api_key_is_named,
    an_impossible_tenant_is_named,
    an_impossible_chat_is_named,
    an_impossible_request_is_named,
    an_impossible_change_is_named,
    a_follower_passes_over_what_it_cannot_read,
    a_corrupt_row_is_nobody_elses_trouble,
}

/// Expects the complaint about this place.
fn assert_names<T: std::fmt::Debug>(read: Result<T>, place: (&str, &str), row: &str) {
    let Err(Error::Corrupt { table, column, id }) = read else {
        panic!("{place:?} should be corrupt: {read:?}");
    };
    assert_eq!(((table, column), id.as_str()), (place, row));
}

async fn an_impossible_server_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let server = home.store_server(db, "one").await;

    for (damage, column) in [
        (
            "UPDATE servers SET auth = '{\"kind\":\"none\"}', transport = 'pigeon'",
            "transport",
        ),
        (
            "UPDATE servers SET transport = 'sse', availability = 'soon'",
            "availability",
        ),
        (
            "UPDATE servers SET availability = 'force_on', tools = '{'",
            "tools",
        ),
        (
            "UPDATE servers SET tools = '{\"allow\":[],\"deny\":[]}', auth = 'x'",
            "auth",
        ),
        (
            "UPDATE servers SET auth = '{\"kind\":\"none\"}', access = '[]'",
            "access",
        ),
        (
            "UPDATE servers SET access = '{\"users\":[],\"groups\":[]}', discovered = '1'",
            "discovered",
        ),
        (
            "UPDATE servers SET discovered = NULL, slug = 'Not A Slug'",
            "slug",
        ),
        (
            "UPDATE servers SET slug = 'one', api_key = client_secret, assertion = wrapped \
            FROM data_keys",
            "assertion",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx.servers().get(&home.tenant, server.id).await;
        assert_names(read, ("servers", column), &server.id.to_string());
    }
}

async fn an_impossible_connection_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let connection = home.full_connection(&registration, "ann");
    home.store_connection(db, &connection).await;

    for (damage, column) in [
        ("UPDATE connections SET status = 'fine'", "status"),
        (
            "UPDATE connections SET status = 'reconnect_required', reason = 'whim'",
            "status",
        ),
        ("UPDATE connections SET reason = NULL", "status"),
        (
            "UPDATE connections SET status = 'active', scopes = 'a b'",
            "scopes",
        ),
        (
            "UPDATE connections SET scopes = '[]', intent = 'int_1'",
            "intent",
        ),
        (
            "UPDATE connections SET intent = NULL, lease_owner = NULL, lease_until = NULL, \
            access_token_key = NULL",
            "access_token",
        ),
        (
            "UPDATE connections SET access_token = NULL, refresh_token = NULL",
            "refresh_token",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx
            .connections()
            .get(&home.tenant, &user("ann"), connection.server)
            .await;
        assert_names(read, ("connections", column), &connection.id.to_string());
    }
}

async fn half_an_attempt_is_no_attempt_but_damage(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let connection = home.full_connection(&registration, "ann");
    home.store_connection(db, &connection).await;

    for (damage, column) in [
        ("UPDATE connections SET lease_until = NULL", "lease_until"),
        (
            "UPDATE connections SET lease_until = 1, lease_owner = NULL",
            "lease_owner",
        ),
        ("UPDATE connections SET intent = NULL", "intent"),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx
            .connections()
            .get(&home.tenant, &user("ann"), connection.server)
            .await;
        assert_names(read, ("connections", column), &connection.id.to_string());
    }
}

async fn an_impossible_handshake_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;
    let handshake = home.handshake(&registration, "ann");
    home.store_handshake(db, &handshake).await;

    for (damage, column) in [
        ("UPDATE handshakes SET state = 'expired'", "state"),
        (
            "UPDATE handshakes SET state = 'exchanging'",
            "exchange_until",
        ),
        ("UPDATE handshakes SET state = 'completed'", "generation"),
        (
            "UPDATE handshakes SET state = 'failed', failure = 'bad mood'",
            "failure",
        ),
        (
            "UPDATE handshakes SET state = 'pending', binding = 'glue'",
            "binding",
        ),
        (
            "UPDATE handshakes SET binding = 'link', snapshot = '{}'",
            "snapshot",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx.handshakes().find_by_link(&handshake.link_hash).await;
        assert_names(read, ("handshakes", column), &handshake.id.to_string());
    }
}

async fn an_impossible_registration_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let registration = home.store_registration(db, "one").await;

    for (damage, column) in [
        ("UPDATE registrations SET kind = 'stolen'", "kind"),
        (
            "UPDATE registrations SET kind = 'dynamic', auth_method = 'magic'",
            "auth_method",
        ),
        (
            "UPDATE registrations SET auth_method = 'none', client_secret = wrapped \
            FROM data_keys",
            "client_secret",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx.registrations().get(&home.tenant, registration.id).await;
        assert_names(
            read,
            ("registrations", column),
            &registration.id.to_string(),
        );
    }
}

async fn an_impossible_api_key_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let key = home.api_key("one");
    let mut tx = db.write().await.unwrap();
    tx.api_keys_mut().insert(&key).await.unwrap();
    tx.commit(&home.event()).await.unwrap();

    for (damage, column) in [
        ("UPDATE api_keys SET role = 'king'", "role"),
        (
            "UPDATE api_keys SET role = 'admin', servers = '[\"one\"]'",
            "servers",
        ),
        (
            "UPDATE api_keys SET servers = '[]', source_cidrs = '[\"all\"]'",
            "source_cidrs",
        ),
        (
            "UPDATE api_keys SET source_cidrs = '[]', methods = 'all'",
            "methods",
        ),
        (
            "UPDATE api_keys SET methods = '[]', user_id = ' ann'",
            "user_id",
        ),
        (
            "UPDATE api_keys SET user_id = NULL, hash = wrapped FROM data_keys",
            "hash",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let read = tx.api_keys().get(key.id).await;
        assert_names(read, ("api_keys", column), &key.id.to_string());
    }
}

async fn an_impossible_tenant_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;

    db.execute("UPDATE tenants SET state = 'asleep'").await;

    let mut tx = db.read().await.unwrap();
    assert_names(
        tx.tenants().get(&home.tenant).await,
        ("tenants", "state"),
        "acme",
    );
    drop(tx);
    db.execute(
        "INSERT INTO tenants (id, display_name, state, created_at, updated_at) \
        VALUES ('A B', '', 'active', 0, 0)",
    )
    .await;
    let page = PageRequest {
        size: 9,
        after: None,
    };
    let mut tx = db.read().await.unwrap();
    let listed = tx.tenants().list(&page).await.unwrap().entries;
    let listed = listed.into_iter().next().unwrap();
    assert_names(listed, ("tenants", "id"), "A B");
}

async fn an_impossible_chat_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let mut tx = db.write().await.unwrap();
    tx.chats_mut()
        .put(&home.chat("chat", "ann", &[]))
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();

    db.execute("UPDATE chats SET owner = ''").await;

    let id: ChatId = chat_id("chat");
    let mut tx = db.read().await.unwrap();
    assert_names(
        tx.chats().get(&home.tenant, &id).await,
        ("chats", "owner"),
        "chat",
    );
}

async fn an_impossible_request_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let request = NewRequest {
        tenant: &home.tenant,
        principal: "key_a",
        request_id: "r1",
        fingerprint: SecretHash::of("body"),
    };
    let mut tx = db.write().await.unwrap();
    tx.requests_mut()
        .insert(&request, "srv_1", NOW)
        .await
        .unwrap();
    tx.commit(&home.event()).await.unwrap();

    db.execute("UPDATE requests SET fingerprint = wrapped FROM data_keys")
        .await;

    let mut tx = db.read().await.unwrap();
    assert_names(
        tx.requests().get(&request).await,
        ("requests", "fingerprint"),
        "r1",
    );
}

async fn an_impossible_change_is_named(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let start = Revision::default();

    for (damage, column) in [
        ("UPDATE changes SET op = 'undo'", "op"),
        ("UPDATE changes SET op = 'put', user_id = 'ann'", "server"),
        (
            "UPDATE changes SET user_id = NULL, server = 'srv_'",
            "user_id",
        ),
    ] {
        db.execute(damage).await;

        let mut tx = db.read().await.unwrap();
        let kind = ChangeKind::Tenant;
        let read = tx.feed().list_of_kind(&home.tenant, kind, start, 9).await;
        let unreadable = read.unwrap().unreadable.into_iter().next();
        assert_names(unreadable.map_or(Ok(()), Err), ("changes", column), "2");
    }
}

async fn a_follower_passes_over_what_it_cannot_read(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_server(db, "one").await;
    home.store_server(db, "two").await;

    // The audit record of each commit has the place before.
    db.execute("UPDATE changes SET kind = 'weather' WHERE seq = 2")
        .await;
    db.execute("UPDATE changes SET op = 'undo' WHERE seq = 4")
        .await;

    let mut tx = db.read().await.unwrap();
    let shard = shard_of(&home.tenant);
    let read = tx
        .feed()
        .list_of_shard(shard, Revision(0), 9)
        .await
        .unwrap();
    let revisions: Vec<_> = read.changes.iter().map(|change| change.revision).collect();
    assert_eq!(revisions, [Revision(6)]);
    assert_eq!(read.unreadable.len(), 1, "a newer release's kind is none");
    assert_names(
        read.unreadable.into_iter().next().map_or(Ok(()), Err),
        ("changes", "op"),
        "4",
    );
}

async fn a_corrupt_row_is_nobody_elses_trouble(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let bad = home.store_server(db, "bad").await;
    let good = home.store_server(db, "good").await;

    db.execute("UPDATE servers SET transport = 'pigeon' WHERE slug = 'bad'")
        .await;

    let mut tx = db.read().await.unwrap();
    let read = tx.servers().get(&home.tenant, bad.id).await;
    assert_names(read, ("servers", "transport"), &bad.id.to_string());
    assert_eq!(
        tx.servers().get(&home.tenant, good.id).await.unwrap(),
        Some(good)
    );
}
